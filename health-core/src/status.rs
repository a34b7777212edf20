//! The four statuses, their order and their names.

use std::fmt;
use std::str::FromStr;

/// How a component, or the whole, is.
///
/// From good to bad: Healthy, Unknown, Degraded, Unhealthy ([`severity`](Self::severity)).
/// The derived order is not that one on purpose: no `Ord` is derived, so that nobody sorts by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HealthStatus {
    /// It works.
    Healthy,
    /// It works, but worse than it should.
    Degraded,
    /// It does not work.
    Unhealthy,
    /// Nobody could find out, or the last answer is too old to be believed.
    Unknown,
}

/// Indicates a text that names no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown status {0:?}, expected one of Healthy, Degraded, Unhealthy, Unknown")]
pub struct UnknownStatus(pub String);

// === impl HealthStatus ===

impl HealthStatus {
    /// All statuses, from good to bad.
    pub const ALL: [Self; 4] = [
        Self::Healthy,
        Self::Unknown,
        Self::Degraded,
        Self::Unhealthy,
    ];

    /// The place in the order from good (0) to bad (3).
    #[must_use]
    pub const fn severity(self) -> usize {
        match self {
            Self::Healthy => 0,
            Self::Unknown => 1,
            Self::Degraded => 2,
            Self::Unhealthy => 3,
        }
    }

    /// Whether this status is worse than `other`.
    #[must_use]
    pub const fn is_worse_than(self, other: Self) -> bool {
        self.severity() > other.severity()
    }

    /// The value in metrics: Unknown 0, Healthy 1, Degraded 2, Unhealthy 3.
    #[must_use]
    pub const fn metric(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Healthy => 1,
            Self::Degraded => 2,
            Self::Unhealthy => 3,
        }
    }

    /// The name, as it stands in reports and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
        }
    }

    /// The name in lower case, as it stands in metric labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for HealthStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for HealthStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for HealthStatus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_parsed_from_what_it_displays() {
        for status in HealthStatus::ALL {
            assert_eq!(status.to_string().parse(), Ok(status));
            assert_eq!(status.label().parse(), Ok(status));
        }
        assert!("fine".parse::<HealthStatus>().is_err());
    }

    #[test]
    fn the_order_is_healthy_unknown_degraded_unhealthy() {
        for (place, status) in HealthStatus::ALL.into_iter().enumerate() {
            assert_eq!(status.severity(), place);
        }
        let metrics = HealthStatus::ALL.map(HealthStatus::metric);
        assert_eq!(metrics, [1, 0, 2, 3]);
    }
}
