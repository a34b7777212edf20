//! Points in time and lengths of it in eight bytes: a fleet keeps about ten for each agent, and
//! reckons with as many at each heartbeat.

use std::num::NonZeroU64;
use std::ops::Add;
use std::ops::Div;
use std::ops::Mul;
use std::time::Duration;
use std::time::Instant;

use serde::Deserialize;
use serde::Serialize;

/// A point in time, in nanoseconds since the fleet's beginning; enough for five hundred years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Moment(NonZeroU64);

/// A length of time in nanoseconds. Where it would be too long it is as long as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(u64);

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

    /// How long after the beginning.
    pub(super) const fn age(self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    pub(super) const fn plus(self, Span(nanos): Span) -> Self {
        Self::from_nanos(self.nanos().saturating_add(nanos))
    }

    pub(super) const fn minus(self, Span(nanos): Span) -> Self {
        Self::from_nanos(self.nanos().saturating_sub(nanos))
    }
}

// === impl Span ===

impl Span {
    pub(super) const fn from_secs(secs: u32) -> Self {
        Self(secs as u64 * 1_000_000_000)
    }

    pub(super) const fn from_millis(millis: u32) -> Self {
        Self(millis as u64 * 1_000_000)
    }

    pub(super) const fn duration(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(nanos(duration))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Mul<u64> for Span {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self(self.0.saturating_mul(times))
    }
}

impl Div<u64> for Span {
    type Output = Self;

    fn div(self, parts: u64) -> Self {
        Self(self.0 / parts)
    }
}

// === impl Epoch ===

impl Epoch {
    pub(super) fn at(now: Instant) -> Self {
        // So that what was stamped just before the fleet's first input is no earlier than it.
        Self(now.checked_sub(MARGIN).unwrap_or(now))
    }

    /// The beginning, as it was before.
    pub(super) const fn again_at(beginning: Instant) -> Self {
        Self(beginning)
    }

    pub(super) const fn beginning(self) -> Instant {
        self.0
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

/// No shorter than it is, so that nobody is early.
pub(super) fn millis(duration: Duration) -> u32 {
    let begun = u128::from(!duration.subsec_nanos().is_multiple_of(1_000_000));
    u32::try_from(duration.as_millis() + begun).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::epoch;

    #[test]
    fn an_instant_comes_back_to_the_nanosecond() {
        let now = epoch();
        let epoch = Epoch::at(now);
        for later in [0, 1, 999, 1_000_000_007, 86_400_000_000_000] {
            let at = now + Duration::from_nanos(later);
            assert_eq!(epoch.instant(epoch.moment(at)), at);
        }
        let long_before = now - Duration::from_secs(100);
        assert!(epoch.moment(long_before) < epoch.moment(now));
    }

    #[test]
    fn milliseconds_are_rounded_up() {
        for (nanos, expected) in [(0, 0), (1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(millis(Duration::from_nanos(nanos)), expected, "{nanos}");
        }
        assert_eq!(millis(Duration::from_nanos(2_999_999_999)), 3000);
        assert_eq!(millis(Duration::MAX), u32::MAX);
    }

    #[test]
    fn a_moment_that_may_be_missing_costs_no_more() {
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }
}
