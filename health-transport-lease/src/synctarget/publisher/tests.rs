use super::*;
use crate::LeaseConfig;
use crate::LeaseTransport;
use crate::synctarget::Dialect;
use crate::testing::Model;
use crate::testing::Server;
use crate::testing::carried;
use crate::testing::heartbeat;
use health_core::HealthStatus;
use health_heartbeat::Standing;
use serde_json::Value;
use std::time::Duration;
use std::time::UNIX_EPOCH;

const TARGET: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";

#[tokio::test(start_paused = true)]
async fn a_beat_is_one_write_of_heartbeat_and_condition() {
    let server = server();
    let mut alice = transport(&server, "alice");
    beat(&mut alice, HealthStatus::Healthy).await.unwrap();
    server.model().take_requests();
    tokio::time::sleep(secs(20)).await;
    beat(&mut alice, HealthStatus::Degraded).await.unwrap();
    assert_eq!(server.model().take_requests().len(), 1);
    let status = status(&server);
    assert_eq!(status["lastHeartbeatTime"], "1970-01-01T00:00:09Z");
    assert_eq!(status["syncerIdentity"], "alice_1");
    assert_eq!(status["conditions"][0]["reason"], "QueueDepthHigh");
    assert_eq!(
        status["conditions"][0]["message"],
        "engine is Degraded (QueueDepthHigh): for a test"
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_holder_of_the_lease_writes() {
    let server = server();
    let lease = LeaseConfig::new("default", "", "edge-1").unwrap();
    let keeper = |slot| LeaseTransport::new(server.cluster(), &lease, "edge-1", &identity(slot), 7);
    let (mut alices, mut bobs) = (keeper("alice"), keeper("bob"));
    let mut alice = transport(&server, "alice").with_lease(alices.held());
    let mut bob = transport(&server, "bob").with_lease(bobs.held());

    let error = beat(&mut alice, HealthStatus::Healthy).await.unwrap_err();
    assert!(
        error.chain().contains("only the holder of the Lease"),
        "{error}"
    );

    let by = now() + secs(5);
    alices
        .beat(&heartbeat(&identity("alice"), 1), by)
        .await
        .unwrap();
    bobs.beat(&heartbeat(&identity("bob"), 1), by)
        .await
        .unwrap();
    let answer = beat(&mut alice, HealthStatus::Healthy).await.unwrap();
    assert_eq!(answer.standing, Standing::Beating);
    let answer = beat(&mut bob, HealthStatus::Unhealthy).await.unwrap();
    let holder = "alice_1".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    assert_eq!(answer.again_within, Some(secs(1)), "it may hold it by then");
    assert_eq!(status(&server)["conditions"][0]["status"], "True");

    bob.release(now() + secs(5)).await.unwrap();
    assert_eq!(
        status(&server)["conditions"][0]["status"],
        "True",
        "bob has nothing to say"
    );
    alice.release(now() + secs(5)).await.unwrap();
    assert_eq!(status(&server)["conditions"][0]["reason"], "ShuttingDown");
}

/// The Lease's server is down: what was held runs out, and the writing stops by itself.
#[tokio::test(start_paused = true)]
async fn pitfall_32_nothing_is_written_when_the_lease_has_run_out() {
    let server = server();
    let lease = LeaseConfig::new("default", "", "edge-1").unwrap();
    let mut keeper = LeaseTransport::new(server.cluster(), &lease, "edge-1", &identity("alice"), 7);
    let mut alice = transport(&server, "alice").with_lease(keeper.held());
    let by = now() + secs(5);
    keeper
        .beat(&heartbeat(&identity("alice"), 1), by)
        .await
        .unwrap();
    beat(&mut alice, HealthStatus::Healthy).await.unwrap();
    tokio::time::sleep(secs(30)).await;
    server.model().take_requests();
    assert!(beat(&mut alice, HealthStatus::Healthy).await.is_err());
    assert!(server.model().take_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_named() {
    let server = server();
    let mut alice = transport(&server, "alice");
    server.model().delete(TARGET);
    let error = beat(&mut alice, HealthStatus::Healthy).await.unwrap_err();
    assert!(
        error.chain().contains("create it or set syncTarget.name"),
        "{error}"
    );
    server.model().define(None);
    let error = beat(&mut alice, HealthStatus::Healthy).await.unwrap_err();
    assert!(
        error.chain().contains("syncer-health manifests crd"),
        "{error}"
    );
    server.model().define(Some(Dialect::TmcApi));
    server.model().create_target("edge-1");
    beat(&mut alice, HealthStatus::Healthy).await.unwrap();
}

async fn beat(
    agent: &mut SyncTargetTransport,
    status: HealthStatus,
) -> Result<Acknowledgement, BeatError> {
    let mut heartbeat = heartbeat(&identity("alice"), 1);
    heartbeat.carried = carried(status, status == HealthStatus::Healthy);
    agent.beat(&heartbeat, now() + secs(10)).await
}

fn status(server: &Server) -> Value {
    server.model().object(TARGET).unwrap()["status"].clone()
}

fn server() -> Server {
    let mut model = Model::with_dialect(Dialect::TmcApi);
    model.create_target("edge-1");
    Server::new(model)
}

fn transport(server: &Server, slot: &str) -> SyncTargetTransport {
    let wall: WallClock = Arc::new(|| UNIX_EPOCH + secs(9));
    let config = SyncTargetConfig::default();
    SyncTargetTransport::new(server.cluster(), config, "edge-1", &identity(slot), 7)
        .with_wall_clock(wall)
}

fn identity(slot: &str) -> Identity {
    Identity {
        slot: slot.into(),
        incarnation: "1".into(),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
