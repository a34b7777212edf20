//! What an answer means.

use std::sync::Arc;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::Backoff;
use serde_json::Value;

use super::AGAIN_BASE;
use super::AGAIN_CAP;
use super::CALLS_MAX;
use super::Flight;
use super::Step;
use super::VerdictMachine;
use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::call::Reply;
use crate::call::Verb;
use crate::record::object;
use crate::record::whole_seconds;
use crate::synctarget::Condition;
use crate::synctarget::merge;
use crate::verdict::FlightId;
use crate::verdict::Standing;
use crate::verdict::VerdictEvent;
use crate::verdict::WishKind;
use crate::verdict::queue::Class;
use crate::verdict::target::Judgement;

impl VerdictMachine {
    pub(super) fn settle(&mut self, id: FlightId, reply: Reply, wall: SystemTime, now: Instant) {
        // One that was given up, or whose target was forgotten, says nothing any more.
        let Some(flight) = self.flights.remove(&id) else {
            return;
        };
        match (reply, flight.step) {
            (Ok(object), Step::Get) => self.read(flight, object, wall, now),
            (Ok(_), Step::Put { kind, .. }) => self.written(&flight.target, kind, now),
            (Err(error), _) => self.fail(flight, error, now),
        }
    }

    fn read(&mut self, flight: Flight, object: Value, wall: SystemTime, now: Instant) {
        self.answered();
        let name = flight.target;
        let Some(target) = self.targets.get_mut(&name) else {
            return;
        };
        target.flying = false;
        let recreated = target.meet(object["metadata"]["uid"].as_str(), flight.calls > 1);
        let judgement = target.judge(&object, self.config.foreign_writes_max, now);
        let wish = (target.wish().kind(), target.wish().condition());
        if recreated {
            let target = Arc::clone(&name);
            self.tell_of(VerdictEvent::Recreated { target });
        }
        match (judgement, wish) {
            (Judgement::Write, (Some(kind), Some(condition))) if self.active => {
                let reworded = self.targets.get_mut(&name).is_some_and(|it| it.sent());
                let draft = Verb::PutStatus(draft(object, &condition, wall));
                let step = Step::Put { kind, reworded };
                self.call(name, draft, step, flight.calls + 1, now);
            }
            (Judgement::Contested, _) => {
                let theirs = Standing::of(&object);
                let target = Arc::clone(&name);
                self.tell_of(VerdictEvent::Contested { target, theirs });
                self.rest(&name, now);
            }
            (Judgement::Write | Judgement::Settled, _) => self.rest(&name, now),
        }
    }

    fn written(&mut self, name: &Arc<str>, kind: WishKind, now: Instant) {
        self.answered();
        if let Some(target) = self.targets.get_mut(name) {
            target.written(kind);
        }
        let target = Arc::clone(name);
        self.tell_of(VerdictEvent::Written { target, kind });
        self.rest(name, now);
    }

    /// The target's turn ended well.
    fn rest(&mut self, name: &Arc<str>, now: Instant) {
        if let Some(target) = self.targets.get_mut(name) {
            target.flying = false;
            target.backoff = None;
            target.told = None;
        }
        self.arrange(name, now);
    }

    fn answered(&mut self) {
        self.backoff.reset();
        self.told = None;
    }

    pub(super) fn fail(&mut self, flight: Flight, error: ApiError, now: Instant) {
        let Some(target) = self.targets.get_mut(&flight.target) else {
            return;
        };
        target.flying = false;
        if let Step::Put { kind, reworded } = flight.step {
            target.unwritten(kind, reworded, error.kind.may_have_applied());
        }
        if error.kind == ErrorKind::Conflict && flight.calls < CALLS_MAX && self.active {
            let calls = flight.calls + 1;
            return self.call(flight.target, Verb::GetTarget, Step::Get, calls, now);
        }
        if let Some(wait) = error.retry_after {
            let until = now + wait;
            self.paused = Some(self.paused.map_or(until, |paused| paused.max(until)));
        }
        if is_the_servers(error.kind) {
            self.fail_server(flight, error, now);
        } else {
            self.fail_target(flight, error, now);
        }
    }

    /// The server is left alone for a while, whoever's turn it was.
    fn fail_server(&mut self, flight: Flight, error: ApiError, now: Instant) {
        if self.paused.is_none_or(|until| until <= now) {
            // Of several calls that fail together the first one counts.
            self.paused = Some(now + self.backoff.next_delay());
        }
        self.arrange(&flight.target, now);
        if self.told.replace(error.kind) != Some(error.kind) {
            self.tell_of(VerdictEvent::Failed {
                target: flight.target,
                operation: flight.operation,
                error,
            });
        }
    }

    /// The target is left alone for a while, and the others go first.
    fn fail_target(&mut self, flight: Flight, error: ApiError, now: Instant) {
        let seed = self.seed.wrapping_add(self.next_flight);
        let Some(target) = self.targets.get_mut(&flight.target) else {
            return;
        };
        if error.kind == ErrorKind::NotFound {
            target.gone();
        }
        let fresh = || Box::new(Backoff::new(AGAIN_BASE, AGAIN_CAP, seed));
        let wait = target.backoff.get_or_insert_with(fresh).next_delay();
        let news = target.told.replace(error.kind) != Some(error.kind);
        if target.is_due() {
            let at = self.turn(&flight.target, now).max(now + wait);
            self.queue.put(&flight.target, Class::Again, at);
        }
        if news {
            self.tell_of(VerdictEvent::Failed {
                target: flight.target,
                operation: flight.operation,
                error,
            });
        }
    }
}

/// Whether a failure says something of the server, and not of one target.
const fn is_the_servers(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Connection
        | ErrorKind::ResourceMissing
        | ErrorKind::Server
        | ErrorKind::Timeout
        | ErrorKind::TooMany
        | ErrorKind::Unauthorized => true,
        ErrorKind::AlreadyExists
        | ErrorKind::Conflict
        | ErrorKind::Expired
        | ErrorKind::Forbidden
        | ErrorKind::Invalid
        | ErrorKind::NamespaceMissing
        | ErrorKind::NotFound
        | ErrorKind::TooLarge => false,
    }
}

/// The target with the condition in it, at the resourceVersion and uid that were read.
fn draft(mut target: Value, condition: &Condition, wall: SystemTime) -> Value {
    let status = object(object(&mut target).entry("status").or_insert(Value::Null));
    let conditions = status.entry("conditions").or_insert(Value::Null);
    let _ = merge(conditions, condition, &whole_seconds(wall));
    target
}
