//! The fleet's machine: evidence in, verdicts out, one exact deadline an agent.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

use crate::wire;
use crate::wire::HeartbeatPayload;

mod record;

pub use record::AgentView;
use record::Record;

/// An agent, as the control plane names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    /// The workspace of its target, compared as written; empty where there is none.
    pub workspace: String,
    /// The name of its target.
    pub name: String,
}

/// An admitted agent's number: names are resolved once, and evidence is cheap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey(u32);

/// What the fleet allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetTerms {
    /// Declared timeouts are raised to this. Default: 3 s.
    pub timeout_min: Duration,
    /// Declared timeouts are lowered to this. Default: 10 min.
    pub timeout_max: Duration,
    /// The allowance of an agent that has not declared one yet. Default: 30 s.
    pub timeout_first: Duration,
    /// The allowance of a tunnel that carries no heartbeats. Default: 90 s, three of the Go
    /// client's pings.
    pub timeout_plain: Duration,
}

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A tunnel.
    Tunnel,
    /// A watched Lease.
    Lease,
    /// A watched SyncTarget.
    SyncTarget,
}

/// A sign of an agent, stamped on receipt by the caller's `now`.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A tunnel was opened.
    Opened {
        /// Whether heartbeats will come over it.
        heartbeats: bool,
    },
    /// A heartbeat arrived.
    Heartbeat {
        /// Over what.
        channel: Channel,
        /// What it says.
        payload: Box<HeartbeatPayload>,
    },
    /// Something else that only a living agent does.
    Sign {
        /// Over what.
        channel: Channel,
    },
    /// A tunnel ended without a goodbye.
    Closed,
    /// The agent said goodbye over a tunnel, which ends with it.
    Goodbye,
}

/// What the fleet thinks of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FleetVerdict {
    /// Expected and not heard of yet. Becomes Alive with evidence, Lost at its deadline.
    Pending,
    /// Heard of lately. Becomes Suspect, Lost or Left.
    Alive,
    /// Its tunnel broke or its beat is late. Becomes Alive with evidence, Lost at its deadline.
    Suspect,
    /// Silent past its allowance. Becomes Alive with evidence.
    Lost,
    /// It said goodbye. Becomes Alive with evidence.
    Left,
}

/// What the fleet tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetOutput {
    /// The verdict over an agent changed.
    Verdict {
        /// Whose.
        agent: AgentKey,
        /// To what.
        verdict: FleetVerdict,
        /// Why, for machines.
        reason: &'static str,
    },
}

/// The only state of the agents.
///
/// Truth is what was seen to arrive, by the hub's own clock; nothing that an agent's clock says
/// decides.
/// The driver's contract is the usual one: hand in [`evidence`](Self::evidence) as it comes, call
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout), and empty
/// [`poll`](Self::poll) after each; `now` must not run backwards.
#[derive(Debug)]
pub struct Fleet {
    terms: FleetTerms,
    names: BTreeMap<AgentId, AgentKey>,
    records: Vec<Record>,
    /// One entry an agent that counts, armed lazily: an entry that comes too early is put back.
    timers: BinaryHeap<Reverse<(Instant, AgentKey)>>,
    /// Bounded by the number of agents: each changes its verdict at most once an input.
    outputs: VecDeque<FleetOutput>,
}

/// Why the fleet thinks so.
mod reasons {
    pub(super) const EXPECTED: &str = "Expected";
    pub(super) const RECEIVED: &str = "HeartbeatReceived";
    pub(super) const LATE: &str = "HeartbeatLate";
    pub(super) const BROKEN: &str = "TunnelBroken";
    pub(super) const TIMEOUT: &str = "HeartbeatTimeout";
    pub(super) const LEFT: &str = "SyncerLeft";
}

// === impl Fleet ===

impl Fleet {
    /// A fleet of nobody.
    #[must_use]
    pub const fn new(terms: FleetTerms) -> Self {
        Self {
            terms,
            names: BTreeMap::new(),
            records: Vec::new(),
            timers: BinaryHeap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Expects an agent, with a full allowance from `now`; one that is known keeps its record.
    ///
    /// # Panics
    ///
    /// At 2^32 agents.
    pub fn admit(&mut self, id: AgentId, now: Instant) -> AgentKey {
        if let Some(key) = self.names.get(&id) {
            return *key;
        }
        let number = u32::try_from(self.records.len()).expect("fewer than 2^32 agents");
        let key = AgentKey(number);
        self.records
            .push(Record::new(id.clone(), self.terms.timeout_first, now));
        self.names.insert(id, key);
        self.arm(key);
        key
    }

    /// Takes a sign of an agent, seen at `now`.
    pub fn evidence(&mut self, agent: AgentKey, evidence: Evidence, now: Instant) {
        let record = &mut self.records[agent.0 as usize];
        match evidence {
            Evidence::Opened { heartbeats } => {
                record.tunnels += 1;
                if !heartbeats {
                    record.set_terms(None, self.terms.timeout_plain);
                }
                record.seen(Channel::Tunnel, now);
                self.decide(agent, FleetVerdict::Alive, reasons::RECEIVED, now);
            }
            Evidence::Heartbeat { channel, payload } => {
                let timeout = wire::duration(payload.timeout_seconds);
                let allowance = timeout
                    .unwrap_or(self.terms.timeout_first)
                    .clamp(self.terms.timeout_min, self.terms.timeout_max);
                record.set_terms(wire::duration(payload.interval_seconds), allowance);
                record.carried = Some(payload);
                record.heartbeats += 1;
                record.seen(channel, now);
                self.decide(agent, FleetVerdict::Alive, reasons::RECEIVED, now);
            }
            Evidence::Sign { channel } => {
                record.seen(channel, now);
                self.decide(agent, FleetVerdict::Alive, reasons::RECEIVED, now);
            }
            Evidence::Closed => {
                record.tunnels = record.tunnels.saturating_sub(1);
                if record.tunnels == 0 && record.verdict == FleetVerdict::Alive {
                    self.decide(agent, FleetVerdict::Suspect, reasons::BROKEN, now);
                }
            }
            Evidence::Goodbye => {
                record.tunnels = record.tunnels.saturating_sub(1);
                if record.tunnels == 0 {
                    self.decide(agent, FleetVerdict::Left, reasons::LEFT, now);
                }
            }
        }
        self.arm(agent);
    }

    /// A deadline may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, agent))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            let record = &mut self.records[agent.0 as usize];
            if record.armed != Some(at) {
                continue;
            }
            record.armed = None;
            match record.due(now) {
                Some(FleetVerdict::Lost) => {
                    self.decide(agent, FleetVerdict::Lost, reasons::TIMEOUT, now);
                }
                Some(verdict) => self.decide(agent, verdict, reasons::LATE, now),
                None => {}
            }
            self.arm(agent);
        }
    }

    /// The hub itself stood still for `pause`: what it could not hear is nobody's silence. Every
    /// deadline moves by that and a second, to a full allowance from `now` at most.
    pub fn paused(&mut self, pause: Duration, now: Instant) {
        self.timers.clear();
        let agents: Vec<_> = self.names.values().copied().collect();
        for agent in agents {
            self.records[agent.0 as usize].paused(pause, now);
            self.arm(agent);
        }
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll(&mut self) -> Option<FleetOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    /// An agent's number, if it is known.
    #[must_use]
    pub fn find(&self, id: &AgentId) -> Option<AgentKey> {
        self.names.get(id).copied()
    }

    /// What is known of an agent.
    #[must_use]
    pub fn view(&self, agent: AgentKey) -> AgentView<'_> {
        AgentView(&self.records[agent.0 as usize])
    }

    /// What is known of every agent, by workspace and name.
    pub fn views(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.names.values().map(|agent| self.view(*agent))
    }

    fn decide(
        &mut self,
        agent: AgentKey,
        verdict: FleetVerdict,
        reason: &'static str,
        now: Instant,
    ) {
        if self.records[agent.0 as usize].decide(verdict, reason, now) {
            self.outputs.push_back(FleetOutput::Verdict {
                agent,
                verdict,
                reason,
            });
        }
    }

    /// Makes sure that a timer comes no later than the record's next deadline.
    fn arm(&mut self, agent: AgentKey) {
        let record = &mut self.records[agent.0 as usize];
        let Some(next) = record.next_deadline() else {
            return;
        };
        if record.armed.is_none_or(|at| next < at) {
            record.armed = Some(next);
            self.timers.push(Reverse((next, agent)));
        }
        // A timer that was brought forward leaves its old entry behind; half of them may be such.
        if self.timers.len() > 2 * self.records.len() {
            let records = &self.records;
            self.timers
                .retain(|Reverse((at, agent))| records[agent.0 as usize].armed == Some(*at));
        }
    }
}

// === impl AgentId ===

impl fmt::Display for AgentId {
    /// `WORKSPACE/NAME`; an empty workspace is written `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workspace = if self.workspace.is_empty() {
            "-"
        } else {
            &self.workspace
        };
        write!(f, "{workspace}/{}", self.name)
    }
}

// === impl FleetTerms ===

impl Default for FleetTerms {
    fn default() -> Self {
        Self {
            timeout_min: Duration::from_secs(3),
            timeout_max: Duration::from_secs(600),
            timeout_first: Duration::from_secs(30),
            timeout_plain: Duration::from_secs(90),
        }
    }
}

// === impl Channel ===

impl Channel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Tunnel, Self::Lease, Self::SyncTarget];

    /// The name, as it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "websocket",
            Self::Lease => "lease",
            Self::SyncTarget => "synctarget",
        }
    }
}

// === impl FleetVerdict ===

impl FleetVerdict {
    /// All verdicts.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Alive,
        Self::Suspect,
        Self::Lost,
        Self::Left,
    ];

    /// The name, as it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Alive => "Alive",
            Self::Suspect => "Suspect",
            Self::Lost => "Lost",
            Self::Left => "Left",
        }
    }

    /// The name in lower case, as it stands in metric labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }
}

impl fmt::Display for FleetVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests;
