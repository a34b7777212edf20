//! The only state of the components.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::AggregationPolicy;
use crate::ComponentHealth;
use crate::ComponentName;
use crate::ComponentSpec;
use crate::DECIDING_MAX;
use crate::Deciding;
use crate::HealthStatus;
use crate::Hysteresis;
use crate::Outcome;
use crate::Query;
use crate::Reason;
use crate::Scope;
use crate::Tally;
use crate::Verdict;
use crate::WorstOf;
use crate::reasons;

/// The only state of the components: what is registered, what was last heard of each, and the
/// counts that verdicts are made of.
///
/// It is a state machine without I/O: results go in through [`record`](Self::record), time through
/// `now`, and everything else (verdicts, probes, reports) is a function of these.
/// Call [`advance`](Self::advance) at [`next_expiry`](Self::next_expiry), so that a result that
/// became too old moves the [`Revision`]; answers are right without it, since each advances first.
/// `now` must not run backwards.
///
/// A result costs O(log n) in the number of components, a verdict O(1), a report O(n).
pub struct Board {
    policy: Box<dyn AggregationPolicy>,
    names: BTreeMap<ComponentName, ComponentId>,
    entries: BTreeMap<ComponentId, Entry>,
    next_id: u64,
    expiries: BTreeSet<(Instant, ComponentId)>,
    scopes: [ScopeCounts; 4],
    awaited: usize,
    started: bool,
    revision: Revision,
    last_result: Instant,
}

/// A registered component's number. It is never given twice, so a late result of a removed
/// component reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId(u64);

/// Moves when a status or a reason changes, and when a component comes or goes; nothing else makes
/// anyone send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(u64);

/// How everything is, as of one instant.
#[derive(Debug, Clone)]
pub struct HealthReport {
    /// The instant.
    pub at: Instant,
    /// The revision of the board.
    pub revision: Revision,
    /// The verdict over all components.
    pub verdict: Verdict,
    /// The components, by name.
    pub components: Vec<Arc<ComponentHealth>>,
}

/// Indicates that a component of that name is registered already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a component named {0:?} is registered already; names are unique")]
pub struct NameTaken(pub String);

struct Entry {
    health: Arc<ComponentHealth>,
    hysteresis: Hysteresis,
    stale_after: Duration,
    expiry: Option<Instant>,
    /// The last result of each status, for the reason to show once hysteresis lets it through.
    last_of: [Option<(Reason, String)>; 4],
}

#[derive(Default)]
struct ScopeCounts {
    tally: Tally,
    /// Who has which status, by severity.
    members: [BTreeSet<ComponentId>; 4],
}

// === impl Board ===

impl Board {
    /// An empty board with the default policy, [`WorstOf`].
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self::with_policy(Box::new(WorstOf), now)
    }

    /// An empty board with a policy of the caller's.
    #[must_use]
    pub fn with_policy(policy: Box<dyn AggregationPolicy>, now: Instant) -> Self {
        Self {
            policy,
            names: BTreeMap::new(),
            entries: BTreeMap::new(),
            next_id: 0,
            expiries: BTreeSet::new(),
            scopes: Default::default(),
            awaited: 0,
            started: false,
            revision: Revision::default(),
            last_result: now,
        }
    }

    /// Adds a component. It is Unknown, `Pending`, until its first result.
    ///
    /// # Errors
    ///
    /// [`NameTaken`] if a component of that name is registered.
    pub fn register(
        &mut self,
        spec: ComponentSpec,
        now: Instant,
    ) -> Result<ComponentId, NameTaken> {
        if self.names.contains_key(&spec.name) {
            return Err(NameTaken(spec.name.to_string()));
        }
        let id = ComponentId(self.next_id);
        self.next_id += 1;
        let health = Arc::new(ComponentHealth {
            name: spec.name.clone(),
            status: HealthStatus::Unknown,
            reason: reasons::PENDING,
            message: String::new(),
            error: None,
            last_check: None,
            last_transition: now,
            duration: Duration::ZERO,
            consecutive_failures: 0,
            criticality: spec.criticality,
            scopes: spec.scopes,
            metrics: BTreeMap::new(),
        });
        self.count(id, &health);
        if spec.scopes.contains(Scope::Startup) {
            self.awaited += 1;
        }
        let entry = Entry {
            health,
            hysteresis: Hysteresis::new(spec.thresholds.failure, spec.thresholds.success),
            stale_after: spec.stale_after,
            expiry: None,
            last_of: Default::default(),
        };
        self.names.insert(spec.name, id);
        self.entries.insert(id, entry);
        self.revision.0 += 1;
        Ok(id)
    }

    /// Removes a component, and says whether it was there.
    pub fn remove(&mut self, id: ComponentId) -> bool {
        let Some(entry) = self.entries.remove(&id) else {
            return false;
        };
        self.uncount(id, &entry.health);
        self.names.remove(&entry.health.name);
        if let Some(expiry) = entry.expiry {
            self.expiries.remove(&(expiry, id));
        }
        if entry.health.last_check.is_none() && entry.health.scopes.contains(Scope::Startup) {
            self.awaited -= 1;
        }
        self.revision.0 += 1;
        true
    }

    /// Takes the result of a run that took `duration`, and says whether the component is (still)
    /// registered.
    pub fn record(
        &mut self,
        id: ComponentId,
        outcome: Outcome,
        duration: Duration,
        now: Instant,
    ) -> bool {
        self.advance(now);
        let Some(entry) = self.entries.get_mut(&id) else {
            return false;
        };
        self.last_result = now;
        if entry.health.last_check.is_none() && entry.health.scopes.contains(Scope::Startup) {
            self.awaited -= 1;
            self.started |= self.awaited == 0;
        }
        let before = Arc::clone(&entry.health);
        let after = Arc::new(entry.take(outcome, duration, now));
        if let Some(expiry) = entry.expiry.take() {
            self.expiries.remove(&(expiry, id));
        }
        if expires(after.status) {
            let expiry = now + entry.stale_after;
            entry.expiry = Some(expiry);
            self.expiries.insert((expiry, id));
        }
        entry.health = Arc::clone(&after);
        self.replace(id, &before, &after);
        true
    }

    /// Turns every good result that is older than its allowance into Unknown, `Stale`.
    pub fn advance(&mut self, now: Instant) {
        while let Some(&(expiry, id)) = self.expiries.first() {
            if expiry > now {
                break;
            }
            self.expiries.pop_first();
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            let before = Arc::clone(&entry.health);
            let after = Arc::new(entry.expire());
            entry.health = Arc::clone(&after);
            self.replace(id, &before, &after);
        }
    }

    /// The process itself was stopped or suspended for `pause`: every result is believed for that
    /// much longer, so that the checks can run again first.
    pub fn paused(&mut self, pause: Duration) {
        for (expiry, id) in std::mem::take(&mut self.expiries) {
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.expiry = Some(expiry + pause);
                self.expiries.insert((expiry + pause, id));
            }
        }
    }

    /// The verdict over the components that `query` names.
    pub fn verdict(&mut self, query: &Query<'_>, now: Instant) -> Verdict {
        self.advance(now);
        let scope = &self.scopes[query.scope.index()];
        let mut tally = scope.tally;
        let mut excluded = BTreeSet::new();
        for name in query.exclude {
            let Some(id) = self.names.get(name) else {
                continue;
            };
            let Some(entry) = self.entries.get(id) else {
                continue;
            };
            let counted = entry
                .health
                .counted()
                .filter(|_| entry.health.scopes.contains(query.scope));
            if let Some(status) = counted
                && excluded.insert(*id)
            {
                tally.remove(status);
            }
        }
        if tally.total() == 0 {
            return Verdict::by_rule(HealthStatus::Unknown, reasons::NO_COMPONENTS);
        }
        let status = self.policy.verdict(&tally);
        if status == HealthStatus::Healthy {
            return Verdict::by_rule(status, reasons::HEALTHY);
        }
        let deciding: Vec<_> = scope.members[status.severity()]
            .iter()
            .filter(|id| !excluded.contains(id))
            .take(DECIDING_MAX)
            .filter_map(|id| self.entries.get(id))
            .map(|entry| Deciding {
                component: entry.health.name.clone(),
                status,
                reason: entry.health.reason.clone(),
                message: entry.health.message.clone(),
            })
            .collect();
        let reason = deciding
            .first()
            .map_or(reasons::UNSPECIFIED, |first| first.reason.clone());
        Verdict {
            status,
            reason,
            deciding,
            deciding_total: tally.count(status),
        }
    }

    /// How everything is.
    pub fn report(&mut self, now: Instant) -> HealthReport {
        let verdict = self.verdict(&Query::of(Scope::All), now);
        let components = self.components().cloned().collect();
        HealthReport {
            at: now,
            revision: self.revision,
            verdict,
            components,
        }
    }

    /// The components by name, as of the last call that took `now`.
    pub fn components(&self) -> impl Iterator<Item = &Arc<ComponentHealth>> {
        self.names
            .values()
            .filter_map(|id| self.entries.get(id))
            .map(|entry| &entry.health)
    }

    /// One component, as of the last call that took `now`.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Arc<ComponentHealth>> {
        let id = self.names.get(name)?;
        self.entries.get(id).map(|entry| &entry.health)
    }

    /// The number of a registered component.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<ComponentId> {
        self.names.get(name).copied()
    }

    /// How many components are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the next good result becomes too old.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.expiries.first().map(|(expiry, _)| *expiry)
    }

    /// The current revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// When the newest result came; before the first, when the board was made.
    #[must_use]
    pub const fn last_result(&self) -> Instant {
        self.last_result
    }

    /// Whether every component of the startup scope has had a first result; once true, for good.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.started || self.awaited == 0
    }

    fn replace(&mut self, id: ComponentId, before: &ComponentHealth, after: &ComponentHealth) {
        if before.status != after.status {
            self.uncount(id, before);
            self.count(id, after);
        }
        if before.status != after.status || before.reason != after.reason {
            self.revision.0 += 1;
        }
    }

    fn count(&mut self, id: ComponentId, health: &ComponentHealth) {
        let Some(status) = health.counted() else {
            return;
        };
        for scope in health.scopes.iter() {
            let counts = &mut self.scopes[scope.index()];
            counts.tally.add(status);
            counts.members[status.severity()].insert(id);
        }
    }

    fn uncount(&mut self, id: ComponentId, health: &ComponentHealth) {
        let Some(status) = health.counted() else {
            return;
        };
        for scope in health.scopes.iter() {
            let counts = &mut self.scopes[scope.index()];
            counts.tally.remove(status);
            counts.members[status.severity()].remove(&id);
        }
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("components", &self.entries.len())
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

// === impl Entry ===

impl Entry {
    fn take(&mut self, outcome: Outcome, duration: Duration, now: Instant) -> ComponentHealth {
        let Outcome {
            status: result,
            reason,
            message,
            metrics,
        } = outcome;
        let old = &self.health;
        let error = (result != HealthStatus::Healthy).then(|| match message.as_str() {
            "" => reason.to_string(),
            message => format!("{reason}: {message}"),
        });
        let consecutive_failures = match result {
            HealthStatus::Healthy => 0,
            HealthStatus::Unknown => old.consecutive_failures,
            HealthStatus::Degraded | HealthStatus::Unhealthy => {
                old.consecutive_failures.saturating_add(1)
            }
        };
        self.last_of[result.severity()] = Some((reason, message));
        let status = self.hysteresis.apply(result);
        let (reason, message) = match &self.last_of[status.severity()] {
            Some(why) => why.clone(),
            None => (old.reason.clone(), old.message.clone()),
        };
        ComponentHealth {
            name: old.name.clone(),
            status,
            reason,
            message,
            error,
            last_check: Some(now),
            last_transition: if status == old.status {
                old.last_transition
            } else {
                now
            },
            duration,
            consecutive_failures,
            criticality: old.criticality,
            scopes: old.scopes,
            metrics,
        }
    }

    fn expire(&mut self) -> ComponentHealth {
        let expiry = self.expiry.take();
        let status = self.hysteresis.apply(HealthStatus::Unknown);
        let message = format!("no result for more than {:?}", self.stale_after);
        self.last_of[HealthStatus::Unknown.severity()] = Some((reasons::STALE, message.clone()));
        ComponentHealth {
            status,
            reason: reasons::STALE,
            message,
            last_transition: expiry.unwrap_or(self.health.last_transition),
            ..ComponentHealth::clone(&self.health)
        }
    }
}

/// Whether a status is only believed for its allowance. Age never turns a probe green: an old
/// Unhealthy stays.
const fn expires(status: HealthStatus) -> bool {
    match status {
        HealthStatus::Healthy | HealthStatus::Degraded => true,
        HealthStatus::Unhealthy | HealthStatus::Unknown => false,
    }
}

#[cfg(test)]
mod tests;
