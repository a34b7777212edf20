//! When a check runs: the terms it is registered with, and the words of the timetable.

use std::time::Duration;
use std::time::Instant;

mod timetable;

pub(crate) use timetable::Timetable;

/// When a check runs, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Schedule {
    /// From one run's turn to the next. Default: 30 s. At least 1 ms.
    pub interval: Duration,
    /// How long a run may take. Default: 5 s. At least 1 ms.
    ///
    /// It may be longer than the interval: turns that pass during a run are left out.
    pub timeout: Duration,
}

/// A run's number. It is never given twice, so a late end reaches nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunId(u64);

/// What the shell is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action<K> {
    /// Run the check `key`, on a thread of its own if `solo`.
    Start {
        key: K,
        run: RunId,
        solo: bool,
        deadline: Instant,
    },
    /// End that run if it can be ended; nobody waits for its result.
    Abort { run: RunId },
    /// Record that the run of `key`, begun at `since`, is out of time, again perhaps.
    TimedOut { key: K, since: Instant },
    /// Record that there was no thread for `key`.
    Refused { key: K },
}

/// What the end of a run means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// Its result counts.
    Counts,
    /// Nobody waits for it: it was counted as timed out, or its check is gone.
    Ignored,
}

/// What a timetable may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// So many runs at a time in the pool.
    pub(crate) pooled: usize,
    /// So many runs at a time that hold a thread each.
    pub(crate) apart: usize,
}

/// Shorter than this no interval and no timeout is.
const SPAN_MIN: Duration = Duration::from_millis(1);

// === impl Schedule ===

impl Schedule {
    /// A run every `interval`, of at most `timeout`. Less than 1 ms counts as 1 ms.
    #[must_use]
    pub fn new(interval: Duration, timeout: Duration) -> Self {
        Self {
            interval: interval.max(SPAN_MIN),
            timeout: timeout.max(SPAN_MIN),
        }
    }

    /// How long a good result is believed if nobody says otherwise: twice the interval plus the
    /// timeout.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.interval * 2 + self.timeout
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::new(Duration::from_secs(30), Duration::from_secs(5))
    }
}
