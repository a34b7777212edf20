//! The mark of a loop that makes progress.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// The mark of a loop that makes progress: the loop [beats](Self::beat), liveness
/// [looks](Self::stalled).
///
/// A loop that ended or hangs is what no other check finds: its last result stays green (kubert's
/// Lease task ended after three retries and linkerd looked ready for days).
#[derive(Debug)]
pub struct Pulse {
    name: &'static str,
    allowance: Duration,
    epoch: Instant,
    /// Nanoseconds after `epoch`.
    last: AtomicU64,
}

impl Pulse {
    /// A pulse of the loop `name`, which may be silent for `allowance`, beginning at `now`.
    #[must_use]
    pub const fn new(name: &'static str, allowance: Duration, now: Instant) -> Self {
        Self {
            name,
            allowance,
            epoch: now,
            last: AtomicU64::new(0),
        }
    }

    /// The loop's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The loop made progress.
    pub fn beat(&self, now: Instant) {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos();
        self.last
            .fetch_max(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When the loop last made progress.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.epoch + Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }

    /// How long the loop has been silent, if that is longer than it may be.
    #[must_use]
    pub fn stalled(&self, now: Instant) -> Option<Duration> {
        Some(now.saturating_duration_since(self.last())).filter(|silent| *silent > self.allowance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::epoch;

    #[test]
    fn a_loop_is_stalled_once_it_was_silent_for_longer_than_its_allowance() {
        let start = epoch();
        let after = |secs| start + Duration::from_secs(secs);
        let pulse = Pulse::new("monitor", Duration::from_secs(10), start);
        assert_eq!(pulse.stalled(after(10)), None);
        assert_eq!(pulse.stalled(after(11)), Some(Duration::from_secs(11)));
        pulse.beat(after(11));
        pulse.beat(after(3));
        assert_eq!(pulse.last(), after(11));
        assert_eq!(pulse.stalled(after(20)), None);
    }
}
