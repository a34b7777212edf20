//! A server, a clock, and a hub that writes its verdicts.

use super::super::*;
use crate::Dialect;
use crate::http_form::Objects;
use crate::testing::Model;
use crate::verdict::LastSign;
use crate::verdict::Silence;
use serde_json::Value;
use serde_json::json;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

pub(super) const THEN: &str = "2001-01-01T00:00:00Z";

/// A server, a clock, and a hub.
pub(super) struct World {
    pub(super) model: Model,
    pub(super) machine: VerdictMachine,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) events: Vec<VerdictEvent>,
    /// Requests, with when they were made.
    pub(super) made: Vec<(Instant, String)>,
    /// Whether the agent writes its own condition before each write of ours, that many times.
    pub(super) agent_races: u32,
    /// Whether nothing is answered.
    pub(super) hangs: bool,
}

impl World {
    pub(super) fn new() -> Self {
        Self::of(Dialect::Kcp, VerdictConfig::default())
    }

    pub(super) fn of(dialect: Dialect, config: VerdictConfig) -> Self {
        let start = Instant::now();
        let mut model = Model::with_dialect(dialect);
        model.create_target("edge-1");
        let mut machine = VerdictMachine::new(config, 7);
        machine.handle(VerdictInput::Active(true), start);
        Self {
            model,
            machine,
            start,
            now: start,
            events: Vec::new(),
            made: Vec::new(),
            agent_races: 0,
            hangs: false,
        }
    }

    /// Another hub with the same server and the same time.
    pub(super) fn restart(&mut self) {
        self.machine = VerdictMachine::new(VerdictConfig::default(), 8);
        self.hand_in(VerdictInput::Active(true));
    }

    pub(super) fn hand_in(&mut self, input: VerdictInput) {
        self.machine.handle(input, self.now);
    }

    pub(super) fn tell(&mut self, name: &str, wish: Wish) {
        let target = name.into();
        self.hand_in(VerdictInput::Tell { target, wish });
    }

    /// A watch shows the target as it is.
    pub(super) fn watch(&mut self, name: &str) {
        let object = self.object(name);
        let input = VerdictInput::Seen {
            target: name.into(),
            uid: object["metadata"]["uid"].as_str().unwrap().to_owned(),
            standing: Standing::of(object),
        };
        self.hand_in(input);
    }

    /// Does what the machine wants for so many seconds; says which requests that were.
    pub(super) fn run(&mut self, seconds: u64) -> Vec<String> {
        let (before, until) = (self.made.len(), self.now + secs(seconds));
        loop {
            while let Some(output) = self.machine.poll() {
                match output {
                    VerdictOutput::Call {
                        flight,
                        target,
                        call,
                    } => self.answer(flight, &target, &call),
                    VerdictOutput::Event(event) => self.events.push(event),
                }
            }
            assert!(self.machine.flights.len() <= IN_FLIGHT_MAX);
            match self.machine.poll_timeout() {
                Some(at) if at <= until => {
                    self.now = self.now.max(at);
                    self.hand_in(VerdictInput::Timeout);
                }
                Some(_) | None => break,
            }
        }
        self.now = until;
        let made = &self.made[before..];
        made.iter().map(|(_, request)| request.clone()).collect()
    }

    fn answer(&mut self, flight: FlightId, target: &str, call: &Call) {
        let verb = if call.verb.is_write() { "PUT" } else { "GET" };
        self.made.push((self.now, format!("{verb} {target}")));
        if call.verb.is_write() && self.agent_races > 0 {
            self.agent_races -= 1;
            self.agent_writes(target);
        }
        let objects = objects(target);
        let reply = if self.hangs {
            None
        } else {
            self.model.call(&call.verb, &objects)
        };
        // What is not answered is given up at its time.
        if let Some(reply) = reply {
            let wall = self.wall();
            self.hand_in(VerdictInput::Reply {
                flight,
                reply,
                wall,
            });
        }
    }

    /// The agent writes its own condition, and nothing else.
    pub(super) fn agent_writes(&mut self, name: &str) {
        let mut object = self.object(name).clone();
        let conditions = &mut object["status"]["conditions"];
        if !conditions.is_array() {
            *conditions = json!([]);
        }
        let time = object["metadata"]["resourceVersion"].clone();
        let list = object["status"]["conditions"].as_array_mut().unwrap();
        list.retain(|entry| entry["type"] != "SyncerReady");
        list.insert(
            0,
            json!({"type": "SyncerReady", "status": "True", "reason": "Healthy",
            "message": time, "lastTransitionTime": THEN}),
        );
        self.model.put(&path(name), object);
    }

    /// Somebody writes our condition, or removes it.
    pub(super) fn rival_writes(&mut self, name: &str, condition: Option<Value>) {
        let mut object = self.object(name).clone();
        let list = condition.map_or_else(|| json!([]), |condition| json!([condition]));
        object["status"]["conditions"] = list;
        self.model.put(&path(name), object);
    }

    pub(super) fn object(&self, name: &str) -> &Value {
        self.model.object(&path(name)).unwrap()
    }

    /// What stands on the target.
    pub(super) fn standing(&self, name: &str) -> Standing {
        Standing::of(self.object(name))
    }

    /// Our condition on `edge-1`.
    #[track_caller]
    pub(super) fn condition(&self) -> &Value {
        let conditions = self.object("edge-1")["status"]["conditions"].as_array();
        let mut ours = conditions.unwrap().iter();
        ours.find(|entry| entry["type"] == "HeartbeatHealthy")
            .unwrap()
    }

    pub(super) fn wall(&self) -> SystemTime {
        UNIX_EPOCH + secs(1_700_000_000) + (self.now - self.start)
    }

    pub(super) fn contested(&self) -> usize {
        let contested = |event: &&VerdictEvent| matches!(event, VerdictEvent::Contested { .. });
        self.events.iter().filter(contested).count()
    }

    /// The kinds of failure that were told, in order.
    pub(super) fn failures(&self) -> Vec<ErrorKind> {
        let failed = |event: &VerdictEvent| match event {
            VerdictEvent::Failed { error, .. } => Some(error.kind),
            VerdictEvent::Written { .. }
            | VerdictEvent::Contested { .. }
            | VerdictEvent::Recreated { .. } => None,
        };
        self.events.iter().filter_map(failed).collect()
    }
}

/// Lost so many seconds after some time.
pub(super) fn lost(seconds: u64) -> Wish {
    let since = UNIX_EPOCH + secs(1_600_000_000 + seconds);
    let last = LastSign {
        at: since - secs(30),
        channel: "tunnel",
    };
    Wish::Lost(Silence {
        since,
        last: Some(last),
    })
}

pub(super) fn wishes() -> [Wish; 4] {
    [Wish::Alive, lost(0), Wish::Left, Wish::Leave]
}

/// Our condition as it stands when this was wished for long ago.
pub(super) fn stands(wish: &Wish) -> Option<Value> {
    let condition = wish.condition()?;
    let mut conditions = json!([]);
    let _ = crate::synctarget::merge(&mut conditions, &condition, THEN);
    Some(conditions[0].take())
}

/// Our condition as another controller writes it.
pub(super) fn foreign(status: &str) -> Value {
    json!({"type": "HeartbeatHealthy", "status": status, "reason": "ErrorHeartbeat",
        "message": "theirs", "lastTransitionTime": THEN})
}

pub(super) fn path(name: &str) -> String {
    format!("/apis/workload.kcp.io/v1alpha1/synctargets/{name}")
}

fn objects(target: &str) -> Objects {
    Objects {
        namespace: String::new(),
        lease: String::new(),
        target: target.to_owned(),
    }
}

pub(super) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
