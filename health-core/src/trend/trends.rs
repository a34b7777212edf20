//! The trends of a component's numbers.

use std::collections::BTreeMap;
use std::time::Instant;

use super::InvalidTrend;
use super::Trend;
use super::TrendConfig;
use super::TrendLimits;
use super::TrendReading;
use crate::Outcome;

/// The trends of a component's numbers: each result passes through, and comes out with what its
/// numbers mean by their past.
///
/// For each number that is watched, the result also gets, as far as they are known, `NAMEMean`,
/// `NAMEDeviations`, `NAMESlopePerSecond` and `NAMEGrowingSeconds`; a number that the check itself
/// gives by such a name stays. A number that a result does not have is not judged, and its past
/// stays as it is.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use health_core::{HealthStatus, Outcome, Paired, TrendConfig, TrendLimits, Trends};
///
/// # fn main() -> Result<(), health_core::InvalidTrend> {
/// let limits = TrendLimits {
///     deviations: Paired { degraded: Some(4.0), unhealthy: None },
///     ..TrendLimits::default()
/// };
/// let config = TrendConfig::for_number("queueDepth");
/// let mut trends = Trends::default().with("queueDepth", config, limits)?;
/// let mut now = Instant::now();
/// let mut depth = |depth: u32| {
///     now += Duration::from_secs(30);
///     trends.apply(Outcome::healthy().with_metric("queueDepth", f64::from(depth)), now)
/// };
/// for calm in 0..20 {
///     assert_eq!(depth(calm % 3).status, HealthStatus::Healthy);
/// }
/// assert_eq!(depth(500).reason.as_str(), "Anomalous");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Trends {
    numbers: BTreeMap<String, Watched>,
}

#[derive(Debug, Clone)]
struct Watched {
    trend: Trend,
    limits: TrendLimits,
}

impl Trends {
    /// Watches the number `name` too. Without limits its trend is only shown.
    ///
    /// # Errors
    ///
    /// [`InvalidTrend`] if a value of `config` is out of its range, or limits are the wrong way
    /// round or not above 0.
    pub fn with(
        mut self,
        name: impl Into<String>,
        config: TrendConfig,
        limits: TrendLimits,
    ) -> Result<Self, InvalidTrend> {
        limits.validate()?;
        let trend = Trend::new(config)?;
        self.numbers.insert(name.into(), Watched { trend, limits });
        Ok(self)
    }

    /// Whether no number is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The worst of what `outcome` says and what its numbers mean by their past, to which they are
    /// added. Of equally bad ones the outcome itself stays, and then the first number by its name.
    #[must_use]
    pub fn apply(&mut self, outcome: Outcome, now: Instant) -> Outcome {
        let mut applied = outcome;
        for (name, watched) in &mut self.numbers {
            let Some(value) = applied.metrics.get(name).copied() else {
                continue;
            };
            let Some(reading) = watched.trend.observe(value, now) else {
                continue;
            };
            applied = applied.worst(watched.limits.judge(name, value, &reading));
            show(name, &reading, &mut applied);
        }
        applied
    }
}

fn show(name: &str, reading: &TrendReading, outcome: &mut Outcome) {
    for (suffix, value) in [
        ("Mean", Some(reading.mean)),
        ("Deviations", reading.deviations),
        ("SlopePerSecond", reading.slope_per_second),
        ("GrowingSeconds", Some(reading.growing.as_secs_f64())),
    ] {
        if let Some(value) = value {
            let own = outcome.metrics.entry(format!("{name}{suffix}"));
            own.or_insert(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::HealthStatus;
    use crate::Paired;
    use crate::epoch::epoch;

    #[test]
    fn what_a_number_means_by_its_past_joins_the_result() {
        let (mut now, mut trends) = (epoch(), Trends::default().with_depth());
        let mut last = Outcome::healthy();
        for step in 0..30_u32 {
            last = trends.apply(depth(f64::from(step)), now);
            now += Duration::from_secs(30);
        }
        assert_eq!(last.status, HealthStatus::Degraded);
        assert_eq!(last.reason.as_str(), "OnlyGrowing");
        assert_eq!(last.metrics["depth"], 29.0);
        assert_eq!(last.metrics["depthGrowingSeconds"], 870.0);
        assert!((last.metrics["depthSlopePerSecond"] - 1.0 / 30.0).abs() < 1e-9);
        assert!(
            (10.0..29.0).contains(&last.metrics["depthMean"]),
            "{last:?}"
        );
        assert!(last.metrics["depthDeviations"] > 1.0, "{last:?}");
    }

    #[test]
    fn a_worse_result_keeps_its_reason_and_its_own_numbers() {
        let (now, mut trends) = (epoch(), Trends::default().with_depth());
        let mut outcome = Outcome::unhealthy("Broken", "m").with_metric("depthMean", -1.0);
        outcome.metrics.insert("depth".to_owned(), 7.0);
        let applied = trends.apply(outcome, now);
        assert_eq!(applied.reason.as_str(), "Broken");
        assert_eq!(applied.message, "m");
        assert_eq!(applied.metrics["depthMean"], -1.0);
        assert_eq!(applied.metrics["depthGrowingSeconds"], 0.0);
        assert!(!applied.metrics.contains_key("depthDeviations"));
        assert!(!applied.metrics.contains_key("depthSlopePerSecond"));
    }

    #[test]
    fn a_number_that_is_absent_or_none_says_nothing() {
        let (now, mut trends) = (epoch(), Trends::default().with_depth());
        assert_eq!(trends.apply(Outcome::healthy(), now), Outcome::healthy());
        let mut none = Outcome::healthy();
        none.metrics.insert("depth".to_owned(), f64::NAN);
        let applied = trends.apply(none, now);
        assert_eq!(applied.metrics.len(), 1, "{applied:?}");
        assert!(Trends::default().is_empty() && !trends.is_empty());
    }

    impl Trends {
        fn with_depth(self) -> Self {
            let limits = TrendLimits {
                growing_seconds: Paired {
                    degraded: Some(600.0),
                    unhealthy: None,
                },
                ..TrendLimits::default()
            };
            self.with("depth", TrendConfig::default(), limits).unwrap()
        }
    }

    fn depth(depth: f64) -> Outcome {
        Outcome::healthy().with_metric("depth", depth)
    }
}
