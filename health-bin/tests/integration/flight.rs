//! What a hub recorded, saved and replayed.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::FleetOutput;
use health_heartbeat::FleetReason;
use health_heartbeat::FleetVerdict;
use health_heartbeat::Flight;

use crate::fleet::agent;
use crate::fleet::hub;
use crate::fleet::verdict;
use crate::support::Program;
use crate::support::get;
use crate::support::secs;

#[tokio::test]
async fn why_a_killed_agent_was_convicted_is_seen_in_the_hubs_flight() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let nothing = get(ops, "/flight", &[]).await.expect("it answers");
    assert_eq!(nothing.status, 404, "{}", nothing.body);
    let agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    agent.signal("KILL").await;
    verdict(ops, "Lost", secs(6)).await;
    let saved = get(ops, "/flight", &[]).await.expect("it answers");
    assert_eq!(saved.status, 200, "{}", saved.body);
    let flight = Flight::parse(&saved.body).unwrap_or_else(|error| panic!("{error}"));
    assert!(flight.began().is_some_and(|began| began.ends_with('Z')));
    let mut given = Vec::new();
    let mut inputs = Vec::new();
    let mut due = None;
    let mut replay = flight.replay(Instant::now());
    while let Some(step) = replay.next() {
        for (agent, output) in step.told {
            let agent = agent.expect("it is the only one").to_string();
            assert_eq!(agent, "root:org:edge/edge-1");
            if let FleetOutput::Verdict {
                verdict, reason, ..
            } = output
            {
                given.push((verdict, reason, step.at));
            }
        }
        let agent = replay.fleet().views().next().map(|view| view.key());
        let now = agent.and_then(|agent| replay.fleet().due_of(agent));
        due = now.and_then(|now| now.lost).or(due);
        inputs.push(step.input);
    }
    let verdicts: Vec<_> = given.iter().map(|it| (it.0, it.1)).collect();
    assert_eq!(
        verdicts,
        [
            (FleetVerdict::Alive, FleetReason::HeartbeatReceived),
            (FleetVerdict::Suspect, FleetReason::TunnelBroken),
            (FleetVerdict::Lost, FleetReason::HeartbeatTimeout),
        ],
        "{inputs:#?}"
    );
    // It was convicted when its allowance ended, and it is said when that was.
    let lost = given[2].2;
    let due = due.expect("it had an allowance");
    assert!(
        lost >= due && lost - due < Duration::from_secs(2),
        "{lost:?} {due:?}"
    );
    for came in ["admitted", "opened", "next in 1s, timeout 3s", "closed"] {
        assert!(
            inputs.iter().any(|it| it.contains(came)),
            "{came}: {inputs:#?}"
        );
    }
}

#[tokio::test]
async fn a_hub_whose_gate_is_closed_records_nothing_and_says_so() {
    let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }\n";
    let hub = Program::start("hub --feature-gates FlightRecorder=false", config, &[]);
    let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    let _agent = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    let answer = get(ops, "/flight", &[]).await.expect("it answers");
    assert_eq!(answer.status, 404, "{}", answer.body);
    assert!(answer.body.contains("FlightRecorder"), "{}", answer.body);
    let metrics = get(ops, "/metrics", &[]).await.expect("it answers").body;
    let sample = "syncer_health_feature_enabled{name=\"FlightRecorder\",stage=\"BETA\"} 0\n";
    assert!(metrics.contains(sample), "{metrics}");
    hub.logged("feature gates are switched", secs(5)).await;
}
