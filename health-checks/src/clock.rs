//! How long the machine slept: the clock behind `Instant` stops in suspend, the boot clock does not.

use std::time::Duration;

/// Less than this is no sleep: the two clocks are not read at one instant.
const SLEEP_MIN: Duration = Duration::from_secs(1);

/// Notices that the machine was suspended.
#[derive(Debug)]
pub(crate) struct SleepWatch {
    ahead: Duration,
}

// === impl SleepWatch ===

impl SleepWatch {
    pub(crate) fn new() -> Self {
        Self { ahead: ahead() }
    }

    /// For how long the machine slept since this was last asked.
    pub(crate) fn slept(&mut self) -> Option<Duration> {
        self.take(ahead())
    }

    fn take(&mut self, ahead: Duration) -> Option<Duration> {
        let slept = ahead.saturating_sub(self.ahead);
        self.ahead = self.ahead.max(ahead);
        Some(slept).filter(|slept| *slept >= SLEEP_MIN)
    }
}

/// By how much the boot clock is ahead of the monotonic clock.
#[cfg(target_os = "linux")]
fn ahead() -> Duration {
    use rustix::time::ClockId;
    use rustix::time::clock_gettime;

    let read = |clock| Duration::try_from(clock_gettime(clock)).unwrap_or_default();
    let monotonic = read(ClockId::Monotonic);
    read(ClockId::Boottime).saturating_sub(monotonic)
}

#[cfg(not(target_os = "linux"))]
fn ahead() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_told_once_and_jitter_is_none() {
        let mut watch = SleepWatch {
            ahead: Duration::from_secs(100),
        };
        assert_eq!(watch.take(Duration::from_millis(100_001)), None);
        assert_eq!(
            watch.take(Duration::from_millis(3_700_001)),
            Some(Duration::from_secs(3600))
        );
        assert_eq!(watch.take(Duration::from_millis(3_700_000)), None);
    }

    #[test]
    fn nobody_slept_between_two_lines() {
        assert_eq!(SleepWatch::new().slept(), None);
    }
}
