//! What `docs/runbook.md` asks of agents and hubs is answered.

use std::net::SocketAddr;

use serde_json::Value;

use crate::fleet;
use crate::support::Cluster;
use crate::support::ask;
use crate::support::secs;

const RUNBOOK: &str = include_str!("../../../docs/runbook.md");

#[tokio::test]
async fn each_question_of_the_runbook_has_an_answer() {
    let (_hub, tunnels, ops) = fleet::hub("127.0.0.1:0", "127.0.0.1:0").await;
    let cluster = Cluster::start().await;
    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_WORKSPACE", ""),
        ("SYNCER_HEALTH_CLUSTER_KUBECONFIG", cluster.kubeconfig()),
    ];
    let agent = fleet::agent(tunnels, &environment);
    let address = agent.address("address").await;
    fleet::verdict(ops, "Alive", secs(10)).await;
    agent.answers(address, "/readyz", 200).await;
    let mut asked = 0;
    for line in RUNBOOK.lines().filter(|line| line.starts_with("curl ")) {
        let hub = answer(line, "\"$HUB", ops).await;
        let agent = answer(line, "\"$AGENT", address).await;
        let body = hub
            .or(agent)
            .unwrap_or_else(|| panic!("whom does it ask? {line}"));
        for field in fields(line) {
            let report: Value = serde_json::from_str(&body).expect("what jq reads is JSON");
            let pointer = field.replace('.', "/");
            assert!(report.pointer(&pointer).is_some(), "{line}: no {field}");
        }
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
}

/// What it is answered, if it is one that a line asks.
async fn answer(line: &str, whom: &str, address: SocketAddr) -> Option<String> {
    let (_, path) = line.split_once(whom)?;
    let (path, _) = path.split_once('"').expect("a quote ends it");
    let path = path
        .replace("WORKSPACE/NAME", "-/edge-1")
        .replace("NAME", "heartbeat");
    // A stream never ends.
    let method = if path.starts_with("/events") {
        "HEAD"
    } else {
        "GET"
    };
    let answer = ask(address, method, &path, &[], "").await;
    let answer = answer.unwrap_or_else(|| panic!("nobody answers: {line}"));
    assert_eq!(answer.status, 200, "{line}: {}", answer.body);
    Some(answer.body)
}

/// The fields that `jq` takes out of a report.
fn fields(line: &str) -> Vec<String> {
    let Some((_, filter)) = line.split_once("| jq ") else {
        return Vec::new();
    };
    let filter = filter.trim_matches('\'').replace("NAME", "heartbeat");
    filter.split(", ").map(str::to_owned).collect()
}
