//! What one run of a check says.

use std::collections::BTreeMap;

use crate::HealthStatus;
use crate::Reason;
use crate::reasons;

/// What one run of a check says.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How the component is.
    pub status: HealthStatus,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, for people; empty if there is nothing to say.
    pub message: String,
    /// Numbers that go into the report, by name.
    pub metrics: BTreeMap<String, f64>,
}

/// A pair of limits of which each is optional: a value at or past `degraded` is Degraded, at or
/// past `unhealthy` Unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Paired {
    /// From here on Degraded.
    pub degraded: Option<f64>,
    /// From here on Unhealthy.
    pub unhealthy: Option<f64>,
}

/// Messages longer than this many bytes are cut: they travel to reports, logs and conditions.
const MESSAGE_MAX: usize = 1024;

// === impl Outcome ===

impl Outcome {
    /// Healthy, with nothing to add.
    #[must_use]
    pub fn healthy() -> Self {
        Self::new(HealthStatus::Healthy, reasons::HEALTHY, "")
    }

    /// Degraded for `reason`.
    #[must_use]
    pub fn degraded(reason: &str, message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Degraded, reason.into(), message)
    }

    /// Unhealthy for `reason`.
    #[must_use]
    pub fn unhealthy(reason: &str, message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unhealthy, reason.into(), message)
    }

    /// Nobody could find out, for `reason`.
    #[must_use]
    pub fn unknown(reason: &str, message: impl Into<String>) -> Self {
        Self::new(HealthStatus::Unknown, reason.into(), message)
    }

    /// Any status. A message longer than 1 KiB is cut.
    #[must_use]
    pub fn new(status: HealthStatus, reason: Reason, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > MESSAGE_MAX {
            let end = message.floor_char_boundary(MESSAGE_MAX);
            message.truncate(end);
            message.push('…');
        }
        Self {
            status,
            reason,
            message,
            metrics: BTreeMap::new(),
        }
    }

    /// Adds a number to the report. What is not finite is left out: no format that it travels in
    /// has a form for it.
    #[must_use]
    pub fn with_metric(mut self, name: &str, value: f64) -> Self {
        if value.is_finite() {
            self.metrics.insert(name.to_owned(), value);
        }
        self
    }

    /// The worse of the two, with the numbers of both; of two equally bad ones, the first.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let (mut worse, better) = if other.status.is_worse_than(self.status) {
            (other, self)
        } else {
            (self, other)
        };
        for (name, value) in better.metrics {
            worse.metrics.entry(name).or_insert(value);
        }
        worse
    }
}

// === impl Paired ===

impl Paired {
    /// Where `value` lies. A value that is not a number is Unknown.
    #[must_use]
    pub fn judge(&self, value: f64) -> HealthStatus {
        let past = |limit: Option<f64>| limit.is_some_and(|limit| value >= limit);
        if value.is_nan() {
            HealthStatus::Unknown
        } else if past(self.unhealthy) {
            HealthStatus::Unhealthy
        } else if past(self.degraded) {
            HealthStatus::Degraded
        } else {
            HealthStatus::Healthy
        }
    }

    /// Whether both limits are there and the wrong way round.
    #[must_use]
    pub fn is_inverted(&self) -> bool {
        matches!((self.degraded, self.unhealthy), (Some(d), Some(u)) if d > u)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paired_limits_are_inclusive_and_optional() {
        let both = Paired {
            degraded: Some(10.0),
            unhealthy: Some(20.0),
        };
        for (value, status) in [
            (9.9, HealthStatus::Healthy),
            (10.0, HealthStatus::Degraded),
            (20.0, HealthStatus::Unhealthy),
            (f64::NAN, HealthStatus::Unknown),
            (f64::INFINITY, HealthStatus::Unhealthy),
        ] {
            assert_eq!(both.judge(value), status, "{value}");
        }
        assert_eq!(Paired::default().judge(1e300), HealthStatus::Healthy);
        assert!(
            Paired {
                degraded: Some(2.0),
                unhealthy: Some(1.0)
            }
            .is_inverted()
        );
    }

    #[test]
    fn messages_are_cut_at_a_character() {
        let outcome = Outcome::unhealthy("Broken", "ä".repeat(4000));
        assert!(outcome.message.len() <= MESSAGE_MAX + '…'.len_utf8());
    }

    #[test]
    fn the_worse_outcome_wins_and_keeps_all_numbers() {
        let fine = Outcome::healthy()
            .with_metric("depth", 1.0)
            .with_metric("nan", f64::NAN);
        let bad = Outcome::unhealthy("TooMany", "too many errors").with_metric("errors", 9.0);
        let worst = fine.worst(bad);
        assert_eq!(worst.reason.as_str(), "TooMany");
        assert_eq!(
            worst.metrics.keys().collect::<Vec<_>>(),
            ["depth", "errors"]
        );
    }
}
