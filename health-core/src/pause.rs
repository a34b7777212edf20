//! Whether the process itself stood still.

use std::time::Duration;
use std::time::Instant;

/// Shorter pauses are a busy machine, not a stop.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Finds out that the process itself stood still: it was stopped, starved, or the machine slept.
///
/// The monotonic clock stops while a machine sleeps and runs while a process is stopped, so two
/// signs are added: how much further the boot clock went, and how late the loop woke up.
#[derive(Debug, Clone)]
pub struct PauseDetector {
    monotonic: Instant,
    boot: Duration,
}

// === impl PauseDetector ===

impl PauseDetector {
    /// A detector that begins at `now`, when the boot clock reads `boot`.
    #[must_use]
    pub const fn new(now: Instant, boot: Duration) -> Self {
        Self {
            monotonic: now,
            boot,
        }
    }

    /// A loop that asked to be woken at `asked` runs at `now`, when the boot clock reads `boot`:
    /// for how long did the process stand still, if for a second or more?
    pub fn observe(&mut self, asked: Instant, now: Instant, boot: Duration) -> Option<Duration> {
        let ran = now.saturating_duration_since(self.monotonic);
        let slept = boot.saturating_sub(self.boot).saturating_sub(ran);
        let late = now.saturating_duration_since(asked);
        (self.monotonic, self.boot) = (now, boot);
        Some(slept + late).filter(|pause| *pause >= PAUSE_MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::epoch;

    #[test]
    fn pitfall_14_a_stop_and_a_sleep_are_found_and_a_busy_machine_is_not() {
        let start = epoch();
        let secs = Duration::from_secs;
        for (asked, ran, boot, pause) in [
            (1, 1, 1, None),
            (5, 2, 2, None),
            (1, 31, 31, Some(30)),
            (1, 1, 601, Some(600)),
            (1, 11, 611, Some(610)),
        ] {
            let mut detector = PauseDetector::new(start, secs(1000));
            let found = detector.observe(start + secs(asked), start + secs(ran), secs(1000 + boot));
            assert_eq!(found, pause.map(secs), "{asked} {ran} {boot}");
            assert_eq!(
                detector.observe(start + secs(ran), start + secs(ran), secs(1000 + boot)),
                None
            );
        }
    }
}
