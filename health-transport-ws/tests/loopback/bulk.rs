//! The tunnel as shared property.

use health_heartbeat::HeartbeatConfig;
use health_transport_ws::Taken;
use health_transport_ws::Tunnel;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use serde_json::json;

use crate::faults::handshaken;
use crate::faults::next;
use crate::faults::raw;
use crate::faults::send;
use crate::support::Behaviour;
use crate::support::Hub;
use crate::support::connected;
use crate::support::soon;
use crate::support::within;

#[tokio::test]
async fn a_ping_overtakes_the_bulk_that_waits() {
    let mut hub = Hub::start(Behaviour::Raw).await;
    let mut config = hub.config();
    // A machine that is slow to read must not count as dead here.
    config.heartbeat = HeartbeatConfig::default();
    let tunnel = Tunnel::spawn(config, None);
    let mut socket = handshaken(&mut hub, &tunnel).await;
    let payload = json!({"object": "x".repeat(64 * 1024)});
    let sender = tokio::spawn({
        let tunnel = tunnel.clone();
        async move {
            for _ in 0..3_000 {
                let message = Message::with_payload(MessageType::Resource, &payload).unwrap();
                tunnel.send(message).await.unwrap();
            }
        }
    });
    // Once one has come the lane is being filled; nothing else is read until the ping is asked for.
    assert_eq!(next(&mut socket).await.kind, MessageType::Resource);
    let ping = tokio::spawn(async move { tunnel.ping(json!({"sequence": 1}), soon()).await });
    tokio::task::yield_now().await;
    let mut before = 0;
    while next(&mut socket).await.kind == MessageType::Resource {
        before += 1;
    }
    // What the kernel has cannot be overtaken, so it is given little; what waits in the tunnel is.
    assert!(before < 30, "{before} of 3000 messages came first");
    send(&mut socket, r#"{"type":"pong","payload":{"sequence":1}}"#).await;
    within(ping).await.unwrap().unwrap();
    sender.abort();
}

#[tokio::test]
async fn pings_are_answered_while_thousands_of_messages_go_each_way() {
    let mut hub = Hub::start(Behaviour::Accept(Default::default())).await;
    let tunnel = Tunnel::spawn(hub.config(), None);
    connected(&tunnel).await;
    let drain = tokio::spawn(async move { while hub.events.recv().await.is_some() {} });
    let sender = tokio::spawn({
        let tunnel = tunnel.clone();
        async move {
            loop {
                let message = Message::new(MessageType::Event);
                tunnel.send(message).await.unwrap();
            }
        }
    });
    for sequence in 0..200 {
        let payload = json!({ "sequence": sequence });
        within(tunnel.ping(payload, soon())).await.unwrap();
    }
    sender.abort();
    drain.abort();
}

#[tokio::test]
async fn messages_reach_whoever_asked_for_their_type() {
    let (_hub, tunnel, mut socket) = raw().await;
    let mut resources = tunnel.route(MessageType::Resource, 8).unwrap();
    let kind = MessageType::Other("teleport".to_owned());
    let mut others = tunnel.route(kind, 8).unwrap();
    for kind in ["event", "teleport", "resource"] {
        send(&mut socket, &format!(r#"{{"id":"1","type":"{kind}"}}"#)).await;
    }
    let resource = within(resources.recv()).await.unwrap();
    assert_eq!(resource.kind, MessageType::Resource);
    assert_eq!(
        within(others.recv()).await.unwrap().kind.as_str(),
        "teleport"
    );
}

#[tokio::test]
async fn a_type_has_one_receiver_and_the_tunnels_own_have_none() {
    let (_hub, tunnel, _socket) = raw().await;
    let first = tunnel.route(MessageType::Event, 1).unwrap();
    let taken = tunnel.route(MessageType::Event, 1).unwrap_err();
    assert_eq!(taken, Taken(MessageType::Event));
    drop(first);
    assert!(tunnel.route(MessageType::Event, 1).is_ok());
    for kind in [
        MessageType::Handshake,
        MessageType::Ping,
        MessageType::Pong,
        MessageType::Close,
    ] {
        assert!(tunnel.route(kind, 1).is_err());
    }
}

#[tokio::test]
async fn a_full_receiver_loses_nothing_and_the_tunnel_outlives_it() {
    let (_hub, tunnel, mut socket) = raw().await;
    let mut events = tunnel.route(MessageType::Event, 1).unwrap();
    for id in 0..50 {
        send(&mut socket, &format!(r#"{{"id":"{id}","type":"event"}}"#)).await;
    }
    // Longer than the read deadline: nobody is blamed for not being heard.
    let mut state = tunnel.state();
    let left = state.wait_for(|state| !state.is_connected());
    let waited = tokio::time::timeout(std::time::Duration::from_millis(1_500), left).await;
    assert!(waited.is_err(), "it stays connected");
    for id in 0..50 {
        assert_eq!(within(events.recv()).await.unwrap().id, id.to_string());
    }
}
