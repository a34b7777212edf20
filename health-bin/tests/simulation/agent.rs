//! One agent: its machine's clocks, its process, and what reaches it while it stands still.

mod beating;
mod calls;
mod client;
mod process;

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_core::HealthStatus;
use health_heartbeat::HeartbeatConfig;
use health_heartbeat::Identity;
use health_heartbeat::Incarnation;
use health_transport_lease::Reply;

use crate::clock::Clock;
use crate::link::Segment;
use crate::link::Way;
use crate::log::Who;
use crate::scenario::AgentSpec;
use crate::scenario::Scenario;
use crate::world::Core;
use crate::world::Event;
use crate::world::Time;

use self::process::Process;

/// One of an agent's transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Lane {
    Tunnel = 0,
    Lease = 1,
    Status = 2,
}

/// One agent, running or not.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) number: usize,
    pub(crate) spec: AgentSpec,
    pub(crate) clock: Clock,
    pub(crate) config: HeartbeatConfig,
    pub(crate) process: Option<Process>,
    status_interval: Duration,
    health: HealthStatus,
    /// Whether the process stands still: stopped, or its machine suspended.
    halted: bool,
    /// How many times it was started.
    starts: u32,
    /// What the kernel holds for a process that stands still.
    inbox: Vec<(Option<u32>, Inbound)>,
    version: u64,
    scheduled: Option<Time>,
}

/// What reaches an agent.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// The answer to a call.
    Reply {
        lane: Lane,
        number: u64,
        reply: Reply,
    },
    /// Something on a tunnel's connection.
    Packet { connection: u64, segment: Segment },
    /// Its health changed.
    Health(HealthStatus),
    /// It is told to leave.
    Leave,
}

/// Where and when a process is: all that its glue asks of the world.
pub(crate) struct Here<'a> {
    pub(crate) core: &'a mut Core,
    pub(crate) agent: usize,
    pub(crate) target: usize,
    pub(crate) start: u32,
    pub(crate) now: Instant,
    pub(crate) boot: Duration,
    pub(crate) slept: Duration,
    pub(crate) wall: SystemTime,
    pub(crate) health: HealthStatus,
}

// === impl Agent ===

impl Agent {
    pub(crate) fn new(number: usize, spec: &AgentSpec, scenario: &Scenario, base: Instant) -> Self {
        // Each machine booted at another time.
        let base = base + Duration::from_secs(number as u64 * 1000);
        Self {
            number,
            spec: spec.clone(),
            clock: Clock::new(base),
            config: scenario.config(),
            process: None,
            status_interval: scenario.interval * 2,
            health: HealthStatus::Healthy,
            halted: false,
            starts: 0,
            inbox: Vec::new(),
            version: 0,
            scheduled: None,
        }
    }

    /// Starts a new incarnation, unless one runs.
    pub(crate) fn start(&mut self, core: &mut Core) {
        if self.process.is_some() {
            return;
        }
        self.starts += 1;
        let identity = Identity {
            slot: self.spec.slot.as_str().into(),
            incarnation: Incarnation::from(&*format!("{}", self.starts)),
        };
        core.log
            .note(core.now, Who::Agent(self.number), "start", || {
                identity.holder().to_string()
            });
        core.facts.started(self.number, &identity);
        let seed = core.chance.u64(..);
        let (spec, config, every) = (self.spec.clone(), self.config, self.status_interval);
        let mut here = self.here(core);
        let mut process = Process::new(identity, &spec, config, every, seed, &here);
        process.begin(&mut here);
        self.process = Some(process);
        self.arm(core);
    }

    /// The process is gone from one moment to the next. A kernel that still runs closes its
    /// sockets.
    pub(crate) fn crash(&mut self, hard: bool, core: &mut Core) {
        self.halted = false;
        self.inbox.clear();
        self.clock.resume(core.now);
        let Some(process) = self.process.take() else {
            return;
        };
        if !hard && let Some(connection) = process.connection() {
            core.transmit(connection, Way::Up, Segment::Reset);
        }
        core.facts.crashed(self.number, core.now);
    }

    /// The process is stopped, or its machine suspended.
    pub(crate) fn halt(&mut self, suspend: bool, core: &mut Core) {
        if self.halted || self.process.is_none() {
            return;
        }
        self.halted = true;
        // The loops tick once a second, each at its own moment.
        let tick = Duration::from_millis(core.chance.u64(1..=1000));
        let now = self.clock.local(core.now);
        if let Some(process) = &mut self.process {
            process.halted(now + tick);
        }
        if suspend {
            self.clock.suspend(core.now);
        }
    }

    /// It goes on: what came meanwhile, and what is overdue, in either order.
    pub(crate) fn go_on(&mut self, core: &mut Core) {
        if !self.halted {
            return;
        }
        self.halted = false;
        self.clock.resume(core.now);
        if core.chance.bool() {
            self.run(core, Process::wake_loops);
        }
        for (start, inbound) in std::mem::take(&mut self.inbox) {
            self.receive(start, inbound, core);
        }
        self.run(core, Process::wake);
        self.scheduled = None;
        self.arm(core);
    }

    pub(crate) fn wake(&mut self, version: u64, core: &mut Core) {
        if version != self.version || self.halted {
            return;
        }
        self.scheduled = None;
        self.run(core, Process::wake);
        self.arm(core);
    }

    /// Something arrives for one start of the process, or for whichever runs.
    pub(crate) fn receive(&mut self, start: Option<u32>, inbound: Inbound, core: &mut Core) {
        if self.halted {
            self.inbox.push((start, inbound));
            return;
        }
        let is_there = self.process.is_some() && start.is_none_or(|start| start == self.starts);
        if let Inbound::Health(status) = &inbound {
            self.health = *status;
        }
        match inbound {
            _ if is_there => {
                self.run(core, |process, here| process.receive(inbound, here));
                self.arm(core);
            }
            // Nobody listens any more: the kernel says so.
            Inbound::Packet {
                connection,
                segment: Segment::Text(_) | Segment::Control | Segment::Accepted,
            } => {
                core.transmit(connection, Way::Up, Segment::Reset);
            }
            Inbound::Packet { .. }
            | Inbound::Reply { .. }
            | Inbound::Health(_)
            | Inbound::Leave => {}
        }
    }

    /// Whether this agent believes that it holds its Lease.
    pub(crate) fn believes(&self, core: &Core) -> bool {
        let (now, slept) = (self.clock.local(core.now), self.clock.slept(core.now));
        let tenure = self.process.as_ref().and_then(Process::tenure);
        tenure.is_some_and(|tenure| core.tamper.believes(tenure, now, slept))
    }

    fn run(&mut self, core: &mut Core, what: impl FnOnce(&mut Process, &mut Here<'_>)) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        what(&mut process, &mut self.here(core));
        if process.is_over() {
            core.log
                .note(core.now, Who::Agent(self.number), "left", String::new);
            core.facts.crashed(self.number, core.now);
        } else {
            self.process = Some(process);
        }
    }

    fn here<'a>(&self, core: &'a mut Core) -> Here<'a> {
        let now = core.now;
        Here {
            agent: self.number,
            target: self.spec.target,
            start: self.starts,
            now: self.clock.local(now),
            boot: now,
            slept: self.clock.slept(now),
            wall: self.clock.wall(now),
            health: self.health,
            core,
        }
    }

    /// Makes sure that the process is woken at its earliest deadline.
    fn arm(&mut self, core: &mut Core) {
        let next = self.process.as_ref().and_then(Process::next);
        let next = next.map(|at| self.clock.when(at).max(core.now));
        if next == self.scheduled {
            return;
        }
        self.version += 1;
        self.scheduled = next;
        if let Some(at) = next {
            let (agent, version) = (self.number, self.version);
            core.push(at, Event::Wake { agent, version });
        }
    }
}
