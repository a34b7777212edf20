//! What Prometheus is answered while things go well and badly: `cargo xtask alerts` tries the alert
//! rules on it.
//!
//! Each test is one story. It leaves a folder for each of its moments, and in it what each target
//! answered then, byte for byte.

use serde_json::Value;

use crate::fleet;
use crate::support::Cluster;
use crate::support::Program;
use crate::support::eventually;
use crate::support::secs;

mod story;

use story::Story;
use story::Syncer;
use story::Target;
use story::is_healthy;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_fresh_start_and_what_comes_after_it() {
    let mut story = Story::begin("healthy");
    let (hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
    syncer.is_well().await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
    drop(hub);
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn an_agent_is_killed() {
    let mut story = Story::begin("lost");
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
    syncer.agent.signal("KILL").await;
    syncer.agent.ended().await;
    fleet::verdict(ops, "Lost", secs(10)).await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn an_agent_leaves_on_purpose() {
    let mut story = Story::begin("left");
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
    assert_eq!(syncer.agent.terminate().await, Some(0));
    fleet::verdict(ops, "Left", secs(10)).await;
    // Who left is no target any more.
    story.take(&[Target::Hub(ops)]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_syncer_is_down() {
    let mut story = Story::begin("failing");
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
    syncer.service.stop().await;
    for name in ["api", "sync-engine"] {
        syncer.component(name, "Unhealthy").await;
    }
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_check_cannot_find_out() {
    let mut story = Story::begin("unknown");
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
    std::fs::remove_file(syncer.file()).expect("it is there");
    syncer.component("plugin", "Unknown").await;
    story.take(&[syncer.target(), Target::Hub(ops)]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn the_hub_is_killed() {
    let mut story = Story::begin("hub-gone");
    let (mut hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    // Without a Lease beside it the tunnel is all that this agent has.
    let agent = fleet::agent(tunnels, &[]);
    let target = Target::Agent("edge-1", agent.address("address").await);
    target.report(is_healthy).await;
    fleet::verdict(ops, "Alive", secs(10)).await;
    story.take(&[target, Target::Hub(ops)]).await;
    hub.signal("KILL").await;
    hub.ended().await;
    let failed = |report: &Value| report["components"]["heartbeat"]["status"] == "Unhealthy";
    target.report(failed).await;
    story.take(&[target, Target::Hub(ops)]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn one_transport_of_two_fails() {
    let mut story = Story::begin("transport");
    let (mut hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target()]).await;
    hub.signal("KILL").await;
    hub.ended().await;
    let transport = |report: &Value| report["heartbeat"]["transports"]["websocket"].clone();
    let failed = |report: &Value| transport(report)["state"] == "Failed";
    syncer.target().report(failed).await;
    story.take(&[syncer.target()]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_tunnel_breaks_again_and_again() {
    let mut story = Story::begin("reconnecting");
    let (mut hub, tunnels, ops) = fleet::hub_to_restart().await;
    let agent = fleet::agent(tunnels, &[]);
    let target = Target::Agent("edge-1", agent.address("address").await);
    target.report(is_healthy).await;
    fleet::verdict(ops, "Alive", secs(10)).await;
    story.take(&[target, Target::Hub(ops)]).await;
    for broken in 1..=5 {
        hub.signal("KILL").await;
        hub.ended().await;
        hub = fleet::hub(&tunnels.to_string(), &ops.to_string()).await.0;
        target
            .counts("syncer_tunnel_reconnects_total", broken)
            .await;
        fleet::verdict(ops, "Alive", secs(10)).await;
        story.take(&[target, Target::Hub(ops)]).await;
    }
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn an_agent_comes_and_goes() {
    let mut story = Story::begin("flapping");
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let agent = fleet::agent(tunnels, &[]);
    fleet::verdict(ops, "Alive", secs(10)).await;
    story.take(&[Target::Hub(ops)]).await;
    for _ in 0..4 {
        agent.signal("STOP").await;
        fleet::verdict(ops, "Lost", secs(20)).await;
        agent.signal("CONT").await;
        fleet::verdict(ops, "Alive", secs(20)).await;
        story.take(&[Target::Hub(ops)]).await;
    }
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_whole_fleet_falls_silent_at_once() {
    let mut story = Story::begin("doubt");
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let agents = ["a", "b", "c"].map(|name| {
        let name = [("SYNCER_HEALTH_SYNC_TARGET_NAME", name)];
        fleet::agent(tunnels, &name)
    });
    let hub = Target::Hub(ops);
    hub.fleet(|fleet| {
        let known = fleet["agents"].as_array().into_iter().flatten();
        known.filter(|agent| agent["heartbeats"] != 0).count() == 3
    })
    .await;
    story.take(&[hub]).await;
    for agent in &agents {
        agent.signal("STOP").await;
    }
    hub.fleet(|fleet| fleet["doubt"] == true).await;
    story.take(&[hub]).await;
    for agent in &agents {
        agent.signal("CONT").await;
    }
    hub.fleet(|fleet| fleet["counts"]["Alive"] == 3).await;
    story.take(&[hub]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn somebody_else_writes_the_lease() {
    let mut story = Story::begin("conflicts");
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target()]).await;
    let sequence =
        |lease: &Value| lease["metadata"]["annotations"]["syncer-health/sequence"].clone();
    let mut written = Value::Null;
    for conflicts in 1..=5 {
        // Before it has written again it would read what somebody writes now, and meet no conflict.
        let again = |lease: &Value| sequence(lease) != written;
        let mut lease = syncer.cluster.object(LEASE, again).await;
        written = sequence(&lease);
        lease["metadata"]["annotations"]["another"] = conflicts.to_string().into();
        syncer.cluster.model().put(LEASE, lease);
        let target = syncer.target();
        target
            .counts("syncer_lease_conflicts_total", conflicts)
            .await;
        story.take(&[target]).await;
    }
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn two_agents_take_the_lease_from_each_other() {
    let mut story = Story::begin("contended");
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target()]).await;
    for round in 0..2 {
        let mut lease = syncer.cluster.object(LEASE, |_| true).await;
        lease["spec"]["holderIdentity"] = format!("bob_{round}").into();
        syncer.cluster.model().put(LEASE, lease);
        // Lost, and after its duration got again.
        for change in [2, 3] {
            let target = syncer.target();
            target
                .counts("syncer_lease_transitions_total", 2 * round + change)
                .await;
            story.take(&[target]).await;
        }
    }
}

/// Beside the one that holds the Lease another one waits, which is as it should be.
#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn an_agent_stands_by() {
    let mut story = Story::begin("standby");
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    let config = format!(
        "
syncTarget: {{ name: edge-1 }}
identity: bob
server: {{ bind: '127.0.0.1:0' }}
cluster: {{ kubeconfig: {} }}
heartbeat: {{ interval: 1s, timeout: 3s }}
",
        syncer.cluster.kubeconfig()
    );
    let waiting = Program::start("run", &config, &[]);
    let standby = Target::Agent("standby", waiting.address("address").await);
    let waits = |report: &Value| {
        let lease = &report["heartbeat"]["transports"]["lease"];
        report["status"] == "Healthy" && lease["state"] == "StandingBy"
    };
    standby.report(waits).await;
    story.take(&[syncer.target(), standby]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn no_hub_leads() {
    let mut story = Story::begin("leaderless");
    let cluster = Cluster::start().await;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/syncer-health-hub";
    let another = serde_json::json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": "syncer-health-hub", "namespace": "default" },
        "spec": { "holderIdentity": "hub-0_x", "leaseDurationSeconds": 3600 },
    });
    cluster.model().put(lease, another);
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
auth: {{ anonymous: true }}
cluster: {{ enabled: true, kubeconfig: {}, leaderLease: {{ enabled: true }} }}
",
        cluster.kubeconfig()
    );
    let hub = Program::start("hub", &config, &[]);
    let ops = hub.address("ops").await;
    let ready = hub.answers(ops, "/readyz", 503).await;
    assert!(ready.body.contains("Standby"), "{}", ready.body);
    story.take(&[Target::Hub(ops)]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_queue_is_not_worked_off() {
    let mut story = Story::begin("stalled");
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target()]).await;
    syncer.service.works(|work| work.reconciles = 0);
    let idle = |report: &Value| report["syncRate"].as_f64() == Some(0.0);
    syncer.target().report(idle).await;
    story.take(&[syncer.target()]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn syncs_fail() {
    let mut story = Story::begin("errors");
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    story.take(&[syncer.target()]).await;
    syncer.service.works(|work| work.errors = 8);
    let many = |report: &Value| report["errorRate"].as_f64().is_some_and(|rate| rate > 0.5);
    syncer.target().report(many).await;
    story.take(&[syncer.target()]).await;
}

#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn a_queue_only_grows() {
    let mut story = Story::begin("growing");
    let (_hub, tunnels, _) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let syncer = Syncer::start(tunnels).await;
    syncer.is_well().await;
    for depth in [100_u32, 200, 300, 400, 500, 600] {
        syncer.service.works(|work| work.queue_depth = depth.into());
        let as_deep = |report: &Value| report["queueDepth"].as_f64() == Some(depth.into());
        syncer.target().report(as_deep).await;
        story.take(&[syncer.target()]).await;
    }
}

/// It has what only an embedding syncer has: a sync engine of its own.
#[tokio::test]
#[ignore = "needs promtool: cargo xtask alerts"]
async fn the_demo_runs() {
    let mut story = Story::begin("demo");
    let hub = Target::Hub(([127, 0, 0, 1], 8083).into());
    let _demo = eventually("the demo on its ports", secs(120), demo).await;
    let agent = Target::Agent("demo", ([127, 0, 0, 1], 8081).into());
    let works = |report: &Value| {
        let numbers = ["syncRate", "errorRate", "latencySeconds", "queueDepth"];
        numbers.into_iter().all(|name| report[name].is_f64())
    };
    agent.report(works).await;
    story.take(&[agent, hub]).await;
}

/// A demo with one agent. It is on the default ports on purpose, which somebody else may have for a
/// while: then there is none yet.
async fn demo() -> Option<Program> {
    let demo = Program::bare(&["demo", "--agents", "1"]);
    let what = "the demo has an agent, or has ended";
    let is_there = eventually(what, secs(30), || async {
        let log = demo.log();
        let has_no_port = log.contains("cannot listen on");
        (has_no_port || log.contains("verdict=Alive")).then_some(!has_no_port)
    })
    .await;
    is_there.then_some(demo)
}
