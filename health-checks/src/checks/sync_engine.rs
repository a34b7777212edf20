//! `syncEngine`: how the syncer that embeds us does, from what it records.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_core::Outcome;
use health_core::RateWindow;
use metrics::Counter;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::SyncLimits;
use crate::checks::SyncStats;
use crate::names;

/// What an embedding syncer tells of its work, through any clone of this.
///
/// ```
/// # use std::time::{Duration, Instant};
/// let recorder = health_checks::checks::SyncRecorder::new(Instant::now());
/// recorder.record_sync(Duration::from_millis(20));
/// recorder.record_error();
/// recorder.set_queue_depth(17);
/// assert_eq!(recorder.stats(Instant::now()).error_rate, Some(0.5));
/// ```
#[derive(Clone)]
pub struct SyncRecorder {
    inner: Arc<Inner>,
}

/// How the syncer that embeds us does, over the last minute.
#[derive(Debug, Clone)]
pub struct SyncEngineCheck {
    recorder: SyncRecorder,
    limits: SyncLimits,
}

struct Inner {
    windows: Mutex<Windows>,
    syncs: Counter,
    errors: Counter,
}

struct Windows {
    syncs: RateWindow,
    errors: RateWindow,
    seconds: RateWindow,
    queue_depth: Option<u64>,
}

/// Long enough to smooth, short enough to see a change before the next heartbeat or two.
const WINDOW: Duration = Duration::from_secs(60);

// === impl SyncRecorder ===

impl SyncRecorder {
    /// A recorder whose windows begin at `now`. The totals are counted with the recorder of
    /// metrics that is installed by then.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        metrics::describe_counter!(names::SYNCS_TOTAL, "Syncs that succeeded.");
        metrics::describe_counter!(names::SYNC_ERRORS_TOTAL, "Syncs that failed.");
        let window = || RateWindow::new(WINDOW, now);
        let inner = Inner {
            windows: Mutex::new(Windows {
                syncs: window(),
                errors: window(),
                seconds: window(),
                queue_depth: None,
            }),
            syncs: metrics::counter!(names::SYNCS_TOTAL),
            errors: metrics::counter!(names::SYNC_ERRORS_TOTAL),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// A sync succeeded and took `duration`.
    pub fn record_sync(&self, duration: Duration) {
        self.inner.syncs.increment(1);
        let now = Instant::now();
        self.with(|windows| {
            windows.syncs.add(1.0, now);
            windows.seconds.add(duration.as_secs_f64(), now);
        });
    }

    /// A sync failed.
    pub fn record_error(&self) {
        self.inner.errors.increment(1);
        let now = Instant::now();
        self.with(|windows| windows.errors.add(1.0, now));
    }

    /// So many items wait now.
    pub fn set_queue_depth(&self, depth: u64) {
        self.with(|windows| windows.queue_depth = Some(depth));
    }

    /// The numbers over the minute that ends at `now`.
    #[must_use]
    pub fn stats(&self, now: Instant) -> SyncStats {
        self.with(|windows| windows.stats(now))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Windows) -> T) -> T {
        let windows = self.inner.windows.lock();
        act(&mut windows.unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for SyncRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncRecorder").finish_non_exhaustive()
    }
}

// === impl SyncEngineCheck ===

impl SyncEngineCheck {
    /// A check of what `recorder` is told.
    #[must_use]
    pub const fn new(recorder: SyncRecorder, limits: SyncLimits) -> Self {
        Self { recorder, limits }
    }
}

#[async_trait::async_trait]
impl HealthChecker for SyncEngineCheck {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        Ok(self.recorder.stats(Instant::now()).judge(&self.limits))
    }
}

// === impl Windows ===

impl Windows {
    fn stats(&mut self, now: Instant) -> SyncStats {
        let (syncs, errors) = (self.syncs.sum(now), self.errors.sum(now));
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        SyncStats {
            sync_rate: Some(self.syncs.per_second(now)),
            error_rate: share(errors, syncs + errors),
            queue_depth: self.queue_depth.map(|depth| depth as f64),
            latency_seconds: share(self.seconds.sum(now), syncs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_recorded_is_absent_and_not_zero() {
        let recorder = SyncRecorder::new(Instant::now());
        let stats = recorder.stats(Instant::now());
        assert_eq!(
            stats,
            SyncStats {
                sync_rate: Some(0.0),
                ..SyncStats::default()
            }
        );
    }

    #[test]
    fn rates_latency_and_depth_are_over_the_window() {
        let start = Instant::now();
        let recorder = SyncRecorder::new(start);
        for _ in 0..3 {
            recorder.record_sync(Duration::from_millis(200));
        }
        recorder.record_error();
        recorder.set_queue_depth(12);
        let stats = recorder.stats(start + Duration::from_secs(30));
        assert_eq!(stats.sync_rate, Some(0.1));
        assert_eq!(stats.error_rate, Some(0.25));
        assert_eq!(stats.queue_depth, Some(12.0));
        let latency = stats.latency_seconds.unwrap();
        assert!((latency - 0.2).abs() < 1e-9, "{latency}");

        let stats = recorder.stats(start + Duration::from_secs(600));
        assert_eq!(stats.sync_rate, Some(0.0));
        assert_eq!(stats.error_rate, None);
        assert_eq!(stats.latency_seconds, None);
        assert_eq!(
            stats.queue_depth,
            Some(12.0),
            "a depth lasts until the next"
        );
    }
}
