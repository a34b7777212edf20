//! The only state of the components.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::AggregationPolicy;
use crate::ComponentHealth;
use crate::ComponentName;
use crate::ComponentSpec;
use crate::DECIDING_MAX;
use crate::Deciding;
use crate::HealthStatus;
use crate::History;
use crate::Hysteresis;
use crate::Outcome;
use crate::Query;
use crate::Reason;
use crate::Rule;
use crate::Scope;
use crate::Tally;
use crate::Transition;
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
    entries: FxHashMap<ComponentId, Entry>,
    next_id: u64,
    /// When to look whether a good result is too old, one for each component that has one.
    alarms: BTreeSet<(Instant, ComponentId)>,
    scopes: [ScopeCounts; 4],
    /// Components of the startup scope without a first result.
    awaited: usize,
    /// Startup was reached, for good.
    started: bool,
    revision: Revision,
    last_result: Instant,
    history: History,
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
    /// When what is shown becomes too old.
    expiry: Option<Instant>,
    /// Its entry in [`Board::alarms`], at `expiry` or before: most results only make the expiry
    /// later, and leave it where it is.
    alarm: Option<Instant>,
    /// The last result of each status, for the reason to show once hysteresis lets it through.
    last_of: [Option<(Reason, String)>; 4],
}

/// What a component was before it changed.
struct Before {
    status: HealthStatus,
    reason: Reason,
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
            entries: FxHashMap::default(),
            next_id: 0,
            alarms: BTreeSet::new(),
            scopes: Default::default(),
            awaited: 0,
            started: false,
            revision: Revision::default(),
            last_result: now,
            history: History::new(),
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
        self.count(id, &health, health.status);
        if spec.scopes.contains(Scope::Startup) {
            self.awaited += 1;
        }
        let entry = Entry {
            health,
            hysteresis: Hysteresis::new(spec.thresholds.failure, spec.thresholds.success),
            stale_after: spec.stale_after,
            expiry: None,
            alarm: None,
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
        self.uncount(id, &entry.health, entry.health.status);
        self.names.remove(&entry.health.name);
        if let Some(alarm) = entry.alarm {
            self.alarms.remove(&(alarm, id));
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
        let before = entry.take(outcome, duration, now);
        entry.expiry = expires(entry.health.status).then(|| now + entry.stale_after);
        entry.set_alarm(id, &mut self.alarms);
        self.changed(id, before);
        true
    }

    /// Fetches what is known of components whose results are about to be recorded, and changes
    /// nothing.
    ///
    /// Ten thousand components are not in the processor's nearest cache, and results come in any
    /// order: asked for one by one, each makes the processor wait for memory several times. Asked
    /// for together, before a batch of [`record`](Self::record), they come together.
    pub fn look_ahead(&self, ids: impl Iterator<Item = ComponentId>) {
        let entries = ids.filter_map(|id| self.entries.get(&id));
        std::hint::black_box(entries.map(Entry::look).fold(0, usize::wrapping_add));
    }

    /// Turns every good result that is older than its allowance into Unknown, `Stale`.
    pub fn advance(&mut self, now: Instant) {
        while let Some(&(alarm, id)) = self.alarms.first() {
            if alarm > now {
                break;
            }
            self.alarms.pop_first();
            let Some(entry) = self.entries.get_mut(&id) else {
                continue;
            };
            entry.alarm = None;
            match entry.expiry {
                Some(expiry) if expiry <= now => {
                    let before = entry.expire(expiry);
                    self.changed(id, before);
                }
                Some(_) | None => entry.set_alarm(id, &mut self.alarms),
            }
        }
    }

    /// The process itself was stopped or suspended for `pause`: every result is believed for that
    /// much longer, so that the checks can run again first.
    pub fn paused(&mut self, pause: Duration) {
        for id in self.names.values() {
            if let Some(entry) = self.entries.get_mut(id) {
                entry.expiry = entry.expiry.map(|expiry| expiry + pause);
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
            return Verdict::by_rule(Rule::NoComponents);
        }
        let rule = Rule::Policy(self.policy.name());
        let status = self.policy.verdict(&tally);
        if status == HealthStatus::Healthy {
            return Verdict {
                status,
                ..Verdict::by_rule(rule)
            };
        }
        // A policy may give a status that no component has: then those decided that are worst.
        let of = match tally.count(status) {
            0 => tally.worst().unwrap_or(status),
            _ => status,
        };
        let deciding: Vec<_> = scope.members[of.severity()]
            .iter()
            .filter(|id| !excluded.contains(id))
            .take(DECIDING_MAX)
            .filter_map(|id| self.entries.get(id))
            .map(|entry| Deciding {
                component: entry.health.name.clone(),
                status: of,
                reason: entry.health.reason.clone(),
                message: entry.health.message.clone(),
            })
            .collect();
        let reason = deciding
            .first()
            .map_or(reasons::UNSPECIFIED, |first| first.reason.clone());
        Verdict {
            status,
            rule,
            reason,
            deciding,
            deciding_total: tally.count(of),
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

    /// When to [`advance`](Self::advance) next: no good result becomes too old before.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.alarms.first().map(|(alarm, _)| *alarm)
    }

    /// The current revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// What changed lately, as of the last call that took `now`.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// When the newest result came; before the first, when the board was made.
    #[must_use]
    pub const fn last_result(&self) -> Instant {
        self.last_result
    }

    /// Whether every component of the startup scope has had a first result. Once the last of them
    /// had it, or a startup probe was told so, it holds for good.
    #[must_use]
    pub const fn is_started(&self) -> bool {
        self.started || self.awaited == 0
    }

    /// Who asks now is told what holds for good, also where nothing is awaited since nothing is
    /// registered, or what was awaited is gone.
    pub(crate) const fn keep_started(&mut self) {
        self.started |= self.awaited == 0;
    }

    /// Keeps counts, history and revision in step with a component that may have changed.
    fn changed(&mut self, id: ComponentId, before: Before) {
        let Some(entry) = self.entries.get(&id) else {
            return;
        };
        if before.status == entry.health.status && before.reason == entry.health.reason {
            return;
        }
        self.revision.0 += 1;
        let health = Arc::clone(&entry.health);
        // That a first look could not find out is news too, though it was Unknown before.
        if before.status == health.status && before.reason != reasons::PENDING {
            return;
        }
        self.uncount(id, &health, before.status);
        self.count(id, &health, health.status);
        self.history.push(|number| Transition {
            number,
            component: health.name.clone(),
            from: before.status,
            from_reason: before.reason,
            to: health.status,
            reason: health.reason.clone(),
            message: health.message.clone(),
            at: health.last_transition,
        });
    }

    fn count(&mut self, id: ComponentId, health: &ComponentHealth, status: HealthStatus) {
        let Some(status) = health.criticality.count(status) else {
            return;
        };
        for scope in health.scopes.iter() {
            let counts = &mut self.scopes[scope.index()];
            counts.tally.add(status);
            counts.members[status.severity()].insert(id);
        }
    }

    fn uncount(&mut self, id: ComponentId, health: &ComponentHealth, status: HealthStatus) {
        let Some(status) = health.criticality.count(status) else {
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
    fn take(&mut self, outcome: Outcome, duration: Duration, now: Instant) -> Before {
        let Outcome {
            status: result,
            reason,
            message,
            metrics,
        } = outcome;
        // Whoever holds a report keeps what was; without such a one nothing is copied.
        let health = Arc::make_mut(&mut self.health);
        health.error = (result != HealthStatus::Healthy).then(|| match message.as_str() {
            "" => reason.to_string(),
            message => format!("{reason}: {message}"),
        });
        health.consecutive_failures = match result {
            HealthStatus::Healthy => 0,
            HealthStatus::Unknown => health.consecutive_failures,
            HealthStatus::Degraded | HealthStatus::Unhealthy => {
                health.consecutive_failures.saturating_add(1)
            }
        };
        health.last_check = Some(now);
        health.duration = duration;
        health.metrics = metrics;
        self.last_of[result.severity()] = Some((reason, message));
        let status = self.hysteresis.apply(result);
        let why = self.last_of[status.severity()].clone();
        let why = why.unwrap_or_else(|| (health.reason.clone(), health.message.clone()));
        show(health, status, why, now)
    }

    /// Reads something of each line of memory that a result needs, for nothing but to have read it.
    fn look(&self) -> usize {
        let kept = self.last_of.iter().filter(|last| last.is_some());
        let health = &*self.health;
        let seen = [health.last_check.is_some(), self.alarm.is_some()];
        kept.count() + health.metrics.len() + health.message.len() + usize::from(seen[0] | seen[1])
    }

    fn expire(&mut self, expiry: Instant) -> Before {
        self.expiry = None;
        let status = self.hysteresis.apply(HealthStatus::Unknown);
        let message = format!("no result for more than {:?}", self.stale_after);
        let why = (reasons::STALE, message);
        self.last_of[HealthStatus::Unknown.severity()] = Some(why.clone());
        show(Arc::make_mut(&mut self.health), status, why, expiry)
    }

    fn set_alarm(&mut self, id: ComponentId, alarms: &mut BTreeSet<(Instant, ComponentId)>) {
        let Some(expiry) = self.expiry else {
            return;
        };
        match self.alarm {
            Some(alarm) if alarm <= expiry => return,
            Some(alarm) => alarms.remove(&(alarm, id)),
            None => false,
        };
        alarms.insert((expiry, id));
        self.alarm = Some(expiry);
    }
}

/// Shows a status since `at`, and gives what was shown before.
fn show(
    health: &mut ComponentHealth,
    status: HealthStatus,
    (reason, message): (Reason, String),
    at: Instant,
) -> Before {
    if status != health.status {
        health.last_transition = at;
    }
    health.message = message;
    Before {
        status: std::mem::replace(&mut health.status, status),
        reason: std::mem::replace(&mut health.reason, reason),
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
mod properties;

#[cfg(test)]
mod tests;
