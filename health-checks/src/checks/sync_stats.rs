//! The four numbers of a sync engine, and their limits.

use health_core::HealthStatus;
use health_core::Outcome;
use health_core::Paired;

use crate::names;
use crate::reasons;

/// The four numbers of a sync engine; one that is not known is absent, never 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SyncStats {
    /// Syncs a second.
    pub sync_rate: Option<f64>,
    /// The share of attempts that failed, 0 to 1; absent without an attempt.
    pub error_rate: Option<f64>,
    /// How many items wait.
    pub queue_depth: Option<f64>,
    /// How long a sync takes on average, in seconds; absent without one.
    pub latency_seconds: Option<f64>,
}

/// From where on the numbers of a sync engine are Degraded or Unhealthy. Default: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SyncLimits {
    /// For the number of items that wait.
    pub queue_depth: Paired,
    /// For the share of attempts that fail, 0 to 1.
    pub error_rate: Paired,
    /// For the average time of a sync, in seconds.
    pub latency_seconds: Paired,
}

// === impl SyncStats ===

impl SyncStats {
    /// What these numbers mean. A number that is absent is not judged.
    #[must_use]
    pub fn judge(&self, limits: &SyncLimits) -> Outcome {
        let mut outcome = Outcome::healthy();
        for (value, limit, reason, what) in [
            (
                self.queue_depth,
                limits.queue_depth,
                reasons::QUEUE_DEPTH_HIGH,
                "items waiting",
            ),
            (
                self.error_rate,
                limits.error_rate,
                reasons::ERROR_RATE_HIGH,
                "of the attempts fail",
            ),
            (
                self.latency_seconds,
                limits.latency_seconds,
                reasons::LATENCY_HIGH,
                "seconds a sync",
            ),
        ] {
            if let Some(value) = value {
                outcome = outcome.worst(over(limit, value, reason, what));
            }
        }
        for (name, value) in [
            (names::SYNC_RATE, self.sync_rate),
            (names::ERROR_RATE, self.error_rate),
            (names::QUEUE_DEPTH, self.queue_depth),
            (names::LATENCY_SECONDS, self.latency_seconds),
        ] {
            if let Some(value) = value {
                outcome = outcome.with_metric(name, value);
            }
        }
        outcome
    }
}

/// What `value` means under `limit`; the message says which of the two limits was reached.
pub(super) fn over(limit: Paired, value: f64, reason: &str, what: &str) -> Outcome {
    reached(limit, limit.judge(value), value, reason, what)
}

/// The same where less is worse: at or below a limit.
pub(super) fn under(limit: Paired, value: f64, reason: &str, what: &str) -> Outcome {
    let negative = |limit: Option<f64>| limit.map(|limit| -limit);
    let mirrored = Paired {
        degraded: negative(limit.degraded),
        unhealthy: negative(limit.unhealthy),
    };
    let status = mirrored.judge(-value);
    reached(limit, status, value, reason, what)
}

fn reached(limit: Paired, status: HealthStatus, value: f64, reason: &str, what: &str) -> Outcome {
    let reached = match status {
        HealthStatus::Healthy => return Outcome::healthy(),
        HealthStatus::Degraded => limit.degraded,
        HealthStatus::Unhealthy => limit.unhealthy,
        HealthStatus::Unknown => None,
    };
    let mut message = format!("{} {what}", short(value));
    if let Some(reached) = reached {
        message.push_str(&format!(", the limit is {}", short(reached)));
    }
    Outcome::new(status, reason.into(), message)
}

/// At most three decimals, and none where there is nothing to show.
fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_number_decides_and_all_are_reported() {
        let stats = SyncStats {
            sync_rate: Some(2.5),
            error_rate: Some(0.5),
            queue_depth: Some(1200.0),
            latency_seconds: None,
        };
        let limits = SyncLimits {
            queue_depth: limit(Some(1000.0), None),
            error_rate: limit(Some(0.1), Some(0.5)),
            latency_seconds: limit(Some(0.0), Some(0.0)),
        };
        let outcome = stats.judge(&limits);
        assert_eq!(outcome.status, HealthStatus::Unhealthy);
        assert_eq!(outcome.reason.as_str(), "ErrorRateHigh");
        assert_eq!(
            outcome.message,
            "0.5 of the attempts fail, the limit is 0.5"
        );
        assert_eq!(
            outcome.metrics.keys().collect::<Vec<_>>(),
            ["errorRate", "queueDepth", "syncRate"]
        );
    }

    #[test]
    fn where_less_is_worse_the_limits_are_floors() {
        let floors = limit(Some(20.0), Some(10.0));
        for (value, status, message) in [
            (20.1, HealthStatus::Healthy, ""),
            (20.0, HealthStatus::Degraded, "20 left, the limit is 20"),
            (10.5, HealthStatus::Degraded, "10.5 left, the limit is 20"),
            (10.0, HealthStatus::Unhealthy, "10 left, the limit is 10"),
            (0.0, HealthStatus::Unhealthy, "0 left, the limit is 10"),
        ] {
            let outcome = under(floors, value, "Few", "left");
            assert_eq!(outcome.status, status, "{value}");
            assert_eq!(outcome.message, message);
        }
        assert_eq!(
            under(limit(None, None), 0.0, "Few", "left").status,
            HealthStatus::Healthy
        );
        let nan = under(floors, f64::NAN, "Few", "left");
        assert_eq!(nan.status, HealthStatus::Unknown);
    }

    #[test]
    fn each_number_has_a_reason_of_its_own() {
        for (stats, reason) in [
            (
                SyncStats {
                    queue_depth: Some(7.0),
                    ..SyncStats::default()
                },
                "QueueDepthHigh",
            ),
            (
                SyncStats {
                    error_rate: Some(7.0),
                    ..SyncStats::default()
                },
                "ErrorRateHigh",
            ),
            (
                SyncStats {
                    latency_seconds: Some(7.0),
                    ..SyncStats::default()
                },
                "LatencyHigh",
            ),
        ] {
            let seven = limit(Some(7.0), None);
            let limits = SyncLimits {
                queue_depth: seven,
                error_rate: seven,
                latency_seconds: seven,
            };
            let outcome = stats.judge(&limits);
            assert_eq!(outcome.status, HealthStatus::Degraded);
            assert_eq!(outcome.reason.as_str(), reason);
        }
    }

    #[test]
    fn without_numbers_there_is_nothing_to_complain_of_and_nothing_reported() {
        let outcome = SyncStats::default().judge(&SyncLimits::default());
        assert_eq!(outcome, Outcome::healthy());
    }

    fn limit(degraded: Option<f64>, unhealthy: Option<f64>) -> Paired {
        Paired {
            degraded,
            unhealthy,
        }
    }
}
