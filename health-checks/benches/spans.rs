//! A histogram of spans of time.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Spans of time, counted by steps, so that many of them take no more memory than few.
#[derive(Debug)]
pub(crate) struct Spans {
    step: Duration,
    limit: Duration,
    /// The last one takes all that are longer.
    by_step: Vec<AtomicU64>,
    nanos_max: AtomicU64,
    /// How many are longer than the limit.
    above: AtomicU64,
}

// === impl Spans ===

impl Spans {
    const STEPS: usize = 1_000;

    pub(crate) fn new(step: Duration, limit: Duration) -> Self {
        Self {
            step,
            limit,
            by_step: (0..Self::STEPS).map(|_| AtomicU64::new(0)).collect(),
            nanos_max: AtomicU64::new(0),
            above: AtomicU64::new(0),
        }
    }

    pub(crate) fn note(&self, span: Duration) {
        let step = usize::try_from(nanos(span) / nanos(self.step)).unwrap_or(usize::MAX);
        self.by_step[step.min(Self::STEPS - 1)].fetch_add(1, Ordering::Relaxed);
        self.nanos_max.fetch_max(nanos(span), Ordering::Relaxed);
        if span > self.limit {
            self.above.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self) -> f64 {
        let steps = self.by_step.iter();
        as_f64(steps.map(|step| step.load(Ordering::Relaxed)).sum())
    }

    pub(crate) fn above(&self) -> f64 {
        as_f64(self.above.load(Ordering::Relaxed))
    }

    /// Below this is that share of the spans, to one step.
    pub(crate) fn millis(&self, share: f64) -> f64 {
        let wanted = self.count() * share;
        let mut passed = 0;
        for (step, spans) in (1_u32..).zip(&self.by_step) {
            passed += spans.load(Ordering::Relaxed);
            if as_f64(passed) >= wanted {
                return millis(self.step * step);
            }
        }
        f64::NAN
    }

    pub(crate) fn millis_max(&self) -> f64 {
        as_f64(self.nanos_max.load(Ordering::Relaxed)) / 1e6
    }
}

pub(crate) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
pub(crate) const fn as_f64(count: u64) -> f64 {
    count as f64
}
