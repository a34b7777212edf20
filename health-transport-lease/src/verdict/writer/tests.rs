use super::*;
use crate::synctarget::Dialect;
use crate::testing::Caller;
use crate::testing::Fault;
use crate::testing::Model;
use crate::testing::Server;
use crate::verdict::Silence;
use crate::verdict::WishKind;
use http::Method;
use serde_json::Value;
use std::time::Duration;
use std::time::UNIX_EPOCH;

const TARGET: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";

#[tokio::test(start_paused = true)]
async fn a_verdict_is_a_read_and_a_write_and_then_nothing() {
    let server = server();
    let writer = writer(&server);
    writer.tell("edge-1", lost());
    settle().await;
    assert!(
        server.model().take_requests().is_empty(),
        "it is not active"
    );
    writer.set_active(true);
    settle().await;
    let status = format!("{TARGET}/status?fieldValidation=Strict");
    assert_eq!(
        server.model().take_requests(),
        [(Method::GET, TARGET.to_owned()), (Method::PUT, status)]
    );
    let condition = server.model().object(TARGET).unwrap()["status"]["conditions"][0].clone();
    assert_eq!(condition["reason"], "HeartbeatTimeout");
    assert_eq!(condition["lastTransitionTime"], "1970-01-01T00:00:09Z");
    let seen = server.model().object(TARGET).unwrap().clone();
    for _ in 0..10 {
        writer.tell("edge-1", lost());
        writer.seen("edge-1", &TargetSight::of(&seen, None));
        tokio::time::sleep(secs(60)).await;
    }
    assert!(server.model().take_requests().is_empty());
    writer.forget("edge-1");
    let status = VerdictStatus {
        active: true,
        ..VerdictStatus::default()
    };
    assert_eq!(writer.status(), status);
}

/// fleet-server#749: what is told is never held up, and the newest of it is written in the end.
#[tokio::test(start_paused = true)]
async fn pitfall_26_telling_waits_for_no_server() {
    let server = server();
    server
        .model()
        .fail([Fault::Lost, Fault::Lost, Fault::AnswerLost]);
    let writer = writer(&server);
    writer.set_active(true);
    let began = now();
    for _ in 0..1000 {
        writer.tell("edge-1", Wish::Alive);
        writer.tell("edge-1", lost());
    }
    assert_eq!(now(), began);
    writer.tell("edge-1", Wish::Left);
    tokio::time::sleep(secs(9)).await;
    let status = writer.status();
    assert_eq!((status.waiting, status.in_flight), (0, 1));
    tokio::time::sleep(secs(120)).await;
    let written = Standing::of(server.model().object(TARGET).unwrap());
    assert_eq!(written, Standing::Known(WishKind::Left));
    assert_eq!(writer.status().in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn the_writing_ends_with_the_last_handle() {
    let server = server();
    let writer = writer(&server);
    let other = writer.clone();
    writer.set_active(true);
    drop(writer);
    other.tell("edge-1", Wish::Alive);
    settle().await;
    assert_eq!(server.model().take_requests().len(), 2);
    // One wish waits for the interval.
    other.tell("edge-1", lost());
    drop(other);
    tokio::time::sleep(secs(60)).await;
    assert!(server.model().take_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_seen_of_no_object_is_nothing() {
    let server = server();
    let writer = writer(&server);
    writer.set_active(true);
    for object in [
        Value::Null,
        serde_json::json!({"metadata": {"name": "edge-1"}}),
    ] {
        writer.seen("edge-1", &TargetSight::of(&object, None));
    }
    settle().await;
    assert!(server.model().take_requests().is_empty());
    assert!(format!("{writer:?}").contains("https://model.test"));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_write_goes_on_asking() {
    let server = server();
    let limited = server.cluster_of(Caller::User("hub"));
    let writer = VerdictWriter::spawn(limited, VerdictConfig::default(), 7);
    writer.set_active(true);
    writer.tell("edge-1", lost());
    tokio::time::sleep(secs(60)).await;
    let rules = crate::manifests::target_role("hub", "edge-1")["rules"].clone();
    server.model().allow("hub", &rules);
    tokio::time::sleep(secs(600)).await;
    let written = Standing::of(server.model().object(TARGET).unwrap());
    assert_eq!(written, Standing::Known(WishKind::Lost));
}

fn server() -> Server {
    let mut model = Model::with_dialect(Dialect::Kcp);
    model.create_target("edge-1");
    Server::new(model)
}

fn writer(server: &Server) -> VerdictWriter {
    let wall: WallClock = Arc::new(|| UNIX_EPOCH + secs(9));
    let config = VerdictConfig::default();
    VerdictWriter::spawn_with_wall_clock(server.cluster(), config, 7, wall)
}

fn lost() -> Wish {
    Wish::Lost(Silence {
        since: UNIX_EPOCH,
        last: None,
    })
}

/// Lets the calls be made that can be; with paused time they take none.
async fn settle() {
    tokio::time::sleep(secs(1)).await;
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
