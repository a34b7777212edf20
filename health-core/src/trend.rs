//! Whether a number is unlike its own past: far from its moving mean, rising fast, only growing.

use std::time::Duration;
use std::time::Instant;

mod growth;

mod limits;

mod moving;

mod slope;

mod trends;

pub use limits::InvalidTrend;
pub use limits::TrendLimits;
pub use trends::Trends;

use growth::Growth;
use moving::Moving;
use slope::Slope;

/// How a number's past is looked at.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrendConfig {
    /// How far back the slope looks; growth that pauses for longer is over. Default: 10 minutes;
    /// 1 s to 7 days. It should hold several samples.
    pub window: Duration,
    /// After how many further samples one weighs half in the mean and the deviation. Default: 20;
    /// 1 to 10,000.
    pub half_life_samples: u32,
    /// How many samples come before the first one whose distance from the mean is judged. Default:
    /// 10; 2 to 10,000.
    pub warm_up_samples: u32,
    /// The smallest deviation that is believed, in the number's own unit, so that a series which
    /// was constant does not make every flicker an anomaly. Default: 1, which fits what is counted,
    /// and see [`for_number`](Self::for_number); at least 1e-9. A fiftieth of the mean is the other
    /// floor, and the larger of the two holds.
    pub deviation_min: f64,
}

/// One number's past, in constant memory (less than 4 KiB), and what each new value means by it.
///
/// The mean and the deviation are exponentially weighted by the count of samples, not by time: a
/// gap changes nothing. A value is judged by what came before it, and then added at most three
/// deviations from the mean, so neither an outlier nor an outage poisons what comes later. A new
/// level is [anomalous](TrendLimits::deviations) until it is accepted, for the deviation grows with
/// each such value: with a limit of 4 that takes about one half-life for a step of 20 deviations,
/// and four for one of 40,000. During the warm-up nothing tells what an outlier is, and values are
/// added as they are.
///
/// What is not finite is ignored, and what lies beyond ±1e150 counts as that, so all that comes
/// out is finite. The same values at the same times give the same readings.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
/// use health_core::{Trend, TrendConfig};
///
/// # fn main() -> Result<(), health_core::InvalidTrend> {
/// let mut depth = Trend::new(TrendConfig::for_number("queueDepth"))?;
/// let start = Instant::now();
/// let mut reading = None;
/// for step in 0..20 {
///     reading = depth.observe(f64::from(step) * 60.0, start + Duration::from_secs(30) * step);
/// }
/// let reading = reading.expect("a finite number was observed");
/// assert_eq!(reading.slope_per_second, Some(2.0));
/// assert_eq!(reading.growing, Duration::from_secs(570));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Trend {
    config: TrendConfig,
    moving: Moving,
    slope: Slope,
    growth: Growth,
    /// How many values were added.
    samples: u32,
    newest: Option<Instant>,
}

/// What a value means by the past of its number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrendReading {
    /// The moving mean of what came before the value; the value itself, if it is the first.
    pub mean: f64,
    /// The moving standard deviation of what came before the value, without a floor.
    pub deviation: f64,
    /// How many deviations (with their floor) the value lies above the mean, or below it if this
    /// is negative; absent during the warm-up.
    pub deviations: Option<f64>,
    /// How fast the number rises over the window, by least squares; it falls if this is negative.
    /// Absent until there are three samples that span half of the window, since a burst at a start
    /// or after a gap is not yet a trend.
    pub slope_per_second: Option<f64>,
    /// For how long the number has only grown, up to its last rise: it never fell, it is higher than
    /// it was then, and it never stood still for longer than the window. 0 where it does not grow.
    pub growing: Duration,
}

/// What lies further out counts as this: squares and sums of it are finite, and no number that is
/// measured comes near it.
const VALUE_MAX: f64 = 1e150;

/// A value is added at most this many deviations from the mean. Of values that are normally
/// distributed nearly all lie within, so an ordinary past is not narrowed by it.
const ADDED_DEVIATIONS_MAX: f64 = 3.0;

/// The share of the mean that a deviation has at least.
const DEVIATION_SHARE_MIN: f64 = 0.02;

// === impl TrendConfig ===

impl TrendConfig {
    /// The defaults for a number of that name. Names end with their units: what is a ratio, a rate
    /// or a time in seconds is no count, and the smallest deviation is 0.01 there.
    #[must_use]
    pub fn for_number(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let is_fine = ["seconds", "ratio", "rate", "share"]
            .iter()
            .any(|unit| name.ends_with(unit));
        Self {
            deviation_min: if is_fine { 0.01 } else { 1.0 },
            ..Self::default()
        }
    }
}

impl Default for TrendConfig {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(600),
            half_life_samples: 20,
            warm_up_samples: 10,
            deviation_min: 1.0,
        }
    }
}

// === impl Trend ===

impl Trend {
    /// A number without a past.
    ///
    /// # Errors
    ///
    /// [`InvalidTrend`] if a value of `config` is out of its range.
    pub fn new(config: TrendConfig) -> Result<Self, InvalidTrend> {
        config.validate()?;
        Ok(Self {
            config,
            moving: Moving::new(config.half_life_samples),
            slope: Slope::new(config.window),
            growth: Growth::new(config.window),
            samples: 0,
            newest: None,
        })
    }

    /// Judges `value` by what came before it, and adds it. Nothing for what is not finite, which is
    /// not added either. A time before that of an earlier value counts as that.
    pub fn observe(&mut self, value: f64, now: Instant) -> Option<TrendReading> {
        if !value.is_finite() {
            return None;
        }
        let value = value.clamp(-VALUE_MAX, VALUE_MAX);
        let now = self.newest.map_or(now, |newest| newest.max(now));
        self.newest = Some(now);

        let mean = self.moving.mean().unwrap_or(value);
        let deviation = self.moving.deviation();
        let believed = deviation
            .max(self.config.deviation_min)
            .max(mean.abs() * DEVIATION_SHARE_MIN);
        let is_warm = self.samples >= self.config.warm_up_samples;
        self.moving.add(if is_warm {
            let most = ADDED_DEVIATIONS_MAX * believed;
            value.clamp(mean - most, mean + most)
        } else {
            value
        });
        self.samples = self.samples.saturating_add(1);
        self.slope.add(value, now);
        Some(TrendReading {
            mean,
            deviation,
            deviations: is_warm.then(|| (value - mean) / believed),
            slope_per_second: self.slope.per_second(now),
            growing: self.growth.observe(value, now),
        })
    }
}

#[cfg(test)]
mod tests;
