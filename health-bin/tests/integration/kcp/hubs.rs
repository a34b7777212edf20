//! Several hubs of one workspace: one leads, the others stand by.

use std::time::Instant;

use tempfile::NamedTempFile;

use super::FAST;
use super::PATIENCE;
use super::overseen::FOUND;
use super::overseen::Hub;
use super::overseen::Looks;
use super::overseen::RECEIVED;
use super::overseen::SILENT;
use super::overseen::Setup;
use super::overseen::UNCONVICTED;
use super::overseen::by_both;
use super::overseen::by_lease;
use super::overseen::by_tunnel;
use super::overseen::stands;
use super::workspace::Workspace;
use crate::support::Relay;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// Both hubs are behind one address, as pods behind a Service that does not look at readiness.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_standby_takes_over_and_no_false_verdict_is_ever_written() {
    let workspace = Workspace::with_target("hubs").await;
    for target in ["edge-2", "edge-3"] {
        workspace.add_another_target(target).await;
    }
    let kubeconfig = workspace.kubeconfig_of("admin-token", None);
    let mut first = hub(&workspace, &kubeconfig, "hub-1").await;
    leads(&first).await;
    let mut second = hub(&workspace, &kubeconfig, "hub-2").await;
    let relay = Relay::start(&[first.tunnels, second.tunnels]).await;
    let _both = by_both(&workspace, "edge-1", "alice", FAST, relay.address());
    let mut dead = by_lease(&workspace, "edge-2", "bob", FAST);
    let mut tunnel = by_tunnel(&workspace, "edge-3", relay.address());
    for (target, tunnels) in [("edge-1", 1), ("edge-2", 0), ("edge-3", 1)] {
        first.hears(target, tunnels).await;
        stands(&workspace, target, RECEIVED).await;
    }
    stands_by(&second).await;
    let mut looks = Looks::start(&workspace).await;

    first.program.signal("KILL").await;
    first.program.ended().await;
    leads(&second).await;
    second.hears("edge-1", 1).await;
    second.hears("edge-2", 0).await;
    second.hears("edge-3", 1).await;

    dead.signal("KILL").await;
    let killed = Instant::now();
    dead.ended().await;
    stands(&workspace, "edge-2", SILENT).await;
    assert!(killed.elapsed() < FOUND, "{:?}", killed.elapsed());

    // Handed over, it does not take the time that a Lease is valid for.
    let third = hub(&workspace, &kubeconfig, "hub-3").await;
    relay.lead_to(&[second.tunnels, third.tunnels]);
    stands_by(&third).await;
    let asked = Instant::now();
    assert_eq!(second.program.terminate().await, Some(0));
    leads(&third).await;
    assert!(asked.elapsed() < secs(12), "{:?}", asked.elapsed());
    third.hears("edge-1", 1).await;
    third.hears("edge-3", 1).await;
    third.judges("edge-2", "Lost").await;
    for target in ["edge-1", "edge-3"] {
        third.gave_only(target, UNCONVICTED).await;
        looks.saw(target, &[RECEIVED]).await;
    }
    looks.saw("edge-2", &[RECEIVED, SILENT]).await;
    tunnel.signal("KILL").await;
    tunnel.ended().await;
    stands(&workspace, "edge-3", SILENT).await;
}

async fn hub(workspace: &Workspace, kubeconfig: &NamedTempFile, pod: &str) -> Hub {
    let setup = Setup {
        pod,
        kubeconfig: kubeconfig.path().to_str().expect("a path in UTF-8"),
        cluster: "leaderLease: { enabled: true }",
        more: "",
    };
    Hub::start_as(workspace, setup).await
}

/// By expiry it takes the time that a Lease is valid for, which is 15 s.
async fn leads(hub: &Hub) {
    let what = format!("it leads:\n{}", hub.program.log());
    eventually(&what, PATIENCE, || async {
        let ready = get(hub.ops, "/readyz", &[]).await?;
        (ready.status == 200).then_some(())
    })
    .await;
}

/// It lives, is not ready, and sends agents away for a while.
async fn stands_by(hub: &Hub) {
    let answer = hub.program.answers(hub.ops, "/readyz", 503).await;
    assert!(answer.body.contains("Standby"), "{}", answer.body);
    let live = get(hub.ops, "/livez", &[]).await.expect("it answers");
    assert_eq!(live.status, 200, "{}", live.body);
    let answer = hub.dial("edge-1", "").await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    let text = answer.text.to_lowercase();
    assert!(text.contains("\r\nretry-after: 3\r\n"), "{text}");
}
