//! What the hub hears, and what it may and must think of it.

use std::time::Duration;

use health_heartbeat::FleetVerdict;

use super::Facts;
use super::HubState;
use super::TICK;
use crate::invariants::Invariant;
use crate::world::Time;

// === impl Facts ===

impl Facts {
    pub(crate) fn hub_started(&mut self, now: Time, allowance: Duration) {
        self.hub = HubState::Running;
        for target in &mut self.targets {
            target.declared = allowance;
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
            let heard = target.low.saturating_sub(target.declared);
            let deaf = now.saturating_sub(since.max(heard));
            target.low += deaf.saturating_sub(TICK);
            // Of so short a pause nobody may have told the fleet.
            if now - since < 2 * TICK {
                target.low = target.low.min(now);
            }
            // A sleep moves a deadline twice: the monotonic clock stood still, and the fleet is
            // told.
            let moved = target.high + (now - since) + TICK;
            let told = (moved + (now - since)).min(now + target.declared);
            target.high = moved.max(told);
        }
    }

    /// A sign of an agent reaches the hub.
    pub(crate) fn heard(&mut self, target: usize, declared: Option<Duration>, now: Time) {
        let target = &mut self.targets[target];
        if let Some(declared) = declared {
            target.declared = declared.clamp(Duration::from_secs(3), Duration::from_secs(600));
        }
        (target.low, target.high) = (now + target.declared, now + target.declared);
    }

    /// A sign of an agent reaches the hub's machine, while the hub stands still.
    pub(crate) fn arrived_at_kernel(&mut self, target: usize, now: Time) {
        let target = &mut self.targets[target];
        target.low = now + target.declared;
    }

    pub(crate) fn verdict(&mut self, target: usize, verdict: FleetVerdict, now: Time) {
        let agents = self.agents.iter().filter(|agent| agent.target == target);
        let crashed = agents.map(|agent| agent.crashed).min().flatten();
        let facts = &mut self.targets[target];
        facts.verdict = verdict;
        if verdict != FleetVerdict::Lost {
            return;
        }
        let (low, high, declared) = (facts.low, facts.high, facts.declared);
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
    }

    pub(crate) fn check_silence(&mut self, now: Time) {
        if self.hub != HubState::Running {
            return;
        }
        for number in 0..self.targets.len() {
            let target = &self.targets[number];
            let verdict = target.verdict;
            let late = now.saturating_sub(target.high);
            let counts = match verdict {
                FleetVerdict::Pending | FleetVerdict::Alive | FleetVerdict::Suspect => true,
                FleetVerdict::Lost | FleetVerdict::Left => false,
            };
            if counts && late > Duration::from_millis(1) {
                self.violate(Invariant::SilentIsLost, || {
                    format!("edge-{number} is {verdict} {late:?} after its deadline")
                });
            }
        }
    }
}
