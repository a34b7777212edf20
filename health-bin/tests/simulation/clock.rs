//! One machine's clocks, all made from the one virtual time.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use crate::world::Time;

/// One machine's clocks: the monotonic one stands still in suspend, the boot clock never does, and
/// the wall clock is wherever somebody set it.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    base: Instant,
    slept: Duration,
    asleep: Option<Time>,
    /// How far the wall clock is ahead, in milliseconds.
    pub(crate) skew: i64,
}

/// The wall clocks begin somewhere in 2023.
const WALL: Duration = Duration::from_secs(1_700_000_000);

// === impl Clock ===

impl Clock {
    pub(crate) const fn new(base: Instant) -> Self {
        Self {
            base,
            slept: Duration::ZERO,
            asleep: None,
            skew: 0,
        }
    }

    pub(crate) const fn suspend(&mut self, now: Time) {
        self.asleep = Some(now);
    }

    pub(crate) fn resume(&mut self, now: Time) {
        self.slept = self.slept(now);
        self.asleep = None;
    }

    /// For how long the machine has slept.
    pub(crate) fn slept(&self, now: Time) -> Duration {
        self.slept + self.asleep.map_or(Duration::ZERO, |since| now - since)
    }

    /// What the monotonic clock reads.
    pub(crate) fn local(&self, now: Time) -> Instant {
        self.base + now - self.slept(now)
    }

    /// When the monotonic clock will read `at`, if the machine stays awake.
    pub(crate) fn when(&self, at: Instant) -> Time {
        at.saturating_duration_since(self.base) + self.slept
    }

    pub(crate) fn wall(&self, now: Time) -> SystemTime {
        let skew = Duration::from_millis(self.skew.unsigned_abs());
        let wall = UNIX_EPOCH + WALL + now;
        if self.skew < 0 {
            wall - skew
        } else {
            wall + skew
        }
    }
}
