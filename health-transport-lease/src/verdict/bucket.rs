//! A rate with a burst.

use std::time::Duration;
use std::time::Instant;

/// A token bucket, as the time at which it will be full again: in any span of `t` seconds at most
/// `burst + rate × t` tokens are taken.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// How long one token takes to come back.
    period: Duration,
    /// How far the time of fullness may lie ahead while a token is left.
    slack: Duration,
    full_at: Option<Instant>,
}

// === impl Bucket ===

impl Bucket {
    /// A full bucket: `rate` tokens a second, at most `burst` at once; neither is 0.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let period = Duration::from_secs(1) / rate.max(1);
        Self {
            period,
            slack: period * (burst.max(1) - 1),
            full_at: None,
        }
    }

    /// When the next token can be taken; it may be in the past.
    pub(crate) fn next(&self, now: Instant) -> Instant {
        let full_at = self.full_at.unwrap_or(now);
        full_at.checked_sub(self.slack).unwrap_or(now)
    }

    /// Takes a token, if there is one.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if self.next(now) > now {
            return false;
        }
        let full_at = self.full_at.map_or(now, |at| at.max(now));
        self.full_at = Some(full_at + self.period);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(10, 3);
        let taken = |bucket: &mut Bucket, at| (0..9).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(&mut bucket, start), 3);
        assert_eq!(bucket.next(start), start + ms(100));
        assert_eq!(taken(&mut bucket, start + ms(99)), 0);
        assert_eq!(taken(&mut bucket, start + ms(100)), 1);
        assert_eq!(taken(&mut bucket, start + ms(350)), 2);
        assert_eq!(taken(&mut bucket, start + ms(60_000)), 3);
    }

    /// However it is asked, no span of time has more than the bound.
    #[test]
    fn the_bound_holds_over_every_span() {
        let start = Instant::now();
        for seed in 0..200 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let (rate, burst) = (chance.u32(1..50), chance.u32(1..20));
            let mut bucket = Bucket::new(rate, burst);
            let (mut now, mut taken) = (start, Vec::new());
            for _ in 0..300 {
                now += ms(chance.u64(0..200));
                if bucket.take(now) {
                    taken.push(now);
                } else {
                    let next = bucket.next(now);
                    assert!(next > now && bucket.clone().take(next));
                }
            }
            for (first, from) in taken.iter().enumerate() {
                for (last, to) in taken.iter().enumerate().skip(first) {
                    let span = (*to - *from).as_secs_f64();
                    let bound = f64::from(burst) + span * f64::from(rate);
                    assert!((last - first + 1) as f64 <= bound + 1e-6, "{rate} {burst}");
                }
            }
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
