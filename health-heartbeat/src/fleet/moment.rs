//! Points in time in eight bytes: a fleet keeps about ten for each agent.

use std::num::NonZeroU64;
use std::time::Duration;
use std::time::Instant;

/// A point in time, in nanoseconds since the fleet's beginning; enough for five hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(NonZeroU64);

/// The fleet's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Epoch(Instant);

// === impl Moment ===

impl Moment {
    pub(super) const fn nanos(self) -> u64 {
        self.0.get()
    }

    pub(super) const fn from_nanos(nanos: u64) -> Self {
        // A nanosecond after the beginning is as good as the beginning.
        match NonZeroU64::new(nanos) {
            Some(nanos) => Self(nanos),
            None => Self(NonZeroU64::MIN),
        }
    }

    pub(super) fn plus(self, duration: Duration) -> Self {
        Self::from_nanos(self.nanos().saturating_add(nanos(duration)))
    }

    pub(super) fn minus(self, duration: Duration) -> Self {
        Self::from_nanos(self.nanos().saturating_sub(nanos(duration)))
    }
}

// === impl Epoch ===

impl Epoch {
    pub(super) fn at(now: Instant) -> Self {
        // So that what was stamped just before the fleet's first input is no earlier than it.
        Self(now.checked_sub(MARGIN).unwrap_or(now))
    }

    /// What was before the beginning counts as the beginning.
    pub(super) fn moment(self, at: Instant) -> Moment {
        Moment::from_nanos(nanos(at.saturating_duration_since(self.0)))
    }

    pub(super) fn instant(self, moment: Moment) -> Instant {
        self.0 + Duration::from_nanos(moment.nanos())
    }
}

const MARGIN: Duration = Duration::from_secs(1);

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests pick an arbitrary epoch")]
mod tests {
    use super::*;

    #[test]
    fn an_instant_comes_back_to_the_nanosecond() {
        let now = Instant::now();
        let epoch = Epoch::at(now);
        for later in [0, 1, 999, 1_000_000_007, 86_400_000_000_000] {
            let at = now + Duration::from_nanos(later);
            assert_eq!(epoch.instant(epoch.moment(at)), at);
        }
        let long_before = now - Duration::from_secs(100);
        assert!(epoch.moment(long_before) < epoch.moment(now));
    }

    #[test]
    fn a_moment_that_may_be_missing_costs_no_more() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
