//! From where on a trend is too much, and what a trend cannot be made of.

use std::time::Duration;

use super::TrendConfig;
use super::TrendReading;
use crate::HealthStatus;
use crate::Outcome;
use crate::Paired;
use crate::Reason;
use crate::reasons;

/// From where on a number's trend is Degraded or Unhealthy. Default: no limit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TrendLimits {
    /// For the distance from the moving mean, in deviations, above and below alike: an error rate
    /// that leaps up and a sync rate that falls to nothing are both news. Past it: `Anomalous`.
    pub deviations: Paired,
    /// For the rise a second; a number that falls is never past it. Past it: `RisingFast`.
    pub slope_per_second: Paired,
    /// For the time, in seconds, for which the number has only grown. Past it: `OnlyGrowing`.
    pub growing_seconds: Paired,
}

/// Indicates a value that a trend cannot be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}, {allowed}")]
pub struct InvalidTrend {
    /// Which value, in camelCase.
    pub key: &'static str,
    /// What it is.
    pub value: String,
    /// What would be right.
    pub allowed: &'static str,
}

/// A limit that a reading has passed.
struct Passed<'a> {
    name: &'a str,
    limits: Paired,
    found: f64,
    reason: Reason,
}

const WINDOW_MIN: Duration = Duration::from_secs(1);

/// What runs once a day is looked at over a week.
const WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// A month of samples that come every 5 minutes; longer is not moving.
const SAMPLES_MAX: u32 = 10_000;

/// From here on a quotient by it is finite; nothing that is measured is finer.
const DEVIATION_MIN: f64 = 1e-9;

// === impl TrendConfig ===

impl TrendConfig {
    /// Whether all values are in their ranges.
    ///
    /// # Errors
    ///
    /// [`InvalidTrend`] for the first that is not.
    pub fn validate(&self) -> Result<(), InvalidTrend> {
        let invalid = |key, value, allowed| {
            Err(InvalidTrend {
                key,
                value,
                allowed,
            })
        };
        let Self {
            window,
            half_life_samples: half_life,
            warm_up_samples: warm_up,
            deviation_min,
        } = *self;
        if !(WINDOW_MIN..=WINDOW_MAX).contains(&window) {
            let allowed = "1s to 7 days are allowed";
            return invalid("window", format!("{window:?}"), allowed);
        }
        if !(1..=SAMPLES_MAX).contains(&half_life) {
            let allowed = "1 to 10000 are allowed";
            return invalid("halfLifeSamples", half_life.to_string(), allowed);
        }
        if !(2..=SAMPLES_MAX).contains(&warm_up) {
            let allowed = "2 to 10000 are allowed";
            return invalid("warmUpSamples", warm_up.to_string(), allowed);
        }
        if !deviation_min.is_finite() || deviation_min < DEVIATION_MIN {
            let allowed = "it must be a number of at least 1e-9";
            return invalid("deviationMin", deviation_min.to_string(), allowed);
        }
        Ok(())
    }
}

// === impl TrendLimits ===

impl TrendLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all limits are numbers above 0 and the right way round. A limit of 0 would be
    /// passed by what stands still.
    ///
    /// # Errors
    ///
    /// [`InvalidTrend`] for the first pair that is not.
    pub fn validate(&self) -> Result<(), InvalidTrend> {
        for (key, limits) in [
            ("deviations", self.deviations),
            ("slopePerSecond", self.slope_per_second),
            ("growingSeconds", self.growing_seconds),
        ] {
            let given = [limits.degraded, limits.unhealthy];
            let wrong = |limit: &f64| !limit.is_finite() || *limit <= 0.0;
            if let Some(limit) = given.into_iter().flatten().find(wrong) {
                return Err(InvalidTrend {
                    key,
                    value: limit.to_string(),
                    allowed: "a limit must be a number above 0",
                });
            }
            if limits.is_inverted() {
                let [degraded, unhealthy] = given.map(Option::unwrap_or_default);
                return Err(InvalidTrend {
                    key,
                    value: format!("degraded from {degraded} and unhealthy from {unhealthy} on"),
                    allowed: "degraded must not lie beyond unhealthy",
                });
            }
        }
        Ok(())
    }

    /// What `reading` means for the number `name`, that had this value then. Of several limits
    /// that are passed the worst decides; of equally bad ones `Anomalous`, then `RisingFast`.
    ///
    /// What the reading leaves out is not judged.
    #[must_use]
    pub fn judge(&self, name: &str, value: f64, reading: &TrendReading) -> Outcome {
        let mut outcome = Outcome::healthy();
        if let Some(deviations) = reading.deviations {
            let passed = Passed {
                name,
                limits: self.deviations,
                found: deviations.abs(),
                reason: reasons::ANOMALOUS,
            };
            outcome = outcome.worst(passed.told(|found| {
                let (value, mean) = (short(value), short(reading.mean));
                let side = if deviations < 0.0 { "below" } else { "above" };
                format!("is {value}, {found} deviations {side} its mean of {mean}")
            }));
        }
        if let Some(slope) = reading.slope_per_second {
            let passed = Passed {
                name,
                limits: self.slope_per_second,
                found: slope,
                reason: reasons::RISING_FAST,
            };
            outcome = outcome.worst(passed.told(|found| format!("rises by {found} a second")));
        }
        let passed = Passed {
            name,
            limits: self.growing_seconds,
            found: reading.growing.as_secs_f64(),
            reason: reasons::ONLY_GROWING,
        };
        outcome.worst(passed.told(|found| format!("has only grown for {found} seconds")))
    }
}

// === impl Passed ===

impl Passed<'_> {
    /// Healthy where no limit is passed; else the message says which.
    fn told(self, what: impl FnOnce(String) -> String) -> Outcome {
        let status = self.limits.judge(self.found);
        let limit = match status {
            HealthStatus::Healthy => return Outcome::healthy(),
            HealthStatus::Degraded => self.limits.degraded,
            HealthStatus::Unhealthy => self.limits.unhealthy,
            HealthStatus::Unknown => None,
        };
        let mut message = format!("{} {}", self.name, what(short(self.found)));
        if let Some(limit) = limit {
            message.push_str(&format!(", the limit is {}", short(limit)));
        }
        Outcome::new(status, self.reason, message)
    }
}

/// Three decimals at most for what a person reads at a glance, else three digits and an exponent.
fn short(value: f64) -> String {
    const PLAIN: std::ops::Range<f64> = 0.001..1e15;
    if value == 0.0 {
        return "0".to_owned();
    }
    if !PLAIN.contains(&value.abs()) {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_has_a_reason_and_a_message_of_its_own() {
        let calm = TrendReading {
            mean: 40.0,
            deviation: 0.0,
            deviations: Some(0.5),
            slope_per_second: Some(-9.0),
            growing: Duration::ZERO,
        };
        let limits = TrendLimits {
            deviations: pair(Some(4.0), None),
            slope_per_second: pair(Some(2.0), Some(10.0)),
            growing_seconds: pair(None, Some(600.0)),
        };
        let mut above = calm;
        above.deviations = Some(12.25);
        let mut below = calm;
        below.deviations = Some(-4.0);
        let mut rising = calm;
        rising.slope_per_second = Some(2.5);
        let mut growing = calm;
        growing.growing = Duration::from_secs(720);
        let mut all = above;
        all.growing = growing.growing;
        let mut early = calm;
        early.deviations = None;
        early.slope_per_second = None;
        for (reading, status, reason, message) in [
            (calm, HealthStatus::Healthy, "Healthy", ""),
            (early, HealthStatus::Healthy, "Healthy", ""),
            (
                above,
                HealthStatus::Degraded,
                "Anomalous",
                "depth is 89, 12.25 deviations above its mean of 40, the limit is 4",
            ),
            (
                below,
                HealthStatus::Degraded,
                "Anomalous",
                "depth is 89, 4 deviations below its mean of 40, the limit is 4",
            ),
            (
                rising,
                HealthStatus::Degraded,
                "RisingFast",
                "depth rises by 2.5 a second, the limit is 2",
            ),
            (
                growing,
                HealthStatus::Unhealthy,
                "OnlyGrowing",
                "depth has only grown for 720 seconds, the limit is 600",
            ),
            (
                all,
                HealthStatus::Unhealthy,
                "OnlyGrowing",
                "depth has only grown for 720 seconds, the limit is 600",
            ),
        ] {
            let outcome = limits.judge("depth", 89.0, &reading);
            assert_eq!(outcome.status, status, "{reading:?}");
            assert_eq!(outcome.reason.as_str(), reason);
            assert_eq!(outcome.message, message);
            let unlimited = TrendLimits::default().judge("depth", 89.0, &reading);
            assert_eq!(unlimited, Outcome::healthy());
        }
    }

    #[test]
    fn a_value_out_of_its_range_says_what_would_be_right() {
        let good = TrendConfig::default();
        for (config, message) in [
            (
                TrendConfig {
                    window: Duration::ZERO,
                    ..good
                },
                "window is 0ns, 1s to 7 days are allowed",
            ),
            (
                TrendConfig {
                    window: Duration::MAX,
                    ..good
                },
                "window is 18446744073709551615.999999999s, 1s to 7 days are allowed",
            ),
            (
                TrendConfig {
                    half_life_samples: 0,
                    ..good
                },
                "halfLifeSamples is 0, 1 to 10000 are allowed",
            ),
            (
                TrendConfig {
                    warm_up_samples: 1,
                    ..good
                },
                "warmUpSamples is 1, 2 to 10000 are allowed",
            ),
            (
                TrendConfig {
                    deviation_min: f64::NAN,
                    ..good
                },
                "deviationMin is NaN, it must be a number of at least 1e-9",
            ),
            (
                TrendConfig {
                    deviation_min: 0.0,
                    ..good
                },
                "deviationMin is 0, it must be a number of at least 1e-9",
            ),
        ] {
            let error = config.validate().unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        assert_eq!(good.validate(), Ok(()));
    }

    #[test]
    fn limits_must_be_above_0_and_in_order() {
        for (pair, message) in [
            (pair(None, None), None),
            (pair(Some(4.0), Some(4.0)), None),
            (
                pair(Some(0.0), None),
                Some("slopePerSecond is 0, a limit must be a number above 0"),
            ),
            (
                pair(None, Some(f64::INFINITY)),
                Some("slopePerSecond is inf, a limit must be a number above 0"),
            ),
            (
                pair(Some(5.0), Some(4.0)),
                Some(
                    "slopePerSecond is degraded from 5 and unhealthy from 4 on, degraded must not \
                     lie beyond unhealthy",
                ),
            ),
        ] {
            let limits = TrendLimits {
                slope_per_second: pair,
                ..TrendLimits::default()
            };
            let told = limits.validate().map_err(|error| error.to_string()).err();
            assert_eq!(told.as_deref(), message);
        }
    }

    #[test]
    fn numbers_are_short_however_large_or_small_they_are() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1200.0, "1200"),
            (0.25, "0.25"),
            (-1.0 / 3.0, "-0.333"),
            (0.000_012_3, "1.23e-5"),
            (1e150, "1.00e150"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    fn pair(degraded: Option<f64>, unhealthy: Option<f64>) -> Paired {
        Paired {
            degraded,
            unhealthy,
        }
    }
}
