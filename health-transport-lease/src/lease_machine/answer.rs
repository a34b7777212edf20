//! What an answer means.

use std::time::Instant;

use health_heartbeat::Sequence;
use serde_json::Value;

use super::Known;
use super::LeaseEvent;
use super::LeaseMachine;
use super::LeaseOutcome;
use super::task::Flight;
use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::call::Output;
use crate::call::Reply;
use crate::record::LeaseObject;
use crate::record::owner_reference;
use crate::tenure::Held;

impl LeaseMachine {
    pub(super) fn settle(&mut self, reply: Reply, now: Instant) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        if flight.of_target {
            return self.settle_owner(reply, now);
        }
        match reply {
            Ok(value) if flight.write => self.settle_written(&flight, value, now),
            Ok(value) => {
                self.see(Some(value.into()), now);
                self.looked(now);
            }
            Err(error) => self.settle_error(&flight, error, now),
        }
    }

    fn settle_owner(&mut self, reply: Reply, now: Instant) {
        if let Some(task) = &mut self.task {
            task.owner = reply.ok().as_ref().and_then(owner_reference);
        }
        self.step(now);
    }

    fn settle_written(&mut self, flight: &Flight, value: Value, now: Instant) {
        self.doubt = false;
        self.unanswered = None;
        self.known = Some(Known {
            object: Some(value.into()),
            changed_at: now,
        });
        match flight.renews {
            Some((_, until)) => {
                self.hold(until);
                self.acknowledge();
            }
            None => {
                self.outputs.push_back(Output::Event(LeaseEvent::Released));
                self.done(LeaseOutcome::Released);
            }
        }
    }

    fn settle_error(&mut self, flight: &Flight, error: ApiError, now: Instant) {
        let kind = error.kind;
        if flight.write && matches!(kind, ErrorKind::Conflict | ErrorKind::AlreadyExists) {
            let conflicted = LeaseEvent::Conflicted;
            self.outputs.push_back(Output::Event(conflicted));
            self.doubt = true;
            self.retry(now);
        } else if kind == ErrorKind::NotFound && !flight.creates {
            self.see(None, now);
            self.looked(now);
        } else {
            if flight.write && kind.may_have_applied() {
                self.doubt = true;
                self.remember(flight);
            }
            self.fail(flight.operation, error);
        }
    }

    /// After the first lost race at once, after each further one a little later.
    fn retry(&mut self, now: Instant) {
        let Some(task) = &mut self.task else {
            return;
        };
        task.races += 1;
        if task.races == 1 {
            self.step(now);
        } else {
            self.wait = Some(task.by.min(now + self.backoff.next_delay()));
        }
    }

    fn looked(&mut self, now: Instant) {
        self.doubt = false;
        if let Some(task) = &mut self.task {
            task.looked = true;
        }
        self.step(now);
    }

    /// Takes in what the server has.
    fn see(&mut self, object: Option<LeaseObject>, now: Instant) {
        let before = self.known.take();
        let same = |known: &Known| match (&known.object, &object) {
            (Some(old), Some(new)) => old.same_record(new),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let changed_at = before.filter(same).map_or(now, |known| known.changed_at);
        let holder = object.as_ref().and_then(LeaseObject::holder);
        if holder.as_ref() != Some(&self.holder) && self.tenure.held.take().is_some() {
            let lost = LeaseEvent::Lost { to: holder };
            self.outputs.push_back(Output::Event(lost));
        }
        self.known = Some(Known { object, changed_at });
    }

    /// Whether the server has this very heartbeat: the answer to its write was lost, not the write.
    pub(super) fn credit(&mut self, object: Option<&LeaseObject>, sequence: Sequence) -> bool {
        let written = object.and_then(LeaseObject::sequence);
        let Some(unanswered) = self.unanswered.filter(|it| Some(it.sequence) == written) else {
            return false;
        };
        self.unanswered = None;
        self.hold(unanswered.until);
        unanswered.sequence == sequence
    }

    fn hold(&mut self, until: Instant) {
        self.newcomer = false;
        self.tenure.other = None;
        match &mut self.tenure.held {
            Some(held) => held.until = held.until.max(until),
            None => {
                self.tenure.held = Some(Held { until });
                self.outputs.push_back(Output::Event(LeaseEvent::Acquired));
            }
        }
    }

    pub(super) fn acknowledge(&mut self) {
        self.done(LeaseOutcome::Acknowledged);
    }

    pub(super) fn fail(&mut self, operation: &'static str, error: ApiError) {
        self.done(LeaseOutcome::Failed { operation, error });
    }

    pub(super) fn done(&mut self, outcome: LeaseOutcome) {
        self.task = None;
        self.wait = None;
        self.outputs.push_back(Output::Done(outcome));
    }
}
