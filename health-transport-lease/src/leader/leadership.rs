//! Whether a hub leads, by what is known of the Lease.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::HolderIdentity;

use crate::tenure::Tenure;

/// Whether this hub leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// It does. Becomes Standby before its Lease can expire for anybody else, when another has
    /// taken it, and when it is released.
    Leader,
    /// It does not. Becomes Leader with the first renewal that is acknowledged.
    Standby {
        /// Who does, as far as that is known.
        holder: Option<HolderIdentity>,
    },
}

// === impl Leadership ===

impl Leadership {
    /// Whether this hub leads.
    #[must_use]
    pub const fn leads(&self) -> bool {
        match self {
            Self::Leader => true,
            Self::Standby { .. } => false,
        }
    }

    /// What the tenure comes to at `now`, when the machine has slept for `slept` since its boot.
    #[must_use]
    pub(super) fn of(tenure: &Tenure, margin: Duration, now: Instant, slept: Duration) -> Self {
        if tenure.is_held(now + margin, slept) {
            Self::Leader
        } else {
            Self::Standby {
                holder: tenure.other.clone(),
            }
        }
    }

    /// When a leadership ends, unless it is prolonged.
    pub(super) fn ends_at(tenure: &Tenure, margin: Duration) -> Option<Instant> {
        let until = tenure.held?.until;
        Some(until.checked_sub(margin).unwrap_or(until))
    }
}

impl Default for Leadership {
    fn default() -> Self {
        Self::Standby { holder: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenure::Held;

    #[test]
    fn a_leadership_ends_before_the_lease_does_awake_or_asleep() {
        let (now, secs) = (Instant::now(), Duration::from_secs);
        let until = now + secs(15);
        let tenure = |held| Tenure {
            held,
            other: Some("bob_1".into()),
            slept: secs(100),
        };
        let held = tenure(Some(Held { until }));
        for (awake, asleep, leads) in [
            (0, 0, true),
            (11, 0, true),
            (12, 0, false),
            (15, 0, false),
            (0, 11, true),
            (6, 6, false),
            (0, 3600, false),
        ] {
            let found = Leadership::of(&held, secs(3), now + secs(awake), secs(100 + asleep));
            assert_eq!(found.leads(), leads, "{awake} {asleep}");
        }
        assert_eq!(Leadership::ends_at(&held, secs(3)), Some(now + secs(12)));
        let holder = Some("bob_1".into());
        let found = Leadership::of(&tenure(None), secs(3), now, secs(100));
        assert_eq!(found, Leadership::Standby { holder });
        assert_eq!(Leadership::ends_at(&tenure(None), secs(3)), None);
    }
}
