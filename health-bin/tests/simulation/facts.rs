//! What really happened, as nobody inside the world knows it, and what is wrong by that alone.

mod hub;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::FleetVerdict;
use health_heartbeat::HolderIdentity;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;
use health_transport_lease::Verb;

use crate::agent::Lane;
use crate::invariants::Invariant;
use crate::invariants::Violation;
use crate::scenario::MIN_INTERVAL;
use crate::scenario::Scenario;
use crate::watch::WatchEvent;
use crate::world::RequestId;
use crate::world::Time;

/// What really happened, as nobody inside the world knows it.
#[derive(Debug)]
pub(crate) struct Facts {
    agents: Vec<AgentFacts>,
    targets: Vec<TargetFacts>,
    hub: HubState,
    deaf: Option<Deafness>,
    /// Whether the hub doubts itself.
    pub(crate) doubts: bool,
    /// Whether a cut-off hub must doubt itself before it convicts: all agents have tunnels, and all
    /// of them are Suspect before the first one's allowance is over.
    mass_is_sure: bool,
    interval: Duration,
    lease_duration: Duration,
    /// From when on nothing is retried.
    settled: Time,
    pub(crate) violation: Option<Violation>,
    /// How much later than its deadline a verdict Lost was given.
    pub(crate) overdue: Duration,
    pub(crate) lost: u64,
    /// From a crash to its verdict, and the allowance.
    pub(crate) detection: Vec<(Duration, Duration)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HubState {
    Down,
    Running,
    Halted { since: Time },
}

#[derive(Debug)]
struct AgentFacts {
    target: usize,
    holder: Option<HolderIdentity>,
    crashed: Option<Time>,
    lanes: [LaneFacts; 3],
    dials: VecDeque<Time>,
    dial_alone: Option<Time>,
}

#[derive(Debug, Default)]
struct LaneFacts {
    sequence: u64,
    attempts: u32,
    calls: u32,
    writes: u32,
    leaving: bool,
    /// Whether an answer to a create is awaited, or never came.
    creates: bool,
    last_put: Option<Time>,
    /// When the time is over that somebody asked to be left alone for, by his clock.
    alone: Option<Time>,
    /// The same by the agent's clock, which may have stood still since.
    alone_here: Option<Instant>,
}

#[derive(Debug)]
struct TargetFacts {
    /// No verdict Lost before that.
    low: Time,
    /// A verdict Lost until then.
    high: Time,
    /// The shortest and the longest allowance that counts now.
    declared: [Duration; 2],
    /// What each slot declared, and when it was heard last.
    slots: BTreeMap<String, SlotFacts>,
    /// No instance was heard in this start of the hub, or the last one left.
    first: bool,
    /// It was heard over a tunnel in this start of the hub.
    over_tunnel: bool,
    /// The hub's last live look was answered.
    looked: bool,
    /// A live look was not answered since the agent was heard, which it is by its Lease only.
    in_vain: bool,
    /// The hub says that it holds the verdict back.
    held: bool,
    /// A renewal of the Lease that the hub does not know of.
    unseen: Option<Time>,
    verdict: FleetVerdict,
    /// The newest sequence that each holder wrote.
    written: BTreeMap<HolderIdentity, u64>,
    released: BTreeSet<HolderIdentity>,
    holder: Option<HolderIdentity>,
    renewed: String,
    /// Somebody deleted the Lease: until then its holder may not know that it is another's.
    excused: Time,
}

#[derive(Debug, Clone, Copy)]
struct SlotFacts {
    declared: [Duration; 2],
    heard: Time,
}

/// The hub's machine is cut off.
#[derive(Debug, Clone, Copy)]
struct Deafness {
    since: Time,
    /// How many targets were Alive then.
    alive: usize,
}

/// One attempt makes at most that many calls: see the two API machines.
const CALLS_MAX: [u32; 3] = [0, 6, 9];

/// One beat makes at most that many attempts: see the heartbeat's machine.
const ATTEMPTS_MAX: u32 = 5;

/// So many dials in one interval are chance: with a backoff of full jitter from an eighth of it,
/// six are usual and twenty have not been seen.
const DIALS_MAX: usize = 24;

/// A pause is measured at most that much too short.
const TICK: Duration = Duration::from_secs(1);

// === impl Facts ===

impl Facts {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        let agents = scenario.agents.iter().map(|agent| AgentFacts {
            target: agent.target,
            holder: None,
            crashed: None,
            lanes: Default::default(),
            dials: VecDeque::new(),
            dial_alone: None,
        });
        let target = |_| TargetFacts {
            low: Time::ZERO,
            high: Time::ZERO,
            declared: [Duration::ZERO; 2],
            slots: BTreeMap::new(),
            first: true,
            over_tunnel: false,
            looked: false,
            in_vain: false,
            held: false,
            unseen: None,
            verdict: FleetVerdict::Pending,
            written: BTreeMap::new(),
            released: BTreeSet::new(),
            holder: None,
            renewed: String::new(),
            excused: Time::ZERO,
        };
        let settled = scenario
            .takeover()
            .max(scenario.timeout + scenario.recovery(Lane::Lease, scenario.interval * 2));
        Self {
            agents: agents.collect(),
            targets: (0..scenario.targets).map(target).collect(),
            hub: HubState::Down,
            deaf: None,
            doubts: false,
            mass_is_sure: scenario.mass_is_sure(),
            interval: scenario.interval,
            lease_duration: scenario.lease_duration(),
            settled: scenario.heal + settled,
            violation: None,
            overdue: Duration::ZERO,
            lost: 0,
            detection: Vec::new(),
        }
    }

    pub(crate) fn verdict_of(&self, target: usize) -> FleetVerdict {
        self.targets[target].verdict
    }

    /// Until when two may believe in one Lease, since somebody deleted it.
    pub(crate) fn excused(&self, target: usize) -> Time {
        self.targets[target].excused
    }

    pub(crate) fn target_of(&self, agent: usize) -> usize {
        self.agents[agent].target
    }

    pub(crate) fn violate(&mut self, invariant: Invariant, detail: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                invariant,
                detail: detail(),
            });
        }
    }

    pub(crate) fn queue(&mut self, what: &str, length: usize, max: usize) {
        if length > max {
            self.violate(Invariant::QueuesBounded, || {
                format!("{length} {what}, at most {max} are allowed")
            });
        }
    }

    pub(crate) fn started(&mut self, agent: usize, identity: &Identity) {
        let facts = &mut self.agents[agent];
        facts.holder = Some(identity.holder());
        facts.crashed = None;
        facts.dial_alone = None;
        facts.lanes = Default::default();
    }

    pub(crate) fn crashed(&mut self, agent: usize, now: Time) {
        self.agents[agent].crashed = Some(now);
    }

    pub(crate) fn attempted(&mut self, agent: usize, lane: Lane, sequence: Sequence, now: Time) {
        let facts = &mut self.agents[agent].lanes[lane as usize];
        let (last, alone) = (facts.sequence, facts.alone);
        facts.attempts = if sequence.0 == last {
            facts.attempts + 1
        } else {
            1
        };
        (facts.sequence, facts.calls, facts.writes) = (sequence.0, 0, 0);
        let attempts = facts.attempts;
        if sequence.0 < last {
            self.violate(Invariant::SequenceGrows, || {
                format!("{sequence} after {last} on {lane:?} of agent-{agent}")
            });
        }
        if attempts > ATTEMPTS_MAX {
            self.violate(Invariant::Rate, || {
                format!("attempt {attempts} at beat {sequence} on {lane:?} of agent-{agent}")
            });
        }
        if let Some(early) = alone
            .and_then(|at| at.checked_sub(now))
            .filter(|it| !it.is_zero())
        {
            self.violate(Invariant::LeftAlone, || {
                format!(
                    "{lane:?} of agent-{agent} beats {early:?} before the end of its Retry-After"
                )
            });
        }
    }

    pub(crate) fn called(&mut self, id: RequestId, verb: &Verb, now: Time) {
        let settled = now > self.settled;
        let facts = &mut self.agents[id.agent].lanes[id.lane as usize];
        facts.calls += 1;
        let first = facts.writes == 0;
        facts.writes += u32::from(verb.is_write());
        facts.creates |= matches!(verb, Verb::CreateLease(_));
        let (calls, writes) = (facts.calls, facts.writes);
        let max = CALLS_MAX[id.lane as usize];
        let mut wrong = (calls > max).then(|| format!("call {calls} of one attempt"));
        if settled && writes > 1 && !facts.leaving {
            wrong = Some(format!("write {writes} of one beat, and nothing is wrong"));
        }
        if first && !facts.leaving && matches!(verb, Verb::PutStatus(_)) {
            if let Some(last) = facts.last_put.filter(|last| now < *last + MIN_INTERVAL) {
                wrong = Some(format!("a write {:?} after the last one", now - last));
            }
            facts.last_put = Some(now);
        }
        if let Some(wrong) = wrong {
            self.violate(Invariant::Rate, || {
                format!("{wrong} by {:?} of agent-{}", id.lane, id.agent)
            });
        }
    }

    /// A transport was asked to leave the other side alone for so long.
    pub(crate) fn leave_alone(
        &mut self,
        agent: usize,
        lane: Lane,
        wait: Duration,
        here: Instant,
        now: Time,
    ) {
        let facts = &mut self.agents[agent].lanes[lane as usize];
        (facts.alone, facts.alone_here) = (Some(now + wait), Some(here + wait));
    }

    pub(crate) fn dialed(&mut self, agent: usize, now: Time) {
        let interval = self.interval;
        let facts = &mut self.agents[agent];
        facts.dials.push_back(now);
        while facts.dials.front().is_some_and(|at| *at + interval < now) {
            facts.dials.pop_front();
        }
        let dials = facts.dials.len();
        let alone = facts.dial_alone.take();
        if dials > DIALS_MAX {
            self.violate(Invariant::Rate, || {
                format!("{dials} dials of agent-{agent} in one interval")
            });
        }
        if alone.is_some_and(|at| now < at) {
            self.violate(Invariant::LeftAlone, || {
                format!("agent-{agent} dials before the end of its Retry-After")
            });
        }
    }

    /// A tunnel was asked to stay away for so long.
    pub(crate) fn stay_away(
        &mut self,
        agent: usize,
        wait: Option<Duration>,
        here: Instant,
        now: Time,
    ) {
        let wait = wait.map(|it| it.min(Duration::from_secs(300)));
        let facts = &mut self.agents[agent];
        facts.dial_alone = wait.map(|it| now + it);
        if let Some(wait) = wait {
            facts.lanes[Lane::Tunnel as usize].alone_here = Some(here + wait);
        }
    }

    /// Until when a transport is to leave the other side alone, by its own clock.
    pub(crate) fn alone_here(&self, agent: usize, lane: Lane) -> Option<Instant> {
        self.agents[agent].lanes[lane as usize].alone_here
    }

    pub(crate) fn leaving(&mut self, agent: usize, lane: Lane) {
        let facts = &mut self.agents[agent].lanes[lane as usize];
        (facts.leaving, facts.calls, facts.writes) = (true, 0, 0);
    }

    /// A goodbye ended. One that overtakes the Lease's own creation finds nothing to release.
    pub(crate) fn released(&mut self, agent: usize, lane: Lane, acknowledged: bool) {
        let facts = &self.agents[agent];
        let counts = acknowledged && lane == Lane::Lease && !facts.lanes[lane as usize].creates;
        let Some(holder) = facts.holder.clone().filter(|_| counts) else {
            return;
        };
        let target = &mut self.targets[facts.target];
        target.released.insert(holder.clone());
        if target.holder.as_ref() == Some(&holder) {
            self.violate(Invariant::ReleaseFrees, || {
                format!("{holder} released its Lease, and holds it")
            });
        }
    }

    pub(crate) fn acknowledged(&mut self, agent: usize) {
        self.agents[agent].lanes[Lane::Lease as usize].creates = false;
        let facts = &self.agents[agent];
        let sequence = facts.lanes[Lane::Lease as usize].sequence;
        let written = facts
            .holder
            .as_ref()
            .and_then(|it| self.targets[facts.target].written.get(it));
        if written.is_none_or(|written| *written < sequence) {
            let written = written.copied();
            self.violate(Invariant::AcknowledgedIsWritten, || {
                format!("beat {sequence} of agent-{agent}, written was {written:?}")
            });
        }
    }

    /// Somebody takes the Lease from its holder, who believes in it for one more duration.
    pub(crate) fn lease_deleted(&mut self, target: usize, now: Time) {
        self.targets[target].excused = now + self.lease_duration;
    }

    /// The Lease is another one now.
    pub(crate) fn lease_written(&mut self, event: &WatchEvent, now: Time) {
        let target = &mut self.targets[event.target];
        let is_sign = (&target.holder, &target.renewed) != (&event.holder, &event.renewed);
        target.holder.clone_from(&event.holder);
        target.renewed.clone_from(&event.renewed);
        let Some(holder) = event.holder.clone() else {
            target.unseen = None;
            return;
        };
        if is_sign {
            target.unseen = target.unseen.or(Some(now));
        }
        let last = target.written.insert(holder.clone(), event.sequence);
        if target.released.contains(&holder) {
            self.violate(Invariant::ReleaseFrees, || {
                format!("{holder} released its Lease, and writes it")
            });
        } else if last.is_some_and(|last| event.sequence < last) {
            let sequence = event.sequence;
            self.violate(Invariant::SequenceGrows, || {
                format!("{holder} writes {sequence} after {last:?}")
            });
        }
    }
}
