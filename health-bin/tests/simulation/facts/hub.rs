//! What the hub hears, and what it may and must think of it.

use std::time::Duration;

use health_heartbeat::Change;
use health_heartbeat::FleetVerdict;

use super::Deafness;
use super::Facts;
use super::HubState;
use super::SlotFacts;
use super::TICK;
use super::TargetFacts;
use crate::invariants::Invariant;
use crate::world::Time;

/// For a live look and its answer.
const LOOK_MAX: Duration = Duration::from_millis(100);

/// An allowance that nobody declared yet: see the fleet's terms.
const FIRST: Duration = Duration::from_secs(90);

// === impl Facts ===

impl Facts {
    pub(crate) fn hub_started(&mut self, now: Time, allowance: Duration) {
        self.hub = HubState::Running;
        self.doubts = false;
        for target in &mut self.targets {
            target.declared = [allowance; 2];
            target.slots.clear();
            (target.first, target.over_tunnel) = (true, false);
            (target.looked, target.in_vain, target.held) = (false, false, false);
            target.verdict = FleetVerdict::Pending;
            (target.low, target.high) = (now + allowance, now + allowance);
        }
    }

    pub(crate) fn hub_crashed(&mut self) {
        self.hub = HubState::Down;
    }

    pub(crate) fn hub_halted(&mut self, now: Time) {
        self.hub = HubState::Halted { since: now };
    }

    pub(crate) fn hub_went_on(&mut self, now: Time) {
        let HubState::Halted { since } = self.hub else {
            return;
        };
        self.hub = HubState::Running;
        for target in &mut self.targets {
            let [shortest, longest] = target.declared;
            let heard = target.low.saturating_sub(shortest);
            let deaf = now.saturating_sub(since.max(heard));
            target.low += deaf.saturating_sub(TICK);
            // Of so short a pause nobody may have told the fleet.
            if now - since < 2 * TICK {
                target.low = target.low.min(now);
            }
            // A sleep moves a deadline twice: the monotonic clock stood still, and the fleet is
            // told.
            let moved = target.high + (now - since) + TICK;
            let told = (moved + (now - since)).min(now + longest);
            target.high = moved.max(told);
        }
    }

    /// The hub's machine is cut off from everybody.
    pub(crate) fn deaf(&mut self, now: Time) {
        let alive = self.targets.iter();
        let alive = alive.filter(|it| it.verdict == FleetVerdict::Alive).count();
        self.deaf = self.deaf.or(Some(Deafness { since: now, alive }));
    }

    pub(crate) fn hears(&mut self) {
        self.deaf = None;
    }

    /// A sign of an agent reaches the hub over a tunnel: a heartbeat, with what it declares, or
    /// something else.
    pub(crate) fn heard(&mut self, target: usize, beat: Option<(&str, Duration)>, now: Time) {
        let target = &mut self.targets[target];
        target.over_tunnel = true;
        if let Some((slot, declared)) = beat {
            target.declare(slot, declared, true, now);
        }
        target.count_from(now);
    }

    /// The hub sees a Lease that somebody holds.
    pub(crate) fn lease_seen(
        &mut self,
        target: usize,
        (slot, change): (&str, Change),
        declared: Duration,
        now: Time,
    ) {
        let target = &mut self.targets[target];
        let counts = match change {
            Change::First => target.verdict == FleetVerdict::Pending,
            Change::Renewed => true,
            Change::Released => false,
        };
        if counts {
            target.declare(slot, declared, false, now);
            target.count_from(now);
        }
        target.unseen = None;
    }

    /// The hub sees that a Lease is nobody's: its agent has one interval to find a successor, which
    /// is no longer than its allowance.
    pub(crate) fn lease_released(&mut self, target: usize, now: Time) {
        let target = &mut self.targets[target];
        target.high = target.high.max(now + target.declared[1]);
    }

    /// A live look was answered or not.
    pub(crate) fn looked(&mut self, target: usize, answered: bool, now: Time) {
        let target = &mut self.targets[target];
        target.looked = answered;
        // The next one comes after a sixth of the allowance, and is waited for as long.
        if !answered && !target.over_tunnel {
            let again = now + target.declared[1] / 3 + LOOK_MAX;
            target.high = target.high.max(again);
            target.in_vain = true;
        }
        // Where nobody could look nobody could beat: both begin anew.
        if answered && target.in_vain && !target.over_tunnel {
            target.low = target.low.max(now + target.declared[0]);
            target.high = target.high.max(now + target.declared[1]);
            target.in_vain = false;
        }
    }

    /// Whether the hub holds a verdict back.
    pub(crate) fn held(&mut self, target: usize, held: bool) {
        self.targets[target].held = held;
    }

    /// A sign of an agent reaches the hub's machine, while the hub stands still.
    pub(crate) fn arrived_at_kernel(&mut self, target: usize, now: Time) {
        let target = &mut self.targets[target];
        target.low = now + target.declared[0];
    }

    pub(crate) fn verdict(&mut self, target: usize, verdict: FleetVerdict, now: Time) {
        let agents = self.agents.iter().filter(|agent| agent.target == target);
        let crashed = agents.map(|agent| agent.crashed).min().flatten();
        let facts = &mut self.targets[target];
        facts.verdict = verdict;
        facts.first |= verdict == FleetVerdict::Left;
        if verdict != FleetVerdict::Lost {
            return;
        }
        let (low, high, declared) = (facts.low, facts.high(), facts.declared[1]);
        self.lost += 1;
        self.overdue = self.overdue.max(now.saturating_sub(high));
        if let Some(crashed) = crashed.filter(|crashed| *crashed + declared >= high) {
            self.detection.push((now - crashed, declared));
        }
        if now < low {
            self.violate(Invariant::HeardIsNotLost, || {
                format!("edge-{target} is Lost {:?} before its deadline", low - now)
            });
        }
        self.check_unseen(target, now);
        self.check_mass(target, now);
    }

    /// A live look comes so long before the verdict.
    fn check_unseen(&mut self, target: usize, now: Time) {
        let facts = &self.targets[target];
        let lead = (facts.declared[1] / 6).min(Duration::from_secs(5)) + LOOK_MAX;
        let must_know = facts.looked || !facts.over_tunnel;
        if let Some(unseen) = facts.unseen.filter(|at| must_know && *at + lead < now) {
            self.violate(Invariant::WrittenIsNotLost, || {
                let ago = now - unseen;
                format!("edge-{target} is Lost, and renewed its Lease {ago:?} before")
            });
        }
    }

    fn check_mass(&mut self, target: usize, now: Time) {
        let facts = &self.targets[target];
        let Some(deaf) = self.deaf.filter(|_| self.mass_is_sure) else {
            return;
        };
        let heard = facts.low.saturating_sub(facts.declared[0]);
        let beats = heard + self.interval.mul_f64(1.1) >= deaf.since;
        if deaf.alive >= 3 && beats && now < heard + facts.declared[0] * 2 {
            self.violate(Invariant::MassIsHeld, || {
                let after = now - deaf.since;
                format!("edge-{target} is Lost {after:?} after the hub was cut off")
            });
        }
    }

    pub(crate) fn check_silence(&mut self, now: Time) {
        if self.hub != HubState::Running {
            return;
        }
        for number in 0..self.targets.len() {
            let target = &self.targets[number];
            let verdict = target.verdict;
            let counts = match verdict {
                FleetVerdict::Pending | FleetVerdict::Suspect => target.high(),
                // A verdict that is held back is none that stands.
                FleetVerdict::Alive => target.high,
                FleetVerdict::Lost | FleetVerdict::Left => Time::MAX,
            };
            let late = now.saturating_sub(counts);
            if late > LOOK_MAX {
                self.violate(Invariant::SilentIsLost, || {
                    format!("edge-{number} is {verdict} {late:?} after its deadline")
                });
            }
        }
    }
}

// === impl TargetFacts ===

impl TargetFacts {
    /// When a verdict Lost must have been given.
    fn high(&self) -> Time {
        let held = if self.held {
            self.declared[1]
        } else {
            Duration::ZERO
        };
        self.high + held
    }

    fn declare(&mut self, slot: &str, declared: Duration, exactly: bool, now: Time) {
        let declared = declared.clamp(Duration::from_secs(3), Duration::from_secs(600));
        let known = self.slots.get(slot).filter(|_| !exactly);
        let [shortest, longest] = known.map_or([declared; 2], |known| known.declared);
        // A Lease rounds the timeout up, and what a tunnel said of it counts on.
        let declared = [shortest.min(declared), longest.max(declared)];
        let heard = now;
        self.slots
            .insert(slot.to_owned(), SlotFacts { declared, heard });
        self.first = false;
    }

    /// The allowance begins anew; of two slots either may count, as long as it is present.
    fn count_from(&mut self, now: Time) {
        let present = self.slots.values();
        let present = present.filter(|it| it.heard + it.declared[1] >= now);
        let range = present.fold(None, |range: Option<[Duration; 2]>, it| {
            let [shortest, longest] = range.unwrap_or(it.declared);
            Some([shortest.min(it.declared[0]), longest.max(it.declared[1])])
        });
        self.declared = range.unwrap_or(self.declared);
        if self.first {
            self.declared[1] = self.declared[1].max(FIRST);
        }
        (self.low, self.high) = (now + self.declared[0], now + self.declared[1]);
        self.in_vain = false;
    }
}
