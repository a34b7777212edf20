//! The counters over all checks, through the `metrics` facade.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::time::Duration;

use health_core::HealthStatus;
use metrics::Counter;
use metrics::Histogram;
use metrics::Unit;

use crate::names;

/// Held handles: to look one up costs a hundred times what adding to it does.
pub(crate) struct Telemetry {
    by_severity: [Counter; 4],
    duration: Histogram,
}

// === impl Telemetry ===

impl Telemetry {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(
            names::CHECKS_TOTAL,
            "Runs of health checks that ended, by the status of their result."
        );
        metrics::describe_histogram!(
            names::CHECK_DURATION_SECONDS,
            Unit::Seconds,
            "How long runs of health checks took, over all checks."
        );
        Self {
            by_severity: HealthStatus::ALL
                .map(|status| metrics::counter!(names::CHECKS_TOTAL, "status" => status.label())),
            duration: metrics::histogram!(names::CHECK_DURATION_SECONDS),
        }
    }

    /// Counts a result. The recorder is somebody else's: if it panics, a number is lost and nothing
    /// else.
    pub(crate) fn count(&self, status: HealthStatus, duration: Duration) {
        let count = || {
            self.by_severity[status.severity()].increment(1);
            self.duration.record(duration.as_secs_f64());
        };
        if catch_unwind(AssertUnwindSafe(count)).is_err() {
            tracing::error!("the recorder of metrics panicked; a check was not counted");
        }
    }
}
