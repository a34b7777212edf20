//! The program on a real kcp.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use crate::support::Program;
use crate::support::Service;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

mod chaos;

mod faults;

#[cfg(feature = "hub")]
mod hub;

#[cfg(feature = "hub")]
mod hubs;

#[cfg(feature = "hub")]
mod overseen;

#[cfg(feature = "hub")]
mod rights;

#[cfg(feature = "hub")]
mod stall;

mod handover;

mod renewals;

mod server;

mod workspace;

use workspace::Workspace;
#[cfg(feature = "hub")]
pub(crate) use workspace::root;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";
const TARGETS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets";
const TARGET: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";

/// Beats that leave time for many of them in a test.
const FAST: &str = "interval: 1s, timeout: 3s";

/// A timeout that no test outlasts: what happens at once does not happen by expiry.
const SLOW: &str = "interval: 1s, timeout: 60s";

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_check_becomes_a_renewed_lease_and_a_condition() {
    let workspace = Workspace::with_target("path").await;
    let mut service = Service::start().await;
    let mut agent = agent(&workspace, "alice", FAST, &checks(&service));
    let address = agent.address("address").await;
    agent.answers(address, "/readyz", 200).await;

    let lease = workspace.object(LEASE).await;
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 3, "{lease}");
    assert_eq!(
        lease["metadata"]["labels"]["syncer-health/sync-target"], "edge-1",
        "{lease}"
    );
    assert_eq!(holder_slot(&lease), "alice", "{lease}");
    let renewed = lease["spec"]["renewTime"].clone();
    workspace
        .until(LEASE, "it is renewed", |lease| {
            lease["spec"]["renewTime"] != renewed
        })
        .await;
    let target = workspace
        .until(TARGET, "SyncerReady is True", |t| ready(t, "True"))
        .await;
    let beat = target["status"]["lastSyncerHeartbeatTime"].clone();
    assert!(beat.is_string(), "{target}");
    workspace
        .until(TARGET, "its heartbeat time moves", |t| {
            t["status"]["lastSyncerHeartbeatTime"] != beat
        })
        .await;

    service.stop().await;
    agent.answers(address, "/readyz", 503).await;
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
    let target = workspace
        .until(TARGET, "SyncerReady is False", |target| {
            // A look that was under way finds its connection lost.
            let reason = syncer_ready(target).map(|it| &it["reason"]);
            ready(target, "False") && reason != Some(&"ConnectionLost".into())
        })
        .await;
    let condition = syncer_ready(&target).expect("the condition is there");
    assert_eq!(condition["reason"], "ConnectionRefused", "{condition}");
    assert_eq!(condition["severity"], "Error", "{condition}");
    service.restart().await;
    agent.answers(address, "/readyz", 200).await;
    workspace
        .until(TARGET, "SyncerReady is True again", |t| ready(t, "True"))
        .await;

    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    let lease = workspace.object(LEASE).await;
    assert_eq!(lease["spec"]["holderIdentity"], "", "{lease}");
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 1, "{lease}");
    let target = workspace.object(TARGET).await;
    let condition = syncer_ready(&target).expect("the condition is there");
    assert_eq!(condition["status"], "False", "{condition}");
    assert_eq!(condition["reason"], "ShuttingDown", "{condition}");
    assert_eq!(condition["severity"], "Info", "{condition}");
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_restart_of_the_same_slot_takes_the_lease_over_at_once() {
    let workspace = Workspace::with_target("restart").await;
    let mut first = agent(&workspace, "alice", SLOW, "");
    let held = workspace
        .until(LEASE, "alice holds it", |lease| {
            holder_slot(lease) == "alice"
        })
        .await;
    first.signal("KILL").await;
    first.ended().await;
    let began = Instant::now();
    let second = agent(&workspace, "alice", SLOW, "");
    let holder = held["spec"]["holderIdentity"].clone();
    let taken = workspace
        .until(LEASE, "the new incarnation holds it", |l| {
            l["spec"]["holderIdentity"] != holder
        })
        .await;
    assert!(
        began.elapsed() < secs(10),
        "{:?}; it expires after 60 s",
        began.elapsed()
    );
    assert_eq!(holder_slot(&taken), "alice", "{taken}");
    assert_eq!(taken["spec"]["leaseTransitions"], 1, "{taken}");
    drop(second);
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn another_slot_stands_by_and_takes_a_released_lease_over() {
    let workspace = Workspace::with_target("standby").await;
    let mut alice = agent(&workspace, "alice", SLOW, "");
    workspace
        .until(LEASE, "alice holds it", |lease| {
            holder_slot(lease) == "alice"
        })
        .await;
    let bob = agent(&workspace, "bob", SLOW, "");
    let address = bob.address("address").await;
    let line = bob.logged("standing by", secs(10)).await;
    assert!(line.contains("alice_"), "{line}");
    let report = get(address, "/report", &[]).await.unwrap().json();
    assert_eq!(
        report["heartbeat"]["transports"]["lease"]["state"], "StandingBy",
        "{report}"
    );
    assert_eq!(
        report["heartbeat"]["status"], "Healthy",
        "standing by meets the requirement"
    );
    assert_eq!(alice.terminate().await, Some(0), "{}", alice.log());
    let released = Instant::now();
    workspace
        .until(LEASE, "bob holds it", |lease| holder_slot(lease) == "bob")
        .await;
    assert!(released.elapsed() < secs(3), "{:?}", released.elapsed());
    let metrics = get(address, "/metrics", &[]).await.unwrap().body;
    assert!(metrics.contains("syncer_lease_held 1\n"), "{metrics}");
    workspace
        .until(TARGET, "bob writes the condition", |t| {
            ready(t, "True") || ready(t, "False")
        })
        .await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_missing_namespace_is_told_in_one_line_and_tried_again() {
    let workspace = Workspace::with_target("namespace").await;
    let more = "syncTargetStatus: { enabled: false }\n";
    let agent = agent(
        &workspace,
        "alice",
        &format!("{FAST}, lease: {{ namespace: later }}"),
        more,
    );
    let address = agent.address("address").await;
    let failed = agent.answers(address, "/readyz", 503).await;
    assert!(failed.body.contains("[-]heartbeat"), "{}", failed.body);
    let line = agent.logged("namespace \"later\"", secs(10)).await;
    assert!(line.contains("WARN"), "{line}");
    assert!(line.contains("heartbeat.lease.namespace"), "{line}");
    workspace
        .create("/api/v1/namespaces", namespace("later"))
        .await;
    agent.answers(address, "/readyz", 200).await;
    assert!(!agent.log().contains("panicked"), "{}", agent.log());
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_forbidden_lease_is_told_in_one_line_and_tried_again() {
    let workspace = Workspace::with_target("forbidden").await;
    workspace
        .grant(
            "enter",
            json!([{ "nonResourceURLs": ["/"], "verbs": ["access"] }]),
        )
        .await;
    let kubeconfig = workspace.kubeconfig_of("limited-token", None);
    let config = format!(
        "{}syncTargetStatus: {{ enabled: false }}\n",
        config(
            &workspace,
            "alice",
            FAST,
            kubeconfig.path().to_str().expect("a path in UTF-8")
        )
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    let line = agent.logged("\"edge-1-heartbeat\"", secs(10)).await;
    assert!(line.contains("WARN") && line.contains("limited"), "{line}");
    assert!(
        line.contains("grant"),
        "it says what would be right: {line}"
    );
    assert!(!agent.log().contains("limited-token"), "{}", agent.log());
    let rules = json!([{
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["get", "create", "update"],
    }]);
    workspace.grant("lease", rules).await;
    agent.answers(address, "/readyz", 200).await;
    workspace
        .until(LEASE, "alice holds it", |lease| {
            holder_slot(lease) == "alice"
        })
        .await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_missing_target_does_not_stop_the_lease_and_is_found_once_it_is_there() {
    let workspace = Workspace::create_one("target").await;
    let agent = agent(&workspace, "alice", FAST, "");
    let address = agent.address("address").await;
    workspace
        .until(LEASE, "alice holds it", |lease| {
            holder_slot(lease) == "alice"
        })
        .await;
    let line = agent.logged("transport=synctarget", secs(20)).await;
    assert!(
        line.contains("SyncTarget") || line.contains("synctargets"),
        "{line}"
    );
    // The Lease works, and any transport that works is enough.
    let report = get(address, "/report", &[]).await.unwrap().json();
    assert_eq!(report["heartbeat"]["status"], "Healthy", "{report}");
    workspace.add_target().await;
    workspace
        .until(TARGET, "the condition is written", |t| {
            syncer_ready(t).is_some()
        })
        .await;
}

#[cfg(feature = "hub")]
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn the_same_agent_beats_over_the_tunnel_and_the_lease() {
    let workspace = Workspace::with_target("both").await;
    let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }\n";
    let hub = Program::start("hub", config, &[]);
    let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    let both = format!("{FAST}, require: all, websocket: {{ url: 'ws://{tunnels}/tunnel' }}");
    let agent = agent(&workspace, "alice", &both, "");
    let address = agent.address("address").await;
    eventually("all three transports are Alive", secs(20), || async {
        let report = get(address, "/report", &[]).await?.json();
        let transports = report["heartbeat"]["transports"].as_object()?.clone();
        (transports.len() == 3 && transports.values().all(|it| it["state"] == "Alive"))
            .then_some(())
    })
    .await;
    let path = format!("/fleet/{}/edge-1", workspace.path());
    let one = get(ops, &path, &[]).await.unwrap().json();
    assert_eq!(one["verdict"], "Alive", "{one}");
    assert_eq!(one["slot"], "alice", "{one}");
}

/// kcp answers `/readyz` at its root and below each workspace, and 404 below one that is not there.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn the_api_server_is_ready_unless_the_token_or_the_workspace_is_wrong() {
    let workspace = Workspace::create_one("api").await;
    let kubeconfig = workspace::kubeconfig();
    let token = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(token.path(), "s3cr3t").expect("it can be written");
    let wrong = token.path().display();
    let (server, ca) = workspace::server();
    let ca = ca.path().display();
    let one = format!("{server}/clusters/{}", workspace.path());
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
cluster: {{ enabled: false }}
checks:
  interval: 1s
  components:
    - {{ name: current, kubernetesApi: {{ kubeconfig: {kubeconfig} }} }}
    - {{ name: base, kubernetesApi: {{ kubeconfig: {kubeconfig}, context: base }} }}
    - {{ name: environment, kubernetesApi: {{}} }}
    - {{ name: workspace, kubernetesApi: {{ url: '{one}', caFile: {ca} }} }}
    - {{ name: wrong, kubernetesApi: {{ kubeconfig: {kubeconfig}, tokenFile: {wrong} }} }}
    - {{ name: gone, kubernetesApi: {{ url: '{one}:gone', caFile: {ca} }} }}
    - {{ name: untrusted, kubernetesApi: {{ url: '{server}' }} }}
"
    );
    let agent = Program::start("run", &config, &[("KUBECONFIG", &kubeconfig)]);
    let address = agent.address("address").await;
    for (name, reason) in [
        ("current", "Healthy"),
        ("base", "Healthy"),
        ("environment", "Healthy"),
        ("workspace", "Healthy"),
        ("wrong", "Unauthorized"),
        ("gone", "NotFound"),
        ("untrusted", "TlsFailed"),
    ] {
        let what = format!("{name} is {reason}; the log is:\n{}", agent.log());
        let health = eventually(&what, secs(20), || async {
            let report = get(address, "/report", &[]).await?.json();
            let health = report["components"][name].clone();
            (health["reason"] == reason).then_some(health)
        })
        .await;
        let status = match reason {
            "Healthy" => "Healthy",
            _ => "Unhealthy",
        };
        assert_eq!(health["status"], status, "{health}");
        let seconds = &health["metrics"]["latencySeconds"];
        assert_eq!(seconds.is_number(), name != "untrusted", "{health}");
        assert!(!health.to_string().contains("s3cr3t"), "{health}");
    }
}

fn config(workspace: &Workspace, slot: &str, heartbeat: &str, kubeconfig: &str) -> String {
    config_of(workspace, "edge-1", slot, heartbeat, kubeconfig)
}

/// The configuration of any target's agent.
fn config_of(
    workspace: &Workspace,
    target: &str,
    slot: &str,
    heartbeat: &str,
    kubeconfig: &str,
) -> String {
    let path = workspace.path();
    format!(
        "
syncTarget: {{ name: {target}, workspace: '{path}' }}
identity: {slot}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
cluster: {{ kubeconfig: {kubeconfig}, context: base }}
heartbeat: {{ {heartbeat} }}
"
    )
}

/// An agent with its SyncTarget's status written often, unless `more` says otherwise.
fn agent(workspace: &Workspace, slot: &str, heartbeat: &str, more: &str) -> Program {
    let status = "syncTargetStatus: { minInterval: 500ms, heartbeatInterval: 2s }\n";
    let status = if more.contains("syncTargetStatus") {
        ""
    } else {
        status
    };
    let config = config(workspace, slot, heartbeat, &workspace::kubeconfig());
    Program::start("run", &format!("{config}{status}{more}"), &[])
}

fn checks(service: &Service) -> String {
    let at = service.address();
    format!(
        "
checks:
  interval: 300ms
  timeout: 1s
  components:
    - {{ name: syncer, http: {{ url: 'http://{at}/readyz' }} }}
    - {{ name: engine, prometheus: {{ url: 'http://{at}/metrics', syncEngine: true }} }}
"
    )
}

fn namespace(name: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } })
}

fn holder_slot(lease: &Value) -> &str {
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    holder.rsplit_once('_').map_or("", |(slot, _)| slot)
}

fn syncer_ready(target: &Value) -> Option<&Value> {
    condition(target, "SyncerReady")
}

fn condition<'a>(target: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = target["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

fn ready(target: &Value, status: &str) -> bool {
    syncer_ready(target).is_some_and(|condition| condition["status"] == status)
}

/// Everything here happens within this time, or the machine is too slow to tell.
const PATIENCE: Duration = secs(30);
