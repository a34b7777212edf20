//! `connection`: whether a connection that somebody keeps up stands.

use std::time::Instant;

use health_core::ConnectionState;
use health_core::Outcome;
use tokio::sync::watch;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::reasons;

/// Whether a connection that somebody keeps up stands: connected is Healthy, the first attempt
/// Unknown, everything else Unhealthy.
#[derive(Debug, Clone)]
pub struct ConnectionCheck {
    state: watch::Receiver<ConnectionState>,
}

// === impl ConnectionCheck ===

impl ConnectionCheck {
    /// A check of the connection whose state `state` is.
    #[must_use]
    pub const fn new(state: watch::Receiver<ConnectionState>) -> Self {
        Self { state }
    }
}

#[async_trait::async_trait]
impl HealthChecker for ConnectionCheck {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let abandoned = self.state.has_changed().is_err();
        Ok(judge(&self.state.borrow(), abandoned, Instant::now()))
    }
}

/// `abandoned`: whoever kept it up is gone, so the state is only what was.
fn judge(state: &ConnectionState, abandoned: bool, now: Instant) -> Outcome {
    match state {
        ConnectionState::Closed => Outcome::unhealthy(reasons::CLOSED, "it was closed"),
        _ if abandoned => {
            Outcome::unhealthy(reasons::CLOSED, "nobody keeps the connection up any more")
        }
        ConnectionState::Connected { .. } => Outcome::healthy(),
        ConnectionState::Disconnected { error: None, .. } => {
            Outcome::unknown(reasons::CONNECTING, "the first attempt is under way")
        }
        ConnectionState::Disconnected {
            since,
            error: Some(error),
        } => {
            let lasted = now.saturating_duration_since(*since);
            Outcome::unhealthy(reasons::DISCONNECTED, format!("for {lasted:.0?}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use health_core::HealthStatus;

    #[test]
    fn only_a_connection_that_stands_and_is_kept_up_is_healthy() {
        let now = Instant::now();
        let connected = ConnectionState::Connected { since: now };
        let disconnected = ConnectionState::Disconnected {
            since: now,
            error: Some("connection refused".to_owned()),
        };
        let later = now + Duration::from_secs(90);
        assert_eq!(judge(&connected, false, later), Outcome::healthy());
        let first = ConnectionState::Disconnected {
            since: now,
            error: None,
        };
        assert_eq!(judge(&first, false, later).status, HealthStatus::Unknown);
        check(&connected, true, "Closed", "nobody keeps");
        check(&ConnectionState::Closed, false, "Closed", "closed");
        check(
            &disconnected,
            false,
            "Disconnected",
            "for 90s: connection refused",
        );

        #[track_caller]
        fn check(state: &ConnectionState, abandoned: bool, reason: &str, message: &str) {
            let later = match state {
                ConnectionState::Disconnected { since, .. } => *since + Duration::from_secs(90),
                ConnectionState::Connected { since } => *since,
                ConnectionState::Closed => Instant::now(),
            };
            let outcome = judge(state, abandoned, later);
            assert_eq!(outcome.status, HealthStatus::Unhealthy);
            assert_eq!(outcome.reason.as_str(), reason);
            assert!(outcome.message.contains(message), "{}", outcome.message);
        }
    }
}
