//! What the transports make of a server.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::Acknowledgement;
use health_heartbeat::BeatError;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Identity;
use health_heartbeat::Standing;
use health_transport_lease::Dialect;
use health_transport_lease::HeartbeatField;
use health_transport_lease::LeaseConfig;
use health_transport_lease::LeaseTransport;
use health_transport_lease::SyncTargetConfig;
use health_transport_lease::SyncTargetTransport;
use health_transport_lease::testing::heartbeat;
use serde_json::Value;
use serde_json::json;
use tokio::sync::Mutex;

use crate::place::EDGE;
use crate::place::LEASES;
use crate::place::Place;
use crate::place::TARGETS;
use crate::place::lease;
use crate::place::ms;
use crate::place::target;
use crate::place::until;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

pub(crate) async fn a_lease_is_created_renewed_taken_over_and_released(server: &Place) {
    let mut alice = keeper(server, "alice", "1");
    for sequence in 1..4 {
        beat(&mut alice, sequence).await.unwrap();
        let object = server.get(LEASE).await.done(200);
        assert_eq!(object["spec"]["holderIdentity"], "alice_1");
        assert_eq!(object["spec"]["leaseTransitions"], 0);
        let written = &object["metadata"]["annotations"]["syncer-health/sequence"];
        assert_eq!(*written, sequence.to_string());
    }
    let mut bob = keeper(server, "bob", "1");
    let answer = beat(&mut bob, 1).await.unwrap();
    let holder = "alice_1".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    let mut restarted = keeper(server, "alice", "2");
    let answer = beat(&mut restarted, 1).await.unwrap();
    assert_eq!(answer, Acknowledgement::default());
    let answer = beat(&mut alice, 4).await.unwrap();
    let holder = "alice_2".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    restarted.release(soon()).await.unwrap();
    assert_eq!(spec(server).await["holderIdentity"], "");
    let answer = beat(&mut bob, 2).await.unwrap();
    assert_eq!(answer, Acknowledgement::default());
    assert_eq!(spec(server).await["leaseTransitions"], 2);

    let nowhere = LeaseConfig::new("nowhere", "", "edge-1").unwrap();
    let identity = identity("alice", "1");
    let mut lost = LeaseTransport::new(server.admin.clone(), &nowhere, "edge-1", &identity, 7);
    let error = beat(&mut lost, 1).await.unwrap_err().chain();
    let said = "namespace \"nowhere\" does not exist";
    assert!(error.contains(said), "{error}");
}

/// OCM registration#280: a loop stops for good when its object is gone.
pub(crate) async fn pitfall_16_a_lease_that_was_deleted_is_created_again(server: &Place) {
    let mut alice = keeper(server, "alice", "1");
    beat(&mut alice, 1).await.unwrap();
    let old = server.get(LEASE).await.done(200);
    server.delete(LEASE).await.done(200);
    let answer = beat(&mut alice, 2).await.unwrap();
    assert_eq!(answer, Acknowledgement::default());
    let new = server.get(LEASE).await.done(200);
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(new["spec"]["holderIdentity"], "alice_1");
    beat(&mut alice, 3).await.unwrap();
}

/// The same for both objects: what the old target owned is collected under the living agent.
pub(crate) async fn pitfall_16_a_recreated_target_and_its_lease_are_found_again(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    let old = server.post(TARGETS, &target()).await.done(201);
    let mut keeper = keeper(server, "alice", "1");
    let mut writer = writer(server);
    beat(&mut keeper, 1).await.unwrap();
    beat(&mut writer, 1).await.unwrap();
    server.delete(EDGE).await.done(200);
    until("its Lease is collected", || async {
        server.get(LEASE).await.code == 404
    })
    .await;
    let writer = Mutex::new(writer);
    until("the writer finds it gone", || async {
        // What was written a moment ago is not written again.
        let error = beat(&mut *writer.lock().await, 2).await.err();
        error.is_some_and(|error| error.chain().contains("it does not exist"))
    })
    .await;
    let new = server.post(TARGETS, &target()).await.done(201);
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    beat(&mut keeper, 2).await.unwrap();
    let lease = server.get(LEASE).await.done(200);
    let owner = &lease["metadata"]["ownerReferences"][0];
    assert_eq!(owner["uid"], new["metadata"]["uid"]);
    until("it is written again", || async {
        beat(&mut *writer.lock().await, 3).await.unwrap();
        let status = &server.get(EDGE).await.done(200)["status"];
        status["conditions"][0]["type"] == "SyncerReady"
    })
    .await;
}

/// OCM [R]: a Lease without renewTime. Whatever a server can hold is judged by when we saw it
/// change: what is nobody's is taken at once, and what is somebody's after its own duration.
pub(crate) async fn pitfall_19_whatever_stands_in_a_lease_is_taken_over_in_time(server: &Place) {
    let (past, future) = ("0001-01-01T00:00:00.000000Z", "9999-01-01T00:00:00.000000Z");
    for (name, spec, free) in [
        ("none", json!({}), true),
        (
            "null",
            json!({ "holderIdentity": null, "renewTime": null }),
            true,
        ),
        (
            "released",
            json!({ "holderIdentity": "", "leaseDurationSeconds": 1 }),
            true,
        ),
        (
            "untimed",
            json!({ "holderIdentity": "bob", "leaseDurationSeconds": 1 }),
            false,
        ),
        (
            "future",
            json!({ "holderIdentity": "bob", "leaseDurationSeconds": 1, "renewTime": future }),
            false,
        ),
        (
            "past",
            json!({ "holderIdentity": "bob", "leaseDurationSeconds": 1, "renewTime": past,
                "acquireTime": future, "leaseTransitions": i32::MAX }),
            false,
        ),
    ] {
        server.post(LEASES, &lease(name, spec)).await.done(201);
        let config = LeaseConfig::new("default", name, "edge-1").unwrap();
        let identity = identity("alice", "1");
        let mut alice = LeaseTransport::new(server.admin.clone(), &config, "edge-1", &identity, 7);
        let answer = beat(&mut alice, 1).await.unwrap();
        let standing_by = Standing::StandingBy {
            holder: "bob".into(),
        };
        let expected = if free { Standing::Beating } else { standing_by };
        assert_eq!(answer.standing, expected, "{name}");
        let alice = Mutex::new(alice);
        until("it is taken over", || async {
            let answer = beat(&mut *alice.lock().await, 2).await.unwrap();
            answer.standing == Standing::Beating
        })
        .await;
        let held = server.get(&format!("{LEASES}/{name}")).await.done(200);
        assert_eq!(held["spec"]["holderIdentity"], "alice_1", "{name}");
    }
}

pub(crate) async fn a_synctarget_of_each_dialect_is_written(server: &Place) {
    let mut alice = writer(server);
    let error = beat(&mut alice, 1).await.unwrap_err().chain();
    assert!(error.contains("manifests crd"), "{error}");
    for dialect in Dialect::ALL {
        server.define(Some(dialect)).await;
        let error = beat(&mut alice, 1).await.unwrap_err().chain();
        assert!(error.contains("it does not exist"), "{dialect:?} {error}");
        server.post(TARGETS, &target()).await.done(201);
        let (time, mut since) = (dialect.heartbeat_field(), Value::Null);
        for sequence in 2..4 {
            let before = server.get(EDGE).await.done(200)["status"][time].clone();
            let writer = Mutex::new(&mut alice);
            until("its time moves", || async {
                beat(&mut **writer.lock().await, sequence).await.unwrap();
                let status = &server.get(EDGE).await.done(200)["status"];
                status[time].is_string() && status[time] != before
            })
            .await;
            let condition = server.get(EDGE).await.done(200)["status"]["conditions"][0].clone();
            assert_eq!(condition["type"], "SyncerReady");
            assert_eq!(condition["status"], "True");
            let transition = &condition["lastTransitionTime"];
            assert!(since.is_null() || since == *transition, "{dialect:?}");
            since = transition.clone();
        }
        alice.release(soon()).await.unwrap();
        let status = server.get(EDGE).await.done(200)["status"].clone();
        assert_eq!(status["conditions"][0]["reason"], "ShuttingDown");
        assert_eq!(status["conditions"][0]["severity"], "Info");
        server.define(None).await;
    }
}

async fn spec(server: &Place) -> Value {
    server.get(LEASE).await.done(200)["spec"].clone()
}

fn keeper(server: &Place, slot: &str, incarnation: &str) -> LeaseTransport {
    let config = LeaseConfig::new("default", "", "edge-1").unwrap();
    let identity = identity(slot, incarnation);
    LeaseTransport::new(server.admin.clone(), &config, "edge-1", &identity, 7)
}

pub(crate) fn writer(server: &Place) -> SyncTargetTransport {
    let config = SyncTargetConfig::new(ms(100), ms(200), HeartbeatField::Auto).unwrap();
    let identity = identity("alice", "1");
    // It moves with the clock by which the cases wait.
    let (began, wall) = (tokio::time::Instant::now(), SystemTime::now());
    SyncTargetTransport::new(server.admin.clone(), config, "edge-1", &identity, 7)
        .with_wall_clock(Arc::new(move || wall + began.elapsed()))
}

pub(crate) async fn beat(
    transport: &mut dyn HeartbeatTransport,
    sequence: u64,
) -> Result<Acknowledgement, BeatError> {
    let heartbeat = heartbeat(&identity("alice", "1"), sequence);
    transport.beat(&heartbeat, soon()).await
}

pub(crate) fn identity(slot: &str, incarnation: &str) -> Identity {
    Identity {
        slot: slot.into(),
        incarnation: incarnation.into(),
    }
}

/// By the clock that the model's time is on, too.
pub(crate) fn soon() -> Instant {
    (tokio::time::Instant::now() + Duration::from_secs(5)).into_std()
}
