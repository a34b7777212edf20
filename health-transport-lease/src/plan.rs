//! The one decision about a Lease: whose is it, and what follows for us.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::HolderIdentity;

/// What we last saw of the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It is not there.
    Absent,
    /// It is there.
    Lease(Sight),
}

/// A Lease as we saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Who holds it; nobody after a release.
    pub holder: Option<HolderIdentity>,
    /// Its own `leaseDurationSeconds`; nothing where that is null, or not above 0.
    pub duration: Option<Duration>,
    /// When its record was last seen to change, by our clock.
    pub changed_at: Instant,
}

/// Who we are to the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Our identity as its holder.
    pub holder: HolderIdentity,
    /// Whether this start of the agent has neither held the Lease nor stood by yet.
    ///
    /// A newcomer that finds its own slot there is that agent restarted.
    pub newcomer: bool,
    /// How long a holder that names no duration is believed.
    pub duration: Duration,
}

/// What to do about the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Nobody has it: create it.
    Create,
    /// It is ours: write it again.
    Renew,
    /// It was somebody's: write it as ours, one transition later.
    TakeOver,
    /// It is somebody else's.
    StandBy {
        /// Theirs.
        holder: HolderIdentity,
        /// When it can be taken over, if nothing changes until then.
        until: Instant,
    },
}

/// Where an instant cannot be counted any further, this far is as good as forever.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Decides what to do about the Lease.
///
/// Timestamps in the Lease decide nothing: a holder is judged by when we saw its record change,
/// and by its own duration, so neither side's wall clock matters.
#[must_use]
pub fn plan(seen: &Observed, me: &Claim, now: Instant) -> Plan {
    let sight = match seen {
        Observed::Absent => return Plan::Create,
        Observed::Lease(sight) => sight,
    };
    let Some(holder) = &sight.holder else {
        return Plan::TakeOver;
    };
    if *holder == me.holder {
        return Plan::Renew;
    }
    if me.newcomer && holder.slot() == me.holder.slot() {
        return Plan::TakeOver;
    }
    let until = expiry(sight, me, now);
    if now < until {
        Plan::StandBy {
            holder: holder.clone(),
            until,
        }
    } else {
        Plan::TakeOver
    }
}

fn expiry(sight: &Sight, me: &Claim, now: Instant) -> Instant {
    let duration = sight.duration.unwrap_or(me.duration);
    sight
        .changed_at
        .checked_add(duration)
        .unwrap_or(now + FOREVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DURATION: Duration = Duration::from_secs(30);

    /// Every cell of holder × newcomer × duration × age, against a table in words.
    #[test]
    fn every_holder_age_and_duration_has_its_plan() {
        let holders = [None, Some("a_1"), Some("a_2"), Some("b_1"), Some("kubelet")];
        let durations = [
            None,
            Some(1),
            Some(30),
            Some(i32::MAX.unsigned_abs().into()),
        ];
        let ages = [0, 1, 29, 30, 31, 3600];
        for holder in holders {
            for newcomer in [true, false] {
                for duration in durations {
                    for age in ages {
                        check(holder, newcomer, duration, age);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_gone_is_created() {
        for newcomer in [true, false] {
            let plan = plan(&Observed::Absent, &alice(newcomer), Instant::now());
            assert_eq!(plan, Plan::Create);
        }
    }

    #[test]
    fn a_duration_beyond_the_clock_never_expires_and_never_panics() {
        let now = Instant::now();
        let sight = sight(Some("b_1"), Some(Duration::MAX), now);
        assert!(matches!(
            plan(&sight, &alice(false), now),
            Plan::StandBy { until, .. } if until > now
        ));
    }

    /// The same decision, said in another way.
    #[track_caller]
    fn check(holder: Option<&str>, newcomer: bool, duration: Option<u64>, age: u64) {
        let start = Instant::now();
        let now = start + Duration::from_secs(age);
        let fresh = age < duration.unwrap_or(DURATION.as_secs());
        let expected = match (holder, newcomer, fresh) {
            (None, _, _) => "take over",
            (Some("a_1"), _, _) => "renew",
            (Some("a_2"), true, _) => "take over",
            (Some(_), _, true) => "stand by",
            (Some(_), _, false) => "take over",
        };
        let sight = sight(holder, duration.map(Duration::from_secs), start);
        let found = match plan(&sight, &alice(newcomer), now) {
            Plan::Create => "create",
            Plan::Renew => "renew",
            Plan::TakeOver => "take over",
            Plan::StandBy { holder: by, until } => {
                assert_eq!(Some(by.as_str()), holder);
                assert!(until > now);
                "stand by"
            }
        };
        assert_eq!(found, expected, "{holder:?} {newcomer} {duration:?} {age}");
    }

    fn alice(newcomer: bool) -> Claim {
        Claim {
            holder: "a_1".into(),
            newcomer,
            duration: DURATION,
        }
    }

    fn sight(holder: Option<&str>, duration: Option<Duration>, changed_at: Instant) -> Observed {
        Observed::Lease(Sight {
            holder: holder.map(HolderIdentity::from),
            duration,
            changed_at,
        })
    }
}
