use proptest::prelude::*;

use super::*;
use crate::Paired;
use crate::epoch::epoch;

const STEP: Duration = Duration::from_secs(30);

#[test]
fn each_shape_of_a_series_has_its_reasons() {
    for (shape, series, reasons) in [
        ("constant", series(200, |_| 40.0), &[][..]),
        ("flicker", series(200, |step| 40.0 + (step % 2) as f64), &[]),
        (
            "idle",
            series(200, |step| f64::from(u8::from(step % 17 == 0))),
            &[],
        ),
        (
            "waves",
            series(400, |step| 500.0 + 100.0 * (step as f64 / 4.0).sin()),
            &[],
        ),
        (
            "sawtooth",
            series(400, |step| (step % 15) as f64 * 20.0),
            &[],
        ),
        (
            "spike",
            series(200, |step| if step == 100 { 500.0 } else { 40.0 }),
            &["Anomalous"],
        ),
        (
            "dip",
            series(200, |step| if step == 100 { 0.0 } else { 40.0 }),
            &["Anomalous"],
        ),
        (
            "level shift",
            series(400, |step| if step < 100 { 40.0 } else { 140.0 }),
            &["Anomalous"],
        ),
        (
            "slow ramp",
            series(100, |step| step as f64),
            &["OnlyGrowing"],
        ),
        (
            "fast ramp",
            series(100, |step| step as f64 * 90.0),
            &["OnlyGrowing", "RisingFast"],
        ),
        ("fall", series(100, |step| 9e5 - step as f64 * 90.0), &[]),
        (
            "noisy ramp",
            series(100, |step| step as f64 * 90.0 + (step % 3) as f64 * 200.0),
            &["RisingFast"],
        ),
    ] {
        let mut found: Vec<_> = judged(&series).into_iter().flatten().collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, reasons, "{shape}");
    }
}

#[test]
fn a_new_level_is_anomalous_until_it_is_accepted() {
    for (level, at_most) in [(60.0, 20), (140.0, 40), (40_000.0, 85), (4e12, 250)] {
        let series = series(600, |step| if step < 100 { 40.0 } else { level });
        let anomalous: Vec<_> = judged(&series)
            .into_iter()
            .enumerate()
            .filter_map(|(step, reasons)| reasons.contains(&"Anomalous").then_some(step))
            .collect();
        let (first, last) = (anomalous[0], anomalous[anomalous.len() - 1]);
        assert_eq!(first, 100, "{level}");
        assert_eq!(last - first + 1, anomalous.len(), "{level}: without a gap");
        assert!(anomalous.len() <= at_most, "{level}: {}", anomalous.len());
    }
}

/// Akka's failure detector: the first sample after an outage poisons its statistics.
#[test]
fn pitfall_29_after_an_outage_the_thresholds_are_unchanged() {
    for (outage, gap, values) in [
        ("silence for a day", STEP * 2880, &[][..]),
        ("one huge value", STEP, &[1e9]),
        ("silence, then what piled up", STEP * 120, &[1e6, 4e4]),
        ("nothing for a while", STEP, &[0.0, 0.0, 0.0]),
        ("the largest and the smallest", STEP, &[f64::MAX, f64::MIN]),
    ] {
        let (mut now, mut trend) = (epoch(), trend());
        let mut observe = |value: f64, pause: Duration| {
            now += pause;
            trend.observe(value, now).unwrap()
        };
        let usual = |step: usize| 500.0 + 40.0 * (step as f64).sin();
        let before = (0..200)
            .map(|step| observe(usual(step), STEP))
            .last()
            .unwrap();
        let mut pause = gap;
        for value in values {
            assert!(is_anomalous(&observe(*value, pause)), "{outage}");
            pause = STEP;
        }
        let after = observe(usual(200), pause);
        let near = |now: f64, then: f64, share: f64| (now - then).abs() <= then * share;
        assert!(
            near(after.mean, before.mean, 0.05),
            "{outage}: {after:?} {before:?}"
        );
        assert!(
            near(after.deviation, before.deviation, 0.5),
            "{outage}: {after:?} {before:?}"
        );
        assert!(!is_anomalous(&after), "{outage}: {after:?}");
        assert!(
            is_anomalous(&observe(1000.0, STEP)),
            "{outage}: the next is found too"
        );
        let later = (0..40)
            .map(|step| observe(usual(step), STEP))
            .last()
            .unwrap();
        assert!(
            near(later.deviation, before.deviation, 0.2),
            "{outage}: {later:?} {before:?}"
        );
    }
}

#[test]
fn after_a_gap_there_is_no_slope_until_half_a_window_is_seen() {
    let (start, mut trend) = (epoch(), trend());
    let mut now = start;
    for step in 0..30 {
        trend.observe(f64::from(step), now);
        now += STEP;
    }
    now += Duration::from_secs(3600);
    for (step, is_some) in [(0, false), (1, false), (9, false), (10, true), (11, true)] {
        let reading = trend
            .observe(1e6 * f64::from(step), now + STEP * step)
            .unwrap();
        assert_eq!(reading.slope_per_second.is_some(), is_some, "{step}");
        assert_eq!(reading.growing, STEP * step, "what nobody saw is no growth");
    }
}

#[test]
fn nothing_is_judged_before_the_warm_up_is_over() {
    let series = series(11, |step| if step % 2 == 0 { 1e6 } else { -1e6 });
    let (mut now, mut trend) = (epoch(), trend());
    for (step, value) in series.into_iter().enumerate() {
        let reading = trend.observe(value, now).unwrap();
        assert_eq!(reading.deviations.is_some(), step >= 10, "{step}");
        now += STEP;
    }
}

#[test]
fn the_first_value_is_its_own_mean() {
    let reading = trend().observe(-7.5, epoch()).unwrap();
    let first = TrendReading {
        mean: -7.5,
        deviation: 0.0,
        deviations: None,
        slope_per_second: None,
        growing: Duration::ZERO,
    };
    assert_eq!(reading, first);
}

#[test]
fn what_is_out_of_order_counts_as_now() {
    let (start, mut trend) = (epoch(), trend());
    let mut ordered = trend.clone();
    let at = |secs| start + Duration::from_secs(secs);
    for (value, when, counts_as) in [(1.0, 300, 300), (2.0, 0, 300), (3.0, 900, 900)] {
        let reading = trend.observe(value, at(when));
        assert_eq!(reading, ordered.observe(value, at(counts_as)));
    }
}

#[test]
fn the_smallest_deviation_follows_the_unit_in_the_name() {
    for (name, smallest) in [
        ("queueDepth", 1.0),
        ("memoryBytes", 1.0),
        ("errorRate", 0.01),
        ("latencySeconds", 0.01),
        ("lag_seconds", 0.01),
        ("memoryRatio", 0.01),
        ("", 1.0),
    ] {
        assert_eq!(
            TrendConfig::for_number(name).deviation_min,
            smallest,
            "{name}"
        );
    }
}

proptest! {
    /// The phi detectors that compute with what overflowed: NaN, or a negative variance.
    #[test]
    fn pitfall_30_whatever_is_observed_all_numbers_are_finite_and_none_deviates_negatively(
        samples in prop::collection::vec((any_value(), 0u64..100_000), 1..120),
        deviation_min in prop_oneof![Just(1e-9), Just(1.0), Just(1e300)],
        warm_up_samples in 2u32..12,
        half_life_samples in prop_oneof![Just(1u32), Just(20), Just(10_000)],
    ) {
        let config = TrendConfig {
            deviation_min,
            warm_up_samples,
            half_life_samples,
            ..TrendConfig::default()
        };
        let (mut now, mut trend) = (epoch(), Trend::new(config).unwrap());
        for (value, pause) in samples {
            now += Duration::from_millis(pause);
            let Some(reading) = trend.observe(value, now) else {
                prop_assert!(!value.is_finite());
                continue;
            };
            prop_assert!(value.is_finite());
            prop_assert!(reading.mean.is_finite(), "{value} {reading:?}");
            prop_assert!(reading.deviation.is_finite(), "{value} {reading:?}");
            prop_assert!(reading.deviation >= 0.0, "{value} {reading:?}");
            prop_assert!(reading.deviations.is_none_or(f64::is_finite), "{value} {reading:?}");
            prop_assert!(reading.slope_per_second.is_none_or(f64::is_finite), "{value} {reading:?}");
        }
    }

    #[test]
    fn the_same_values_at_the_same_times_give_the_same_readings(
        samples in prop::collection::vec((any_value(), 0u64..100_000), 1..120),
    ) {
        let start = epoch();
        let run = || {
            let (mut now, mut trend) = (start, trend());
            let readings = samples.iter().map(|(value, pause)| {
                now += Duration::from_millis(*pause);
                trend.observe(*value, now)
            });
            readings.collect::<Vec<_>>()
        };
        prop_assert_eq!(run(), run());
    }

    /// Against the definition, over the values as they were added: at most three deviations out.
    #[test]
    fn mean_and_deviation_are_those_of_the_values_as_they_were_added(
        values in prop::collection::vec(-1e3..1e3_f64, 2..30),
    ) {
        let (mut now, mut trend) = (epoch(), trend());
        let mut added: Vec<f64> = Vec::new();
        for value in values {
            now += STEP;
            let reading = trend.observe(value, now).unwrap();
            let (mean, deviation) = if added.is_empty() {
                (value, 0.0)
            } else {
                weighted(&added)
            };
            prop_assert!((reading.mean - mean).abs() < 1e-6, "{reading:?} {mean}");
            prop_assert!((reading.deviation - deviation).abs() < 1e-5, "{reading:?} {deviation}");
            let most = 3.0 * deviation.max(1.0).max(mean.abs() / 50.0);
            let is_warm = added.len() >= 10;
            added.push(if is_warm { value.clamp(mean - most, mean + most) } else { value });
        }
    }
}

/// Any number there is, and more often than by chance one that is hard.
fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        -1e3..1e3_f64,
        prop::sample::select(vec![
            0.0,
            -0.0,
            1e308,
            -1e308,
            f64::MAX,
            f64::MIN,
            f64::MIN_POSITIVE,
            5e-324,
            -5e-324,
            1e-310,
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ]),
    ]
}

fn weighted(added: &[f64]) -> (f64, f64) {
    let weights = (0..added.len())
        .rev()
        .map(|age| 2.0_f64.powf(-(age as f64) / 20.0));
    let placed: Vec<_> = weights.zip(added).collect();
    let total: f64 = placed.iter().map(|(weight, _)| weight).sum();
    let of = |f: &dyn Fn(f64) -> f64| {
        placed
            .iter()
            .map(|(weight, value)| weight * f(**value))
            .sum::<f64>()
            / total
    };
    let mean = of(&|value| value);
    (mean, of(&|value| (value - mean).powi(2)).sqrt())
}

/// The reasons of each step, each limit alone.
fn judged(series: &[f64]) -> Vec<Vec<&'static str>> {
    let (mut now, mut trend) = (epoch(), trend());
    let over = |limit| Paired {
        degraded: Some(limit),
        unhealthy: None,
    };
    let none = TrendLimits::default();
    let all = [
        (
            "Anomalous",
            TrendLimits {
                deviations: over(4.0),
                ..none
            },
        ),
        (
            "RisingFast",
            TrendLimits {
                slope_per_second: over(2.0),
                ..none
            },
        ),
        (
            "OnlyGrowing",
            TrendLimits {
                growing_seconds: over(600.0),
                ..none
            },
        ),
    ];
    let mut steps = Vec::new();
    for value in series {
        let reading = trend.observe(*value, now).unwrap();
        now += STEP;
        let found = all.iter().filter_map(|(reason, limits)| {
            let outcome = limits.judge("depth", *value, &reading);
            (outcome.reason.as_str() == *reason).then_some(*reason)
        });
        steps.push(found.collect());
    }
    steps
}

fn is_anomalous(reading: &TrendReading) -> bool {
    reading.deviations.unwrap().abs() >= 4.0
}

fn series(steps: usize, value: impl Fn(usize) -> f64) -> Vec<f64> {
    (0..steps).map(value).collect()
}

fn trend() -> Trend {
    Trend::new(TrendConfig::default()).unwrap()
}
