//! How fast a number rises, by least squares over a window of time.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

/// How many points are kept: enough that a merged one covers less than a sixtieth of the window,
/// and few enough that a slope costs next to nothing.
const POINTS_MAX: usize = 64;

/// How many such parts a window has; so many begin in it, and at either end one more may reach in.
const PARTS: u32 = POINTS_MAX as u32 - 2;

/// Fewer samples are no trend.
const SAMPLES_MIN: u64 = 3;

/// The points of a window of time, in constant memory, and the line through them.
///
/// Samples that come faster than the window has room for are merged into their mean, weighted by
/// their count. They are not thinned: that would throw away most of what was measured, and show a
/// number that swings as fast as it is sampled as one that stands still.
#[derive(Debug, Clone)]
pub(super) struct Slope {
    window: Duration,
    points: VecDeque<Point>,
}

/// Some samples that are near each other, as their mean.
#[derive(Debug, Clone, Copy)]
struct Point {
    /// When the first of them came.
    began: Instant,
    /// How much later their mean time is, in seconds.
    offset: f64,
    value: f64,
    samples: u32,
}

// === impl Slope ===

impl Slope {
    pub(super) const fn new(window: Duration) -> Self {
        Self {
            window,
            points: VecDeque::new(),
        }
    }

    /// Adds a sample that is not older than the ones before it.
    pub(super) fn add(&mut self, value: f64, now: Instant) {
        let window = self.window.as_secs_f64();
        while let Some(oldest) = self.points.front()
            && (oldest.age(now) > window || self.points.len() >= POINTS_MAX)
        {
            self.points.pop_front();
        }
        let part = self.window / PARTS;
        match self.points.back_mut() {
            Some(last) if now.saturating_duration_since(last.began) < part => last.add(value, now),
            Some(_) | None => self.points.push_back(Point {
                began: now,
                offset: 0.0,
                value,
                samples: 1,
            }),
        }
    }

    /// The slope at `now`, when a sample was just added. Nothing while there are fewer than three
    /// samples, or they span less than half of the window.
    pub(super) fn per_second(&self, now: Instant) -> Option<f64> {
        let (oldest, newest) = (self.points.front()?, self.points.back()?);
        let samples: u64 = self
            .points
            .iter()
            .map(|point| u64::from(point.samples))
            .sum();
        let span = oldest.age(now) - newest.age(now);
        if samples < SAMPLES_MIN || span <= 0.0 || span * 2.0 < self.window.as_secs_f64() {
            return None;
        }
        // Times and values are counted from near their means, so no digits are lost, and what is
        // constant has no slope at all.
        let placed = || {
            self.points.iter().map(|point| {
                let weight = f64::from(point.samples);
                (weight, -point.age(now), point.value - oldest.value)
            })
        };
        let total = samples as f64;
        let mean_time = placed().map(|(weight, time, _)| weight * time).sum::<f64>() / total;
        let mean_value = placed()
            .map(|(weight, _, value)| weight * value)
            .sum::<f64>()
            / total;
        let (mut together, mut squares) = (0.0, 0.0);
        for (weight, time, value) in placed() {
            let time = time - mean_time;
            together += weight * time * (value - mean_value);
            squares += weight * time * time;
        }
        (squares > 0.0).then(|| together / squares)
    }
}

// === impl Point ===

impl Point {
    /// How old its mean time is, in seconds.
    fn age(&self, now: Instant) -> f64 {
        now.saturating_duration_since(self.began).as_secs_f64() - self.offset
    }

    fn add(&mut self, value: f64, now: Instant) {
        self.samples = self.samples.saturating_add(1);
        let share = f64::from(self.samples).recip();
        let later = now.saturating_duration_since(self.began).as_secs_f64();
        self.offset += (later - self.offset) * share;
        self.value += (value - self.value) * share;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::epoch::epoch;

    const WINDOW: Duration = Duration::from_secs(620);

    proptest! {
        /// Against another form of least squares: the slope of each pair, weighted by the square
        /// of the time between the two.
        #[test]
        fn the_slope_is_that_of_all_pairs(
            samples in prop::collection::vec((10_000u64..14_000, -1e6..1e6_f64), 3..40),
        ) {
            let (start, mut slope) = (epoch(), Slope::new(WINDOW));
            let (mut at, mut placed) = (0, Vec::new());
            for (pause, value) in samples {
                at += pause;
                slope.add(value, start + Duration::from_millis(at));
                placed.push((at as f64 / 1e3, value));
            }
            let got = slope.per_second(start + Duration::from_millis(at));
            let span = placed[placed.len() - 1].0 - placed[0].0;
            if span < 310.0 {
                prop_assert_eq!(got, None);
            } else {
                let expected = by_pairs(&placed);
                let got = got.unwrap();
                prop_assert!((got - expected).abs() < 1e-6, "{got}, expected {expected}");
            }
        }

        /// However many samples come and however they are merged, a line has its slope.
        #[test]
        fn a_line_has_its_slope_and_the_points_are_bounded(
            pauses in prop::collection::vec(0u64..30_000, 100..400),
            rise in -1e3..1e3_f64,
        ) {
            let (start, mut slope, mut at) = (epoch(), Slope::new(WINDOW), 0);
            for pause in pauses {
                at += pause;
                let now = start + Duration::from_millis(at);
                slope.add(7.0 + rise * at as f64 / 1e3, now);
                prop_assert!(slope.points.len() <= POINTS_MAX);
                if let Some(got) = slope.per_second(now) {
                    prop_assert!((got - rise).abs() < 1e-6, "{got}, expected {rise}");
                }
            }
            prop_assert!(slope.per_second(start + Duration::from_millis(at)).is_some());
        }
    }

    #[test]
    fn no_sample_is_lost_where_many_come() {
        let (start, mut slope) = (epoch(), Slope::new(WINDOW));
        for millis in 0..620_000_u64 {
            slope.add(1e9, start + Duration::from_millis(millis));
        }
        let samples: u32 = slope.points.iter().map(|point| point.samples).sum();
        assert_eq!((samples, slope.points.len()), (620_000, 62));
        let end = start + WINDOW;
        assert_eq!(slope.per_second(end), Some(0.0));
    }

    #[test]
    fn too_few_samples_and_too_short_a_time_give_none() {
        for (seconds, is_some) in [
            (&[0][..], false),
            (&[0, 310], false),
            (&[0, 0, 0, 0], false),
            (&[0, 10, 300], false),
            (&[0, 10, 310], true),
            (&[0, 620, 620], true),
            (&[0, 621, 700, 800], false),
        ] {
            let (start, mut slope) = (epoch(), Slope::new(WINDOW));
            let at = |secs| start + Duration::from_secs(secs);
            for secs in seconds {
                slope.add(*secs as f64, at(*secs));
            }
            let now = at(seconds[seconds.len() - 1]);
            assert_eq!(slope.per_second(now).is_some(), is_some, "{seconds:?}");
        }
    }

    fn by_pairs(placed: &[(f64, f64)]) -> f64 {
        let (mut together, mut squares) = (0.0, 0.0);
        for (number, (time, value)) in placed.iter().enumerate() {
            for (other_time, other_value) in &placed[..number] {
                together += (time - other_time) * (value - other_value);
                squares += (time - other_time).powi(2);
            }
        }
        together / squares
    }
}
