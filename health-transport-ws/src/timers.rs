//! The deadlines of a session, of which the earliest one leaves it.

use std::time::Instant;

/// `N` deadlines, each set or not.
#[derive(Debug)]
pub(crate) struct TimerTable<const N: usize>([Option<Instant>; N]);

// === impl TimerTable ===

impl<const N: usize> TimerTable<N> {
    pub(crate) const fn new() -> Self {
        Self([None; N])
    }

    pub(crate) const fn set(&mut self, timer: usize, at: Instant) {
        self.0[timer] = Some(at);
    }

    pub(crate) const fn stop(&mut self, timer: usize) {
        self.0[timer] = None;
    }

    pub(crate) const fn stop_all(&mut self) {
        self.0 = [None; N];
    }

    pub(crate) const fn is_set(&self, timer: usize) -> bool {
        self.0[timer].is_some()
    }

    /// Whether the deadline has passed; it is set no more then.
    pub(crate) fn expired(&mut self, timer: usize, now: Instant) -> bool {
        let expired = self.0[timer].is_some_and(|at| at <= now);
        if expired {
            self.0[timer] = None;
        }
        expired
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }
}
