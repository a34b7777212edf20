//! How often something may be read live: a conviction waits for it, and a server must bear it.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

/// A bucket of tokens with a bounded queue before it.
///
/// Call [`offer`](Self::offer) for each item that is to be read, then [`poll`](Self::poll) until it
/// gives nothing, then wait for [`poll_timeout`](Self::poll_timeout). Items leave in the order in
/// which they came; one that waits already is not queued again. Time is monotonic.
#[derive(Debug, Clone)]
pub struct ReadLimiter<T> {
    /// How long one token takes.
    every: Duration,
    burst: u32,
    queue_max: usize,
    tokens: u32,
    /// Since when the next token is growing.
    since: Instant,
    queue: VecDeque<T>,
    queued: BTreeSet<T>,
}

/// Indicates that as many items wait as may; holds the item. Transient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many live reads wait already")]
pub struct Refused<T>(pub T);

// === impl ReadLimiter ===

impl<T: Ord + Clone> ReadLimiter<T> {
    /// One item in the time `every`, and up to `burst` (at least 1) at once after a quiet while;
    /// at most `queue_max` wait.
    #[must_use]
    pub fn new(every: Duration, burst: u32, queue_max: usize, now: Instant) -> Self {
        let burst = burst.max(1);
        Self {
            every,
            burst,
            queue_max,
            tokens: burst,
            since: now,
            queue: VecDeque::new(),
            queued: BTreeSet::new(),
        }
    }

    /// Queues the item, unless it waits already.
    ///
    /// # Errors
    ///
    /// If as many wait as may.
    pub fn offer(&mut self, item: T) -> Result<(), Refused<T>> {
        if self.queued.contains(&item) {
            return Ok(());
        }
        if self.queue.len() >= self.queue_max {
            return Err(Refused(item));
        }
        self.queued.insert(item.clone());
        self.queue.push_back(item);
        Ok(())
    }

    /// Takes the item back: it needs not be read any more.
    pub fn withdraw(&mut self, item: &T) {
        if self.queued.remove(item) {
            self.queue.retain(|queued| queued != item);
        }
    }

    /// The next item that may be read at `now`.
    #[must_use]
    pub fn poll(&mut self, now: Instant) -> Option<T> {
        self.grow(now);
        if self.tokens == 0 {
            return None;
        }
        let item = self.queue.pop_front()?;
        self.queued.remove(&item);
        if self.tokens == self.burst {
            // A full bucket does not grow: the next token begins with the first that is taken.
            self.since = now;
        }
        self.tokens -= 1;
        Some(item)
    }

    /// When the next item may be read; nothing while none waits.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let wait = if self.tokens == 0 {
            self.every
        } else {
            Duration::ZERO
        };
        (!self.queue.is_empty()).then(|| self.since + wait)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn grow(&mut self, now: Instant) {
        while self.tokens < self.burst && self.since + self.every <= now {
            self.since += self.every;
            self.tokens += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_one_by_one_in_order() {
        let start = Instant::now();
        let mut limiter = ReadLimiter::new(secs(1), 2, 10, start);
        for item in 0..5 {
            limiter.offer(item).unwrap();
            limiter.offer(item).unwrap();
        }
        assert_eq!(drain(&mut limiter, start), [0, 1]);
        for (item, second) in [(2, 1), (3, 2), (4, 3)] {
            assert_eq!(limiter.poll_timeout(), Some(start + secs(second)));
            assert_eq!(drain(&mut limiter, start + secs(second)), [item]);
        }
        assert_eq!(limiter.poll_timeout(), None);
        limiter.offer(7).unwrap();
        assert_eq!(drain(&mut limiter, start + secs(60)), [7]);
    }

    #[test]
    fn the_queue_is_bounded_and_what_left_it_may_come_again() {
        let start = Instant::now();
        let mut limiter = ReadLimiter::new(secs(1), 1, 2, start);
        limiter.offer("a").unwrap();
        limiter.offer("b").unwrap();
        assert_eq!(limiter.offer("c"), Err(Refused("c")));
        limiter.withdraw(&"a");
        limiter.offer("c").unwrap();
        assert_eq!(drain(&mut limiter, start), ["b"]);
        limiter.offer("b").unwrap();
        assert_eq!(limiter.len(), 2);
    }

    /// However the offers come, no window has more than a burst and its rate.
    #[test]
    fn the_rate_holds_for_every_sequence_of_offers() {
        let start = Instant::now();
        for seed in 0..200 {
            let mut chance = fastrand::Rng::with_seed(seed);
            let mut limiter = ReadLimiter::new(secs(1), 3, 50, start);
            let (mut now, mut item, mut taken) = (start, 0, Vec::new());
            for _ in 0..200 {
                now += Duration::from_millis(chance.u64(0..1500));
                for _ in 0..chance.u32(0..4) {
                    item += 1;
                    let _ = limiter.offer(item);
                }
                taken.extend(drain(&mut limiter, now).into_iter().map(|_| now));
            }
            assert!(taken.len() > 50);
            for window in taken.windows(5) {
                assert!(window[4] - window[0] > secs(1), "{seed}");
            }
        }
    }

    fn drain<T: Ord + Clone>(limiter: &mut ReadLimiter<T>, now: Instant) -> Vec<T> {
        std::iter::from_fn(|| limiter.poll(now)).collect()
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
}
