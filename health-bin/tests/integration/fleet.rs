//! An agent and its hub, as two processes.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::support::Program;
use crate::support::eventually;
use crate::support::free_ports;
use crate::support::get;
use crate::support::run_to_end;
use crate::support::secs;

#[tokio::test]
async fn a_hub_that_is_killed_and_started_again_has_its_agent_back_without_a_restart() {
    let (hub, tunnels, ops) = hub_to_restart().await;
    let agent = agent(tunnels, &[]);
    let address = agent.address("address").await;
    verdict(ops, "Alive", secs(5)).await;
    agent.answers(address, "/readyz", 200).await;
    drop(hub);
    let failed = agent.answers(address, "/readyz", 503).await;
    assert!(
        failed
            .body
            .contains("[-]heartbeat Unhealthy (HeartbeatFailed)"),
        "{}",
        failed.body
    );
    assert_eq!(
        get(address, "/livez", &[]).await.unwrap().status,
        200,
        "the hub is no reason"
    );
    let (_hub, _, ops) = self::hub(&tunnels.to_string(), &ops.to_string()).await;
    verdict(ops, "Alive", secs(10)).await;
    agent.answers(address, "/readyz", 200).await;
}

/// It knew neither the agent's terms nor its health until the next beat, up to an interval later.
#[tokio::test]
async fn a_hub_that_is_started_again_hears_a_beat_at_once() {
    let (mut hub, tunnels, ops) = hub_to_restart().await;
    let long = [
        ("SYNCER_HEALTH_HEARTBEAT_INTERVAL", "60s"),
        ("SYNCER_HEALTH_HEARTBEAT_TIMEOUT", "180s"),
    ];
    let _agent = agent(tunnels, &long);
    healthy(ops).await;
    hub.signal("KILL").await;
    hub.ended().await;
    let (_hub, _, ops) = self::hub(&tunnels.to_string(), &ops.to_string()).await;
    healthy(ops).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_is_suspect_at_once_and_lost_within_its_timeout() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    let killed = Instant::now();
    agent.signal("KILL").await;
    verdict(ops, "Suspect", secs(1)).await;
    let lost = verdict(ops, "Lost", secs(5)).await;
    let took = killed.elapsed();
    assert!(
        took < Duration::from_millis(3_500),
        "Lost {took:?} after the kill, the timeout is 3 s"
    );
    assert_eq!(lost["reason"], "HeartbeatTimeout", "{lost}");
    let detail = get(ops, "/fleet/root:org:edge/edge-1", &[]).await.unwrap();
    let report_age = detail.json()["reportAgeSeconds"].as_f64();
    assert!(
        report_age.is_some_and(|age| age > 2.0),
        "it was healthy then: {}",
        detail.body
    );
    assert_eq!(agent.ended().await, None, "a signal ended it");
}

#[tokio::test]
async fn an_agent_that_is_frozen_is_lost_and_alive_again_when_it_thaws() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    agent.signal("STOP").await;
    verdict(ops, "Lost", secs(6)).await;
    agent.signal("CONT").await;
    verdict(ops, "Alive", secs(6)).await;
}

#[tokio::test]
async fn a_hub_that_is_frozen_convicts_nobody_when_it_thaws() {
    let (hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    hub.signal("STOP").await;
    tokio::time::sleep(secs(8)).await;
    hub.signal("CONT").await;
    hub.logged("this hub stood still", secs(5)).await;
    verdict(ops, "Alive", secs(6)).await;
    assert!(!hub.log().contains("verdict=Lost"), "{}", hub.log());
    drop(agent);
}

#[tokio::test]
async fn an_agent_that_ends_on_purpose_has_left() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    verdict(ops, "Left", secs(1)).await;
}

#[tokio::test]
async fn a_refused_token_is_told_in_one_line_and_the_agent_keeps_trying() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokens = folder.path().join("tokens.yaml");
    let token = folder.path().join("token");
    std::fs::write(&tokens, "\"root:org:edge/edge-1\": s3cr3t\n").expect("it can be written");
    std::fs::write(&token, "wrong\n").expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
auth: {{ tokenFile: {} }}
",
        tokens.display()
    );
    let hub = Program::start("hub", &config, &[]);
    let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    verdict(ops, "Pending", secs(5)).await;
    let token_file = token.to_str().expect("a path in UTF-8");
    let agent = agent(
        tunnels,
        &[("SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_TOKEN_FILE", token_file)],
    );
    let line = agent.logged("401 Unauthorized", secs(5)).await;
    assert!(line.contains("WARN"), "{line}");
    let line = hub.logged("a dial was refused", secs(5)).await;
    for says in ["WARN", "root:org:edge/edge-1", "unauthorized", "127.0.0.1"] {
        assert!(line.contains(says), "{line}");
    }
    let refused = "syncer_hub_dials_refused_total{reason=\"unauthorized\"}";
    eventually("some more dials are counted", secs(10), || async {
        let metrics = get(ops, "/metrics", &[]).await?.body;
        let counted = metrics
            .lines()
            .find_map(|line| line.strip_prefix(refused))?;
        (counted.trim().parse::<u64>().ok()? > 2).then_some(())
    })
    .await;
    let told = hub.log().matches("a dial was refused").count();
    assert_eq!(told, 1, "once a minute is enough: {}", hub.log());
    std::fs::write(&token, "s3cr3t\n").expect("it can be written");
    verdict(ops, "Alive", secs(5)).await;
    for log in [agent.log(), hub.log()] {
        assert!(!log.contains("s3cr3t") && !log.contains("wrong"), "{log}");
    }
}

#[tokio::test]
async fn two_processes_with_one_identity_are_told_to_the_hub_s_operator() {
    let (hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let twins = [(); 2].map(|()| agent(tunnels, &[("SYNCER_HEALTH_IDENTITY", "twin")]));
    let line = hub.logged("close each other's tunnels", secs(40)).await;
    for says in ["WARN", "root:org:edge/edge-1", "twin", "`identity`"] {
        assert!(line.contains(says), "{line}");
    }
    verdict(ops, "Alive", secs(5)).await;
    drop(twins);
}

#[tokio::test]
async fn the_fleet_is_filtered_and_paged() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let agents =
        ["a", "b", "c"].map(|name| agent(tunnels, &[("SYNCER_HEALTH_SYNC_TARGET_NAME", name)]));
    eventually("three agents", secs(10), || async {
        let fleet = get(ops, "/fleet", &[]).await?.json();
        (fleet["counts"]["Alive"] == 3).then_some(())
    })
    .await;
    let page = get(ops, "/fleet?limit=2", &[]).await.unwrap().json();
    assert_eq!(names(&page), ["a", "b"]);
    let next = page["next"].as_str().expect("more follows");
    let behind = format!("/fleet?limit=2&cursor={next}");
    let rest = get(ops, &behind, &[]).await.unwrap().json();
    assert_eq!((names(&rest), &rest["next"]), (vec!["c"], &Value::Null));
    let none = get(ops, "/fleet?verdict=lost", &[]).await.unwrap().json();
    assert!(names(&none).is_empty(), "{none}");
    assert_eq!(
        get(ops, "/fleet?verdict=dead", &[]).await.unwrap().status,
        400
    );
    let one = get(ops, "/fleet/root:org:edge/a", &[])
        .await
        .unwrap()
        .json();
    assert_eq!(
        (&one["verdict"], &one["report"]["version"]),
        (&"Alive".into(), &"0.1.0".into())
    );
    assert_eq!(
        get(ops, "/fleet/root:org:edge/z", &[])
            .await
            .unwrap()
            .status,
        404
    );
    let metrics = get(ops, "/metrics", &[]).await.unwrap().body;
    for line in [
        "syncer_hub_agents{verdict=\"alive\"} 3",
        "syncer_hub_leader 1",
        // What has not happened yet is counted too, and what is spread is a histogram.
        "syncer_hub_verdicts_total{verdict=\"lost\"} 0",
        "syncer_hub_clock_skew_seconds_bucket{le=\"3600\"} ",
    ] {
        let is_there = metrics.lines().any(|there| there.starts_with(line));
        assert!(is_there, "{line} is not in:\n{metrics}");
    }
    drop(agents);
}

#[tokio::test]
async fn a_hub_that_is_full_asks_to_come_back_and_has_a_place_again() {
    let config = "
server: { bind: '127.0.0.1:0' }
ops: { bind: '127.0.0.1:0' }
limits: { connections: 1 }
";
    let hub = Program::start("hub", config, &[]);
    let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    let first = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    let second = agent(tunnels, &[("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-2")]);
    let line = second.logged("503 Service Unavailable", secs(5)).await;
    assert!(line.contains("WARN"), "{line}");
    drop(first);
    // It was asked to stay away for 10 to 20 s, and waits for up to an interval of its own after that.
    eventually("the second is Alive", secs(20 + 1 + 5), || async {
        let one = get(ops, "/fleet/root:org:edge/edge-2", &[]).await?;
        (one.status == 200 && one.json()["verdict"] == "Alive").then_some(())
    })
    .await;
}

#[tokio::test]
async fn ops_with_a_token_answers_only_probes_without_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "l00k\n").expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0', tokenFile: {} }}
",
        token.display()
    );
    let hub = Program::start("hub", &config, &[]);
    let ops = hub.address("ops").await;
    for (path, bearer, status) in [
        ("/fleet", None, 401),
        ("/metrics", None, 401),
        ("/flight", None, 401),
        ("/fleet", Some("Bearer wrong"), 401),
        ("/fleet", Some("Bearer l00k"), 200),
        ("/livez", None, 200),
        ("/readyz", None, 200),
    ] {
        let headers: Vec<_> = bearer
            .iter()
            .map(|bearer| ("Authorization", *bearer))
            .collect();
        let answer = get(ops, path, &headers).await.unwrap();
        assert_eq!(answer.status, status, "{path} {bearer:?}");
    }
}

#[tokio::test]
async fn the_demo_shows_a_fleet_and_ends_cleanly() {
    let (code, out, err) = run_to_end(&["demo", "--agents", "2", "--duration", "3s"], &[]).await;
    assert_eq!(code, 0, "{err}");
    // It takes free ports where somebody else has its own.
    let fleet = out
        .lines()
        .filter_map(|line| line.trim().strip_prefix("curl -s http://"));
    let fleet: Vec<_> = fleet.filter(|at| at.ends_with("/fleet")).collect();
    assert!(
        fleet.len() == 1 && fleet[0].starts_with("127.0.0.1:"),
        "{out}"
    );
    assert!(out.trim_end().ends_with("ended"), "{out}");
    assert_eq!(err.matches("verdict=Alive").count(), 2, "{err}");
    assert_eq!(err.matches("verdict=Left").count(), 2, "{err}");
    assert!(!err.contains("ERROR") && !err.contains("panicked"), "{err}");
}

/// A hub on the given addresses, and where agents dial in and people look.
pub(crate) async fn hub(server: &str, ops: &str) -> (Program, SocketAddr, SocketAddr) {
    let config = format!("server: {{ bind: '{server}' }}\nops: {{ bind: '{ops}' }}\n");
    let hub = Program::start("hub", &config, &[]);
    let (server, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    (hub, server, ops)
}

/// A hub that can be started again where it was.
pub(crate) async fn hub_to_restart() -> (Program, SocketAddr, SocketAddr) {
    let [server, ops] = free_ports().map(|port| format!("127.0.0.1:{port}"));
    hub(&server, &ops).await
}

/// An agent with beats of 1 s and a timeout of 3 s.
pub(crate) fn agent(tunnels: SocketAddr, environment: &[(&str, &str)]) -> Program {
    let config = format!(
        "
syncTarget: {{ name: edge-1, workspace: 'root:org:edge' }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
heartbeat:
  interval: 1s
  timeout: 3s
  websocket: {{ url: 'ws://{tunnels}/tunnel' }}
"
    );
    Program::start("run", &config, environment)
}

/// Waits until the hub gives its only agent this verdict. Who is Alive has beaten too: with the
/// tunnel alone the hub does not know its terms, and would wait 90 s for it.
pub(crate) async fn verdict(ops: SocketAddr, verdict: &str, within: Duration) -> Value {
    eventually(&format!("the verdict {verdict}"), within, || async {
        let fleet = get(ops, "/fleet", &[]).await?.json();
        let agent = fleet["agents"].get(0)?.clone();
        let is_known = verdict != "Alive" || agent["heartbeats"] != 0;
        (agent["verdict"] == verdict && is_known).then_some(agent)
    })
    .await
}

/// Waits until the hub was told by a beat that its only agent is healthy.
async fn healthy(ops: SocketAddr) {
    eventually("the agent is healthy", secs(30), || async {
        let fleet = get(ops, "/fleet", &[]).await?.json();
        (fleet["agents"][0]["status"] == "Healthy").then_some(())
    })
    .await;
}

fn names(page: &Value) -> Vec<&str> {
    let agents = page["agents"].as_array().expect("a list");
    agents
        .iter()
        .map(|agent| agent["name"].as_str().expect("a name"))
        .collect()
}
