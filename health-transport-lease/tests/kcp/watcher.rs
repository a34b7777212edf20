//! What a hub is told by a server.

use std::time::Duration;

use health_core::HealthStatus;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Sequence;
use health_transport_lease::Cluster;
use health_transport_lease::ConditionStatus;
use health_transport_lease::Dialect;
use health_transport_lease::LeaseConfig;
use health_transport_lease::LeaseTransport;
use health_transport_lease::watch::LeaseChange;
use health_transport_lease::watch::LeaseSight;
use health_transport_lease::watch::LiveReader;
use health_transport_lease::watch::Seen;
use health_transport_lease::watch::Sighting;
use health_transport_lease::watch::TargetChange;
use health_transport_lease::watch::TargetSight;
use health_transport_lease::watch::WatchConfig;
use health_transport_lease::watch::Watched;
use health_transport_lease::watch::Watcher;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;

use crate::place::EDGE;
use crate::place::LEASES;
use crate::place::Place;
use crate::place::TARGETS;
use crate::place::lease;
use crate::place::target;
use crate::place::with;
use crate::transports::beat;
use crate::transports::identity;
use crate::transports::soon;

const STATUS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1/status";
const LABEL: &str = "syncer-health/sync-target";

pub(crate) async fn leases_are_told_as_they_change(server: &Place) {
    let mut alice = keeper(server, "alice");
    beat(&mut alice, 1).await.unwrap();
    let mut hub = Hub::of(&server.admin);
    let first = hub.lease().await.unwrap();
    assert_eq!(first.change, LeaseChange::First);
    assert_eq!(first.name, "edge-1-heartbeat");
    assert_eq!(first.holder, Some("alice_1".into()));
    assert_eq!(first.duration, Some(Duration::from_secs(30)));
    assert_eq!(first.status, Some(HealthStatus::Healthy));
    assert_eq!(first.sequence, Some(Sequence(1)));
    assert!(first.renewed_at.is_some());
    hub.synced(&leases()).await;
    for sequence in 2..5 {
        beat(&mut alice, sequence).await.unwrap();
        let lease = hub.lease().await.unwrap();
        assert_eq!(lease.change, LeaseChange::Renewed);
        assert_eq!(lease.sequence, Some(Sequence(sequence)));
    }
    alice.release(soon()).await.unwrap();
    let lease = hub.lease().await.unwrap();
    assert_eq!((lease.change, lease.holder), (LeaseChange::Released, None));
    let mut bob = keeper(server, "bob");
    beat(&mut bob, 1).await.unwrap();
    let lease = hub.lease().await.unwrap();
    assert_eq!(lease.change, LeaseChange::Renewed);
    assert_eq!(lease.holder, Some("bob_1".into()));
    server
        .delete(&format!("{LEASES}/edge-1-heartbeat"))
        .await
        .done(200);
    assert_eq!(hub.lease().await, None);
}

pub(crate) async fn each_dialects_heartbeat_is_told(server: &Place) {
    for dialect in Dialect::ALL {
        server.define(Some(dialect)).await;
        let mut made = server.post(TARGETS, &target()).await.done(201);
        let mut hub = Hub::of(&server.admin);
        let first = hub.target().await.unwrap();
        assert_eq!(first.change, TargetChange::First);
        assert_eq!(first.uid.as_deref(), made["metadata"]["uid"].as_str());
        assert_eq!(first.heartbeat, None);
        hub.synced(&Watched::SyncTargets).await;
        for time in ["2024-01-01T00:00:00Z", "2024-01-01T00:00:10Z"] {
            let mut status = json!({ dialect.heartbeat_field(): time });
            if dialect.identity_field().is_some() {
                status["syncerIdentity"] = json!("alice_1");
            }
            let sent = with(&made, "/status", status);
            made = server.put(STATUS, &sent).await.done(200);
            let seen = hub.target().await.unwrap();
            assert_eq!(seen.change, TargetChange::HeartbeatChanged, "{dialect:?}");
            let heartbeat = seen.heartbeat.unwrap();
            assert_eq!((heartbeat.dialect, &*heartbeat.text), (dialect, time));
            let named = dialect.identity_field().map(|_| "alice_1".to_owned());
            assert_eq!(seen.syncer_identity, named);
        }
        // As a verdict is written: no heartbeat, whatever it does to the resourceVersion.
        let condition = json!([{
            "type": "HeartbeatHealthy", "status": "False", "severity": "Warning",
            "reason": "HeartbeatTimeout", "lastTransitionTime": "2024-01-01T00:01:00Z",
        }]);
        let sent = with(&made, "/status/conditions", condition);
        server.put(STATUS, &sent).await.done(200);
        let seen = hub.target().await.unwrap();
        assert_eq!(seen.change, TargetChange::Other);
        let condition = seen.heartbeat_healthy.unwrap();
        assert_eq!(condition.status, Some(ConditionStatus::False));
        assert_eq!(condition.reason.as_deref(), Some("HeartbeatTimeout"));
        drop(hub);
        server.delete(EDGE).await.done(200);
        server.define(None).await;
    }
}

/// OCM registration#280: a watch goes on when its object was deleted and made again.
pub(crate) async fn pitfall_16_a_recreated_target_is_told_as_another_one(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    let old = server.post(TARGETS, &target()).await.done(201);
    let mut hub = Hub::of(&server.admin);
    assert_eq!(hub.target().await.unwrap().change, TargetChange::First);
    server.delete(EDGE).await.done(200);
    assert_eq!(hub.target().await, None);
    let new = server.post(TARGETS, &target()).await.done(201);
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    let seen = hub.target().await.unwrap();
    assert_eq!(seen.change, TargetChange::First);
    assert_eq!(seen.uid.as_deref(), new["metadata"]["uid"].as_str());
}

/// OCM [R] nil renewTime: whatever a server takes as a Lease.
pub(crate) async fn pitfall_19_whatever_a_server_keeps_is_told(server: &Place) {
    let specs = [
        json!({}),
        json!({ "holderIdentity": "" }),
        json!({ "holderIdentity": "x".repeat(5000), "leaseDurationSeconds": i32::MAX }),
        json!({ "holderIdentity": "a", "renewTime": "9999-01-01T00:00:00.000000Z" }),
        json!({ "holderIdentity": "a", "renewTime": "0001-01-01T00:00:00.000000Z" }),
        json!({ "leaseTransitions": i32::MAX, "acquireTime": "9999-01-01T00:00:00.000000Z" }),
    ];
    let mut hub = Hub::of(&server.admin);
    hub.synced(&leases()).await;
    for (number, spec) in specs.into_iter().enumerate() {
        let name = format!("l{number}");
        let made = labelled(&name, spec);
        server.post(LEASES, &made).await.done(201);
        let lease = hub.lease().await.unwrap();
        assert_eq!((lease.change, lease.name), (LeaseChange::First, name));
    }
}

/// Kubernetes #84981: what its target owned goes with it, and the hub hears of that.
pub(crate) async fn pitfall_47_a_lease_that_went_with_its_target_is_told_as_gone(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    server.post(TARGETS, &target()).await.done(201);
    let mut alice = keeper(server, "alice");
    beat(&mut alice, 1).await.unwrap();
    let mut hub = Hub::of(&server.admin);
    assert_eq!(hub.lease().await.unwrap().change, LeaseChange::First);
    server.delete(EDGE).await.done(200);
    assert_eq!(hub.lease().await, None);
}

pub(crate) async fn a_live_read_has_what_stands_there(server: &Place) {
    let reader = LiveReader::new(server.admin.clone(), WatchConfig::new("default").unwrap());
    let error = reader.target("edge-1", soon()).await.unwrap_err();
    assert!(error.to_string().contains("manifests crd"), "{error}");
    server.define(Some(Dialect::Kcp)).await;
    assert_eq!(reader.target("edge-1", soon()).await.unwrap(), None);
    let made = server.post(TARGETS, &target()).await.done(201);
    let seen = reader.target("edge-1", soon()).await.unwrap().unwrap();
    assert_eq!(seen.uid.as_deref(), made["metadata"]["uid"].as_str());

    assert_eq!(reader.leases("edge-1", soon()).await.unwrap(), []);
    let mut alice = keeper(server, "alice");
    let mut marks = Vec::new();
    for sequence in 1..3 {
        beat(&mut alice, sequence).await.unwrap();
        let leases = reader.leases("edge-1", soon()).await.unwrap();
        assert_eq!(leases.len(), 1);
        assert_eq!(leases[0].sequence, Some(Sequence(sequence)));
        marks.push(leases[0].mark);
    }
    assert_eq!(marks[0].change_to(marks[1]), LeaseChange::Renewed);
    // A name that is no label is found by its hash.
    let long = format!("{}.edge", "x".repeat(70));
    let config = LeaseConfig::new("default", "long", &long).unwrap();
    let alice = identity("alice", "1");
    let mut keeper = LeaseTransport::new(server.admin.clone(), &config, &long, &alice, 7);
    beat(&mut keeper, 1).await.unwrap();
    let leases = reader.leases(&long, soon()).await.unwrap();
    assert_eq!(leases.len(), 1);
    assert_eq!(leases[0].name, "long");
}

pub(crate) async fn who_may_list_and_watch_may_be_a_hub(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    let mut hub = Hub::of(&server.limited);
    for _ in 0..2 {
        let Seen::Broken { error } = hub.next().await.what else {
            panic!("it may not yet");
        };
        let help = "list and watch on";
        assert!(error.to_string().contains(help), "{error}");
    }
    server
        .allow(json!([
            {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                "verbs": ["list", "watch"]},
            {"apiGroups": ["workload.kcp.io"], "resources": ["synctargets"],
                "verbs": ["list", "watch"]},
        ]))
        .await;
    // It never gave up: what was granted meanwhile is found.
    let mut recovered = 0;
    while recovered < 2 {
        recovered += usize::from(hub.next().await.what == Seen::Recovered);
    }
    server
        .post(LEASES, &labelled("a", json!({})))
        .await
        .done(201);
    assert_eq!(hub.lease().await.unwrap().change, LeaseChange::First);
}

struct Hub {
    events: mpsc::Receiver<Sighting>,
    _watcher: Watcher,
}

/// What a server does is told within that time, or not at all.
const TOLD_WAIT: Duration = Duration::from_secs(60);

// === impl Hub ===

impl Hub {
    fn of(cluster: &Cluster) -> Self {
        let (sender, events) = mpsc::channel(100);
        Self {
            events,
            _watcher: Watcher::spawn(cluster, &WatchConfig::new("default").unwrap(), 7, &sender),
        }
    }

    async fn next(&mut self) -> Sighting {
        let next = tokio::time::timeout(TOLD_WAIT, self.events.recv()).await;
        next.expect("it is told").unwrap()
    }

    /// The next Lease; nothing where one went.
    async fn lease(&mut self) -> Option<LeaseSight> {
        loop {
            let what = self.next().await.what;
            if matches!(what, Seen::LeaseGone { .. }) {
                return None;
            }
            if let Seen::Lease { lease, .. } = what {
                return Some(lease);
            }
        }
    }

    /// The next SyncTarget; nothing where one went.
    async fn target(&mut self) -> Option<TargetSight> {
        loop {
            let what = self.next().await.what;
            if matches!(what, Seen::TargetGone { .. }) {
                return None;
            }
            if let Seen::Target { sight, .. } = what {
                return Some(sight);
            }
        }
    }

    async fn synced(&mut self, of: &Watched) {
        loop {
            let next = self.next().await;
            if next.of == *of && next.what == Seen::Synced {
                return;
            }
        }
    }
}

fn leases() -> Watched {
    Watched::Leases {
        namespace: "default".to_owned(),
    }
}

fn labelled(name: &str, spec: Value) -> Value {
    let lease = lease(name, spec);
    with(&lease, "/metadata/labels", json!({ LABEL: "edge-1" }))
}

fn keeper(server: &Place, slot: &str) -> LeaseTransport {
    let config = LeaseConfig::new("default", "", "edge-1").unwrap();
    let identity = identity(slot, "1");
    LeaseTransport::new(server.admin.clone(), &config, "edge-1", &identity, 7)
}
