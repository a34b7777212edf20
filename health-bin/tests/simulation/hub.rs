//! The hub: the server's ends of the tunnels, its watch of the Leases, and the fleet.

mod tunnels;

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use health_core::PauseDetector;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::Channel;
use health_heartbeat::Evidence;
use health_heartbeat::Fleet;
use health_heartbeat::FleetOutput;
use health_heartbeat::FleetTerms;
use health_transport_ws::Frame;
use health_transport_ws::ServerSession;
use health_transport_ws::SessionLimits;
use health_transport_ws::Terms;

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
    version: u64,
    scheduled: Option<Time>,
}

#[derive(Debug)]
enum Inbound {
    Packet(u64, Segment),
    Watched(WatchEvent),
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
}

#[derive(Debug)]
struct Tunnel {
    session: ServerSession,
    target: usize,
    /// Whether its handshake was accepted.
    open: bool,
    said_goodbye: bool,
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
        let mut fleet = Fleet::new(FleetTerms::default());
        let agents = self
            .ids
            .iter()
            .map(|id| fleet.admit(id.clone(), now))
            .collect();
        let seen = core.objects.iter().enumerate();
        let seen = seen.map(|(target, one)| {
            let lease = server.lease(one)?;
            Some(WatchEvent::of(target, Some(lease)))
        });
        self.process = Some(Process {
            fleet,
            agents,
            sessions: BTreeMap::new(),
            seen: seen.collect(),
            pauses: PauseDetector::new(now, core.now),
            asked: None,
        });
        core.facts
            .hub_started(core.now, FleetTerms::default().timeout_first);
        self.arm(core);
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
            if seen.is_some_and(|seen| event.is_sign_after(seen)) {
                core.facts.arrived_at_kernel(event.target, core.now);
            }
            return self.inbox.push(Inbound::Watched(event));
        }
        let now = self.clock.local(core.now);
        let Some(process) = &mut self.process else {
            return;
        };
        let before = process.seen[event.target].replace(event.clone());
        // A first sight is none, and an emptied holder is no sign of life.
        let news = before.is_some_and(|seen| event.is_sign_after(&seen));
        if let (true, Some(payload)) = (news, event.payload()) {
            let agent = process.agents[event.target];
            core.facts
                .heard(event.target, Some(event.duration), core.now);
            let evidence = Evidence::Heartbeat {
                channel: Channel::Lease,
                payload: Box::new(core.tamper.payload(payload)),
            };
            process.fleet.evidence(agent, evidence, now);
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
                Inbound::Packet(..) | Inbound::Watched(_) => false,
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
                    said_goodbye: false,
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
        while let Some(FleetOutput::Verdict {
            agent,
            verdict,
            reason,
        }) = process.fleet.poll()
        {
            polled += 1;
            let target = process.agents.iter().position(|it| *it == agent);
            let target = target.expect("it was admitted");
            core.log.note(core.now, Who::Hub, verdict.as_str(), || {
                format!("edge-{target}: {reason}")
            });
            core.facts.verdict(target, verdict, core.now);
        }
        core.facts
            .queue("outputs of a fleet", polled, 2 * self.ids.len());
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
