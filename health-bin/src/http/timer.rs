//! A timer that costs nothing until it is over.

use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use hyper::rt::Sleep;
use hyper::rt::Timer;

/// Looks at the clock when it is polled, and wakes nobody: whoever drives the connection polls it
/// every [`TICK`].
///
/// hyper makes and drops one such timer for each request's head; entered into the runtime's timers
/// they cost more than the answer of a probe.
#[derive(Debug, Clone, Copy)]
pub(super) struct CoarseTimer;

/// By so much a timer may be late.
pub(super) const TICK: Duration = Duration::from_secs(1);

struct Deadline(Instant);

// === impl CoarseTimer ===

impl Timer for CoarseTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(Instant::now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Deadline(deadline))
    }
}

// === impl Deadline ===

impl Future for Deadline {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        match Instant::now() >= self.0 {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl Sleep for Deadline {}
