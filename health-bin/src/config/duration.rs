//! Durations as people write them: `10s`, `1m 30s`, `250ms`.

use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// A duration that is written as `10s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConfigDuration(pub(crate) Duration);

/// Sums and multiples of what is longer would overflow a clock.
const DURATION_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl ConfigDuration {
    pub(crate) const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl<'de> Deserialize<'de> for ConfigDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = super::text(deserializer, "a duration, like 10s, 1m30s or 250ms")?;
        let duration = humantime::parse_duration(&text).map_err(|error| {
            serde::de::Error::custom(format!(
                "{text:?} is not a duration ({error}); write it like 10s, 1m30s or 250ms"
            ))
        })?;
        if duration > DURATION_MAX {
            let what = format!("{text:?} is too long, at most 365d is allowed");
            return Err(serde::de::Error::custom(what));
        }
        Ok(Self(duration))
    }
}

impl Serialize for ConfigDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}
