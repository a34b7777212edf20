//! What a hub finds out of agents, and says on their SyncTargets.

use std::time::Instant;

use serde_json::Value;

use super::FAST;
use super::TARGET;
use super::agent;
use super::chaos::TIMEOUT;
use super::condition;
use super::holder_slot;
use super::overseen::FOUND;
use super::overseen::Hub;
use super::overseen::Looks;
use super::overseen::RECEIVED;
use super::overseen::SILENT;
use super::overseen::UNCONVICTED;
use super::overseen::by_both;
use super::overseen::by_lease;
use super::overseen::by_tunnel;
use super::overseen::stands;
use super::ready;
use super::syncer_ready;
use super::workspace::Workspace;
use crate::support::Program;
use crate::support::Relay;
use crate::support::secs;

/// Beats whose timeout leaves a container the time to be started again.
const PATIENT: &str = "interval: 1s, timeout: 12s";

/// Beats that make nobody Suspect on a busy machine.
const CALM: &str = "interval: 4s, timeout: 12s";

/// How a hub is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    Stopped,
    Frozen,
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_killed_agent_is_told_on_its_target_and_so_is_its_return_and_its_goodbye() {
    let workspace = Workspace::with_target("verdict").await;
    let hub = Hub::start(&workspace).await;
    let mut alice = agent(&workspace, "alice", FAST, "");
    stands(&workspace, "edge-1", RECEIVED).await;
    workspace
        .until(TARGET, "the agent says something too", |target| {
            syncer_ready(target).is_some()
        })
        .await;
    shows(&workspace, "True", "HeartbeatReceived").await;

    alice.signal("KILL").await;
    let killed = Instant::now();
    alice.ended().await;
    let before = workspace.object(TARGET).await;
    let target = stands(&workspace, "edge-1", SILENT).await;
    assert!(killed.elapsed() < FOUND, "{:?}", killed.elapsed());
    let lost = hub.judges("edge-1", "Lost").await;
    let said = condition(&target, "HeartbeatHealthy").expect("it stands there");
    assert_eq!(said["severity"], "Warning", "{said}");
    let message = said["message"].as_str().unwrap_or_default();
    // To the second.
    let since = lost["since"].as_str().and_then(|since| since.get(..19));
    let since = format!("lost since {}", since.expect("a time"));
    assert!(message.starts_with(&since), "{since}: {message}");
    let by = ["came by lease", "came by synctarget"];
    assert!(by.iter().any(|by| message.contains(by)), "{message}");
    assert_eq!(syncer_ready(&target), syncer_ready(&before));
    shows(&workspace, "False", "HeartbeatTimeout").await;

    let mut alice = agent(&workspace, "alice", FAST, "");
    let target = stands(&workspace, "edge-1", RECEIVED).await;
    let said = condition(&target, "HeartbeatHealthy").expect("it stands there");
    assert_eq!(said["severity"], Value::Null, "{said}");
    assert!(syncer_ready(&target).is_some(), "{target}");
    shows(&workspace, "True", "HeartbeatReceived").await;

    assert_eq!(alice.terminate().await, Some(0), "{}", alice.log());
    let target = stands(&workspace, "edge-1", "False SyncerLeft").await;
    let said = condition(&target, "HeartbeatHealthy").expect("it stands there");
    assert_eq!(said["severity"], "Info", "{said}");
    assert!(ready(&target, "False"), "{target}");
    shows(&workspace, "False", "SyncerLeft").await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_restarted_container_of_an_agent_with_a_lease_only_is_never_lost() {
    let workspace = Workspace::with_target("container").await;
    let hub = Hub::start(&workspace).await;
    let mut container = by_lease(&workspace, "edge-1", "alice", PATIENT);
    let mut before = hub.judges("edge-1", "Alive").await;
    stands(&workspace, "edge-1", RECEIVED).await;
    let mut looks = Looks::start(&workspace).await;
    for _ in 0..3 {
        container.signal("KILL").await;
        container.ended().await;
        container = by_lease(&workspace, "edge-1", "alice", PATIENT);
        let renewed = |agent: &Value| agent["incarnation"] != before["incarnation"];
        before = hub.until("edge-1", "is another one", renewed).await;
    }
    // The last one killed would be missed within that time.
    let outlives = |agent: &Value| agent["sequence"].as_u64() > Some(14);
    hub.until("edge-1", "outlives its allowance", outlives)
        .await;
    hub.gave_only("edge-1", UNCONVICTED).await;
    hub.hears("edge-1", 0).await;
    looks.saw("edge-1", &[RECEIVED]).await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_hub_that_was_stopped_convicts_nobody_alive_and_finds_who_died_meanwhile() {
    outage("stopped", Away::Stopped).await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_hub_that_was_frozen_convicts_nobody_alive_and_finds_who_died_meanwhile() {
    outage("frozen", Away::Frozen).await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_rolling_update_with_overlapping_pods_stays_alive_throughout() {
    let workspace = Workspace::with_target("rollout").await;
    let hub = Hub::start(&workspace).await;
    let mut old = by_both(&workspace, "edge-1", "pod-0", CALM, hub.tunnels);
    hub.hears("edge-1", 1).await;
    lease_is_with(&workspace, "pod-0").await;
    stands(&workspace, "edge-1", RECEIVED).await;
    let mut looks = Looks::start(&workspace).await;
    for number in 1..=3 {
        let pod = format!("pod-{number}");
        let new = by_both(&workspace, "edge-1", &pod, CALM, hub.tunnels);
        hub.hears("edge-1", 2).await;
        new.logged("standing by", secs(20)).await;
        assert_eq!(old.terminate().await, Some(0), "{}", old.log());
        lease_is_with(&workspace, &pod).await;
        hub.hears("edge-1", 1).await;
        old = new;
    }
    // What the old ones left behind would be missed within that time.
    tokio::time::sleep(secs(15)).await;
    hub.hears("edge-1", 1).await;
    hub.gave_only("edge-1", &["Pending", "Alive"]).await;
    looks.saw("edge-1", &[RECEIVED]).await;
    // Not because nothing is said any more.
    assert_eq!(old.terminate().await, Some(0), "{}", old.log());
    stands(&workspace, "edge-1", "False SyncerLeft").await;
}

/// A hub is away for ten timeouts. Of four agents one has a tunnel and a Lease, one a Lease only, one
/// a tunnel only, and one dies meanwhile.
async fn outage(prefix: &str, away: Away) {
    let workspace = Workspace::with_target(prefix).await;
    for target in ["edge-2", "edge-3", "edge-4"] {
        workspace.add_another_target(target).await;
    }
    let mut hub = Hub::start(&workspace).await;
    let relay = Relay::start(&[hub.tunnels]).await;
    let _both = by_both(&workspace, "edge-1", "alice", FAST, relay.address());
    let _lease = by_lease(&workspace, "edge-2", "bob", FAST);
    let mut dead = by_lease(&workspace, "edge-3", "carol", FAST);
    let _tunnel = by_tunnel(&workspace, "edge-4", relay.address());
    hub.hears("edge-1", 1).await;
    for target in ["edge-1", "edge-2", "edge-3", "edge-4"] {
        stands(&workspace, target, RECEIVED).await;
    }
    let mut looks = Looks::start(&workspace).await;

    match away {
        Away::Stopped => assert_eq!(hub.program.terminate().await, Some(0)),
        Away::Frozen => hub.program.signal("STOP").await,
    }
    kill(&mut dead).await;
    tokio::time::sleep(TIMEOUT * 10).await;
    for target in ["edge-1", "edge-2", "edge-3", "edge-4"] {
        looks.saw(target, &[RECEIVED]).await;
    }
    match away {
        Away::Stopped => {
            hub = Hub::start(&workspace).await;
            relay.lead_to(&[hub.tunnels]);
        }
        Away::Frozen => hub.program.signal("CONT").await,
    }
    let back = Instant::now();
    stands(&workspace, "edge-3", SILENT).await;
    assert!(back.elapsed() < FOUND, "{:?}", back.elapsed());
    hub.hears("edge-1", 1).await;
    hub.hears("edge-2", 0).await;
    hub.hears("edge-4", 1).await;
    // A mistake would come within that time.
    tokio::time::sleep(TIMEOUT * 2).await;
    for target in ["edge-1", "edge-2", "edge-4"] {
        hub.gave_only(target, UNCONVICTED).await;
        looks.saw(target, &[RECEIVED]).await;
    }
    looks.saw("edge-3", &[RECEIVED, SILENT]).await;
}

async fn kill(agent: &mut Program) {
    agent.signal("KILL").await;
    agent.ended().await;
}

async fn lease_is_with(workspace: &Workspace, pod: &str) {
    workspace
        .until(super::LEASE, &format!("{pod} holds it"), |lease| {
            holder_slot(lease) == pod
        })
        .await;
}

/// What `kubectl get synctargets` shows.
async fn shows(workspace: &Workspace, status: &str, reason: &str) {
    let row = workspace.row("edge-1").await;
    let cell = |name: &str| {
        let cell = row.iter().find(|(column, _)| column == name);
        cell.map(|(_, cell)| cell.as_str().unwrap_or_default())
    };
    assert_eq!(cell("Name"), Some("edge-1"), "{row:?}");
    assert_eq!(cell("Heartbeat"), Some(status), "{row:?}");
    assert_eq!(cell("Reason"), Some(reason), "{row:?}");
}
