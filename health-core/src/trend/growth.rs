//! Since when a number has only grown.

use std::time::Duration;
use std::time::Instant;

/// Since when a number has only grown.
#[derive(Debug, Clone)]
pub(super) struct Growth {
    pause_max: Duration,
    run: Option<Run>,
}

/// Values of which none is lower than the one before it.
#[derive(Debug, Clone, Copy)]
struct Run {
    lowest: f64,
    /// When it was last at its lowest.
    since: Instant,
    highest: f64,
    /// When it last rose, or was at its lowest.
    rose: Instant,
}

impl Growth {
    /// Growth that pauses for longer than `pause_max` is over: one step up, long ago, is no growth,
    /// and what nobody looked at may have fallen.
    pub(super) const fn new(pause_max: Duration) -> Self {
        Self {
            pause_max,
            run: None,
        }
    }

    /// For how long the number has only grown, now that it has this value: from when it was last at
    /// its lowest to when it last rose. A rest after that is not counted, or one step after a dip
    /// would look like growth.
    pub(super) fn observe(&mut self, value: f64, now: Instant) -> Duration {
        let anew = Run {
            lowest: value,
            since: now,
            highest: value,
            rose: now,
        };
        let run = match self.run {
            Some(run) if value < run.highest || self.is_over(&run, now) => anew,
            Some(run) if value > run.highest => Run {
                highest: value,
                rose: now,
                ..run
            },
            Some(run) if run.highest > run.lowest => run,
            Some(_) | None => anew,
        };
        self.run = Some(run);
        run.rose.saturating_duration_since(run.since)
    }

    fn is_over(&self, run: &Run, now: Instant) -> bool {
        now.saturating_duration_since(run.rose) > self.pause_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::epoch;

    #[test]
    fn growth_lasts_until_a_fall_or_too_long_a_pause() {
        for (what, samples, growing) in [
            ("one value", &[(0, 5.0)][..], 0),
            ("constant", &[(0, 5.0), (30, 5.0), (60, 5.0)], 0),
            ("one step", &[(0, 5.0), (30, 6.0)], 30),
            ("a step after a rest", &[(0, 5.0), (30, 5.0), (60, 6.0)], 30),
            ("a step and a rest", &[(0, 5.0), (30, 6.0), (60, 6.0)], 30),
            ("steps", &[(0, 5.0), (50, 6.0), (100, 6.0), (150, 7.0)], 150),
            ("a fall", &[(0, 5.0), (30, 9.0), (60, 8.0)], 0),
            ("after a fall", &[(0, 5.0), (30, 4.0), (60, 5.0)], 30),
            ("the longest pause", &[(0, 1.0), (9, 2.0), (109, 3.0)], 109),
            ("too long a pause", &[(0, 1.0), (9, 2.0), (110, 3.0)], 0),
            (
                "too long a rest",
                &[(0, 1.0), (9, 2.0), (60, 2.0), (110, 2.0)],
                0,
            ),
            ("below 0", &[(0, -9.0), (30, -8.0)], 30),
        ] {
            let (start, mut growth) = (epoch(), Growth::new(Duration::from_secs(100)));
            let mut last = Duration::ZERO;
            for (at, value) in samples {
                last = growth.observe(*value, start + Duration::from_secs(*at));
            }
            assert_eq!(last, Duration::from_secs(growing), "{what}");
        }
    }
}
