//! The tunnel's wire format, `v1alpha1`: one JSON object per WebSocket text frame.
//!
//! What a Go peer writes is read, and written again byte for byte: a timestamp stays the text that
//! was sent, a payload the JSON that was sent, and strings are escaped as Go escapes them.
//! Unknown fields are tolerated; nothing that a peer sends decides by its timestamp.

mod envelope;

mod message;

mod message_type;

mod timestamp;

mod handshake;

mod payload;

mod json;

mod depth;

pub(crate) use depth::is_deeper;
pub(crate) use envelope::{Acknowledgement, Heartbeat, RawEnvelope};
pub use handshake::HandshakePayload;
pub use json::raw;
pub use message::{InvalidMessage, Message};
pub use message_type::MessageType;
pub use payload::{ClosePayload, StatusPayload};
pub use timestamp::Timestamp;
