//! A sum over a sliding window of time.

use std::time::Duration;
use std::time::Instant;

/// How many parts a window is divided into: its sum is off by at most one part's share.
const BUCKETS: u32 = 60;

/// A sum over the last `span` of time, in constant memory.
#[derive(Debug, Clone)]
pub struct RateWindow {
    epoch: Instant,
    width: Duration,
    buckets: Box<[f64]>,
    /// The newest bucket's number, counted from `epoch`.
    newest: u64,
}

impl RateWindow {
    /// An empty window that begins at `now`.
    ///
    /// # Panics
    ///
    /// If `span` is shorter than 60 ns.
    #[must_use]
    pub fn new(span: Duration, now: Instant) -> Self {
        let width = span / BUCKETS;
        assert!(!width.is_zero(), "a window of {span:?} has no parts");
        Self {
            epoch: now,
            width,
            buckets: vec![0.0; BUCKETS as usize].into(),
            newest: 0,
        }
    }

    /// Adds `amount` at `now`. What comes out of order counts for the newest part.
    pub fn add(&mut self, amount: f64, now: Instant) {
        self.advance(now);
        self.buckets[self.place(self.newest)] += amount;
    }

    /// The sum over the window that ends at `now`.
    pub fn sum(&mut self, now: Instant) -> f64 {
        self.advance(now);
        self.buckets.iter().sum()
    }

    /// The sum divided by the window's length in seconds; before a whole window has passed, by the
    /// time since the window began (at least one second), so that a start is not shown as a dip.
    pub fn per_second(&mut self, now: Instant) -> f64 {
        let seconds = self.observed(now).max(Duration::from_secs(1)).as_secs_f64();
        self.sum(now) / seconds
    }

    /// How much of the window has been observed at `now`.
    #[must_use]
    pub fn observed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
            .min(self.width * BUCKETS)
    }

    fn advance(&mut self, now: Instant) {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos() / self.width.as_nanos();
        let number = u64::try_from(nanos).unwrap_or(u64::MAX);
        let passed = number.saturating_sub(self.newest).min(u64::from(BUCKETS));
        for step in 0..passed {
            let place = self.place(number - step);
            self.buckets[place] = 0.0;
        }
        self.newest = self.newest.max(number);
    }

    fn place(&self, number: u64) -> usize {
        (number % u64::from(BUCKETS)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoch::epoch;

    #[test]
    fn what_left_the_window_is_not_summed() {
        let start = epoch();
        let at = |secs| start + Duration::from_secs(secs);
        let mut window = RateWindow::new(Duration::from_secs(60), start);
        window.add(30.0, at(0));
        window.add(30.0, at(59));
        assert_eq!(window.sum(at(59)), 60.0);
        assert_eq!(window.sum(at(60)), 30.0);
        assert_eq!(window.sum(at(119)), 0.0);
        window.add(6.0, at(10_000));
        assert_eq!(window.per_second(at(10_000)), 0.1);
    }

    #[test]
    fn a_young_window_divides_by_its_age() {
        let start = epoch();
        let mut window = RateWindow::new(Duration::from_secs(60), start);
        window.add(10.0, start);
        assert_eq!(window.per_second(start), 10.0);
        assert_eq!(window.per_second(start + Duration::from_secs(5)), 2.0);
    }
}
