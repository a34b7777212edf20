//! A server that is silent while agents live: nobody is convicted by what a hub cannot see.

use std::time::Duration;
use std::time::Instant;

use super::FAST;
use super::PATIENCE;
use super::chaos::TIMEOUT;
use super::overseen::FOUND;
use super::overseen::Hub;
use super::overseen::Looks;
use super::overseen::RECEIVED;
use super::overseen::SILENT;
use super::overseen::Setup;
use super::overseen::UNCONVICTED;
use super::overseen::by_lease;
use super::overseen::stands;
use super::server::Server;
use super::workspace::Workspace;
use crate::support::Authority;
use crate::support::Relay;
use crate::support::get;
use crate::support::secs;

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_frozen_server_convicts_nobody_and_lets_nobody_in() {
    let authority = Authority::new("authority");
    let server = Server::start(&authority);
    let workspace = Workspace::on(&server.kubeconfig(), "silent").await;
    workspace.add_target().await;
    workspace.add_another_target("edge-2").await;
    let setup = Setup {
        pod: "hub",
        kubeconfig: workspace.admins(),
        cluster: "",
        more: "auth: { tokenReview: true }\n",
    };
    let hub = Hub::start_as(&workspace, setup).await;
    let _alice = by_lease(&workspace, "edge-1", "alice", FAST);
    let mut bob = by_lease(&workspace, "edge-2", "bob", FAST);
    for target in ["edge-1", "edge-2"] {
        stands(&workspace, target, RECEIVED).await;
    }

    server.freeze().await;
    let frozen = Instant::now();
    for target in ["edge-1", "edge-2"] {
        hub.judges(target, "Suspect").await;
    }
    let answer = hub.dial("edge-1", "limited-token").await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    let text = answer.text.to_lowercase();
    assert!(text.contains("\r\nretry-after: "), "{text}");
    while frozen.elapsed() < TIMEOUT * 10 {
        let live = get(hub.ops, "/readyz", &[]).await.expect("it answers");
        assert_eq!(live.status, 200, "{}", live.body);
        for target in ["edge-1", "edge-2"] {
            let agent = hub.agent(target).await.expect("it is known");
            assert_eq!(agent["verdict"], "Suspect", "{agent:#}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    server.thaw().await;
    for target in ["edge-1", "edge-2"] {
        hub.judges(target, "Alive").await;
    }
    let mut looks = Looks::start(&workspace).await;
    // A mistake would come within that time.
    tokio::time::sleep(TIMEOUT * 2).await;
    for target in ["edge-1", "edge-2"] {
        hub.gave_only(target, UNCONVICTED).await;
        looks.saw(target, &[RECEIVED]).await;
    }
    bob.signal("KILL").await;
    bob.ended().await;
    stands(&workspace, "edge-2", SILENT).await;
}

/// Each connection that the hub has is mute, and none ends; new ones are answered.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_stalled_watch_convicts_nobody_and_hides_no_death() {
    let workspace = Workspace::with_target("stalled").await;
    workspace.add_another_target("edge-2").await;
    let relay = Relay::start(&[workspace.address()]).await;
    let kubeconfig = workspace.kubeconfig_of("admin-token", Some(relay.address()));
    let setup = Setup {
        pod: "hub",
        kubeconfig: kubeconfig.path().to_str().expect("a path in UTF-8"),
        cluster: "",
        more: "",
    };
    let hub = Hub::start_as(&workspace, setup).await;
    let _alice = by_lease(&workspace, "edge-1", "alice", FAST);
    let mut bob = by_lease(&workspace, "edge-2", "bob", FAST);
    for target in ["edge-1", "edge-2"] {
        stands(&workspace, target, RECEIVED).await;
    }
    let mut looks = Looks::start(&workspace).await;
    relay.stall();
    let stalled = Instant::now();
    bob.signal("KILL").await;
    bob.ended().await;
    stands(&workspace, "edge-2", SILENT).await;
    // A look over a mute connection is in vain after 5 s, and then there is an allowance more.
    let found = FOUND + secs(5) + TIMEOUT;
    assert!(stalled.elapsed() < found, "{:?}", stalled.elapsed());
    tokio::time::sleep((TIMEOUT * 10).saturating_sub(stalled.elapsed())).await;
    hub.gave_only("edge-1", UNCONVICTED).await;
    looks.saw("edge-1", &[RECEIVED]).await;
    looks.saw("edge-2", &[RECEIVED, SILENT]).await;
    hub.program.logged("the watch goes on", PATIENCE * 4).await;
}
