//! The acceptor, with a peer in the test's hands.

use std::time::Duration;

use futures_util::SinkExt;
use futures_util::StreamExt;
use health_transport_ws::AcceptOptions;
use health_transport_ws::AcceptedHandle;
use health_transport_ws::AcceptedTunnel;
use health_transport_ws::Admission;
use health_transport_ws::CloseReason;
use health_transport_ws::ConnectionId;
use health_transport_ws::Heard;
use health_transport_ws::RateLimit;
use health_transport_ws::SendError;
use health_transport_ws::ServerEnd;
use health_transport_ws::SessionLimits;
use health_transport_ws::Terms;
use health_transport_ws::TunnelEvent;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::within;

pub(crate) const HANDSHAKE: &str = r#"{"id":"h","type":"handshake","payload":{"syncTarget":"edge-1","version":"v1alpha1","capabilities":["heartbeat"]}}"#;
pub(crate) const BEAT: &str = r#"{"id":"b","type":"ping","payload":{"slot":"pod-1","incarnation":"7f","sequence":7,"intervalSeconds":10,"timeoutSeconds":30,"status":"Healthy"}}"#;

#[tokio::test]
async fn pings_are_answered_at_once_by_a_hub_that_does_not_listen() {
    let mut peer = Peer::accepted(1).await;
    for _ in 0..500 {
        peer.send(BEAT).await;
        let pong = peer.next().await;
        assert_eq!(pong.kind, MessageType::Pong);
        assert!(pong.payload.unwrap().get().contains("\"sequence\":7"));
    }
    assert!(matches!(peer.heard().await, Heard::Opened(_)));
    assert!(matches!(peer.heard().await, Heard::Heartbeat { .. }));
}

#[tokio::test]
async fn terms_that_change_are_in_the_next_acknowledgement() {
    let mut peer = Peer::accepted(64).await;
    peer.handle.set_terms(Terms {
        interval: Some(Duration::from_secs(60)),
        retry_after: None,
    });
    // The order is taken before the ping, since it was given first and the tunnel looks there first.
    peer.send(BEAT).await;
    let pong = peer.next().await.payload.unwrap();
    assert!(pong.get().contains("\"intervalSeconds\":60.0"), "{pong}");
}

/// tonic-health's watch streams kept a server from stopping.
#[tokio::test]
async fn pitfall_43_a_peer_that_does_not_let_go_does_not_hold_the_hub() {
    let mut peer = Peer::accepted(64).await;
    let retry_after = Some(Duration::from_secs(5));
    peer.handle.close(CloseReason::ShuttingDown, retry_after);
    let end = within(&mut peer.task).await.unwrap();
    assert_eq!(end, ServerEnd::Closed(CloseReason::ShuttingDown));
    let goodbye = peer.next().await;
    assert_eq!(goodbye.kind, MessageType::Close);
    assert_eq!(goodbye.error.as_deref(), Some("server is shutting down"));
    assert!(goodbye.payload.unwrap().get().contains("5.0"));
}

#[tokio::test]
async fn a_peer_that_says_nothing_is_let_go_at_the_deadline() {
    let mut peer = Peer::dialed(64, Duration::from_millis(200));
    let end = within(&mut peer.task).await.unwrap();
    assert_eq!(end, ServerEnd::NoHandshake(Duration::from_millis(200)));
    assert!(
        within(peer.events.recv()).await.is_none(),
        "the hub never heard of it"
    );
}

#[tokio::test]
async fn a_close_frame_is_answered_with_one() {
    let mut peer = Peer::accepted(64).await;
    peer.socket.close(None).await.unwrap();
    let answer = within(peer.socket.next()).await.unwrap().unwrap();
    assert!(answer.is_close(), "{answer:?}");
    assert!(within(peer.socket.next()).await.is_none());
    let end = within(&mut peer.task).await.unwrap();
    assert_eq!(end, ServerEnd::ClosedByPeer);
}

#[tokio::test]
async fn a_peer_that_is_gone_is_told_of_at_once() {
    let mut peer = Peer::accepted(64).await;
    assert!(matches!(peer.heard().await, Heard::Opened(_)));
    drop(peer.socket);
    let event = within(peer.events.recv()).await.unwrap();
    assert!(
        matches!(
            event.what,
            Heard::Closed {
                why: ServerEnd::Broken(_)
            }
        ),
        "{event:?}"
    );
}

#[tokio::test]
async fn an_oversized_frame_and_a_bomb_end_the_tunnel() {
    let deep = format!(r#"{{"type":"status","payload":{}"#, "[".repeat(900_000));
    for text in [" ".repeat(2 * 1024 * 1024), deep] {
        let mut peer = Peer::accepted(64).await;
        // The hub may close before it has read all of it.
        let _ = peer.socket.send(tungstenite::Message::text(text)).await;
        let end = within(&mut peer.task).await.unwrap();
        let ended = matches!(end, ServerEnd::Broken(_) | ServerEnd::TooDeep(_));
        assert!(ended, "{end:?}");
    }
}

/// However much comes of it, a peer that floods the hub leaves time for the others.
#[tokio::test]
async fn a_peer_that_floods_is_closed_and_another_is_answered_meanwhile() {
    let mut flooder = Peer::accepted(64).await;
    let mut honest = Peer::accepted(64).await;
    let flood = tokio::spawn(async move {
        let frame = tungstenite::Message::text(r#"{"type":"event"}"#);
        // Until the hub closes.
        while flooder.socket.feed(frame.clone()).await.is_ok() {}
        flooder.task.await.unwrap()
    });
    let mut answered = 0;
    while !flood.is_finished() {
        honest.send(BEAT).await;
        assert_eq!(honest.next().await.kind, MessageType::Pong);
        answered += 1;
    }
    assert!(answered > 10, "{answered}");
    let end = flood.await.unwrap();
    assert!(matches!(end, ServerEnd::TooFast(_)), "{end:?}");
}

#[tokio::test]
async fn messages_reach_whoever_asked_the_accepted_tunnel_for_their_type() {
    let mut resources = None;
    let mut peer = Peer::dialed_through(64, AcceptOptions::default(), |tunnel| {
        resources = Some(tunnel.route(MessageType::Resource, 1).unwrap());
        assert!(tunnel.route(MessageType::Resource, 1).is_err());
        assert!(tunnel.route(MessageType::Ping, 1).is_err());
    });
    let mut resources = resources.unwrap();
    peer.send(HANDSHAKE).await;
    assert_eq!(peer.next().await.kind, MessageType::Handshake);
    // Nobody asked for events. Of the resources two wait, and nothing more is read.
    for id in 0..20 {
        peer.send(&format!(r#"{{"id":"e{id}","type":"event"}}"#))
            .await;
        peer.send(&format!(r#"{{"id":"r{id}","type":"resource"}}"#))
            .await;
    }
    peer.send(BEAT).await;
    for id in 0..20 {
        assert_eq!(within(resources.recv()).await.unwrap().id, format!("r{id}"));
    }
    assert_eq!(peer.next().await.kind, MessageType::Pong);
}

#[tokio::test]
async fn what_a_hub_sends_goes_behind_its_answers_and_within_bounds() {
    let mut outbox = None;
    let mut peer = Peer::dialed_through(64, AcceptOptions::default(), |tunnel| {
        outbox = Some(tunnel.outbox(2));
    });
    let outbox = outbox.unwrap();
    for kind in [MessageType::Resource, MessageType::Event] {
        outbox.send(Message::new(kind)).await.unwrap();
    }
    let third = outbox.send(Message::new(MessageType::Command));
    assert!(futures_util::FutureExt::now_or_never(third).is_none());
    let large = Message::new(MessageType::Resource).with_error("x".repeat(1024 * 1024));
    assert!(matches!(
        outbox.send(large).await,
        Err(SendError::TooLarge { .. })
    ));
    // Nothing goes before the handshake is answered.
    peer.send(HANDSHAKE).await;
    assert_eq!(peer.next().await.kind, MessageType::Handshake);
    assert_eq!(peer.next().await.kind, MessageType::Resource);
    assert_eq!(peer.next().await.kind, MessageType::Event);
    drop(peer.socket);
    within(&mut peer.task).await.unwrap();
    let late = outbox.send(Message::new(MessageType::Event)).await;
    assert_eq!(late, Err(SendError::Closed));
}

/// A client in the test's hands, and what the hub makes of it.
pub(crate) struct Peer {
    pub(crate) socket: WebSocketStream<DuplexStream>,
    handle: AcceptedHandle,
    pub(crate) events: mpsc::Receiver<TunnelEvent>,
    pub(crate) task: JoinHandle<ServerEnd>,
}

impl Peer {
    fn dialed(events: usize, handshake: Duration) -> Self {
        let limits = SessionLimits {
            handshake,
            // Low, so that a slow machine can go beyond it too.
            rate: RateLimit {
                frames: 1_000,
                ..RateLimit::default()
            },
            ..SessionLimits::default()
        };
        Self::dialed_with(
            events,
            AcceptOptions {
                limits,
                ..AcceptOptions::default()
            },
        )
    }

    pub(crate) fn dialed_with(events: usize, options: AcceptOptions) -> Self {
        Self::dialed_through(events, options, |_| {})
    }

    /// As `prepare` wants the tunnel before it runs.
    fn dialed_through(
        events: usize,
        options: AcceptOptions,
        prepare: impl FnOnce(&mut AcceptedTunnel<DuplexStream>),
    ) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let (sender, events) = mpsc::channel(events);
        let (mut tunnel, handle) = AcceptedTunnel::new(theirs, ConnectionId(1), options);
        prepare(&mut tunnel);
        let decide = |_| async { Admission::Accept(Terms::default()) };
        let task = tokio::spawn(tunnel.run(decide, sender));
        // Both know that the upgrade is done, so neither waits for the other.
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None);
        let socket = futures_util::FutureExt::now_or_never(socket).unwrap();
        Self {
            socket,
            handle,
            events,
            task,
        }
    }

    pub(crate) async fn accepted(events: usize) -> Self {
        let mut peer = Self::dialed(events, Duration::from_secs(10));
        peer.send(HANDSHAKE).await;
        assert_eq!(peer.next().await.kind, MessageType::Handshake);
        peer
    }

    pub(crate) async fn send(&mut self, text: &str) {
        let message = tungstenite::Message::text(text);
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Message {
        let message = within(self.socket.next()).await.unwrap().unwrap();
        Message::parse(message.to_text().unwrap()).unwrap()
    }

    async fn heard(&mut self) -> Heard {
        within(self.events.recv()).await.unwrap().what
    }
}
