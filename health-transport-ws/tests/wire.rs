//! The crate's reading and writing of frames that a Go peer really wrote.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use health_transport_ws::wire::HandshakePayload;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use health_transport_ws::wire::StatusPayload;
use health_transport_ws::wire::raw;
use serde_json::Value;

#[test]
fn every_frame_of_a_go_peer_is_read_and_written_again_byte_for_byte() {
    for (name, wire) in fixtures() {
        let message = Message::parse(&wire).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(message.encode(), wire, "{name}");
        let known = !matches!(message.kind, MessageType::Other(_));
        assert!(known, "{name}");
    }
}

#[test]
fn a_payload_is_written_from_its_decoded_form_as_go_writes_it() {
    for (name, wire) in fixtures() {
        let message = Message::parse(&wire).unwrap();
        let Some(payload) = &message.payload else {
            continue;
        };
        let value: Value = serde_json::from_str(payload.get()).unwrap();
        let written = match message.kind {
            MessageType::Handshake => {
                let decoded: HandshakePayload = message.decode().unwrap().unwrap();
                let mut expected = value;
                let token = expected.as_object_mut().unwrap().remove("token");
                assert!(token.is_some(), "{name}");
                let written = serde_json::to_value(&decoded).unwrap();
                assert_eq!(
                    written, expected,
                    "{name}: all but the token, which never leaves"
                );
                continue;
            }
            MessageType::Status => raw(&message.decode::<StatusPayload>().unwrap().unwrap()),
            MessageType::Ping
            | MessageType::Pong
            | MessageType::Close
            | MessageType::Resource
            | MessageType::Event
            | MessageType::Command
            | MessageType::Other(_) => raw(&value),
        };
        assert_eq!(written.unwrap().get(), payload.get(), "{name}");
    }
}

#[test]
fn times_are_read_with_and_without_fraction_and_offset() {
    let mut times = 0;
    for (name, wire) in fixtures() {
        let timestamp = Message::parse(&wire).unwrap().timestamp;
        assert_eq!(timestamp.time().is_none(), timestamp.is_zero(), "{name}");
        times += usize::from(timestamp.time().is_some());
    }
    assert_eq!(times, 9);
}

#[test]
fn a_refusal_says_why() {
    let (_, wire) = fixtures()
        .into_iter()
        .find(|(name, _)| name.contains("refused"))
        .unwrap();
    let error = Message::parse(&wire).unwrap().error.unwrap();
    assert_eq!(
        error,
        r#"sync target "edge-9" is not registered in <root:org>"#
    );
}

fn fixtures() -> Vec<(String, String)> {
    include_str!("fixtures/tunnel-v1alpha1.jsonl")
        .lines()
        .map(|line| {
            let fixture: Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| fixture[name].as_str().unwrap().to_owned();
            (field("name"), field("wire"))
        })
        .collect()
}
