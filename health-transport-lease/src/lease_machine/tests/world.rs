//! A server, a clock, and agents.

use super::super::*;
use crate::testing::Model;
use health_core::HealthStatus;
use http::Method;
use serde_json::Value;
use serde_json::json;
use std::time::UNIX_EPOCH;

pub(super) const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

/// A server, a clock, and the agents that share them.
pub(super) struct World {
    pub(super) model: Model,
    pub(super) objects: Objects,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) timeout: Duration,
    /// By how much the wall clock is ahead of what it should be; before 1970 it is not believed.
    pub(super) ahead: i64,
    /// Whether somebody writes the Lease before each of our writes.
    pub(super) rival: bool,
    pub(super) events: Vec<LeaseEvent>,
}

impl World {
    pub(super) fn new() -> Self {
        let start = Instant::now();
        Self {
            model: Model::default(),
            objects: objects(),
            start,
            now: start,
            timeout: secs(30),
            ahead: 0,
            rival: false,
            events: Vec::new(),
        }
    }

    pub(super) fn sleep(&mut self, seconds: u64) {
        self.now += secs(seconds);
    }

    pub(super) fn wall(&self) -> SystemTime {
        let should = UNIX_EPOCH + secs(1_700_000_000) + (self.now - self.start);
        if self.ahead < 0 {
            should - secs(self.ahead.unsigned_abs())
        } else {
            should + secs(self.ahead.unsigned_abs())
        }
    }

    #[track_caller]
    pub(super) fn beat(&mut self, agent: &mut LeaseMachine, sequence: u64) -> String {
        self.begin(agent, sequence);
        self.finish(agent)
    }

    #[track_caller]
    pub(super) fn release(&mut self, agent: &mut LeaseMachine) -> String {
        self.begin_release(agent);
        self.finish(agent)
    }

    pub(super) fn begin(&mut self, agent: &mut LeaseMachine, sequence: u64) {
        let renewal = Renewal {
            sequence: Sequence(sequence),
            timeout: self.timeout,
            status: HealthStatus::Healthy,
        };
        let (wall, by) = (self.wall(), self.now + secs(5));
        let input = LeaseInput::Beat { renewal, wall, by };
        agent.handle(input, self.now);
    }

    pub(super) fn begin_release(&mut self, agent: &mut LeaseMachine) {
        let (wall, by) = (self.wall(), self.now + secs(5));
        agent.handle(LeaseInput::Release { wall, by }, self.now);
    }

    /// The call that the agent wants, unanswered.
    pub(super) fn next_call(&mut self, agent: &mut LeaseMachine) -> Option<Call> {
        while let Some(output) = agent.poll() {
            match output {
                Output::Call(call) => return Some(call),
                Output::Event(event) => self.events.push(event),
                Output::Done(outcome) => panic!("{outcome:?}"),
            }
        }
        None
    }

    /// Answers one call.
    pub(super) fn answer(&mut self, agent: &mut LeaseMachine) {
        let call = self.next_call(agent).unwrap();
        self.reply(agent, &call);
    }

    pub(super) fn reply(&mut self, agent: &mut LeaseMachine, call: &Call) {
        if self.rival && call.verb.is_write() {
            let theirs = self.object().clone();
            self.model.put(LEASE, theirs);
        }
        match self.model.call(&call.verb, &self.objects) {
            Some(reply) => agent.handle(LeaseInput::Reply(reply), self.now),
            None => {
                assert_eq!(agent.poll_timeout(), Some(call.by));
                self.now = call.by;
                agent.handle(LeaseInput::Timeout, self.now);
            }
        }
    }

    #[track_caller]
    pub(super) fn finish(&mut self, agent: &mut LeaseMachine) -> String {
        for _ in 0..100 {
            let mut call = None;
            while let Some(output) = agent.poll() {
                match output {
                    Output::Call(next) => call = Some(next),
                    Output::Event(event) => self.events.push(event),
                    Output::Done(outcome) => return said(&outcome),
                }
            }
            if let Some(call) = call {
                self.reply(agent, &call);
            } else {
                self.now = self.now.max(agent.poll_timeout().unwrap());
                agent.handle(LeaseInput::Timeout, self.now);
            }
        }
        panic!("it does not end");
    }

    pub(super) fn methods(&mut self) -> Vec<Method> {
        let requests = self.model.take_requests();
        requests.into_iter().map(|(method, _)| method).collect()
    }

    pub(super) fn conflicts(&self) -> usize {
        let conflicted = |event: &&LeaseEvent| **event == LeaseEvent::Conflicted;
        self.events.iter().filter(conflicted).count()
    }

    pub(super) fn object(&self) -> &Value {
        self.model.object(LEASE).unwrap()
    }

    pub(super) fn spec(&self) -> &Value {
        &self.object()["spec"]
    }
}

pub(super) fn said(outcome: &LeaseOutcome) -> String {
    match outcome {
        LeaseOutcome::Acknowledged => "acknowledged".to_owned(),
        LeaseOutcome::StandingBy { holder } => format!("standing by for {holder}"),
        LeaseOutcome::Released => "released".to_owned(),
        LeaseOutcome::Failed { error, .. } => format!("failed {:?}", error.kind),
    }
}

pub(super) fn held(agent: &LeaseMachine) -> Instant {
    agent.tenure().held.unwrap().until
}

pub(super) fn agent(slot: &str, incarnation: &str) -> LeaseMachine {
    LeaseMachine::new(objects(), &identity(slot, incarnation), 7)
}

pub(super) fn identity(slot: &str, incarnation: &str) -> Identity {
    Identity {
        slot: slot.into(),
        incarnation: incarnation.into(),
    }
}

pub(super) fn objects() -> Objects {
    Objects {
        namespace: "default".to_owned(),
        lease: "edge-1-heartbeat".to_owned(),
        target: "edge-1".to_owned(),
    }
}

pub(super) fn lease(holder: &str, duration: Value) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": "edge-1-heartbeat"},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": duration,
            "renewTime": "2001-01-01T00:00:00.000000Z",
        },
    })
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
