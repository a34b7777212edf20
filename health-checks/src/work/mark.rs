//! The word that a run shares with who watches it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

/// Whether a run is inside a poll, and since when.
///
/// The run and who watches it are on two threads, and this word is all that they share: every step is
/// one atomic operation on it, so what can happen is the orders of the steps.
#[derive(Debug)]
pub(super) struct Mark {
    epoch: Instant,
    /// [`OUTSIDE`], [`REVOKED`], or `POLLING` plus nanoseconds after `epoch`.
    state: AtomicU64,
}

const OUTSIDE: u64 = 0;
const REVOKED: u64 = 1;
const POLLING: u64 = 2;

// === impl Mark ===

impl Mark {
    pub(super) const fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            state: AtomicU64::new(OUTSIDE),
        }
    }

    /// A poll begins. False if the run was revoked.
    pub(super) fn enter(&self, now: Instant) -> bool {
        let nanos = now.saturating_duration_since(self.epoch).as_nanos();
        let inside = u64::try_from(nanos)
            .unwrap_or(u64::MAX)
            .saturating_add(POLLING);
        self.state
            .compare_exchange(OUTSIDE, inside, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The poll ended.
    pub(super) fn leave(&self) {
        self.state.store(OUTSIDE, Ordering::Release);
    }

    /// From now on the run is never polled again. False if it is inside a poll.
    pub(super) fn revoke(&self) -> bool {
        self.state
            .compare_exchange(OUTSIDE, REVOKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// How long the poll that it is inside of has taken.
    pub(super) fn polled_for(&self, now: Instant) -> Option<Duration> {
        let nanos = self.state.load(Ordering::Acquire).checked_sub(POLLING)?;
        Some(now.saturating_duration_since(self.epoch + Duration::from_nanos(nanos)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two polls of the run, and two attempts to revoke it, in all fifteen orders.
    #[test]
    fn in_no_order_is_a_run_both_revoked_and_polled() {
        let epoch = Instant::now();
        let at = |millis| epoch + Duration::from_millis(millis);
        let mut orders = 0;
        for first in 0..=4 {
            for second in first..=4 {
                let mark = Mark::new(epoch);
                let (mut revoked, mut inside) = (false, false);
                let watch = |revoked: &mut bool, inside| {
                    assert_eq!(mark.polled_for(at(9)).is_some(), inside, "{first} {second}");
                    let now = mark.revoke();
                    assert_eq!(now, !inside && !*revoked, "{first} {second}");
                    *revoked |= now;
                };
                for step in 0..=4_u64 {
                    for _ in [first, second].iter().filter(|place| **place == step) {
                        watch(&mut revoked, inside);
                    }
                    match step {
                        0 | 2 => {
                            inside = mark.enter(at(step));
                            assert_eq!(inside, !revoked, "{first} {second}");
                        }
                        _ if inside => {
                            assert_eq!(mark.polled_for(at(9)), Some(at(9) - at(step - 1)));
                            mark.leave();
                            inside = false;
                        }
                        _ => {}
                    }
                }
                orders += 1;
            }
        }
        assert_eq!(orders, 15);
    }
}
