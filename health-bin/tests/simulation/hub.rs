//! The hub: the server's ends of the tunnels, its watch of the Leases, and the fleet.

mod looks;
mod tunnels;

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use health_core::PauseDetector;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::Change;
use health_heartbeat::Channel;
use health_heartbeat::Evidence;
use health_heartbeat::Fleet;
use health_heartbeat::FleetOutput;
use health_heartbeat::FleetTerms;
use health_heartbeat::FleetVerdict;
use health_heartbeat::FlightLimits;
use health_transport_ws::CloseReason;
use health_transport_ws::Frame;
use health_transport_ws::ServerSession;
use health_transport_ws::SessionLimits;
use health_transport_ws::Terms;

pub(crate) use self::looks::Look;
use crate::clock::Clock;
use crate::link::Segment;
use crate::link::Way;
use crate::log::Who;
use crate::server::Server;
use crate::watch::WatchEvent;
use crate::world::Core;
use crate::world::Event;
use crate::world::Time;

/// The hub, running or not.
#[derive(Debug)]
pub(crate) struct Hub {
    ids: Vec<AgentId>,
    clock: Clock,
    process: Option<Process>,
    halted: bool,
    inbox: Vec<Inbound>,
    /// What each acknowledgement tells.
    pub(crate) terms: Terms,
    /// How long whoever dials is to stay away; nothing where all may come.
    pub(crate) refuses: Option<Duration>,
    /// How many times it was started: what an older one asked for is nothing to this one.
    starts: u32,
    version: u64,
    scheduled: Option<Time>,
}

#[derive(Debug)]
enum Inbound {
    Packet(u64, Segment),
    Watched(WatchEvent),
    Looked(Look),
}

/// One start of the hub.
#[derive(Debug)]
struct Process {
    fleet: Fleet,
    agents: Vec<AgentKey>,
    sessions: BTreeMap<u64, Tunnel>,
    seen: Vec<Option<WatchEvent>>,
    pauses: PauseDetector,
    asked: Option<Instant>,
    verdicts: Vec<(AgentKey, FleetVerdict)>,
}

#[derive(Debug)]
struct Tunnel {
    session: ServerSession,
    target: usize,
    /// Whether its handshake was accepted.
    open: bool,
}

// === impl Hub ===

impl Hub {
    pub(crate) fn new(ids: Vec<AgentId>, base: Instant) -> Self {
        Self {
            ids,
            clock: Clock::new(base + Duration::from_secs(50_000)),
            process: None,
            halted: false,
            inbox: Vec::new(),
            terms: Terms::default(),
            refuses: None,
            starts: 0,
            version: 0,
            scheduled: None,
        }
    }

    /// Starts with a fleet of which it knows the names, and with the Leases as they are.
    pub(crate) fn start(&mut self, core: &mut Core, server: &Server) {
        if self.process.is_some() {
            return;
        }
        let now = self.clock.local(core.now);
        let fleet = Fleet::new(core.tamper.fleet_terms(), now);
        let mut fleet = fleet.with_recorder(FlightLimits::default());
        let agents = self
            .ids
            .iter()
            .map(|id| fleet.admit(id.clone(), now).expect("there is room"));
        let agents: Vec<_> = agents.collect();
        for agent in &agents {
            fleet.expect(*agent);
        }
        self.starts += 1;
        self.process = Some(Process {
            fleet,
            agents,
            sessions: BTreeMap::new(),
            seen: vec![None; self.ids.len()],
            pauses: PauseDetector::new(now, core.now),
            asked: None,
            verdicts: Vec::new(),
        });
        core.facts
            .hub_started(core.now, FleetTerms::default().timeout_first);
        for target in 0..core.objects.len() {
            let lease = server.lease(target);
            self.watched(WatchEvent::of(target, lease), core);
        }
        self.arm(core);
    }

    /// The running process's fleet, and the verdicts that it gave.
    pub(crate) fn recorded(&self) -> Option<(&Fleet, &[(AgentKey, FleetVerdict)])> {
        let process = self.process.as_ref()?;
        Some((&process.fleet, &process.verdicts))
    }

    pub(crate) fn crash(&mut self, core: &mut Core) {
        self.halted = false;
        self.inbox.clear();
        self.clock.resume(core.now);
        for connection in self
            .process
            .take()
            .map(|it| it.sessions)
            .unwrap_or_default()
            .keys()
        {
            core.transmit(*connection, Way::Down, Segment::Reset);
        }
        core.facts.hub_crashed();
    }

    pub(crate) fn halt(&mut self, suspend: bool, core: &mut Core) {
        let Some(process) = &mut self.process else {
            return;
        };
        if self.halted {
            return;
        }
        self.halted = true;
        let tick = Duration::from_millis(core.chance.u64(1..=1000));
        let tick = self.clock.local(core.now) + tick;
        let wake = process.fleet.poll_timeout().map_or(tick, |at| at.min(tick));
        process.asked = Some(wake);
        if suspend {
            self.clock.suspend(core.now);
        }
        core.facts.hub_halted(core.now);
    }

    /// It goes on: the fleet's loop and the tunnels' tasks run in either order.
    pub(crate) fn go_on(&mut self, core: &mut Core) {
        if !self.halted {
            return;
        }
        self.halted = false;
        self.clock.resume(core.now);
        core.facts.hub_went_on(core.now);
        let inbox = std::mem::take(&mut self.inbox);
        self.notice_pause(core);
        if core.chance.bool() {
            self.judge(core);
        }
        // A tunnel reads what waits before it looks at its deadlines.
        for inbound in inbox {
            match inbound {
                Inbound::Packet(connection, segment) => self.packet(connection, segment, core),
                Inbound::Watched(event) => self.watched(event, core),
                Inbound::Looked(look) => self.looked(look, core),
            }
        }
        self.run(core);
        self.scheduled = None;
        self.arm(core);
    }

    pub(crate) fn wake(&mut self, version: u64, core: &mut Core) {
        if version != self.version || self.halted {
            return;
        }
        self.scheduled = None;
        self.run(core);
        self.arm(core);
    }

    pub(crate) fn watched(&mut self, event: WatchEvent, core: &mut Core) {
        if self.halted {
            let process = self.process.as_ref();
            let seen = process.and_then(|it| it.seen[event.target].as_ref());
            if event.change(seen) == Some(Change::Renewed) {
                core.facts.arrived_at_kernel(event.target, core.now);
            }
            return self.inbox.push(Inbound::Watched(event));
        }
        let now = self.clock.local(core.now);
        let Some(process) = &mut self.process else {
            return;
        };
        let change = event.change(process.seen[event.target].as_ref());
        let agent = process.agents[event.target];
        if let Some(change) = change {
            if let Some(holder) = &event.holder {
                let (slot, _) = holder.parts();
                core.facts
                    .lease_seen(event.target, (slot, change), event.duration, core.now);
            } else {
                core.facts.lease_released(event.target, core.now);
            }
            let lease = event.sight(core.tamper.duration(event.duration));
            let evidence = Evidence::Lease { change, lease };
            process.fleet.evidence(agent, evidence, now);
        }
        let seen = &mut process.seen[event.target];
        if !event.exists {
            process.fleet.gone(agent, Channel::Lease);
        }
        if !event.exists || seen.as_ref().is_none_or(|it| it.revision <= event.revision) {
            *seen = Some(event);
        }
        self.tell(core);
        self.arm(core);
    }

    pub(crate) fn packet(&mut self, number: u64, segment: Segment, core: &mut Core) {
        if self.halted {
            let tunnel = self
                .process
                .as_ref()
                .and_then(|it| it.sessions.get(&number));
            // What comes after the end of a connection is read by nobody.
            let ended = self.inbox.iter().any(|inbound| match inbound {
                Inbound::Packet(of, Segment::Reset | Segment::Close(_)) => *of == number,
                Inbound::Packet(..) | Inbound::Watched(_) | Inbound::Looked(_) => false,
            });
            let is_sign = !ended && matches!(segment, Segment::Text(_) | Segment::Control);
            if let Some(tunnel) = tunnel.filter(|it| it.open && is_sign) {
                core.facts.arrived_at_kernel(tunnel.target, core.now);
            }
            return self.inbox.push(Inbound::Packet(number, segment));
        }
        let now = self.clock.local(core.now);
        let Some(process) = &mut self.process else {
            if !matches!(segment, Segment::Reset) {
                core.transmit(number, Way::Down, Segment::Reset);
            }
            return;
        };
        match (process.sessions.get_mut(&number), segment) {
            (None, Segment::Dial) => {
                let tunnel = Tunnel {
                    session: ServerSession::new(SessionLimits::default(), now),
                    target: 0,
                    open: false,
                };
                process.sessions.insert(number, tunnel);
                core.facts
                    .queue("tunnels of a hub", process.sessions.len(), 300);
                core.transmit(number, Way::Down, Segment::Accepted);
            }
            (None, Segment::Reset | Segment::Close(_)) => {}
            (None, Segment::Text(_) | Segment::Control | Segment::Accepted) => {
                core.transmit(number, Way::Down, Segment::Reset);
            }
            (Some(tunnel), segment) => match segment {
                Segment::Text(text) => tunnel.session.handle_frame(Frame::Text(&text), now),
                Segment::Control => {
                    tunnel.session.handle_frame(Frame::Control, now);
                    core.transmit(number, Way::Down, Segment::Control);
                }
                Segment::Close(reason) => tunnel.session.handle_frame(Frame::Close(&reason), now),
                Segment::Reset | Segment::Dial | Segment::Accepted => {
                    tunnel
                        .session
                        .handle_broken("connection reset".to_owned(), now);
                }
            },
        }
        self.serve(number, core);
        self.tell(core);
        self.arm(core);
    }

    fn notice_pause(&mut self, core: &mut Core) {
        let now = self.clock.local(core.now);
        let Some(process) = &mut self.process else {
            return;
        };
        if let Some(asked) = process.asked.take()
            && let Some(pause) = process.pauses.observe(asked, now, core.now)
            && core.tamper.tells_hub_pauses()
        {
            core.log
                .note(core.now, Who::Hub, "paused", || format!("{pause:?}"));
            process.fleet.paused(pause, now);
        }
    }

    fn run(&mut self, core: &mut Core) {
        self.notice_pause(core);
        let now = self.clock.local(core.now);
        let Some(process) = &mut self.process else {
            return;
        };
        let due = process
            .sessions
            .iter()
            .filter(|(_, it)| it.session.poll_timeout().is_some_and(|at| at <= now));
        let due: Vec<_> = due.map(|(number, _)| *number).collect();
        for tunnel in &due {
            if let Some(tunnel) = process.sessions.get_mut(tunnel) {
                tunnel.session.handle_timeout(now);
            }
        }
        for number in due {
            self.serve(number, core);
        }
        self.judge(core);
    }

    fn judge(&mut self, core: &mut Core) {
        let now = self.clock.local(core.now);
        if let Some(process) = &mut self.process
            && core.tamper.fleet_wakes()
        {
            process.fleet.handle_timeout(now);
        }
        self.tell(core);
    }

    fn tell(&mut self, core: &mut Core) {
        let Some(process) = &mut self.process else {
            return;
        };
        let mut polled = 0;
        let mut replaced = Vec::new();
        while let Some(output) = process.fleet.poll() {
            polled += 1;
            match output {
                FleetOutput::Verdict {
                    agent,
                    verdict,
                    reason,
                    ..
                } => {
                    let target = process.target(agent);
                    core.log.note(core.now, Who::Hub, verdict.as_str(), || {
                        format!("edge-{target}: {reason}")
                    });
                    core.facts.verdict(target, verdict, core.now);
                    process.verdicts.push((agent, verdict));
                }
                FleetOutput::Confirm { agent, .. } => {
                    looks::ask(process.target(agent), self.starts, core);
                }
                FleetOutput::Replace {
                    tunnel, stay_away, ..
                } => {
                    replaced.push((tunnel.0, stay_away));
                }
                FleetOutput::MassSilence { silent, of } => {
                    core.tally.doubts += 1;
                    core.facts.doubts = true;
                    core.log.note(core.now, Who::Hub, "mass silence", || {
                        format!("{silent} of {of}")
                    });
                }
                FleetOutput::MassSilenceOver => {
                    core.facts.doubts = false;
                    core.log
                        .note(core.now, Who::Hub, "mass silence over", String::new);
                }
                FleetOutput::Forgotten { id, .. } => panic!("{id} is expected"),
            }
        }
        for (target, agent) in process.agents.iter().enumerate() {
            let held = process.fleet.view(*agent).is_some_and(|it| it.is_held());
            core.facts.held(target, held);
        }
        for (number, stay_away) in replaced {
            self.replace(number, stay_away, core);
        }
        core.facts
            .queue("outputs of a fleet", polled, 4 * self.ids.len());
    }

    fn replace(&mut self, number: u64, stay_away: Duration, core: &mut Core) {
        let now = self.clock.local(core.now);
        let process = self.process.as_mut();
        if let Some(tunnel) = process.and_then(|it| it.sessions.get_mut(&number)) {
            tunnel
                .session
                .close(&CloseReason::Replaced, Some(stay_away), now);
            self.serve(number, core);
        }
    }

    fn arm(&mut self, core: &mut Core) {
        let next = self.process.as_ref().and_then(|process| {
            let sessions = process.sessions.values();
            let sessions = sessions.filter_map(|it| it.session.poll_timeout());
            let fleet = process
                .fleet
                .poll_timeout()
                .filter(|_| core.tamper.fleet_wakes());
            sessions.chain(fleet).min()
        });
        let next = next.map(|at| self.clock.when(at).max(core.now));
        if self.halted || next == self.scheduled {
            return;
        }
        self.version += 1;
        self.scheduled = next;
        if let Some(at) = next {
            let version = self.version;
            core.push(at, Event::WakeHub { version });
        }
    }
}

// === impl Process ===

impl Process {
    fn target(&self, agent: AgentKey) -> usize {
        let target = self.agents.iter().position(|it| *it == agent);
        target.expect("it was admitted")
    }
}
