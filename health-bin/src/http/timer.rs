//! A timer that costs nothing until it is over.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use hyper::rt::Sleep;
use hyper::rt::Timer;

/// The clock of a server's connections: it goes on by [`TICK`] when it is told to, and wakes nobody.
/// Whoever drives a connection polls it after each tick.
///
/// hyper makes and drops a timer for each request's head; entered into the runtime's timers they cost
/// more than the answer of a probe, and looks at the real clock cost a part of it.
#[derive(Debug, Clone)]
pub(super) struct CoarseTimer {
    began: Instant,
    ticks: Arc<AtomicU32>,
}

/// By so much a timer may be late. A second, so that ticks are seconds.
pub(super) const TICK: Duration = Duration::from_secs(1);

struct Deadline {
    /// After so many ticks.
    at: u32,
    ticks: Arc<AtomicU32>,
}

// === impl CoarseTimer ===

impl CoarseTimer {
    pub(super) fn new(began: Instant) -> Self {
        Self {
            began,
            ticks: Arc::default(),
        }
    }

    /// One more [`TICK`] has passed.
    pub(super) fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// How many ticks have passed: not more than it is.
    fn passed(&self) -> u32 {
        self.ticks.load(Ordering::Relaxed)
    }
}

impl Timer for CoarseTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let after = deadline.saturating_duration_since(self.began);
        // A tick more for a part of one: a division would cost more than the rest of the timer.
        let ticks = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Box::pin(Deadline {
            at: ticks.try_into().unwrap_or(u32::MAX),
            ticks: Arc::clone(&self.ticks),
        })
    }

    /// Not earlier than it is, so that nobody gets less time than was promised.
    fn now(&self) -> Instant {
        self.began + Duration::from_secs(u64::from(self.passed()) + 1)
    }
}

// === impl Deadline ===

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        match self.ticks.load(Ordering::Relaxed) >= self.at {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Sleep for Deadline {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_tick_is_a_tick() {
        let clock = CoarseTimer::new(Instant::now());
        let mut deadline = clock.sleep(TICK * 3 / 2);
        let mut is_over = || {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            deadline.as_mut().poll(&mut cx).is_ready()
        };
        for _ in 0..3 {
            assert!(!is_over());
            clock.tick();
        }
        assert!(is_over());
    }

    #[test]
    fn who_began_in_the_middle_of_a_tick_gets_the_whole_time() {
        let clock = CoarseTimer::new(Instant::now());
        clock.tick();
        let mut deadline = clock.sleep(TICK * 5);
        let mut is_over = || {
            let mut cx = Context::from_waker(std::task::Waker::noop());
            deadline.as_mut().poll(&mut cx).is_ready()
        };
        for _ in 0..5 {
            assert!(!is_over());
            clock.tick();
        }
        assert!(
            !is_over(),
            "between four and five have passed, by the real clock"
        );
        clock.tick();
        assert!(is_over());
    }
}
