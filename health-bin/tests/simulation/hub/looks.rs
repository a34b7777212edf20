//! The live looks at a Lease that the fleet asks for before it convicts.

use std::time::Duration;

use health_heartbeat::Confirmation;

use super::Hub;
use super::Inbound;
use crate::log::Who;
use crate::server::Server;
use crate::watch::WatchEvent;
use crate::world::Core;
use crate::world::Event;

/// A live look at a target's Lease.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) target: usize,
    start: u32,
    /// What the server answered; nothing where it did not.
    answer: Option<WatchEvent>,
}

/// Asks the server; a request and its answer take so long when nothing is wrong.
pub(super) fn ask(target: usize, start: u32, core: &mut Core) {
    let delay = Duration::from_millis(core.chance.u64(1..=20));
    let answer = None;
    let look = Look {
        target,
        start,
        answer,
    };
    core.push(core.now + delay, Event::Look(look));
}

// === impl Look ===

impl Look {
    /// The server answers, or does not.
    pub(crate) fn take(mut self, server: &Server, core: &mut Core) {
        if core.tamper.looks() && !core.hub_deaf && server.reads(core) {
            let lease = server.lease(self.target);
            self.answer = Some(WatchEvent::of(self.target, lease));
        }
        let delay = Duration::from_millis(core.chance.u64(1..=20));
        core.push(core.now + delay, Event::Looked(self));
    }
}

// === impl Hub ===

impl Hub {
    pub(crate) fn looked(&mut self, look: Look, core: &mut Core) {
        if self.halted {
            return self.inbox.push(Inbound::Looked(look));
        }
        let Some(process) = &mut self.process else {
            return;
        };
        if look.start != self.starts {
            return;
        }
        let target = look.target;
        let confirmation = match look.answer {
            Some(_) => Confirmation::Silent,
            None if core.tamper.looks() => Confirmation::Failed,
            None => Confirmation::Silent,
        };
        core.log.note(core.now, Who::Hub, "looked", || {
            format!("edge-{target}: {confirmation:?}")
        });
        core.facts.looked(target, look.answer.is_some(), core.now);
        let (agent, now) = (process.agents[target], self.clock.local(core.now));
        if let Some(event) = look.answer {
            self.watched(event, core);
        }
        if let Some(process) = &mut self.process {
            process.fleet.confirmed(agent, confirmation, now);
        }
        self.tell(core);
        self.arm(core);
    }
}
