//! How what is planned comes to pass.

use health_transport_ws::Terms;

use crate::agent::Inbound;
use crate::faults::Act;
use crate::faults::Path;
use crate::link::Link;
use crate::link::Segment;
use crate::server::Mood;
use crate::world::Paths;
use crate::world::World;

// === impl World ===

impl World {
    pub(crate) fn act(&mut self, act: &Act) {
        if let Some(kind) = act.kind() {
            *self.core.tally.faults.entry(kind).or_default() += 1;
        }
        let core = &mut self.core;
        match act {
            Act::Crash { agent, hard } => self.agents[*agent].crash(*hard, core),
            Act::Start { agent } => self.agents[*agent].start(core),
            Act::Leave { agent } => self.agents[*agent].receive(None, Inbound::Leave, core),
            Act::Halt { agent, suspend } => self.agents[*agent].halt(*suspend, core),
            Act::GoOn { agent } => self.agents[*agent].go_on(core),
            Act::Step { agent, millis } => self.agents[*agent].clock.skew += millis,
            Act::Health { agent, status } => {
                self.agents[*agent].receive(None, Inbound::Health(*status), core);
            }
            Act::Partition {
                agent,
                path,
                blocked,
            } => {
                self.link(*agent, *path).block(*blocked);
                self.core.flush(*agent);
            }
            Act::Weather {
                agent,
                path,
                weather,
            } => self.link(*agent, *path).weather = *weather,
            Act::Reset { agent, ends } => self.reset(*agent, *ends),
            Act::HubCrash => self.hub.crash(core),
            Act::HubStart => self.hub.start(core, &self.server),
            Act::HubHalt { suspend } => self.hub.halt(*suspend, core),
            Act::HubGoOn => self.hub.go_on(core),
            Act::HubRefuses(refuses) => self.hub.refuses = *refuses,
            Act::HubTerms(interval) => {
                self.hub.terms = Terms {
                    interval: *interval,
                    ..Terms::default()
                }
            }
            Act::Mood(mood) => self.server.mood = *mood,
            Act::Down => self.server.up = false,
            Act::Up => self.server.up = true,
            Act::Stall => self.server.stalled = true,
            Act::Unstall => self.server.resume(core),
            Act::Deaf => {
                core.hub_deaf = true;
                self.server.stalled = true;
                core.facts.deaf(core.now);
            }
            Act::Hear => self.hear(),
            Act::DeleteLease { target } => self.server.delete_lease(*target, core),
            Act::Recreate { target } => self.server.recreate(*target, core),
            Act::Heal { dead } => self.heal(dead),
        }
    }

    fn link(&mut self, agent: usize, path: Path) -> &mut Link {
        let paths = &mut self.core.paths[agent];
        match path {
            Path::Api => &mut paths.api,
            Path::Hub => &mut paths.hub,
        }
    }

    /// The agent's connections break; each end is told or not.
    fn reset(&mut self, agent: usize, ends: [bool; 2]) {
        let theirs = self
            .core
            .connections
            .iter()
            .filter(|(_, it)| it.agent == agent);
        let theirs: Vec<_> = theirs.map(|(number, it)| (*number, it.start)).collect();
        for (number, start) in theirs {
            if ends[0] {
                self.hub.packet(number, Segment::Reset, &mut self.core);
            }
            if ends[1] {
                let inbound = Inbound::Packet {
                    connection: number,
                    segment: Segment::Reset,
                };
                self.agents[agent].receive(Some(start), inbound, &mut self.core);
            }
        }
    }

    /// The hub's machine is back on its network.
    fn hear(&mut self) {
        self.core.hub_deaf = false;
        self.core.facts.hears();
        for agent in 0..self.agents.len() {
            self.core.flush(agent);
        }
        self.server.resume(&mut self.core);
    }

    fn heal(&mut self, dead: &[usize]) {
        self.core.hub_deaf = false;
        self.core.facts.hears();
        self.server.mood = Mood::default();
        self.server.up = true;
        self.hub.refuses = None;
        self.server.resume(&mut self.core);
        for agent in 0..self.agents.len() {
            self.core.paths[agent] = Paths {
                api: Link::fine(),
                hub: Link::fine(),
            };
            self.settles[agent] = self.core.settles(agent);
            self.core.flush(agent);
        }
        self.hub.go_on(&mut self.core);
        self.hub.start(&mut self.core, &self.server);
        for agent in &mut self.agents {
            agent.go_on(&mut self.core);
            if dead.contains(&agent.number) {
                agent.crash(false, &mut self.core);
            } else {
                agent.start(&mut self.core);
            }
        }
    }
}
