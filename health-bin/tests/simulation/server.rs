//! The API server behind its links: the one model, and its bad days.

use std::time::Duration;

use health_transport_lease::ApiError;
use health_transport_lease::Dialect;
use health_transport_lease::ErrorKind;
use health_transport_lease::Objects;
use health_transport_lease::Verb;
use health_transport_lease::testing::Fault;
use health_transport_lease::testing::Model;
use serde_json::Value;

use crate::log::Who;
use crate::watch::WatchEvent;
use crate::world::Core;
use crate::world::Event;
use crate::world::Request;

/// How the server feels, each of 100 requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mood {
    /// Nothing is done, and nothing answered.
    pub(crate) hang: u8,
    /// It is done, and the answer is lost.
    pub(crate) lost_answer: u8,
    /// Somebody else writes the object first.
    pub(crate) rival: u8,
    /// 429 with this many seconds.
    pub(crate) busy: u8,
    pub(crate) retry_after: u64,
    /// 503, nothing is done.
    pub(crate) error: u8,
    /// 500, and it is done all the same.
    pub(crate) late_error: u8,
    /// The answer takes up to so many milliseconds.
    pub(crate) slow: u64,
}

/// The API server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) model: Model,
    pub(crate) mood: Mood,
    /// Whether it runs; what it knows survives.
    pub(crate) up: bool,
    /// Whether the hub's watch hears nothing.
    pub(crate) stalled: bool,
    /// Where each target's Lease is.
    leases: Vec<String>,
    /// What a stalled watch would have told.
    behind: Vec<WatchEvent>,
}

// === impl Server ===

impl Server {
    pub(crate) fn new(objects: &[Objects]) -> Self {
        let mut model = Model::with_dialect(Dialect::Kcp);
        for one in objects {
            model.create_target(&one.target);
        }
        Self {
            model,
            mood: Mood::default(),
            up: true,
            stalled: false,
            leases: objects.iter().map(lease_path).collect(),
            behind: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, request: Request, core: &mut Core) {
        let Request { id, mut verb } = request;
        if !self.up {
            let refused = ApiError::new(ErrorKind::Connection, "connection refused");
            return core.answer(id, &Err(refused), Duration::ZERO);
        }
        let target = core.facts.target_of(id.agent);
        core.tamper.guard(&mut verb, self.lease(target));
        let before = self.revision(target);
        if verb.is_write() && chance(core, self.mood.rival) {
            self.rival(target, &verb, core);
        }
        let (fault, error) = self.fault(core);
        self.model.fail([fault]);
        let reply = self.model.call(&verb, &core.objects[target]);
        // Nobody reads the list of requests here.
        self.model.take_requests();
        let reply = match (reply, error) {
            (Some(Ok(_)), true) => Some(Err(ApiError::new(ErrorKind::Server, "late error"))),
            (reply, _) => reply,
        };
        core.log.note(core.now, Who::Server, "did", || {
            let said = match &reply {
                Some(Ok(_)) => "ok".to_owned(),
                Some(Err(error)) => format!("{:?}", error.kind),
                None => format!("{fault:?}"),
            };
            format!(
                "{} #{} of agent-{} {said}",
                verb.operation(),
                id.number,
                id.agent
            )
        });
        if before != self.revision(target) {
            self.changed(target, core);
        }
        let slow = Duration::from_millis(core.chance.u64(0..=self.mood.slow));
        if let Some(reply) = reply {
            core.answer(id, &reply, slow);
        }
    }

    /// What goes wrong with this request, and whether an error hides that nothing did.
    fn fault(&self, core: &mut Core) -> (Fault, bool) {
        let mood = self.mood;
        if chance(core, mood.hang) {
            (Fault::Lost, false)
        } else if chance(core, mood.lost_answer) {
            (Fault::AnswerLost, false)
        } else if chance(core, mood.busy) {
            (Fault::Busy(mood.retry_after), false)
        } else if chance(core, mood.error) {
            (Fault::Status(503), false)
        } else {
            (Fault::None, chance(core, mood.late_error))
        }
    }

    /// Another program writes the object, and changes nothing that anybody decides by.
    fn rival(&mut self, target: usize, verb: &Verb, core: &Core) {
        let path = match verb {
            Verb::PutStatus(_) | Verb::DryRunStatus(_) => target_path(&core.objects[target]),
            Verb::GetLease | Verb::CreateLease(_) | Verb::PutLease(_) | Verb::GetTarget => {
                self.leases[target].clone()
            }
        };
        if let Some(mut object) = self.model.object(&path).cloned() {
            object["metadata"]["annotations"]["rival"] = core.now.as_millis().to_string().into();
            self.model.put(&path, object);
        }
    }

    /// Somebody deletes the Lease.
    pub(crate) fn delete_lease(&mut self, target: usize, core: &mut Core) {
        let _ = self.model.delete(&self.leases[target]);
        core.facts.lease_deleted(target, core.now);
        self.changed(target, core);
    }

    /// Somebody makes the SyncTarget anew; what the old one owned goes with it.
    pub(crate) fn recreate(&mut self, target: usize, core: &mut Core) {
        let before = self.revision(target);
        self.model.create_target(&core.objects[target].target);
        if before != self.revision(target) {
            core.facts.lease_deleted(target, core.now);
            self.changed(target, core);
        }
    }

    /// The Lease as it is.
    pub(crate) fn lease(&self, target: usize) -> Option<&Value> {
        self.model.object(&self.leases[target])
    }

    /// Whether a read is answered now.
    pub(crate) fn reads(&self, core: &mut Core) -> bool {
        let mood = self.mood;
        let bad = [
            mood.hang,
            mood.lost_answer,
            mood.busy,
            mood.error,
            mood.late_error,
        ];
        self.up && !bad.into_iter().any(|of_100| chance(core, of_100))
    }

    /// The watch hears again, and what it missed.
    pub(crate) fn resume(&mut self, core: &mut Core) {
        if core.hub_deaf {
            return;
        }
        self.stalled = false;
        for event in std::mem::take(&mut self.behind) {
            self.tell(event, core);
        }
    }

    fn revision(&self, target: usize) -> Option<Value> {
        let lease = self.lease(target)?;
        Some(lease["metadata"]["resourceVersion"].clone())
    }

    fn changed(&mut self, target: usize, core: &mut Core) {
        let event = WatchEvent::of(target, self.lease(target));
        core.facts.lease_written(&event, core.now);
        if self.stalled {
            self.behind.push(event);
        } else {
            self.tell(event, core);
        }
    }

    fn tell(&self, event: WatchEvent, core: &mut Core) {
        // In order, and after the same time each: a watch is one stream.
        core.push(core.now + Duration::from_millis(5), Event::Watched(event));
    }
}

pub(crate) fn chance(core: &mut Core, of_100: u8) -> bool {
    of_100 > 0 && core.chance.u8(..100) < of_100
}

fn lease_path(objects: &Objects) -> String {
    Verb::GetLease.request(objects).path
}

fn target_path(objects: &Objects) -> String {
    Verb::GetTarget.request(objects).path
}
