//! What of the configuration an API server sees.

use serde_json::Value;

use super::shown;
use crate::support::Cluster;
use crate::support::Program;
use crate::support::eventually;
use crate::support::run_to_end;
use crate::support::secs;

const STATUS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1/status";

#[tokio::test]
async fn pitfall_41_which_cluster_has_an_effect() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig();
    for keys in [
        "enabled: true".to_owned(),
        format!("kubeconfig: {kubeconfig}, enabled: false"),
    ] {
        let agent = agent(&format!("cluster: {{ {keys} }}"));
        agent.logged("no heartbeats are sent", secs(20)).await;
    }
    let agent = agent(&format!(
        "cluster: {{ kubeconfig: {kubeconfig}, context: nobody }}"
    ));
    let lease = |report: &Value| report["heartbeat"]["transports"]["lease"].clone();
    shown(&agent, |report| lease(report)["error"].is_string()).await;
    assert!(cluster.model().take_requests().is_empty());
    let agent = self::agent(&format!("cluster: {{ kubeconfig: {kubeconfig} }}"));
    shown(&agent, |report| lease(report)["state"] == "Alive").await;
    assert!(!cluster.model().take_requests().is_empty());

    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1"),
        ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
        ("SYNCER_HEALTH_CLUSTER_IN_CLUSTER", "true"),
    ];
    // There is no pod around this.
    let (code, _, err) = run_to_end(&["run"], &environment).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("cluster"), "{err}");
}

#[tokio::test]
async fn pitfall_41_the_lease_has_its_place() {
    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces";
    for (lease, namespace, name) in [
        ("", "default", "edge-1-heartbeat"),
        ("name: mine", "default", "mine"),
        ("namespace: ours", "ours", "edge-1-heartbeat"),
    ] {
        let cluster = Cluster::start().await;
        let _agent = agent(&format!(
            "
cluster: {{ kubeconfig: {} }}
heartbeat: {{ lease: {{ {lease} }} }}
",
            cluster.kubeconfig()
        ));
        let wanted = format!("{LEASES}/{namespace}/leases/{name}");
        eventually(&wanted, secs(20), || async {
            let requests = cluster.model().take_requests();
            let is_asked_for = |path: &str| path.split('?').next() == Some(wanted.as_str());
            let mut paths = requests.iter().map(|(_, path)| path);
            paths.any(|path| is_asked_for(path)).then_some(())
        })
        .await;
    }
    let cluster = Cluster::start().await;
    for (enabled, is_there) in [(true, true), (false, false)] {
        let agent = agent(&format!(
            "
cluster: {{ kubeconfig: {} }}
heartbeat: {{ lease: {{ enabled: {enabled} }} }}
",
            cluster.kubeconfig()
        ));
        let transports = |report: &Value| report["heartbeat"]["transports"].clone();
        let report = shown(&agent, |report| {
            transports(report)["synctarget"]["state"] == "Alive"
        })
        .await;
        assert_eq!(
            transports(&report)["lease"].is_object(),
            is_there,
            "{report}"
        );
    }
}

#[tokio::test]
async fn pitfall_41_the_sync_targets_status_has_its_options() {
    let cluster = Cluster::start().await;
    let start = |status: &str, components: &str| {
        agent(&format!(
            "
cluster: {{ kubeconfig: {} }}
heartbeat: {{ interval: 500ms, timeout: 5s, intervalMin: 500ms, lease: {{ enabled: false }}, {} }}
syncTargetStatus: {{ {status} }}
checks: {{ interval: 100ms, components: [{components}] }}
",
            cluster.kubeconfig(),
            "failureThreshold: 3"
        ))
    };
    let writes = async |count: usize| {
        cluster.model().take_requests();
        let mut seen = 0;
        eventually(&format!("{count} writes"), secs(18), || {
            let requests = cluster.model().take_requests();
            seen += requests
                .iter()
                .filter(|(_, path)| path.starts_with(STATUS) && !path.contains("dryRun"))
                .count();
            let enough = (seen >= count).then_some(());
            async move { enough }
        })
        .await;
    };
    let target = |report: &Value| report["heartbeat"]["transports"]["synctarget"].clone();

    // By the defaults, 5 s and 20 s, there would be four of these at most, and two of those.
    let flaps = "{ name: flaps, exec: { command: [/bin/sh, -c, 'exit $(( $(date +%N | cut -c1) % 2 * 2 ))'] } }";
    let agent = start("minInterval: 100ms", flaps);
    writes(8).await;
    drop(agent);
    let agent = start("minInterval: 500ms, heartbeatInterval: 1s", "");
    writes(5).await;
    drop(agent);

    let agent = start("heartbeatField: auto", "");
    shown(&agent, |report| target(report)["state"] == "Alive").await;
    drop(agent);
    let agent = start("heartbeatField: lastHeartbeat", "");
    let report = shown(&agent, |report| target(report)["error"].is_string()).await;
    assert_ne!(target(&report)["state"], "Alive", "{report}");
    drop(agent);

    // Nothing is left that could beat.
    let agent = start("enabled: false", "");
    agent.logged("no heartbeats are sent", secs(20)).await;
}

fn agent(config: &str) -> Program {
    let config = format!(
        "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
{config}"
    );
    Program::start("run", &config, &[("PATH", "/usr/bin:/bin")])
}
