mod loopback;

use super::*;
use crate::testing::Fault;
use crate::testing::Model;
use crate::testing::Server;
use crate::watch::LeaseChange;
use crate::watch::LiveReader;
use crate::watch::Seen;
use crate::watch::TargetChange;
use serde_json::Value;
use serde_json::json;
use std::time::Duration;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

#[tokio::test(start_paused = true)]
async fn leases_and_targets_are_told_as_they_change() {
    let server = server();
    server.model().put(LEASE, lease(1));
    let mut hub = hub(&server, 100);
    let told = hub.told(4).await;
    assert_eq!(told, ["lease First", "synced", "synced", "target First"]);
    server.model().put(LEASE, lease(2));
    assert_eq!(hub.next().await, "lease Renewed");
    let mut target = target_of(&server);
    target["status"] = json!({"lastSyncerHeartbeatTime": "1970-01-01T00:00:01Z"});
    server.model().put(TARGET, target);
    assert_eq!(hub.next().await, "target HeartbeatChanged");
    server.model().delete(LEASE);
    assert_eq!(hub.next().await, "lease gone");
    // Long after, the streams were replaced many times, and nothing was lost or told twice.
    tokio::time::sleep(Duration::from_secs(3600)).await;
    server.model().create_target("edge-1");
    assert_eq!(hub.next().await, "target gone");
    assert_eq!(hub.next().await, "target First");
}

/// Kubernetes #85221, microk8s#5386: the same over HTTP, where a stalled stream is a connection
/// that says nothing.
#[tokio::test(start_paused = true)]
async fn pitfall_20_a_stalled_stream_is_replaced() {
    let server = server();
    server.model().put(LEASE, lease(1));
    let mut hub = hub(&server, 100);
    hub.told(4).await;
    let begin = tokio::time::Instant::now();
    server.model().stall_streams(true);
    server.model().put(LEASE, lease(2));
    let told = hub.told(5).await;
    let all = [
        "lease Renewed",
        "recovered",
        "stalled",
        "recovered",
        "stalled",
    ];
    assert_eq!(told, all);
    let took = begin.elapsed();
    let silence = WatchConfig::new("default").unwrap().silence();
    assert!(took >= silence && took < silence + Duration::from_secs(2));
    server.model().stall_streams(false);
    server.model().put(LEASE, lease(3));
    assert_eq!(hub.next().await, "lease Renewed");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_asked_until_it_does_not() {
    let server = server();
    server.model().fail([
        Fault::Status(503),
        Fault::Lost,
        Fault::Status(403),
        Fault::Busy(2),
        Fault::StreamError(410),
        Fault::StreamError(500),
    ]);
    server.model().put(LEASE, lease(1));
    let mut hub = hub(&server, 100);
    let mut told = Vec::new();
    while told.iter().filter(|it| *it == "synced").count() < 2 {
        told.push(hub.next().await);
    }
    assert!(told.iter().any(|it| it.starts_with("broken")), "{told:?}");
    server.model().put(LEASE, lease(2));
    while hub.next().await != "lease Renewed" {}
}

/// Whoever does not take what is seen holds the server up, and finds the latest state all the same.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_was_stuck_finds_the_latest_state() {
    let server = server();
    server.model().put(LEASE, lease(1));
    let mut hub = hub(&server, 1);
    for time in 2..2000 {
        server.model().put(LEASE, lease(time));
        if time % 100 == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    let mut last = None;
    while last.as_deref() != Some("1999") {
        if let Seen::Lease { lease, .. } = hub.events.recv().await.unwrap().what {
            last = lease.renew_time;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_it_is_dropped_and_when_nobody_receives() {
    let server = server();
    let mut hub = hub(&server, 100);
    hub.told(3).await;
    drop(hub.watcher);
    while hub.events.recv().await.is_some() {}

    // Also where there is nothing to tell.
    let mut quiet = self::hub(&server, 100);
    quiet.told(3).await;
    let begin = now();
    drop(quiet.events);
    quiet.watcher.ended().await;
    quiet.watcher.ended().await;
    assert_eq!(now(), begin);
}

#[tokio::test(start_paused = true)]
async fn a_live_read_sees_what_the_watch_does_not() {
    let server = server();
    server.model().put(LEASE, lease(1));
    let mut elsewhere = lease(1);
    elsewhere["metadata"]["labels"]["syncer-health/sync-target"] = "edge-2".into();
    server.model().put(&format!("{LEASE}-2"), elsewhere);
    let reader = LiveReader::new(server.cluster(), WatchConfig::new("default").unwrap());
    let by = now() + Duration::from_secs(5);
    let before = reader.leases("edge-1", by).await.unwrap();
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].name, "edge-1-heartbeat");
    server.model().put(LEASE, lease(2));
    let after = reader.leases("edge-1", by).await.unwrap();
    let change = before[0].mark.change_to(after[0].mark);
    assert_eq!(change, LeaseChange::Renewed);

    let seen = reader.target("edge-1", by).await.unwrap().unwrap();
    assert_eq!(seen.change, TargetChange::First);
    assert_eq!(reader.target("edge-9", by).await.unwrap(), None);
    assert_eq!(reader.leases("edge-9", by).await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_live_read_has_its_deadline_and_says_what_failed() {
    let server = server();
    let reader = LiveReader::new(server.cluster(), WatchConfig::new("default").unwrap());
    server
        .model()
        .fail([Fault::Lost, Fault::Lost, Fault::Status(403)]);
    let begin = now();
    let error = reader
        .target("edge-1", begin + Duration::from_secs(2))
        .await;
    assert_eq!(error.unwrap_err().kind, crate::ErrorKind::Timeout);
    assert_eq!(now() - begin, Duration::from_secs(2));
    let error = reader
        .leases("edge-1", begin + Duration::from_secs(60))
        .await;
    assert_eq!(error.unwrap_err().kind, crate::ErrorKind::Timeout);
    assert_eq!(now() - begin, Duration::from_secs(12));
    let error = reader
        .leases("edge-1", now() + Duration::from_secs(60))
        .await;
    let error = error.unwrap_err().to_string();
    assert!(error.starts_with("cannot read the Leases in namespace \"default\": forbidden"));
}

const TARGET: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";

struct Hub {
    watcher: Watcher,
    events: mpsc::Receiver<Sighting>,
}

impl Hub {
    async fn next(&mut self) -> String {
        said(self.events.recv().await.unwrap().what)
    }

    /// So many of what is told next, sorted: the two kinds come as they like.
    async fn told(&mut self, count: usize) -> Vec<String> {
        let mut told = Vec::new();
        for _ in 0..count {
            let sighting = self.events.recv().await.unwrap();
            told.push((sighting.of == Watched::SyncTargets, said(sighting.what)));
        }
        told.sort();
        told.into_iter().map(|(_, said)| said).collect()
    }
}

fn hub(server: &Server, capacity: usize) -> Hub {
    let (sender, events) = mpsc::channel(capacity);
    let config = WatchConfig::new("default").unwrap();
    Hub {
        watcher: Watcher::spawn(&server.cluster(), &config, 7, &sender),
        events,
    }
}

fn server() -> Server {
    let mut model = Model::with_dialect(crate::Dialect::Kcp);
    model.create_target("edge-1");
    Server::new(model)
}

fn target_of(server: &Server) -> Value {
    server.model().object(TARGET).unwrap().clone()
}

fn lease(time: u64) -> Value {
    json!({
        "metadata": {"name": "edge-1-heartbeat",
            "labels": {"syncer-health/sync-target": "edge-1"}},
        "spec": {"holderIdentity": "x_1", "renewTime": format!("{time}")},
    })
}

fn said(seen: Seen) -> String {
    match seen {
        Seen::Lease { lease, .. } => format!("lease {:?}", lease.change),
        Seen::LeaseGone { .. } => "lease gone".to_owned(),
        Seen::Target { sight, .. } => format!("target {:?}", sight.change),
        Seen::TargetGone { .. } => "target gone".to_owned(),
        Seen::Synced => "synced".to_owned(),
        Seen::Stalled { .. } => "stalled".to_owned(),
        Seen::Broken { error } => format!("broken: {error}"),
        Seen::Recovered => "recovered".to_owned(),
        Seen::TooMany { .. } => "too many".to_owned(),
    }
}
