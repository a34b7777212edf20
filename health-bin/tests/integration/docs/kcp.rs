//! The pages that need a real kcp.

use super::Story;
use super::tell;
use super::whole;
use super::world::World;

/// The guide's objects are those that the runbook looks at.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn what_the_guide_to_kcp_shows_is_real() {
    let world = World::on_kcp().await;
    tell(&whole("docs/kcp.md"), &world).await;
    let story = Story {
        typed: |command| command.starts_with("kubectl"),
        ..whole("docs/runbook.md")
    };
    tell(&story, &world).await;
    what_the_readme_shows_of_verdicts_is_real(&world).await;
}

/// Another target beside that of the guide, and of both agents the guide's is killed.
async fn what_the_readme_shows_of_verdicts_is_real(world: &World) {
    let shell = &world.shell;
    let typed = async |command: &str| {
        let done = shell.run(&world.here(command)).await;
        assert_eq!(done.code, 0, "{command}\n{}", done.shown);
    };
    typed("sed s/edge-1/edge-2/ synctarget.yaml | kubectl apply -f -").await;
    let start = async |command: &str, log: &str| shell.start(&world.here(command), log).await;
    let hub = start("syncer-health hub --config hub.yaml", "hub.log").await;
    let first = start("syncer-health run --config agent.yaml", "a.log").await;
    let second = "SYNCER_HEALTH_SYNC_TARGET_NAME=edge-2 \
                  SYNCER_HEALTH_CLUSTER_KUBECONFIG=admin.kubeconfig \
                  SYNCER_HEALTH_SERVER_BIND=127.0.0.1:8091 syncer-health run --config agent.yaml";
    let second = start(second, "b.log").await;
    for target in ["edge-1", "edge-2"] {
        for condition in ["HeartbeatHealthy", "SyncerReady"] {
            let wait = format!("kubectl wait synctarget {target} --timeout=30s");
            typed(&format!("{wait} --for=condition={condition}")).await;
        }
    }
    typed(&format!("kill -KILL {first}")).await;
    let story = Story {
        typed: |command| command.starts_with("kubectl"),
        ..whole("README.md")
    };
    tell(&story, world).await;
    for process in [second, hub] {
        typed(&format!("kill -TERM {process}")).await;
        assert_eq!(shell.wait_for(process).await, 0);
    }
}
