//! What must be true after every step, whatever goes wrong.

use std::fmt;
use std::time::Duration;

use health_heartbeat::FleetVerdict;

use crate::agent::Lane;
use crate::world::World;

/// What must be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// Two slots never believe at the same time that they hold one Lease.
    OneHolder,
    /// What is acknowledged as written was written.
    AcknowledgedIsWritten,
    /// Who is silent for its allowance is Lost, not later than the hub can know.
    SilentIsLost,
    /// Who was heard within its allowance is not Lost.
    HeardIsNotLost,
    /// Who renewed its Lease, though the watch did not tell, is not Lost.
    WrittenIsNotLost,
    /// When the hub hears nobody any more, nobody is Lost before two allowances.
    MassIsHeld,
    /// A hub that doubts itself does so for a while only.
    DoubtEnds,
    /// After healing each transport works within its bound, and goes on to.
    Recovers,
    /// After healing some agent holds each Lease, and each target with an agent is Alive.
    IsHeldAndAlive,
    /// Who asks to be left alone is, up to half a timeout, or by a tunnel for 5 minutes.
    LeftAlone,
    /// Writes, tries and dials keep their rates.
    Rate,
    /// Nothing that waits grows beyond its bound.
    QueuesBounded,
    /// An acknowledged release leaves the Lease to others, for good.
    ReleaseFrees,
    /// The sequence of an incarnation never goes back.
    SequenceGrows,
}

/// That something was not true.
#[derive(Debug, Clone)]
pub(crate) struct Violation {
    pub(crate) invariant: Invariant,
    pub(crate) detail: String,
}

// === impl World ===

impl World {
    /// Checks everything; the first thing that is not true ends the run.
    pub(crate) fn check(&mut self) -> Result<(), Violation> {
        self.check_holders();
        let now = self.core.now;
        self.core.facts.check_silence(now);
        if now > self.scenario.heal {
            self.check_recovery();
            self.check_targets();
        }
        self.core.facts.violation.take().map_or(Ok(()), Err)
    }

    /// What only the end tells.
    pub(crate) fn check_end(&mut self) -> Result<(), Violation> {
        self.check()?;
        let facts = &self.core.facts;
        let tally = &mut self.core.tally;
        tally.seeds = 1;
        tally.simulated = self.core.now;
        tally.overdue = facts.overdue;
        tally.lost = facts.lost;
        for (seen, bound) in &facts.detection {
            tally.detection.see(*seen, *bound);
        }
        if facts.doubts {
            return Err(Violation {
                invariant: Invariant::DoubtEnds,
                detail: "the hub doubts itself at the end".to_owned(),
            });
        }
        for target in 0..self.scenario.targets {
            let verdict = facts.verdict_of(target);
            let counts = [FleetVerdict::Lost, FleetVerdict::Left, FleetVerdict::Alive];
            if !counts.contains(&verdict) {
                let detail = format!("edge-{target} is {verdict} at the end");
                return Err(Violation {
                    invariant: Invariant::IsHeldAndAlive,
                    detail,
                });
            }
        }
        Ok(())
    }

    fn check_holders(&mut self) {
        for (number, one) in self.agents.iter().enumerate() {
            for other in &self.agents[number + 1..] {
                let excused = self.core.facts.excused(one.spec.target);
                let same = one.spec.target == other.spec.target && self.core.now > excused;
                if same && one.believes(&self.core) && other.believes(&self.core) {
                    let slots = (one.spec.slot.clone(), other.spec.slot.clone());
                    return self
                        .core
                        .facts
                        .violate(Invariant::OneHolder, || format!("{slots:?} both hold"));
                }
            }
        }
    }

    fn check_recovery(&mut self) {
        let (now, heal) = (self.core.now, self.scenario.heal);
        for agent in &self.agents {
            let Some(process) = &agent.process else {
                continue;
            };
            for one in process.loops.iter().filter(|one| !one.is_well()) {
                let lane = one.lane();
                // A status waits for the Lease, and a beat on the tunnel for its dial.
                let lanes = [Lane::Tunnel, Lane::Lease, Lane::Status];
                let alone = lanes
                    .iter()
                    .filter_map(|lane| self.core.facts.alone_here(agent.number, *lane));
                let alone = alone
                    .map(|at| agent.clock.when(at))
                    .max()
                    .unwrap_or_default();
                let interval = one.machine.config().interval().max(self.scenario.interval);
                let from = heal.max(alone).max(self.settles[agent.number]);
                let bound = self.scenario.recovery(lane, interval);
                if now > from + bound {
                    let (agent, state) = (agent.number, one.state());
                    let after = now - from;
                    self.core.facts.violate(Invariant::Recovers, || {
                        format!(
                            "{lane:?} of agent-{agent} is {state} {after:?} after all was well, \
                             {bound:?} are allowed"
                        )
                    });
                } else {
                    self.core
                        .tally
                        .recovery
                        .see(now.saturating_sub(from), bound);
                }
            }
        }
    }

    fn check_targets(&mut self) {
        let healed = self
            .settles
            .iter()
            .max()
            .map_or(self.scenario.heal, |at| self.scenario.heal.max(*at));
        let since = self.core.now.saturating_sub(healed);
        let bound = self.scenario.takeover() + self.scenario.timeout / 2 + Duration::from_secs(20);
        for target in 0..self.scenario.targets {
            let mut living = self
                .agents
                .iter()
                .filter(|it| it.spec.target == target && it.process.is_some())
                .peekable();
            if living.peek().is_none() {
                continue;
            }
            let mut with_lease = living.clone().filter(|it| it.spec.lease).peekable();
            let is_held =
                with_lease.peek().is_none() || with_lease.any(|it| it.believes(&self.core));
            if !is_held {
                self.core.tally.takeover.see(since, bound);
            }
            let verdict = self.core.facts.verdict_of(target);
            if since > bound && (!is_held || verdict != FleetVerdict::Alive) {
                self.core.facts.violate(Invariant::IsHeldAndAlive, || {
                    format!(
                        "edge-{target} is {verdict}, held: {is_held}, {since:?} after all was well"
                    )
                });
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}
