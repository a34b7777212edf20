//! Hostile peers, on either side: each costs bounded memory, and ends in a connection that is closed
//! and, by the client, dialed again.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::SinkExt;
use futures_util::StreamExt;
use health_transport_ws::AcceptOptions;
use health_transport_ws::Heard;
use health_transport_ws::PingError;
use health_transport_ws::RateLimit;
use health_transport_ws::ServerEnd;
use health_transport_ws::SessionLimits;
use health_transport_ws::Tunnel;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite;

use crate::acceptor::BEAT;
use crate::acceptor::HANDSHAKE;
use crate::acceptor::Peer;
use crate::faults::raw;
use crate::support::Behaviour;
use crate::support::Hub;
use crate::support::connected;
use crate::support::error_saying;
use crate::support::soon;
use crate::support::within;

/// A text frame of 2^62 bytes is announced; from a client it is masked, from a server it is not.
const HUGE_FROM_SERVER: [u8; 10] = [0x81, 127, 0x40, 0, 0, 0, 0, 0, 0, 0];
const HUGE_FROM_CLIENT: [u8; 14] = [0x81, 255, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4];

/// No frame begins so: the bits that must be zero are not.
const GARBAGE: [u8; 64] = [0xff; 64];

/// A message of bulk, in bytes.
const BULK: usize = 64 * 1024;

// === the client's peers ===

#[tokio::test]
async fn a_server_that_stops_reading_fills_one_lane_and_is_left() {
    let (hub, tunnel, _deaf) = raw().await;
    let taken = Arc::new(AtomicUsize::new(0));
    let sender = tokio::spawn({
        let (tunnel, taken) = (tunnel.clone(), Arc::clone(&taken));
        let payload = json!({"object": "x".repeat(BULK)});
        async move {
            loop {
                let message = Message::with_payload(MessageType::Resource, &payload).unwrap();
                tunnel.send(message).await.unwrap();
                taken.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    // Whichever deadline is first: that of what it does not read, or that of what it does not say.
    let mut state = tunnel.state();
    let left = state.wait_for(|state| !state.is_connected());
    drop(within(left).await.unwrap());
    // The lane holds 100; the rest is what the kernel took for a peer that may still read.
    let taken = taken.load(Ordering::Relaxed);
    assert!(taken < 500, "{taken} messages of 64 KiB were taken");
    hub.behave(Behaviour::Accept(Default::default()));
    connected(&tunnel).await;
    sender.abort();
}

#[tokio::test]
async fn a_server_that_half_closes_is_left_and_dialed_again() {
    let (hub, tunnel, mut socket) = raw().await;
    // It would still read.
    socket.get_mut().shutdown().await.unwrap();
    error_saying(&tunnel, "without closing handshake").await;
    hub.behave(Behaviour::Accept(Default::default()));
    connected(&tunnel).await;
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_connection_and_it_dials_again() {
    for (bytes, says) in [
        (&GARBAGE[..], "WebSocket protocol error"),
        (&HUGE_FROM_SERVER[..], "too large"),
    ] {
        let (hub, tunnel, mut socket) = raw().await;
        socket.get_mut().write_all(bytes).await.unwrap();
        error_saying(&tunnel, says).await;
        hub.behave(Behaviour::Accept(Default::default()));
        connected(&tunnel).await;
    }
}

/// Pongs that nobody asked for are signs of life but no answers.
#[tokio::test]
async fn a_storm_of_pongs_hides_no_ping_that_is_not_answered() {
    let (hub, tunnel, socket) = raw().await;
    hub.behave(Behaviour::Accept(Default::default()));
    let storm = tokio::spawn(storm(
        socket,
        r#"{"type":"pong","payload":{"sequence":999999}}"#,
    ));
    let error = within(tunnel.ping(json!({"sequence": 1}), soon())).await;
    assert!(
        matches!(&error, Err(PingError::ConnectionLost(why)) if why.contains("not answered")),
        "{error:?}"
    );
    assert!(within(storm).await.unwrap() > 100, "it was a storm");
    connected(&tunnel).await;
}

#[tokio::test]
async fn a_server_that_drips_its_answer_is_left_at_the_deadline() {
    let mut hub = Hub::start(Behaviour::Drip).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    within(hub.requests.recv()).await.unwrap();
    error_saying(&tunnel, "did not end within 500ms").await;
    hub.behave(Behaviour::Accept(Default::default()));
    connected(&tunnel).await;
}

// === the hub's peers ===

#[tokio::test]
async fn a_client_that_asks_and_does_not_read_is_let_go_at_the_write_deadline() {
    let write = Duration::from_millis(300);
    let mut peer = Peer::dialed_with(
        64,
        AcceptOptions {
            write,
            // What stops it here is that nobody reads, not how fast it is.
            limits: SessionLimits {
                rate: RateLimit {
                    frames: u32::MAX,
                    ..RateLimit::default()
                },
                ..SessionLimits::default()
            },
            ..AcceptOptions::default()
        },
    );
    peer.send(HANDSHAKE).await;
    // Until the hub gives up; then it still reads for a second, in case the peer says goodbye.
    let mut asked = 0;
    loop {
        tokio::select! {
            biased;
            event = peer.events.recv() => {
                if matches!(event.unwrap().what, Heard::Closed { .. }) {
                    break;
                }
            }
            sent = peer.socket.send(tungstenite::Message::text(BEAT)) => {
                sent.unwrap();
                asked += 1;
            }
        }
    }
    // As many as two pipes of 64 KiB hold, since unanswered ones do not pile up.
    assert!(asked < 2_000, "{asked} pings were read");
    let end = within(&mut peer.task).await.unwrap();
    let says = format!("a frame could not be sent within {write:?}");
    assert_eq!(end, ServerEnd::Broken(says));
}

#[tokio::test]
async fn a_client_that_half_closes_is_gone() {
    let mut peer = Peer::accepted(64).await;
    peer.socket.get_mut().shutdown().await.unwrap();
    let end = within(&mut peer.task).await.unwrap();
    assert!(matches!(end, ServerEnd::Broken(_)), "{end:?}");
}

#[tokio::test]
async fn bytes_that_are_no_message_end_an_accepted_tunnel() {
    let text = |text: &str| tungstenite::Message::text(text);
    for frame in [tungstenite::Message::binary(vec![1]), text("hello")] {
        let mut peer = Peer::accepted(64).await;
        let binary = frame.is_binary();
        peer.socket.send(frame).await.unwrap();
        let end = within(&mut peer.task).await.unwrap();
        let expected = match binary {
            true => matches!(end, ServerEnd::Binary),
            false => matches!(end, ServerEnd::Malformed(_)),
        };
        assert!(expected, "{end:?}");
    }
    for (bytes, says) in [
        (&GARBAGE[..], "WebSocket protocol error"),
        (&HUGE_FROM_CLIENT[..], "too large"),
    ] {
        let mut peer = Peer::accepted(64).await;
        peer.socket.get_mut().write_all(bytes).await.unwrap();
        let end = within(&mut peer.task).await.unwrap();
        assert!(end.to_string().contains(says), "{end:?}");
    }
}

#[tokio::test]
async fn a_storm_of_pongs_costs_a_hub_one_event_of_each_kind_and_is_closed() {
    let mut peer = Peer::accepted(1).await;
    let sent = within(storm(peer.socket, r#"{"type":"pong"}"#)).await;
    assert!(sent > 1_000, "it was a storm");
    let first = within(peer.events.recv()).await.unwrap();
    assert!(matches!(first.what, Heard::Opened(_)));
    let mut events = 0;
    while within(peer.events.recv()).await.is_some() {
        events += 1;
    }
    // A frame at least, and the end.
    assert!(events <= 3, "{events} events of {sent} pongs");
    let end = within(&mut peer.task).await.unwrap();
    assert!(matches!(end, ServerEnd::TooFast(_)), "{end:?}");
}

#[tokio::test]
async fn a_client_that_drips_its_handshake_is_let_go_at_the_deadline() {
    let handshake = Duration::from_millis(300);
    let limits = SessionLimits {
        handshake,
        ..SessionLimits::default()
    };
    let mut peer = Peer::dialed_with(
        64,
        AcceptOptions {
            limits,
            ..AcceptOptions::default()
        },
    );
    let stream = peer.socket.get_mut();
    // A text frame of 100 bytes is announced, and one comes now and then.
    stream
        .write_all(&[0x81, 128 + 100, 1, 2, 3, 4])
        .await
        .unwrap();
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let end = loop {
        tokio::select! {
            biased;
            end = &mut peer.task => break end.unwrap(),
            _ = ticks.tick() => {
                // It may be gone meanwhile.
                let _ = stream.write_all(b"x").now_or_never();
            }
        }
    };
    assert_eq!(end, ServerEnd::NoHandshake(handshake));
}

/// Sends pongs of both kinds until the peer closes; how many it sent.
async fn storm<S>(mut socket: tokio_tungstenite::WebSocketStream<S>, pong: &str) -> usize
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut sent = 0;
    loop {
        let control = tungstenite::Message::Pong(vec![0; 125].into());
        let text = tungstenite::Message::text(pong);
        if socket.feed(control).await.is_err() || socket.send(text).await.is_err() {
            return sent;
        }
        sent += 2;
        // What comes is not looked at, but a close must be.
        while let Some(frame) = socket.next().now_or_never() {
            if !matches!(frame, Some(Ok(_))) {
                return sent;
            }
        }
    }
}
