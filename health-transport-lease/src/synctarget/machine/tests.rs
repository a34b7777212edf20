use super::*;
use crate::Objects;
use crate::names;
use crate::synctarget::ConditionStatus;
use crate::synctarget::HeartbeatField;
use crate::testing::Fault;
use crate::testing::Model;
use crate::testing::carried;
use health_core::HealthStatus;
use serde_json::json;
use std::time::UNIX_EPOCH;

const TARGET: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";
const THEN: &str = "2001-01-01T00:00:00Z";

#[test]
fn the_dialect_is_found_by_dry_runs_and_then_each_beat_is_one_write() {
    for (dialect, dry_runs) in Dialect::ALL.into_iter().zip(1..) {
        let mut world = World::new(Some(dialect));
        let mut alice = agent(HeartbeatField::Auto);
        assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
        assert_eq!(world.requests().len(), 1 + dry_runs + 1, "{dialect:?}");
        for _ in 0..10 {
            world.sleep(20);
            assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
            assert_eq!(world.requests(), ["PUT status?fieldValidation=Strict"]);
        }
        let status = &world.object()["status"];
        assert_eq!(status[dialect.heartbeat_field()], "2023-11-14T22:16:40Z");
        let identity = dialect.identity_field().map(|field| &status[field]);
        assert_eq!(identity.cloned(), identity.map(|_| json!("alice_1")));
        assert_eq!(status["conditions"][0]["type"], names::SYNCER_READY);
        assert_eq!(
            status["conditions"][0]["lastTransitionTime"],
            "2023-11-14T22:13:20Z"
        );
    }
}

#[test]
fn an_agent_that_has_just_started_writes_once_its_checks_have_results() {
    let pending = || Condition {
        kind: names::SYNCER_READY,
        status: ConditionStatus::Unknown,
        severity: None,
        reason: "Pending".to_owned(),
        message: String::new(),
    };
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    assert_eq!(world.beat_with(&mut alice, pending()), "suppressed");
    assert_eq!(
        world.requests(),
        ["GET ", "PUT status?dryRun=All&fieldValidation=Strict"],
        "the server was asked"
    );
    assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
    assert_eq!(world.now, world.start, "at once");
    world.sleep(20);
    assert_eq!(world.beat_with(&mut alice, pending()), "written");

    let mut bob = agent(HeartbeatField::Auto);
    assert_eq!(world.beat_with(&mut bob, pending()), "suppressed");
    world.sleep(10);
    assert_eq!(
        world.beat_with(&mut bob, pending()),
        "written",
        "not for ever"
    );
}

#[test]
fn a_configured_field_is_the_only_one_tried() {
    let mut world = World::new(Some(Dialect::TmcApi));
    let mut alice = agent(HeartbeatField::Fixed(Dialect::Kcp));
    assert_eq!(
        world.beat(&mut alice, HealthStatus::Healthy),
        "failed Invalid"
    );
    let error = world.error.clone();
    assert!(
        error.contains("lastSyncerHeartbeatTime") && error.contains("heartbeatField"),
        "{error}"
    );
    world.model.define(Some(Dialect::Kcp));
    assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
}

#[test]
fn a_definition_that_changes_is_searched_again() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    world.beat(&mut alice, HealthStatus::Healthy);
    world.model.define(Some(Dialect::TmcController));
    world.model.create_target("edge-1");
    world.sleep(20);
    assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
    assert!(world.object()["status"]["lastHeartbeat"].is_string());
}

/// OCM registration#280, and the target's own: a recreated target is another one.
#[test]
fn pitfall_16_a_recreated_target_gets_nothing_of_the_old_ones_status() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    let theirs = json!([{"type": "Ready", "status": "True", "lastTransitionTime": THEN}]);
    let mut old = world.object().clone();
    old["status"] = json!({ "conditions": theirs });
    world.model.put(TARGET, old);
    world.beat(&mut alice, HealthStatus::Healthy);
    assert_eq!(
        world.object()["status"]["conditions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    world.model.create_target("edge-1");
    world.sleep(20);
    assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
    let conditions = world.object()["status"]["conditions"].as_array().unwrap();
    assert_eq!(conditions.len(), 1);
    assert_eq!(conditions[0]["lastTransitionTime"], "2023-11-14T22:13:40Z");
    assert!(world.events.contains(&StatusEvent::Recreated));
}

#[test]
fn a_deleted_target_is_written_again_when_it_is_back() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    world.beat(&mut alice, HealthStatus::Healthy);
    world.model.delete(TARGET);
    for _ in 0..3 {
        world.sleep(20);
        assert_eq!(
            world.beat(&mut alice, HealthStatus::Healthy),
            "failed NotFound"
        );
    }
    world.model.define(None);
    assert_eq!(
        world.beat(&mut alice, HealthStatus::Healthy),
        "failed ResourceMissing"
    );
    world.model.define(Some(Dialect::TmcApi));
    world.model.create_target("edge-1");
    world.sleep(20);
    assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
}

/// OCM #770: the hub writes its own condition between two of ours.
#[test]
fn pitfall_15_a_conflict_merges_into_what_the_other_wrote() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    world.beat(&mut alice, HealthStatus::Healthy);
    let hubs = json!({"type": "HeartbeatHealthy", "status": "True", "reason": "HeartbeatReceived",
        "lastTransitionTime": THEN});
    let mut theirs = world.object().clone();
    theirs["status"]["conditions"]
        .as_array_mut()
        .unwrap()
        .insert(0, hubs.clone());
    world.model.put(TARGET, theirs);
    world.sleep(20);
    world.requests();
    assert_eq!(world.beat(&mut alice, HealthStatus::Unhealthy), "written");
    assert_eq!(world.requests().len(), 3);
    let conditions = &world.object()["status"]["conditions"];
    assert_eq!(conditions[0], hubs);
    assert_eq!(conditions[1]["severity"], "Error");
    assert_eq!(conditions[1]["reason"], "Refused");
}

/// OCM #770: two controllers wrote one condition in turns, as fast as they could. `SyncerReady` is
/// ours alone, `HeartbeatHealthy` is never ours, and who writes ours all the same is written over
/// with the next heartbeat, not in answer.
#[test]
fn pitfall_15_a_foreign_writer_of_our_condition_is_not_fought_with() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    world.beat(&mut alice, HealthStatus::Healthy);
    world.requests();
    let (mut writes, mut flaps) = (0, 0);
    for second in 1..=600 {
        world.sleep(1);
        let mut theirs = world.object().clone();
        theirs["status"]["conditions"] = json!([
            {"type": "SyncerReady", "status": "False", "reason": "Theirs", "message": "",
                "lastTransitionTime": THEN},
            {"type": "HeartbeatHealthy", "status": "Unknown", "lastTransitionTime": THEN},
        ]);
        let hubs = theirs["status"]["conditions"][1].clone();
        world.model.put(TARGET, theirs);
        world.beat(&mut alice, HealthStatus::Healthy);
        let requests = world.requests();
        writes += requests.iter().filter(|it| it.starts_with("PUT")).count();
        flaps += usize::from(world.object()["status"]["conditions"][0]["status"] == "True");
        assert_eq!(world.object()["status"]["conditions"][1], hubs, "{second}");
    }
    // Each conflicts first, and is written again.
    assert!((30..=34).contains(&flaps), "{flaps} in 30 heartbeats");
    assert_eq!(writes, 2 * flaps);
}

#[test]
fn a_transition_waits_for_the_rate_and_no_change_for_the_heartbeat() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    let start = world.now;
    world.beat(&mut alice, HealthStatus::Healthy);
    world.sleep(1);
    assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "suppressed");
    assert_eq!(world.beat(&mut alice, HealthStatus::Unhealthy), "written");
    assert_eq!(world.now, start + secs(5));
    world.within = secs(2);
    assert_eq!(
        world.beat(&mut alice, HealthStatus::Healthy),
        "failed Timeout"
    );
    assert!(world.error.contains("minInterval"), "{}", world.error);
    assert_eq!(
        world.now,
        start + secs(5),
        "it does not wait for what cannot be"
    );
}

#[test]
fn a_goodbye_is_one_write_whatever_the_rate_and_no_heartbeat() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    world.beat(&mut alice, HealthStatus::Healthy);
    let heartbeat = world.object()["status"]["lastSyncerHeartbeatTime"].clone();
    world.sleep(1);
    world.requests();
    assert_eq!(world.release(&mut alice), "written");
    assert_eq!(world.requests().len(), 1);
    let status = &world.object()["status"];
    assert_eq!(status["lastSyncerHeartbeatTime"], heartbeat);
    let condition = &status["conditions"][0];
    assert_eq!(condition["status"], "False");
    assert_eq!(condition["severity"], "Info");
    assert_eq!(condition["reason"], "ShuttingDown");
}

#[test]
fn an_unknown_outcome_is_read_again_before_the_next_write() {
    for fault in [Fault::AnswerLost, Fault::Lost, Fault::Status(500)] {
        let mut world = World::new(Some(Dialect::Kcp));
        let mut alice = agent(HeartbeatField::Auto);
        world.beat(&mut alice, HealthStatus::Healthy);
        world.sleep(20);
        world.model.fail([fault]);
        assert!(
            world
                .beat(&mut alice, HealthStatus::Healthy)
                .starts_with("failed")
        );
        world.requests();
        assert_eq!(world.beat(&mut alice, HealthStatus::Healthy), "written");
        assert_eq!(world.requests()[0], "GET ", "{fault:?}");
    }
}

#[test]
fn lost_races_are_bounded() {
    let mut world = World::new(Some(Dialect::Kcp));
    let mut alice = agent(HeartbeatField::Auto);
    world.beat(&mut alice, HealthStatus::Healthy);
    world.sleep(20);
    world.requests();
    world.rival = true;
    assert_eq!(
        world.beat(&mut alice, HealthStatus::Healthy),
        "failed Conflict"
    );
    assert_eq!(world.requests().len(), CALLS_MAX as usize);
}

struct World {
    model: Model,
    start: Instant,
    now: Instant,
    within: Duration,
    rival: bool,
    error: String,
    events: Vec<StatusEvent>,
}

impl World {
    fn new(dialect: Option<Dialect>) -> Self {
        let start = Instant::now();
        let mut model = Model::default();
        model.define(dialect);
        model.create_target("edge-1");
        Self {
            model,
            start,
            now: start,
            within: secs(10),
            rival: false,
            error: String::new(),
            events: Vec::new(),
        }
    }

    fn sleep(&mut self, seconds: u64) {
        self.now += secs(seconds);
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + secs(1_700_000_000) + (self.now - self.start)
    }

    #[track_caller]
    fn beat(&mut self, agent: &mut StatusMachine, status: HealthStatus) -> &'static str {
        let condition = Condition::syncer_ready(&carried(status, status == HealthStatus::Healthy));
        self.beat_with(agent, condition)
    }

    #[track_caller]
    fn beat_with(&mut self, agent: &mut StatusMachine, condition: Condition) -> &'static str {
        let (wall, by) = (self.wall(), self.now + self.within);
        let input = StatusInput::Beat {
            condition,
            wall,
            by,
        };
        agent.handle(input, self.now);
        self.finish(agent)
    }

    #[track_caller]
    fn release(&mut self, agent: &mut StatusMachine) -> &'static str {
        let (wall, by) = (self.wall(), self.now + self.within);
        agent.handle(StatusInput::Release { wall, by }, self.now);
        self.finish(agent)
    }

    #[track_caller]
    fn finish(&mut self, agent: &mut StatusMachine) -> &'static str {
        for _ in 0..100 {
            let mut call = None;
            while let Some(output) = agent.poll() {
                match output {
                    Output::Call(next) => call = Some(next),
                    Output::Event(event) => self.events.push(event),
                    Output::Done(outcome) => return self.said(outcome),
                }
            }
            match call {
                Some(call) => self.reply(agent, &call),
                None => {
                    self.now = self.now.max(agent.poll_timeout().unwrap());
                    agent.handle(StatusInput::Timeout, self.now);
                }
            }
        }
        panic!("it does not end");
    }

    fn reply(&mut self, agent: &mut StatusMachine, call: &Call) {
        if self.rival && call.verb.is_write() {
            let theirs = self.object().clone();
            self.model.put(TARGET, theirs);
        }
        match self.model.call(&call.verb, &objects()) {
            Some(reply) => agent.handle(StatusInput::Reply(reply), self.now),
            None => {
                self.now = call.by;
                agent.handle(StatusInput::Timeout, self.now);
            }
        }
    }

    fn said(&mut self, outcome: StatusOutcome) -> &'static str {
        match outcome {
            StatusOutcome::Written => "written",
            StatusOutcome::Suppressed { .. } => "suppressed",
            StatusOutcome::Failed { error, .. } => {
                self.error.clone_from(&error.message);
                match error.kind {
                    ErrorKind::Conflict => "failed Conflict",
                    ErrorKind::Invalid => "failed Invalid",
                    ErrorKind::NotFound => "failed NotFound",
                    ErrorKind::ResourceMissing => "failed ResourceMissing",
                    ErrorKind::Server => "failed Server",
                    ErrorKind::Timeout => "failed Timeout",
                    ErrorKind::AlreadyExists
                    | ErrorKind::Connection
                    | ErrorKind::Expired
                    | ErrorKind::Forbidden
                    | ErrorKind::NamespaceMissing
                    | ErrorKind::TooLarge
                    | ErrorKind::TooMany
                    | ErrorKind::Unauthorized => panic!("{error}"),
                }
            }
        }
    }

    fn requests(&mut self) -> Vec<String> {
        let requests = self.model.take_requests();
        let shown = |(method, path): (http::Method, String)| {
            let rest = path.strip_prefix(TARGET).unwrap().trim_start_matches('/');
            format!("{method} {rest}")
        };
        requests.into_iter().map(shown).collect()
    }

    fn object(&self) -> &Value {
        self.model.object(TARGET).unwrap()
    }
}

fn agent(heartbeat_field: HeartbeatField) -> StatusMachine {
    let config = SyncTargetConfig {
        heartbeat_field,
        ..SyncTargetConfig::default()
    };
    let identity = Identity {
        slot: "alice".into(),
        incarnation: "1".into(),
    };
    StatusMachine::new(config, &identity, 7)
}

fn objects() -> Objects {
    Objects {
        namespace: "default".to_owned(),
        lease: "edge-1-heartbeat".to_owned(),
        target: "edge-1".to_owned(),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
