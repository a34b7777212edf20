//! The one clock, the one queue, and the step from one event to the next.

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use health_heartbeat::AgentId;
use health_transport_lease::Call;
use health_transport_lease::Objects;
use health_transport_lease::Reply;
use health_transport_lease::Verb;

use crate::agent::Agent;
use crate::agent::Inbound;
use crate::agent::Lane;
use crate::facts::Facts;
use crate::faults::Fault;
use crate::hub::Hub;
use crate::hub::Look;
use crate::invariants::Violation;
use crate::link::Link;
use crate::link::Segment;
use crate::link::Way;
use crate::log::Log;
use crate::log::Who;
use crate::mutations::Tamper;
use crate::report::Tally;
use crate::scenario::Scenario;
use crate::server::Server;
use crate::watch::WatchEvent;

/// The virtual time since the world's beginning.
pub(crate) type Time = Duration;

/// Something that comes to pass.
#[derive(Debug)]
pub(crate) enum Event {
    /// An agent's earliest deadline; an older version counts no more.
    Wake { agent: usize, version: u64 },
    /// The hub's.
    WakeHub { version: u64 },
    /// A call reaches the server.
    Request(Request),
    /// Its answer reaches the agent.
    Answered { request: RequestId, reply: Reply },
    /// Something travels on a tunnel's connection.
    Packet {
        connection: u64,
        way: Way,
        segment: Segment,
    },
    /// The hub's watch of the Leases has news.
    Watched(WatchEvent),
    /// The hub's live look at a Lease reaches the server.
    Look(Look),
    /// And its answer the hub.
    Looked(Look),
    /// The plan's next fault.
    Fault(usize),
}

/// A call on its way.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) id: RequestId,
    pub(crate) verb: Verb,
}

/// Who called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestId {
    pub(crate) agent: usize,
    pub(crate) start: u32,
    pub(crate) lane: Lane,
    pub(crate) number: u64,
}

/// Where a tunnel's connection leads.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    pub(crate) agent: usize,
    pub(crate) start: u32,
    /// When the last segment arrives, either way: none overtakes another.
    last: [Time; 2],
    /// What a partition holds back.
    held: [Vec<Segment>; 2],
}

/// An agent's way to the API server, and to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub(crate) api: Link,
    pub(crate) hub: Link,
}

/// What all parties share.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) now: Time,
    pub(crate) chance: Rng,
    pub(crate) log: Log,
    pub(crate) tally: Tally,
    pub(crate) facts: Facts,
    pub(crate) tamper: Tamper,
    pub(crate) paths: Vec<Paths>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) objects: Vec<Objects>,
    pub(crate) codec: bool,
    /// Whether the hub's machine is cut off from everybody.
    pub(crate) hub_deaf: bool,
    queue: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

/// Everything of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) scenario: Scenario,
    pub(crate) agents: Vec<Agent>,
    pub(crate) hub: Hub,
    pub(crate) server: Server,
    /// When what was sent to and from each agent before the healing has arrived: a tunnel's
    /// frames wait for the slowest one before them.
    pub(crate) settles: Vec<Time>,
}

// === impl World ===

impl World {
    pub(crate) fn new(scenario: Scenario, tamper: Tamper, kept: bool) -> Self {
        let objects = scenario.objects();
        let ids = objects.iter().map(|objects| AgentId {
            workspace: "root:org".to_owned(),
            name: objects.target.clone(),
        });
        let ids: Vec<_> = ids.collect();
        let paths = Paths {
            api: Link::fine(),
            hub: Link::fine(),
        };
        // Far enough from the clock's zero that nobody's subtraction meets it.
        let base = Instant::now() + Duration::from_secs(100_000);
        let mut core = Core {
            now: Time::ZERO,
            chance: Rng::with_seed(scenario.seed),
            log: Log::new(kept),
            tally: Tally::default(),
            facts: Facts::new(&scenario),
            tamper,
            paths: vec![paths; scenario.agents.len()],
            connections: BTreeMap::new(),
            objects,
            codec: scenario.codec,
            hub_deaf: false,
            queue: BinaryHeap::new(),
            number: 0,
        };
        core.log
            .note(Time::ZERO, Who::World, "scenario", || scenario.to_string());
        let agents = scenario.agents.iter().enumerate();
        let agents = agents
            .map(|(number, spec)| Agent::new(number, spec, &scenario, base))
            .collect();
        for (number, fault) in scenario.faults.iter().enumerate() {
            core.push(fault.at, Event::Fault(number));
        }
        let server = Server::new(&core.objects);
        let hub = Hub::new(ids, base);
        Self {
            core,
            settles: vec![Time::ZERO; scenario.agents.len()],
            scenario,
            agents,
            hub,
            server,
        }
    }

    /// Runs to the end of the scenario, or to the first thing that must not be.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        self.hub.start(&mut self.core, &self.server);
        for agent in &mut self.agents {
            agent.start(&mut self.core);
        }
        while let Some(event) = self.core.pop(self.scenario.end) {
            self.step(event);
            self.check()?;
        }
        self.check_end()
    }

    fn step(&mut self, event: Event) {
        let core = &mut self.core;
        match event {
            Event::Wake { agent, version } => self.agents[agent].wake(version, core),
            Event::WakeHub { version } => self.hub.wake(version, core),
            Event::Request(request) => self.server.take(request, core),
            Event::Answered { request, reply } => {
                let inbound = Inbound::Reply {
                    lane: request.lane,
                    number: request.number,
                    reply,
                };
                self.agents[request.agent].receive(Some(request.start), inbound, core);
            }
            Event::Packet {
                connection,
                way,
                segment,
            } => self.deliver(connection, way, segment),
            Event::Watched(watched) => self.hub.watched(watched, core),
            Event::Look(look) => look.take(&self.server, core),
            Event::Looked(look) => self.hub.looked(look, core),
            Event::Fault(number) => {
                let fault = self.scenario.faults[number].clone();
                self.befall(&fault);
            }
        }
    }

    fn deliver(&mut self, number: u64, way: Way, segment: Segment) {
        let core = &mut self.core;
        let Some(connection) = core.connections.get_mut(&number) else {
            return;
        };
        let (agent, start) = (connection.agent, connection.start);
        if core.hub_deaf || core.paths[agent].hub.is_blocked(way) {
            connection.held[way as usize].push(segment);
            return;
        }
        match way {
            Way::Up => self.hub.packet(number, segment, core),
            Way::Down => {
                let inbound = Inbound::Packet {
                    connection: number,
                    segment,
                };
                self.agents[agent].receive(Some(start), inbound, core);
            }
        }
    }

    fn befall(&mut self, fault: &Fault) {
        self.core.log.note(self.core.now, Who::World, "fault", || {
            format!("{:?}", fault.act)
        });
        self.act(&fault.act);
    }
}

// === impl Core ===

impl Core {
    pub(crate) fn push(&mut self, at: Time, event: Event) {
        self.number += 1;
        let number = self.number;
        self.queue.push(Reverse(Entry { at, number, event }));
    }

    fn pop(&mut self, end: Time) -> Option<Event> {
        let Reverse(entry) = self.queue.pop()?;
        if entry.at > end {
            self.now = end;
            return None;
        }
        self.now = entry.at;
        self.tally.steps += 1;
        Some(entry.event)
    }

    /// Sends a call to the server; its number.
    pub(crate) fn call(&mut self, agent: usize, start: u32, lane: Lane, call: &Call) -> u64 {
        self.number += 1;
        let id = RequestId {
            agent,
            start,
            lane,
            number: self.number,
        };
        let mut verb = call.verb.clone();
        if self.codec {
            recode(&mut verb);
        }
        self.log.note(self.now, Who::Agent(agent), "call", || {
            let sequence = match &verb {
                Verb::PutLease(object) | Verb::CreateLease(object) => {
                    object["metadata"]["annotations"]["syncer-health/sequence"].to_string()
                }
                Verb::GetLease | Verb::GetTarget | Verb::DryRunStatus(_) | Verb::PutStatus(_) => {
                    String::new()
                }
            };
            format!("{lane:?} {} #{} {sequence}", verb.operation(), id.number)
        });
        self.facts.called(id, &verb, self.now);
        for delay in self.paths[agent].api.arrivals(Way::Up, &mut self.chance) {
            let request = Request {
                id,
                verb: verb.clone(),
            };
            self.push(self.now + delay, Event::Request(request));
        }
        id.number
    }

    /// Sends the server's answer, after the server's own delay.
    pub(crate) fn answer(&mut self, request: RequestId, reply: &Reply, slow: Duration) {
        for delay in self.paths[request.agent]
            .api
            .arrivals(Way::Down, &mut self.chance)
        {
            let reply = reply.clone();
            self.push(self.now + slow + delay, Event::Answered { request, reply });
        }
    }

    /// A new connection from an agent to the hub.
    pub(crate) fn connect(&mut self, agent: usize, start: u32) -> u64 {
        self.number += 1;
        let connection = Connection {
            agent,
            start,
            ..Connection::default()
        };
        self.connections.insert(self.number, connection);
        self.number
    }

    /// Sends something over a connection.
    pub(crate) fn transmit(&mut self, number: u64, way: Way, segment: Segment) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let link = &self.paths[connection.agent].hub;
        let held = &mut connection.held[way as usize];
        if self.hub_deaf || link.is_blocked(way) || !held.is_empty() {
            held.push(segment);
            return;
        }
        let at = self.now + link.weather.delay(&mut self.chance);
        let at = at.max(connection.last[way as usize]);
        connection.last[way as usize] = at;
        self.push(
            at,
            Event::Packet {
                connection: number,
                way,
                segment,
            },
        );
    }

    /// When the last segment of an agent's tunnels that is on its way arrives.
    pub(crate) fn settles(&self, agent: usize) -> Time {
        let theirs = self.connections.values().filter(|it| it.agent == agent);
        theirs.flat_map(|it| it.last).max().unwrap_or_default()
    }

    /// What was held back goes on, in order.
    pub(crate) fn flush(&mut self, agent: usize) {
        let theirs = self.connections.iter().filter(|(_, it)| it.agent == agent);
        let theirs: Vec<_> = theirs.map(|(number, _)| *number).collect();
        for number in theirs {
            for way in [Way::Up, Way::Down] {
                if self.hub_deaf || self.paths[agent].hub.is_blocked(way) {
                    continue;
                }
                let connection = self.connections.get_mut(&number);
                let held = connection.map(|it| std::mem::take(&mut it.held[way as usize]));
                for segment in held.unwrap_or_default() {
                    self.transmit(number, way, segment);
                }
            }
        }
    }
}

/// The body as text and back, as it travels.
fn recode(verb: &mut Verb) {
    match verb {
        Verb::CreateLease(body)
        | Verb::PutLease(body)
        | Verb::DryRunStatus(body)
        | Verb::PutStatus(body) => {
            *body = serde_json::from_str(&body.to_string()).expect("what was written can be read");
        }
        Verb::GetLease | Verb::GetTarget => {}
    }
}

// === impl Entry ===

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
