//! A task's one timer, which is kept.

use std::pin::Pin;
use std::time::Instant;

use tokio::time::Sleep;

/// A task's one timer, which is kept: what a connection waits for moves later with nearly every
/// frame, and a timer that is made, filed and dropped for each would cost more than the frame.
#[derive(Debug)]
pub(crate) struct Alarm(Pin<Box<Sleep>>);

// === impl Alarm ===

impl Alarm {
    pub(crate) fn new(now: Instant) -> Self {
        Self(Box::pin(tokio::time::sleep_until(now.into())))
    }

    /// Waits until `at`; for ever where that is nothing.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn until(&mut self, at: Option<Instant>) {
        let Some(at) = at.map(tokio::time::Instant::from_std) else {
            return std::future::pending().await;
        };
        // One that is set for earlier rings for nothing once, which is less than to move it now.
        if self.0.is_elapsed() || self.0.deadline() > at {
            self.0.as_mut().reset(at);
        }
        loop {
            self.0.as_mut().await;
            if self.0.deadline() >= at {
                return;
            }
            self.0.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn now() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    #[tokio::test(start_paused = true)]
    async fn it_rings_exactly_whatever_it_was_set_for_before() {
        let began = now();
        let secs = Duration::from_secs;
        let mut alarm = Alarm::new(began);
        for (given_up, at) in [(10, 4), (4, 10), (10, 10), (1, 1)].map(|(a, b)| (secs(a), secs(b)))
        {
            let start = now();
            // Somebody else came first.
            let half = timeout(at / 2, alarm.until(Some(start + given_up))).await;
            assert!(half.is_err() || given_up <= at / 2);
            alarm.until(Some(start + at)).await;
            assert_eq!(now() - start, at, "after {given_up:?}");
        }
        assert!(timeout(secs(3600), alarm.until(None)).await.is_err());
        alarm.until(Some(began)).await;
        assert_eq!(
            now() - began,
            secs(4 + 10 + 10 + 1 + 3600),
            "what is over rings at once"
        );
    }
}
