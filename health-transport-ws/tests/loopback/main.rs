//! The client and the acceptor over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acceptor;

mod bulk;

mod faults;

mod hostile;

mod support;

mod tls;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use health_core::Board;
use health_core::Carried;
use health_core::ConnectionState;
use health_core::HealthStatus;
use health_core::Probe;
use health_core::ProbeRules;
use health_core::Query;
use health_core::Revision;
use health_core::Scope;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;
use health_transport_ws::CloseReason;
use health_transport_ws::Heard;
use health_transport_ws::PingError;
use health_transport_ws::ReportSource;
use health_transport_ws::SendError;
use health_transport_ws::ServerEnd;
use health_transport_ws::Terms;
use health_transport_ws::Tunnel;
use health_transport_ws::WebsocketTransport;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use secrecy::ExposeSecret;
use serde_json::json;
use support::Behaviour;
use support::Hub;
use support::connected;
use support::error_saying;
use support::soon;
use support::within;
use tokio::sync::watch;

#[tokio::test]
async fn a_heartbeat_travels_and_comes_back_acknowledged() {
    let mut hub = Hub::start(Behaviour::Accept(Terms {
        interval: Some(Duration::from_secs(20)),
        retry_after: Some(Duration::from_secs(2)),
    }))
    .await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    let mut transport = WebsocketTransport::new(tunnel);
    let acknowledgement = transport.beat(&heartbeat(42), soon()).await.unwrap();
    assert_eq!(acknowledgement.interval, Some(Duration::from_secs(20)));
    assert_eq!(acknowledgement.retry_after, Some(Duration::from_secs(2)));

    let Heard::Opened(handshake) = hub.event().await else {
        panic!("the first event is the handshake");
    };
    assert_eq!(handshake.sync_target, "edge-1");
    assert_eq!(handshake.version, "v1alpha1");
    assert!(handshake.can("heartbeat"));
    let Heard::Heartbeat { payload, sent } = hub.event().await else {
        panic!("the second event is the heartbeat");
    };
    assert_eq!((payload.slot.as_str(), payload.sequence), ("pod-1", 42));
    assert_eq!(payload.status, HealthStatus::Unknown);
    assert!(sent.is_some());

    transport.release(soon()).await.unwrap();
    assert!(matches!(hub.event().await, Heard::Goodbye { reason } if reason == "going away"));
    assert!(matches!(hub.event().await, Heard::Closed { why } if why == ServerEnd::Left));
}

/// Whoever was started again knows nothing of this agent.
#[tokio::test]
async fn a_new_connection_over_which_no_beat_arrived_is_told_once() {
    let mut hub = Hub::start(Behaviour::Accept(Terms::default())).await;
    let mut transport = WebsocketTransport::new(Tunnel::spawn(hub.config(), None));
    within(transport.reconnected()).await;
    assert!(transport.reconnected().now_or_never().is_none(), "once");
    transport.beat(&heartbeat(1), soon()).await.unwrap();
    assert!(
        transport.reconnected().now_or_never().is_none(),
        "it is known"
    );

    let handle = within(hub.handles.recv()).await.unwrap();
    handle.close(CloseReason::ShuttingDown, None);
    within(transport.reconnected()).await;
}

#[tokio::test]
async fn the_credentials_travel_in_the_headers_and_are_read_anew_at_each_dial() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let mut hub = Hub::start(Behaviour::Refuse("try again")).await;
    let mut config = hub.config();
    config.workspace = "root:org".to_owned();
    config.token_file = Some(token_file.clone());
    let tunnel = Tunnel::spawn(config, None);
    error_saying(&tunnel, "tokenFile").await;
    std::fs::write(&token_file, "first\n").unwrap();
    let request = within(hub.requests.recv()).await.unwrap();
    assert_eq!(request.sync_target.as_deref(), Some("edge-1"));
    assert_eq!(request.workspace, "root:org");
    assert_eq!(request.bearer.unwrap().expose_secret(), "first");
    std::fs::write(&token_file, "second\n").unwrap();
    loop {
        let request = within(hub.requests.recv()).await.unwrap();
        if request.bearer.unwrap().expose_secret() == "second" {
            break;
        }
    }
}

#[tokio::test]
async fn a_token_is_not_sent_in_the_clear_beyond_this_machine_unless_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    std::fs::write(&token_file, "s3cr3t").unwrap();
    // A documentation address: nothing is dialed, or the error would be another one.
    let mut config = support::config("192.0.2.1:80".parse().unwrap());
    config.token_file = Some(token_file);
    let [error] = &config.check().await[..] else {
        panic!("one thing is wrong");
    };
    assert_eq!(error.key(), "url");
    let error = error.to_string();
    assert!(
        error.contains("wss://") && error.contains("allowPlaintext"),
        "{error}"
    );
    let tunnel = Tunnel::spawn(config.clone(), None);
    error_saying(&tunnel, "the bearer token is not sent over ws://").await;
    config.allow_plaintext = true;
    assert!(config.check().await.is_empty());
}

#[tokio::test]
async fn the_report_is_sent_on_each_connection_and_on_each_change() {
    let (changed, changes) = watch::channel(Revision::default());
    let (number, numbers) = watch::channel(1);
    let report = move || json!({"status": "Healthy", "number": *numbers.borrow()});
    let source = ReportSource {
        changes,
        report: Arc::new(report),
    };
    let mut hub = Hub::start(Behaviour::Accept(Terms::default())).await;
    let tunnel = Tunnel::spawn(hub.config(), Some(source));
    assert!(matches!(hub.event().await, Heard::Opened(_)));
    assert_eq!(status(&mut hub).await, 1);
    number.send_replace(2);
    changed.send_modify(|_| {});
    assert_eq!(status(&mut hub).await, 2);

    let handle = within(hub.handles.recv()).await.unwrap();
    number.send_replace(3);
    handle.close(CloseReason::ShuttingDown, None);
    error_saying(&tunnel, "server is shutting down").await;
    assert!(matches!(hub.event().await, Heard::Closed { .. }));
    assert!(matches!(hub.event().await, Heard::Opened(_)));
    assert_eq!(status(&mut hub).await, 3);
}

/// kubert's Lease task ended after three failures, and everything looked fine.
#[tokio::test]
async fn pitfall_3_a_hub_that_was_away_is_found_again_by_the_same_tunnel() {
    let mut hub = Hub::start(Behaviour::Accept(Terms::default())).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    connected(&tunnel).await;
    assert!(matches!(hub.event().await, Heard::Opened(_)));
    let place = hub.end().await;
    error_saying(&tunnel, "failed to connect").await;
    let error = tunnel
        .ping(json!({}), soon() - Duration::from_secs(4))
        .await;
    assert!(
        matches!(&error, Err(PingError::NotConnected(why)) if why.contains("failed to connect")),
        "{error:?}"
    );
    let listener = place.listen(64).unwrap();
    let _hub = Hub::start_on(listener, Behaviour::Accept(Terms::default()));
    connected(&tunnel).await;
    within(tunnel.ping(json!({}), soon())).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_seen_in_the_state_and_it_keeps_trying() {
    let mut hub = Hub::start(Behaviour::Refuse("edge-1 is not registered")).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    error_saying(
        &tunnel,
        "the handshake was refused: edge-1 is not registered",
    )
    .await;
    for _ in 0..3 {
        within(hub.requests.recv()).await.unwrap();
    }
    hub.behave(Behaviour::Accept(Terms::default()));
    connected(&tunnel).await;
}

#[tokio::test]
async fn an_http_answer_is_seen_in_the_state_and_it_keeps_trying() {
    let hub = Hub::start(Behaviour::Http(
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 13\r\n\r\nunknown token",
    ))
    .await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    error_saying(&tunnel, "401 Unauthorized").await;
    hub.behave(Behaviour::Accept(Terms::default()));
    connected(&tunnel).await;
}

#[tokio::test]
async fn a_retry_after_is_obeyed() {
    let mut hub = Hub::start(Behaviour::Http(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n\r\n",
    ))
    .await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    within(hub.requests.recv()).await.unwrap();
    let began = tokio::time::Instant::now();
    error_saying(&tunnel, "503").await;
    hub.behave(Behaviour::Accept(Terms::default()));
    within(hub.requests.recv()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(1_900));
}

#[tokio::test]
async fn a_replaced_tunnel_stays_away_for_the_timeout() {
    let mut hub = Hub::start(Behaviour::Accept(Terms::default())).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    connected(&tunnel).await;
    within(hub.requests.recv()).await.unwrap();
    let handle = within(hub.handles.recv()).await.unwrap();
    let began = tokio::time::Instant::now();
    handle.close(CloseReason::Replaced, None);
    within(hub.requests.recv()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(950));
    connected(&tunnel).await;
}

#[tokio::test]
async fn a_closed_tunnel_stays_closed_and_says_so() {
    let hub = Hub::start(Behaviour::Accept(Terms::default())).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    connected(&tunnel).await;
    tunnel.close(CloseReason::Leaving, soon()).await.unwrap();
    tunnel.close(CloseReason::Leaving, soon()).await.unwrap();
    assert_eq!(*tunnel.state().borrow(), ConnectionState::Closed);
    let error = tunnel.ping(json!({}), soon()).await;
    assert_eq!(error.unwrap_err(), PingError::Closed);
    let error = tunnel.send(Message::new(MessageType::Event)).await;
    assert_eq!(error, Err(SendError::Closed));
}

#[tokio::test]
async fn a_tunnel_that_never_connected_closes_at_once() {
    let tunnel = Tunnel::spawn(support::config("127.0.0.1:1".parse().unwrap()), None);
    error_saying(&tunnel, "failed to connect to 127.0.0.1:1").await;
    let error = within(tunnel.close(CloseReason::Leaving, soon())).await;
    assert!(error.unwrap_err().to_string().contains("no connection"));
}

async fn status(hub: &mut Hub) -> i64 {
    let Heard::Status(report) = hub.event().await else {
        panic!("expected a report");
    };
    let report: serde_json::Value = serde_json::from_str(report.get()).unwrap();
    report["number"].as_i64().unwrap()
}

fn heartbeat(sequence: u64) -> Heartbeat {
    let now = std::time::Instant::now();
    let mut board = Board::new(now);
    Heartbeat {
        identity: Identity {
            slot: "pod-1".into(),
            incarnation: "7f".into(),
        },
        sequence: Sequence(sequence),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(30),
        carried: Carried {
            verdict: board.verdict(&Query::of(Scope::All), now),
            readiness: board.probe(Probe::Readiness, ProbeRules::default(), &[], &[], now),
            age: Duration::ZERO,
        },
    }
}
