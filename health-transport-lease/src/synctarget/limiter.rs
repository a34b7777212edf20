//! How often the SyncTarget is written: every write of it wakes all who watch it.

use std::time::Duration;
use std::time::Instant;

/// Decides when a heartbeat's content may be written.
///
/// At most one write in `min_interval`, whether it succeeds or not; a change as soon as that
/// allows; without a change one in `heartbeat_interval`. Each decision is about the content that
/// was offered last, so what is newer replaces what still waits.
#[derive(Debug, Clone)]
pub struct WriteLimiter {
    min_interval: Duration,
    heartbeat_interval: Duration,
    last_try: Option<Instant>,
    last_success: Option<Instant>,
}

/// When to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// At this time, which may be now.
    At(Instant),
    /// Not yet: what is written is as good until then.
    Suppress(Instant),
}

/// Heartbeats are jittered: one that comes this much of its interval early is due.
const EARLY: f64 = 0.1;

// === impl WriteLimiter ===

impl WriteLimiter {
    /// A limiter with these two intervals.
    #[must_use]
    pub const fn new(min_interval: Duration, heartbeat_interval: Duration) -> Self {
        Self {
            min_interval,
            heartbeat_interval,
            last_try: None,
            last_success: None,
        }
    }

    /// Decides about a content that is or is not another one than was last written.
    #[must_use]
    pub fn offer(&self, changed: bool, now: Instant) -> Decision {
        let allowed = self
            .last_try
            .map_or(now, |at| now.max(at + self.min_interval));
        let interval = self.heartbeat_interval.mul_f64(1.0 - EARLY);
        let due = self.last_success.map(|at| at + interval);
        match due {
            Some(due) if !changed && now < due => Decision::Suppress(due),
            Some(_) | None => Decision::At(allowed),
        }
    }

    /// A write is sent.
    pub const fn tried(&mut self, now: Instant) {
        self.last_try = Some(now);
    }

    /// The write that was sent at `sent` was applied.
    pub const fn succeeded(&mut self, sent: Instant) {
        self.last_success = Some(sent);
    }

    /// The object is another one: nothing was written on it yet. The rate stays as it is.
    pub const fn forget(&mut self) {
        self.last_success = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_write_is_at_once_and_the_next_one_waits() {
        let start = Instant::now();
        let mut limiter = limiter();
        assert_eq!(limiter.offer(true, start), Decision::At(start));
        limiter.tried(start);
        limiter.succeeded(start);
        for (age, changed, expected) in [
            (0, true, Some(5)),
            (4, true, Some(5)),
            (5, true, Some(5)),
            (9, true, Some(9)),
            (0, false, None),
            (17, false, None),
            (18, false, Some(18)),
            (60, false, Some(60)),
        ] {
            let decision = limiter.offer(changed, start + secs(age));
            let due = Decision::Suppress(start + secs(18));
            let expected = expected.map_or(due, |at| Decision::At(start + secs(at)));
            assert_eq!(decision, expected, "{age} {changed}");
        }
    }

    #[test]
    fn a_failed_write_counts_against_the_rate_and_is_due_again() {
        let start = Instant::now();
        let mut limiter = limiter();
        limiter.tried(start);
        let decision = limiter.offer(false, start + secs(1));
        assert_eq!(decision, Decision::At(start + secs(5)));
    }

    /// However the offers come, the tries keep their distance.
    #[test]
    fn the_rate_holds_for_every_sequence_of_offers() {
        let start = Instant::now();
        for seed in 0..200 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let mut limiter = limiter();
            let mut now = start;
            let mut tries: Vec<Instant> = Vec::new();
            for _ in 0..100 {
                now += Duration::from_millis(chance.u64(0..3000));
                if limiter.offer(chance.bool(), now) == Decision::At(now) {
                    limiter.tried(now);
                    if chance.bool() {
                        limiter.succeeded(now);
                    }
                    tries.push(now);
                }
            }
            assert!(tries.windows(2).all(|pair| pair[1] - pair[0] >= secs(5)));
            assert!(tries.len() > 10);
        }
    }

    fn limiter() -> WriteLimiter {
        WriteLimiter::new(secs(5), secs(20))
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
}
