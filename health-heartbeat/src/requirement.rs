//! What is required of several transports together.

use health_core::HealthStatus;
use health_core::Outcome;
use health_core::reasons;

use crate::AgentState;
use crate::TransportSnapshot;

/// The reason of the component `heartbeat` once the requirement has failed.
const HEARTBEAT_FAILED: &str = "HeartbeatFailed";

/// What is required of several transports together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Requirement {
    /// One that works is enough.
    #[default]
    Any,
    /// Each must work.
    All,
}

// === impl Requirement ===

impl Requirement {
    /// The component `heartbeat`: Unknown while it is not decided, Healthy while the requirement is
    /// met, Unhealthy once it has failed.
    ///
    /// A transport that fails beside one that works is in the message and not in the status.
    #[must_use]
    pub fn outcome(self, transports: &[TransportSnapshot]) -> Outcome {
        let works = |transport: &TransportSnapshot| transport.state.meets_requirement();
        let failed = |transport: &TransportSnapshot| transport.state == AgentState::Failed;
        let (met, broken) = match self {
            Self::Any => (transports.iter().any(works), transports.iter().all(failed)),
            Self::All => (transports.iter().all(works), transports.iter().any(failed)),
        };
        let (status, reason) = if transports.is_empty() {
            (HealthStatus::Unknown, reasons::PENDING)
        } else if met {
            (HealthStatus::Healthy, reasons::HEALTHY)
        } else if broken {
            (HealthStatus::Unhealthy, HEARTBEAT_FAILED.into())
        } else {
            (HealthStatus::Unknown, reasons::PENDING)
        };
        Outcome::new(status, reason, message(transports))
    }
}

fn message(transports: &[TransportSnapshot]) -> String {
    let troubled = transports
        .iter()
        .filter(|transport| transport.state != AgentState::Alive);
    let lines: Vec<_> = troubled
        .map(|transport| match &transport.error {
            Some(error) => format!("{}: {}: {error}", transport.name, transport.state),
            None => format!("{}: {}", transport.name, transport.state),
        })
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use health_core::HealthStatus::Healthy;
    use health_core::HealthStatus::Unhealthy;
    use health_core::HealthStatus::Unknown;

    use super::*;
    use crate::AgentState::Alive;
    use crate::AgentState::Failed;
    use crate::AgentState::Missed;
    use crate::AgentState::Pending;
    use crate::AgentState::StandingBy;
    use crate::Sequence;
    use crate::TransportName;

    #[test]
    fn two_transports_under_both_requirements() {
        for (states, any, all) in [
            (vec![], Unknown, Unknown),
            (vec![Pending, Pending], Unknown, Unknown),
            (vec![Alive, Pending], Healthy, Unknown),
            (vec![Alive, Alive], Healthy, Healthy),
            (vec![Alive, Missed(2)], Healthy, Healthy),
            (vec![Alive, StandingBy], Healthy, Healthy),
            (vec![Alive, Failed], Healthy, Unhealthy),
            (vec![StandingBy, Failed], Healthy, Unhealthy),
            (vec![Pending, Failed], Unknown, Unhealthy),
            (vec![Failed, Failed], Unhealthy, Unhealthy),
        ] {
            let transports: Vec<_> = states.iter().map(|state| transport(*state)).collect();
            assert_eq!(
                Requirement::Any.outcome(&transports).status,
                any,
                "any of {states:?}"
            );
            assert_eq!(
                Requirement::All.outcome(&transports).status,
                all,
                "all of {states:?}"
            );
        }
    }

    #[test]
    fn a_transport_that_fails_beside_one_that_works_is_in_the_message() {
        let outcome = Requirement::Any.outcome(&[transport(Alive), transport(Failed)]);
        assert_eq!(outcome.message, "lease: Failed: refused");
    }

    fn transport(state: AgentState) -> TransportSnapshot {
        TransportSnapshot {
            name: TransportName("lease"),
            state,
            sequence: Sequence(1),
            last_success: None,
            consecutive_failures: 0,
            missed: 0,
            round_trip: None,
            error: Some("refused".to_owned()),
            interval: Duration::from_secs(10),
        }
    }
}
