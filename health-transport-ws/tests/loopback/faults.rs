//! Peers that misbehave.

use std::time::Duration;

use futures_util::SinkExt;
use futures_util::StreamExt;
use health_core::ConnectionState;
use health_heartbeat::HeartbeatConfig;
use health_heartbeat::wire::AcknowledgementPayload;
use health_transport_ws::PingError;
use health_transport_ws::Tunnel;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use serde_json::json;
use tokio_tungstenite::tungstenite;

use crate::support::Behaviour;
use crate::support::Hub;
use crate::support::RawSocket;
use crate::support::connected;
use crate::support::error_saying;
use crate::support::soon;
use crate::support::within;

#[tokio::test]
async fn a_peer_that_never_answers_the_handshake_is_left_and_dialed_again() {
    let mut hub = Hub::start(Behaviour::Raw).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    let _silent = hub.socket().await;
    error_saying(&tunnel, "the handshake was not answered within").await;
    let _again = hub.socket().await;
}

#[tokio::test]
async fn what_is_no_message_ends_the_connection_and_it_dials_again() {
    for (frame, says) in [
        (
            tungstenite::Message::Binary(vec![1].into()),
            "a binary frame",
        ),
        (tungstenite::Message::text("hello"), "no message"),
        (
            tungstenite::Message::text(" ".repeat(2 * 1024 * 1024)),
            "too large",
        ),
    ] {
        let (hub, tunnel, mut socket) = raw().await;
        // The client may close before it has read all of it.
        let _ = socket.send(frame).await;
        error_saying(&tunnel, says).await;
        hub.behave(Behaviour::Accept(Default::default()));
        connected(&tunnel).await;
    }
}

/// Kubernetes #48638: a half-open connection was noticed after 15 minutes.
#[tokio::test]
async fn pitfall_7_a_half_open_connection_is_noticed_within_the_timeout() {
    let (hub, tunnel, _silent) = raw().await;
    hub.behave(Behaviour::Accept(Default::default()));
    let began = tokio::time::Instant::now();
    let by = std::time::Instant::now() + Duration::from_millis(300);
    let error = within(tunnel.ping(json!({}), by)).await.unwrap_err();
    assert!(matches!(error, PingError::TimedOut(_)), "{error:?}");
    let mut state = tunnel.state();
    within(state.wait_for(|state| matches!(state, ConnectionState::Disconnected { .. })))
        .await
        .unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
    connected(&tunnel).await;
    within(tunnel.ping(json!({}), soon())).await.unwrap();
}

/// Kubernetes #65954: each failed call closed the connection, and with it all that used it.
#[tokio::test]
async fn pitfall_8_a_ping_that_fails_costs_no_connection() {
    let mut hub = Hub::start(Behaviour::Raw).await;
    let mut config = hub.config();
    config.heartbeat = HeartbeatConfig::default();
    let tunnel = Tunnel::spawn(config, None);
    let mut socket = handshaken(&mut hub, &tunnel).await;
    for sequence in 0..20 {
        let by = std::time::Instant::now() + Duration::from_millis(10);
        let error = within(tunnel.ping(json!({"sequence": sequence}), by)).await;
        assert!(matches!(error, Err(PingError::TimedOut(_))), "{error:?}");
    }
    let last = tokio::spawn({
        let tunnel = tunnel.clone();
        async move { tunnel.ping(json!({"sequence": 20}), soon()).await }
    });
    while next(&mut socket)
        .await
        .payload
        .is_none_or(|it| !it.get().contains("20"))
    {}
    let pong = r#"{"id":"a","type":"pong","payload":{"sequence":20}}"#;
    send(&mut socket, pong).await;
    within(last).await.unwrap().unwrap();
    assert!(hub.sockets.try_recv().is_err(), "there was one dial");
}

#[tokio::test]
async fn a_ping_whose_connection_breaks_says_so_at_once() {
    let (_hub, tunnel, mut socket) = raw().await;
    let ping = tokio::spawn({
        let tunnel = tunnel.clone();
        async move { tunnel.ping(json!({"sequence": 1}), soon()).await }
    });
    assert_eq!(next(&mut socket).await.kind, MessageType::Ping);
    drop(socket);
    let error = within(ping).await.unwrap().unwrap_err();
    assert!(matches!(error, PingError::ConnectionLost(_)), "{error:?}");
}

#[tokio::test]
async fn pongs_of_an_unmodified_peer_answer_pings_in_order() {
    let (_hub, tunnel, mut socket) = raw().await;
    let ping = |sequence| {
        let tunnel = tunnel.clone();
        tokio::spawn(async move { tunnel.ping(json!({"sequence": sequence}), soon()).await })
    };
    let first = ping(1);
    assert_eq!(next(&mut socket).await.kind, MessageType::Ping);
    let second = ping(2);
    assert_eq!(next(&mut socket).await.kind, MessageType::Ping);
    send(&mut socket, r#"{"id":"a","type":"pong"}"#).await;
    let pong = within(first).await.unwrap().unwrap();
    assert_eq!(pong.acknowledgement, AcknowledgementPayload::default());
    assert!(!second.is_finished());
    send(&mut socket, r#"{"id":"b","type":"pong","payload":null}"#).await;
    assert!(within(second).await.unwrap().is_ok());
}

#[tokio::test]
async fn both_kinds_of_ping_are_answered() {
    let (_hub, _tunnel, mut socket) = raw().await;
    send(&mut socket, r#"{"id":"a","type":"ping"}"#).await;
    let pong = next(&mut socket).await;
    assert_eq!(pong.kind, MessageType::Pong);
    assert!(pong.id.len() == 36 && pong.timestamp.time().is_some());
    let ping = tungstenite::Message::Ping(vec![7].into());
    socket.send(ping).await.unwrap();
    loop {
        // The client's own probes may come first.
        if let tungstenite::Message::Pong(pong) = within(socket.next()).await.unwrap().unwrap() {
            assert_eq!(pong.as_ref(), [7]);
            break;
        }
    }
}

#[tokio::test]
async fn a_close_frame_is_answered_with_one() {
    let (_hub, tunnel, mut socket) = raw().await;
    socket.close(None).await.unwrap();
    while let Some(frame) = within(socket.next()).await {
        // An error would say that the client went without an answer.
        frame.unwrap();
    }
    error_saying(&tunnel, "closed by the peer").await;
}

/// A hub and a tunnel to it whose other end is in the test's hands, the handshake done.
pub(crate) async fn raw() -> (Hub, Tunnel, RawSocket) {
    let mut hub = Hub::start(Behaviour::Raw).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    let socket = handshaken(&mut hub, &tunnel).await;
    (hub, tunnel, socket)
}

/// The other end of a tunnel, the handshake done.
pub(crate) async fn handshaken(hub: &mut Hub, tunnel: &Tunnel) -> RawSocket {
    let mut socket = hub.socket().await;
    assert_eq!(next(&mut socket).await.kind, MessageType::Handshake);
    send(&mut socket, r#"{"id":"h","type":"handshake"}"#).await;
    connected(tunnel).await;
    socket
}

pub(crate) async fn send(socket: &mut RawSocket, text: &str) {
    socket.send(tungstenite::Message::text(text)).await.unwrap();
}

/// The next message.
pub(crate) async fn next(socket: &mut RawSocket) -> Message {
    loop {
        if let tungstenite::Message::Text(text) = within(socket.next()).await.unwrap().unwrap() {
            return Message::parse(text.as_str()).unwrap();
        }
    }
}
