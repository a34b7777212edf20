//! The rules of the three probes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::Board;
use crate::ComponentHealth;
use crate::ComponentName;
use crate::HealthStatus;
use crate::Pulse;
use crate::Query;
use crate::Reason;
use crate::Scope;
use crate::Verdict;
use crate::reasons;

/// A question that an orchestrator asks, as the kubelet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probe {
    /// Would a restart help? Fails only for what a restart cures.
    Liveness,
    /// Can it do its job now?
    Readiness,
    /// Has everything been looked at once?
    Startup,
}

/// What an operator may change about the probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProbeRules {
    /// Readiness lets Degraded pass, while nothing counted is Unknown or Unhealthy.
    pub ready_when_degraded: bool,
}

/// A loop of the program's own, as liveness sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopState {
    /// Its name.
    pub name: &'static str,
    /// For how long it has made no progress, if that is longer than it may.
    pub stalled: Option<Duration>,
}

/// A probe's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// The probe.
    pub probe: Probe,
    /// Whether it holds.
    pub holds: bool,
    /// The verdict over the probe's components.
    pub verdict: Verdict,
    /// The program's own loops that make no progress; liveness only.
    pub stalled: Vec<LoopState>,
}

/// One component's line in a probe's long answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeLine {
    /// The component's name.
    pub name: ComponentName,
    /// Whether it, alone, lets the probe hold.
    pub holds: bool,
    /// Its status.
    pub status: HealthStatus,
    /// Why.
    pub reason: Reason,
}

// === impl Probe ===

impl Probe {
    /// All probes.
    pub const ALL: [Self; 3] = [Self::Liveness, Self::Readiness, Self::Startup];

    /// The scope of the components that it is over.
    #[must_use]
    pub const fn scope(self) -> Scope {
        match self {
            Self::Liveness => Scope::Liveness,
            Self::Readiness => Scope::Readiness,
            Self::Startup => Scope::Startup,
        }
    }

    /// The last segment of its URL.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Liveness => "livez",
            Self::Readiness => "readyz",
            Self::Startup => "startupz",
        }
    }

    /// Whether this component, alone, lets the probe hold. One that is not counted always does.
    #[must_use]
    pub fn holds_for(self, health: &ComponentHealth, rules: ProbeRules) -> bool {
        match self {
            Self::Startup => health.last_check.is_some(),
            Self::Liveness => health.counted() != Some(HealthStatus::Unhealthy),
            Self::Readiness => health.counted().is_none_or(|status| ready(status, rules)),
        }
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

/// Whether readiness over components of this verdict holds.
const fn ready(status: HealthStatus, rules: ProbeRules) -> bool {
    match status {
        HealthStatus::Healthy => true,
        HealthStatus::Degraded => rules.ready_when_degraded,
        HealthStatus::Unhealthy | HealthStatus::Unknown => false,
    }
}

// === impl Board ===

impl Board {
    /// Answers a probe from memory, leaving out the components that `exclude` names.
    ///
    /// `loops` are the program's own loops; only liveness looks at them.
    pub fn probe(
        &mut self,
        probe: Probe,
        rules: ProbeRules,
        exclude: &[ComponentName],
        loops: &[LoopState],
        now: Instant,
    ) -> ProbeAnswer {
        let verdict = self.verdict(
            &Query {
                scope: probe.scope(),
                exclude,
            },
            now,
        );
        let mut stalled = Vec::new();
        let holds = match probe {
            Probe::Liveness => {
                stalled.extend(
                    loops
                        .iter()
                        .filter(|state| state.stalled.is_some())
                        .cloned(),
                );
                stalled.is_empty() && verdict.status != HealthStatus::Unhealthy
            }
            Probe::Readiness => self.is_ready(&verdict, rules, exclude),
            Probe::Startup => {
                self.keep_started();
                self.is_started()
                    || self
                        .scoped(Scope::Startup)
                        .all(|health| health.last_check.is_some() || exclude.contains(&health.name))
            }
        };
        ProbeAnswer {
            probe,
            holds,
            verdict,
            stalled,
        }
    }

    /// One line for each component of the probe, by name.
    pub fn probe_lines(&mut self, probe: Probe, rules: ProbeRules, now: Instant) -> Vec<ProbeLine> {
        self.advance(now);
        self.scoped(probe.scope())
            .map(|health| ProbeLine {
                name: health.name.clone(),
                holds: probe.holds_for(health, rules),
                status: health.status,
                reason: health.reason.clone(),
            })
            .collect()
    }

    fn scoped(&self, scope: Scope) -> impl Iterator<Item = &Arc<ComponentHealth>> {
        self.components()
            .filter(move |health| health.scopes.contains(scope))
    }

    /// Degraded is worse than Unknown, so a Degraded verdict may hide an Unknown.
    fn is_ready(&self, verdict: &Verdict, rules: ProbeRules, exclude: &[ComponentName]) -> bool {
        ready(verdict.status, rules)
            && (verdict.status == HealthStatus::Healthy
                || self
                    .scoped(Scope::Readiness)
                    .filter(|health| !exclude.contains(&health.name))
                    .all(|health| Probe::Readiness.holds_for(health, rules)))
    }
}

// === impl LoopState ===

impl LoopState {
    /// How the loop that has this pulse is.
    #[must_use]
    pub fn of(pulse: &Pulse, now: Instant) -> Self {
        Self {
            name: pulse.name(),
            stalled: pulse.stalled(now),
        }
    }
}

// === impl ProbeAnswer ===

impl ProbeAnswer {
    /// One line that says why.
    #[must_use]
    pub fn message(&self) -> String {
        if let Some(state) = self.stalled.first() {
            let silent = state.stalled.unwrap_or_default();
            return format!(
                "the {} loop has made no progress for {silent:.1?}",
                state.name
            );
        }
        if self.verdict.reason == reasons::NO_COMPONENTS {
            return "no component is part of this probe".to_owned();
        }
        self.verdict.message()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ComponentSpec;
    use crate::Outcome;
    use crate::epoch::epoch;

    const STRICT: ProbeRules = ProbeRules {
        ready_when_degraded: false,
    };
    const LENIENT: ProbeRules = ProbeRules {
        ready_when_degraded: true,
    };

    #[test]
    fn readiness_over_two_components() {
        let healthy = Outcome::healthy;
        let degraded = || Outcome::degraded("Slow", "");
        let unhealthy = || Outcome::unhealthy("Broken", "");
        let unknown = || Outcome::unknown("NoAnswer", "");
        for (first, second, strict, lenient) in [
            (healthy(), healthy(), true, true),
            (healthy(), degraded(), false, true),
            (degraded(), unknown(), false, false),
            (healthy(), unknown(), false, false),
            (degraded(), unhealthy(), false, false),
        ] {
            let (mut board, now) = board(&[first, second]);
            let mut holds = |rules| board.probe(Probe::Readiness, rules, &[], &[], now).holds;
            assert_eq!((holds(STRICT), holds(LENIENT)), (strict, lenient));
        }
    }

    /// ASP.NET: a probe over no component at all is Healthy there.
    #[test]
    fn pitfall_39_readiness_over_nothing_does_not_hold() {
        let (mut board, now) = board(&[]);
        assert!(!board.probe(Probe::Readiness, LENIENT, &[], &[], now).holds);
        assert!(board.probe(Probe::Liveness, LENIENT, &[], &[], now).holds);
    }

    /// A remote failure must never restart the fleet (Kubernetes #98557).
    #[test]
    fn pitfall_34_liveness_ignores_what_is_not_in_its_scope() {
        let (mut board, now) = board(&[Outcome::unhealthy("Refused", "")]);
        assert!(board.probe(Probe::Liveness, STRICT, &[], &[], now).holds);
    }

    #[test]
    fn liveness_fails_for_a_scoped_component_and_for_a_stalled_loop() {
        let (mut board, now) = board(&[]);
        let spec = ComponentSpec::new("own".parse().unwrap()).with_scopes(&[Scope::Liveness]);
        let id = board.register(spec, now).unwrap();
        assert!(
            board.probe(Probe::Liveness, STRICT, &[], &[], now).holds,
            "Unknown is not dead"
        );
        board.record(id, Outcome::unhealthy("Broken", ""), Duration::ZERO, now);
        assert!(!board.probe(Probe::Liveness, STRICT, &[], &[], now).holds);
        board.record(id, Outcome::healthy(), Duration::ZERO, now);
        let stalled = [LoopState {
            name: "monitor",
            stalled: Some(Duration::from_secs(9)),
        }];
        let answer = board.probe(Probe::Liveness, STRICT, &[], &stalled, now);
        assert!(!answer.holds);
        assert_eq!(
            answer.message(),
            "the monitor loop has made no progress for 9.0s"
        );
    }

    #[test]
    fn an_excluded_component_is_not_asked() {
        let (mut board, now) = board(&[Outcome::healthy(), Outcome::unhealthy("Broken", "")]);
        let exclude = ["c1".parse().unwrap()];
        assert!(
            board
                .probe(Probe::Readiness, STRICT, &exclude, &[], now)
                .holds
        );
        let lines = board.probe_lines(Probe::Readiness, STRICT, now);
        assert_eq!(
            lines.iter().map(|line| line.holds).collect::<Vec<_>>(),
            [true, false]
        );
    }

    fn board(outcomes: &[Outcome]) -> (Board, Instant) {
        let now = epoch();
        let mut board = Board::new(now);
        for (number, outcome) in outcomes.iter().enumerate() {
            let name = format!("c{number}").parse().unwrap();
            let id = board.register(ComponentSpec::new(name), now).unwrap();
            board.record(id, outcome.clone(), Duration::ZERO, now);
        }
        (board, now)
    }
}
