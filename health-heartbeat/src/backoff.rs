//! How long to wait between tries.

use std::time::Duration;

/// Exponential backoff with full jitter: the wait before try `n` is drawn from zero to
/// `base × 2^n`, capped, so that a thousand agents that failed together do not come back together.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
    tries: u32,
    chance: fastrand::Rng,
}

// === impl Backoff ===

impl Backoff {
    /// A backoff from `base`, doubling, to at most `cap`, with chance from `seed`.
    #[must_use]
    pub fn new(base: Duration, cap: Duration, seed: u64) -> Self {
        Self {
            base,
            cap,
            tries: 0,
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    /// The wait before the next try.
    #[must_use]
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        ceiling.mul_f64(self.chance.f64())
    }

    /// The most that the next wait can be.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        self.base
            .saturating_mul(2_u32.saturating_pow(self.tries))
            .min(self.cap)
    }

    /// Moves the cap.
    pub const fn set_cap(&mut self, cap: Duration) {
        self.cap = cap;
    }

    /// Begins again, after a success.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }

    /// How many waits were drawn since the last success.
    #[must_use]
    pub const fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// kubert built its backoff, threw the built value away, and ran with the library's defaults.
    #[test]
    fn pitfall_4_the_ceilings_double_to_the_cap_and_the_waits_lie_below_them() {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(3), 7);
        let mut ceilings = Vec::new();
        for _ in 0..40 {
            let ceiling = backoff.ceiling();
            assert!(backoff.next_delay() <= ceiling);
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(&ceilings[..6], [200, 400, 800, 1600, 3000, 3000]);
        assert_eq!(ceilings[39], 3000);
        backoff.reset();
        assert_eq!(backoff.ceiling(), Duration::from_millis(200));
    }

    #[test]
    fn waits_are_spread_over_the_whole_range_and_repeat_with_the_seed() {
        let draw = |seed| {
            let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(1), seed);
            (0..1000)
                .map(|_| backoff.next_delay().as_millis())
                .collect::<Vec<_>>()
        };
        let waits = draw(1);
        assert_eq!(waits, draw(1));
        assert_ne!(waits, draw(2));
        for tenth in 0..10 {
            let within = waits.iter().filter(|wait| **wait / 100 == tenth).count();
            assert!((50..=150).contains(&within), "{within} in tenth {tenth}");
        }
    }
}
