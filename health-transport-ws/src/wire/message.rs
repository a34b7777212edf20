//! The envelope of everything that travels.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::MessageType;
use super::RawEnvelope;
use super::Timestamp;
use super::json;

/// The envelope of everything that travels.
///
/// A message that is sent with an empty id and the zero time gets both from the tunnel.
#[derive(Debug, Clone)]
pub struct Message {
    /// The message's own name.
    pub id: String,
    /// What it is.
    pub kind: MessageType,
    /// When it was written.
    pub timestamp: Timestamp,
    /// What it carries, as it was sent; absent and `null` are the same.
    pub payload: Option<Box<RawValue>>,
    /// Why something was refused or ended; absent and empty are the same.
    pub error: Option<String>,
}

/// Indicates a frame that is no message. Permanent: the peer does not speak this protocol.
#[derive(Debug, thiserror::Error)]
#[error("the frame is no message of the tunnel's protocol")]
pub struct InvalidMessage(#[source] pub(super) serde_json::Error);

// === impl Message ===

impl Message {
    /// A message without payload, id and time.
    #[must_use]
    pub const fn new(kind: MessageType) -> Self {
        Self {
            id: String::new(),
            kind,
            timestamp: Timestamp::ZERO,
            payload: None,
            error: None,
        }
    }

    /// A message with a payload.
    ///
    /// # Errors
    ///
    /// If the payload is no JSON, as a map whose keys are no strings.
    pub fn with_payload<T: Serialize + ?Sized>(
        kind: MessageType,
        payload: &T,
    ) -> Result<Self, serde_json::Error> {
        Ok(Self {
            payload: Some(json::raw(payload)?),
            ..Self::new(kind)
        })
    }

    /// Adds an error.
    #[must_use]
    pub fn with_error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into()).filter(|error| !error.is_empty());
        self
    }

    /// Reads a text frame.
    ///
    /// # Errors
    ///
    /// [`InvalidMessage`] if it is no JSON, no object, or has no type.
    pub fn parse(text: &str) -> Result<Self, InvalidMessage> {
        RawEnvelope::parse(text).map(Self::from)
    }

    /// The text frame.
    ///
    /// # Panics
    ///
    /// Never: strings and checked JSON can always be written.
    #[must_use]
    pub fn encode(&self) -> String {
        RawEnvelope::from(self).encode()
    }

    /// Reads the payload; nothing where there is none.
    ///
    /// # Errors
    ///
    /// If there is one that is no `T`.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.payload
            .as_deref()
            .map(|payload| serde_json::from_str(payload.get()))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_payload_and_an_empty_error_are_absent() {
        let message =
            Message::parse(r#"{"type":"pong","payload":null,"error":"","new":[1]}"#).unwrap();
        assert!(message.payload.is_none() && message.error.is_none());
        assert!(message.timestamp.is_zero());
        assert_eq!(
            message.encode(),
            r#"{"id":"","type":"pong","timestamp":"0001-01-01T00:00:00Z"}"#
        );
    }

    #[test]
    fn a_payload_travels_as_it_was_sent() {
        let text = r#"{"id":"1","type":"resource","timestamp":"0001-01-01T00:00:00Z","payload":{"z":18446744073709551617, "a" : 1.10}}"#;
        assert_eq!(Message::parse(text).unwrap().encode(), text);
    }

    #[test]
    fn what_is_no_message_is_an_error_and_no_panic() {
        let deep = format!(r#"{{"type":"ping","payload":{}"#, "[".repeat(100_000));
        for text in [
            "",
            "hello",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":null}"#,
            &deep,
        ] {
            assert!(
                Message::parse(text).is_err(),
                "{}",
                &text[..text.len().min(40)]
            );
        }
    }
}
