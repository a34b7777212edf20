//! The only place that reads wall-clock time, which is shown and never decides.

use std::time::Duration;
use std::time::Instant;

use jiff::Timestamp;
use jiff::Unit;

/// An instant and the wall-clock time that went with it, to show other instants by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WallClock {
    instant: Instant,
    wall: Timestamp,
}

impl WallClock {
    /// Both clocks, read now.
    pub(crate) fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: Timestamp::now(),
        }
    }

    /// The instant of the reading.
    pub(crate) const fn instant(&self) -> Instant {
        self.instant
    }

    /// Another instant as RFC 3339, to the millisecond.
    pub(crate) fn show(&self, at: Instant) -> String {
        let ahead = at.saturating_duration_since(self.instant);
        let behind = self.instant.saturating_duration_since(at);
        let shown = self
            .wall
            .saturating_add(ahead)
            .and_then(|t| t.saturating_sub(behind));
        let shown = shown.unwrap_or(self.wall);
        shown.round(Unit::Millisecond).unwrap_or(shown).to_string()
    }
}

/// The wall-clock time, read now, to show how old another's times are.
pub(crate) fn wall() -> Timestamp {
    Timestamp::now()
}

/// The clock that runs through suspend, as a time since boot.
#[cfg(feature = "hub")]
pub(crate) fn boot() -> Duration {
    since_boot(rustix::time::ClockId::Boottime)
}

/// The clock that stops in suspend, as a time since boot: a service manager compares it with its
/// own.
pub(crate) fn monotonic() -> Duration {
    since_boot(rustix::time::ClockId::Monotonic)
}

fn since_boot(clock: rustix::time::ClockId) -> Duration {
    Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_before_and_after_the_reading_are_shown() {
        let instant = Instant::now();
        let clock = WallClock {
            instant,
            wall: "2026-03-01T12:00:00Z".parse().unwrap(),
        };
        let minute = Duration::from_secs(60);
        assert_eq!(clock.show(instant), "2026-03-01T12:00:00Z");
        assert_eq!(clock.show(instant + minute), "2026-03-01T12:01:00Z");
        if let Some(earlier) = instant.checked_sub(minute) {
            assert_eq!(clock.show(earlier), "2026-03-01T11:59:00Z");
        }
    }
}
