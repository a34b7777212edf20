//! Which Lease the hubs share, and for how long it holds.

use std::time::Duration;

use health_heartbeat::HeartbeatConfig;

use crate::config::InvalidConfig;
use crate::config::LeaseConfig;

/// Which Lease the hubs share, and for how long it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderConfig {
    lease: LeaseConfig,
    duration: Duration,
    pace: HeartbeatConfig,
}

/// A Lease holds whole seconds, and a beat of a third of it must have room for a retry.
const DURATION_MIN: Duration = Duration::from_secs(1);

// === impl LeaderConfig ===

impl LeaderConfig {
    /// For how long a Lease of hubs holds by default.
    pub const DURATION: Duration = Duration::from_secs(15);

    /// The Lease, which holds for `duration` after each renewal; renewed every third of it.
    ///
    /// # Errors
    ///
    /// If the duration is shorter than 1 s.
    pub fn new(lease: LeaseConfig, duration: Duration) -> Result<Self, InvalidConfig> {
        let invalid = || InvalidConfig {
            key: "duration",
            value: format!("{duration:?}"),
            allowed: format!("at least {DURATION_MIN:?} is allowed"),
        };
        let pace = HeartbeatConfig::new(duration / 3, duration, 3).map_err(|_| invalid())?;
        if duration < DURATION_MIN {
            return Err(invalid());
        }
        Ok(Self {
            lease,
            duration,
            pace,
        })
    }

    /// The Lease.
    #[must_use]
    pub const fn lease(&self) -> &LeaseConfig {
        &self.lease
    }

    /// For how long it holds after a renewal.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }

    pub(super) const fn pace(&self) -> HeartbeatConfig {
        self.pace
    }

    /// By so much the leadership ends before the Lease expires: what was decided by then has time
    /// to be written.
    pub(super) fn margin(&self) -> Duration {
        self.duration / 5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_room_for_its_beats() {
        let lease = || LeaseConfig::new("default", "syncer-health-hub", "").unwrap();
        for (millis, key) in [
            (0, Some("duration")),
            (999, Some("duration")),
            (1000, None),
            (15_000, None),
        ] {
            let config = LeaderConfig::new(lease(), Duration::from_millis(millis));
            assert_eq!(config.err().map(|error| error.key), key, "{millis}");
        }
        let config = LeaderConfig::new(lease(), LeaderConfig::DURATION).unwrap();
        assert_eq!(config.pace().interval(), Duration::from_secs(5));
        assert_eq!(config.margin(), Duration::from_secs(3));
    }
}
