//! An exponentially weighted mean and deviation.

/// An exponentially weighted mean and deviation: each value weighs 1 when it is added, and less by
/// the same factor with each further one.
#[derive(Debug, Clone)]
pub(super) struct Moving {
    decay: f64,
    /// The sum of all weights; 0 before the first value.
    weight: f64,
    mean: f64,
    variance: f64,
}

impl Moving {
    /// Values weigh half after `half_life` further ones.
    pub(super) fn new(half_life: u32) -> Self {
        Self {
            decay: 0.5_f64.powf(f64::from(half_life.max(1)).recip()),
            weight: 0.0,
            mean: 0.0,
            variance: 0.0,
        }
    }

    /// Nothing before the first value.
    pub(super) fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then_some(self.mean)
    }

    pub(super) fn deviation(&self) -> f64 {
        self.variance.sqrt()
    }

    /// The weights are normalized, so the first values are not drawn towards 0; and the variance
    /// is a sum of what is never negative, not a difference of two large squares.
    pub(super) fn add(&mut self, value: f64) {
        let before = self.weight * self.decay;
        self.weight = before + 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.weight;
        self.variance = before / self.weight * (self.variance + delta * delta / self.weight);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the definition: each value with its weight, in two passes.
        #[test]
        fn mean_and_deviation_are_those_of_the_weighted_values(
            values in prop::collection::vec(-1e6..1e6_f64, 1..30),
            half_life in 1u32..50,
        ) {
            let mut moving = Moving::new(half_life);
            for value in &values {
                moving.add(*value);
            }
            let weight = |place: usize| {
                let age = (values.len() - 1 - place) as f64;
                2.0_f64.powf(-age / f64::from(half_life))
            };
            let weighted = |of: &dyn Fn(f64) -> f64| {
                let places = values.iter().enumerate();
                let (sum, total) = places.fold((0.0, 0.0), |(sum, total), (place, value)| {
                    (sum + weight(place) * of(*value), total + weight(place))
                });
                sum / total
            };
            let mean = weighted(&|value| value);
            let deviation = weighted(&|value| (value - mean).powi(2)).sqrt();
            let got = (moving.mean().unwrap(), moving.deviation());
            prop_assert!((got.0 - mean).abs() < 1e-6, "{got:?}, expected {mean}");
            prop_assert!((got.1 - deviation).abs() < 1e-5, "{got:?}, expected {deviation}");
        }
    }

    #[test]
    fn one_value_is_its_own_mean_and_deviates_not_at_all() {
        let mut moving = Moving::new(20);
        assert_eq!(moving.mean(), None);
        moving.add(1e9 + 0.1);
        assert_eq!((moving.mean(), moving.deviation()), (Some(1e9 + 0.1), 0.0));
    }
}
