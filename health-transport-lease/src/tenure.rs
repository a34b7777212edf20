//! Who holds the Lease.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::Acknowledgement;
use health_heartbeat::HolderIdentity;

/// Who holds the Lease, as far as we know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tenure {
    /// Our own tenure, if we hold it.
    pub held: Option<Held>,
    /// The other one that holds it, if we stand by.
    pub other: Option<HolderIdentity>,
    /// For how long the machine had slept, since its boot, when this was said.
    ///
    /// The clock behind [`Held::until`] stops in suspend, and everybody else's goes on.
    pub slept: Duration,
}

/// That we hold the Lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Nobody else can take it before: the last acknowledged write was sent one duration earlier.
    pub until: Instant,
}

/// How soon who stands by looks again whether the Lease is its own by now: a look costs no request.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

// === impl Tenure ===

impl Tenure {
    /// What a transport answers that only the holder uses, while another one is that.
    #[must_use]
    pub fn standing_by(&self) -> Option<Acknowledgement> {
        let other = self.other.clone()?;
        Some(Acknowledgement {
            again_within: Some(LOOK_AGAIN),
            ..Acknowledgement::standing_by(other)
        })
    }

    /// Whether the Lease is ours at `now`, when the machine has slept for `slept` since its boot, as
    /// [`slept`](crate::slept) says.
    #[must_use]
    pub fn is_held(&self, now: Instant, slept: Duration) -> bool {
        let missed = slept.saturating_sub(self.slept);
        self.held.is_some_and(|held| now + missed < held.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_asleep_counts_like_time_awake() {
        let now = Instant::now();
        let secs = Duration::from_secs;
        let tenure = Tenure {
            held: Some(Held {
                until: now + secs(30),
            }),
            other: None,
            slept: secs(1000),
        };
        for (awake, asleep, held) in [
            (0, 0, true),
            (29, 0, true),
            (30, 0, false),
            (10, 19, true),
            (10, 20, false),
        ] {
            let found = tenure.is_held(now + secs(awake), secs(1000 + asleep));
            assert_eq!(found, held, "{awake} {asleep}");
        }
        assert!(!Tenure::default().is_held(now, secs(0)));
    }
}
