//! The transports against a real KCP, or any other API server that one may write to.
//!
//! `cargo xtask integration` runs them: `SYNCER_HEALTH_TEST_KUBECONFIG` names a kubeconfig whose
//! current context may create CustomResourceDefinitions, SyncTargets and Leases in `default`.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;
use std::time::Instant;

use health_core::Carried;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::Rule;
use health_core::Verdict;
use health_heartbeat::Acknowledgement;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;
use health_heartbeat::Standing;
use health_transport_lease::Cluster;
use health_transport_lease::ClusterConfig;
use health_transport_lease::Dialect;
use health_transport_lease::HeartbeatField;
use health_transport_lease::LeaseConfig;
use health_transport_lease::LeaseTransport;
use health_transport_lease::SyncTargetConfig;
use health_transport_lease::SyncTargetTransport;
use health_transport_lease::manifests;
use http::Method;
use http::Request;
use serde_json::Value;
use serde_json::json;

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TARGETS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_lease_is_created_renewed_taken_over_and_released() {
    let cluster = cluster().await;
    let lease = LeaseConfig::new("default", "", "lease-suite").unwrap();
    let path = format!("{LEASES}/{}", lease.name());
    delete(&cluster, &path).await;
    let keeper = |slot, incarnation| {
        let identity = identity(slot, incarnation);
        LeaseTransport::new(cluster.clone(), &lease, "lease-suite", &identity, 7)
    };
    let mut alice = keeper("alice", "1");
    for sequence in 1..4 {
        beat(&mut alice, sequence).await.unwrap();
        let object = get(&cluster, &path).await;
        assert_eq!(object["spec"]["holderIdentity"], "alice_1");
        assert_eq!(object["spec"]["leaseTransitions"], 0);
        let written = &object["metadata"]["annotations"]["syncer-health/sequence"];
        assert_eq!(*written, sequence.to_string());
    }
    let mut bob = keeper("bob", "1");
    let answer = beat(&mut bob, 1).await.unwrap();
    let holder = "alice_1".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    let mut restarted = keeper("alice", "2");
    assert_eq!(
        beat(&mut restarted, 1).await.unwrap(),
        Acknowledgement::default()
    );
    let answer = beat(&mut alice, 4).await.unwrap();
    let holder = "alice_2".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    restarted.release(soon()).await.unwrap();
    assert_eq!(get(&cluster, &path).await["spec"]["holderIdentity"], "");
    assert_eq!(beat(&mut bob, 2).await.unwrap(), Acknowledgement::default());
    assert_eq!(get(&cluster, &path).await["spec"]["leaseTransitions"], 2);

    let nowhere = LeaseConfig::new("nowhere", "", "lease-suite").unwrap();
    let identity = identity("alice", "1");
    let mut lost = LeaseTransport::new(cluster, &nowhere, "lease-suite", &identity, 7);
    let error = beat(&mut lost, 1).await.unwrap_err().chain();
    assert!(
        error.contains("namespace \"nowhere\" does not exist"),
        "{error}"
    );
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_synctarget_of_each_dialect_is_written() {
    let cluster = cluster().await;
    let config = SyncTargetConfig::new(ms(100), ms(200), HeartbeatField::Auto).unwrap();
    let target = format!("{TARGETS}/edge-1");
    let mut alice = SyncTargetTransport::new(
        cluster.clone(),
        config,
        "edge-1",
        &identity("alice", "1"),
        7,
    );
    delete(&cluster, &format!("{CRDS}/synctargets.workload.kcp.io")).await;
    until(|| async { get(&cluster, TARGETS).await["kind"] != "SyncTargetList" }).await;
    let error = beat(&mut alice, 1).await.unwrap_err().chain();
    assert!(error.contains("manifests crd"), "{error}");

    for dialect in Dialect::ALL {
        define(&cluster, dialect).await;
        let error = beat(&mut alice, 1).await.unwrap_err().chain();
        assert!(error.contains("it does not exist"), "{dialect:?} {error}");
        let object = json!({
            "apiVersion": "workload.kcp.io/v1alpha1", "kind": "SyncTarget",
            "metadata": {"name": "edge-1"}, "spec": {},
        });
        send(&cluster, Method::POST, TARGETS, Some(object)).await;
        until(|| async { get(&cluster, &target).await["kind"] == "SyncTarget" }).await;
        let mut first = None;
        for sequence in 2..5 {
            beat(&mut alice, sequence).await.unwrap();
            let status = get(&cluster, &target).await["status"].clone();
            assert!(
                status[dialect.heartbeat_field()].is_string(),
                "{dialect:?} {status}"
            );
            let condition = &status["conditions"][0];
            assert_eq!(condition["type"], "SyncerReady");
            assert_eq!(condition["status"], "True");
            let since = condition["lastTransitionTime"].clone();
            assert_eq!(*first.get_or_insert_with(|| since.clone()), since);
            tokio::time::sleep(ms(200)).await;
        }
        alice.release(soon()).await.unwrap();
        let status = get(&cluster, &target).await["status"].clone();
        assert_eq!(status["conditions"][0]["reason"], "ShuttingDown");
        assert_eq!(status["conditions"][0]["severity"], "Info");
        delete(&cluster, &target).await;
        delete(&cluster, &format!("{CRDS}/synctargets.workload.kcp.io")).await;
        until(|| async { get(&cluster, TARGETS).await["kind"] != "SyncTargetList" }).await;
    }
}

async fn define(cluster: &Cluster, dialect: Dialect) {
    let mut crd = manifests::crd();
    let version = &mut crd["spec"]["versions"][0];
    version["additionalPrinterColumns"] = json!([]);
    let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
    let kcp = Dialect::Kcp.heartbeat_field();
    let time = status[kcp].take();
    status.as_object_mut().unwrap().remove(kcp);
    status[dialect.heartbeat_field()] = time;
    if let Some(field) = dialect.identity_field() {
        status[field] = json!({"type": "string"});
    }
    let made = send(cluster, Method::POST, CRDS, Some(crd)).await;
    assert_eq!(made["kind"], "CustomResourceDefinition", "{made}");
    until(|| async { get(cluster, TARGETS).await["kind"] == "SyncTargetList" }).await;
}

async fn cluster() -> Cluster {
    let kubeconfig = std::env::var("SYNCER_HEALTH_TEST_KUBECONFIG")
        .expect("SYNCER_HEALTH_TEST_KUBECONFIG names a kubeconfig: run cargo xtask integration");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = ClusterConfig {
        kubeconfig,
        ..ClusterConfig::default()
    };
    config.connect(None, ms(5000)).await.unwrap().unwrap()
}

async fn get(cluster: &Cluster, path: &str) -> Value {
    send(cluster, Method::GET, path, None).await
}

async fn delete(cluster: &Cluster, path: &str) {
    send(cluster, Method::DELETE, path, None).await;
}

async fn send(cluster: &Cluster, method: Method, path: &str, body: Option<Value>) -> Value {
    let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let response = cluster.client().send(request).await.unwrap();
    let body = response.into_body().collect_bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

/// Polls a real server, which has no event for a definition that is served.
async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        tokio::time::sleep(ms(100)).await;
    }
    panic!("it did not come to hold within 30 s");
}

async fn beat(
    transport: &mut dyn HeartbeatTransport,
    sequence: u64,
) -> Result<Acknowledgement, health_heartbeat::BeatError> {
    let verdict = Verdict::by_rule(Rule::Policy("WorstOf"));
    let heartbeat = Heartbeat {
        identity: identity("alice", "1"),
        sequence: Sequence(sequence),
        interval: ms(1000),
        timeout: ms(30_000),
        carried: Carried {
            readiness: ProbeAnswer {
                probe: Probe::Readiness,
                holds: true,
                verdict: verdict.clone(),
                stalled: Vec::new(),
            },
            verdict,
            age: Duration::ZERO,
        },
    };
    transport.beat(&heartbeat, soon()).await
}

fn identity(slot: &str, incarnation: &str) -> Identity {
    Identity {
        slot: slot.into(),
        incarnation: incarnation.into(),
    }
}

fn soon() -> Instant {
    Instant::now() + ms(5000)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
