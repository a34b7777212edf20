//! The envelope as it is read and written: it borrows what it can, and its payload is of a type.

use std::borrow::Cow;

use health_heartbeat::wire::AcknowledgementPayload;
use health_heartbeat::wire::HeartbeatPayload;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::de::Error;
use serde_json::value::RawValue;

use super::InvalidMessage;
use super::Message;
use super::MessageType;
use super::Timestamp;
use super::json;

/// The envelope of everything that travels, around a payload of a type; the text that it is read
/// from lends it the rest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<'a, P, K = MessageType> {
    #[serde(borrow, default)]
    pub(crate) id: Cow<'a, str>,
    #[serde(rename = "type")]
    pub(crate) kind: K,
    #[serde(borrow, default)]
    pub(crate) timestamp: Option<Text<'a>>,
    #[serde(default = "Option::default", skip_serializing_if = "Option::is_none")]
    pub(crate) payload: Option<P>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Text<'a>>,
}

/// An envelope whose payload nobody has looked at.
pub(crate) type RawEnvelope<'a> = Envelope<'a, &'a RawValue>;

/// A heartbeat and its acknowledgement, and nothing else. They are most of what is read, and are
/// looked through once so; what is neither, or carries something else, is read as what it is.
pub(crate) type Heartbeat<'a> = Envelope<'a, HeartbeatPayload, Ping>;
pub(crate) type Acknowledgement<'a> = Envelope<'a, AcknowledgementPayload, Pong>;

/// [`MessageType::Ping`].
#[derive(Debug)]
pub(crate) struct Ping;

/// [`MessageType::Pong`].
#[derive(Debug)]
pub(crate) struct Pong;

/// A text that is borrowed where nothing in it is escaped; inside an `Option` serde would copy it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Names, punctuation, an id and a time are less than this.
const LEN: usize = 160;

// === impl Envelope ===

impl<'a, P: Deserialize<'a>, K: Deserialize<'a>> Envelope<'a, P, K> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, InvalidMessage> {
        serde_json::from_str(text).map_err(InvalidMessage)
    }
}

impl<P, K> Envelope<'_, P, K> {
    pub(crate) fn timestamp(&self) -> Timestamp {
        let text = self.timestamp.as_ref();
        text.map_or(Timestamp::ZERO, |Text(text)| Timestamp::from_text(text))
    }

    /// Why something was refused or ended; absent and empty are the same.
    pub(crate) fn error(&self) -> Option<&str> {
        let error = self.error.as_ref().map(|Text(error)| &**error);
        error.filter(|error| !error.is_empty())
    }
}

impl<'a> RawEnvelope<'a> {
    /// Reads the payload; nothing where there is none.
    pub(crate) fn decode<T: Deserialize<'a>>(&self) -> Result<Option<T>, serde_json::Error> {
        let payload = self.payload.map(RawValue::get);
        payload.map(serde_json::from_str).transpose()
    }

    /// The text frame.
    pub(crate) fn encode(&self) -> String {
        let payload = self.payload.map_or(0, |raw| raw.get().len());
        let len = LEN + payload + self.error().map_or(0, str::len);
        json::text(self, len).expect("an envelope of strings and checked JSON can be written")
    }
}

impl<'a> From<&'a Message> for RawEnvelope<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            id: Cow::Borrowed(&message.id),
            kind: message.kind.clone(),
            timestamp: Some(message.timestamp.as_str().into()),
            payload: message.payload.as_deref(),
            error: message.error.as_deref().map(Text::from),
        }
    }
}

impl From<RawEnvelope<'_>> for Message {
    fn from(envelope: RawEnvelope<'_>) -> Self {
        Self {
            timestamp: envelope.timestamp(),
            error: envelope.error().map(str::to_owned),
            id: envelope.id.into_owned(),
            kind: envelope.kind,
            payload: envelope.payload.map(RawValue::to_owned),
        }
    }
}

// === impl Ping ===

impl<'de> Deserialize<'de> for Ping {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        expect(&MessageType::Ping, deserializer).map(|()| Self)
    }
}

// === impl Pong ===

impl<'de> Deserialize<'de> for Pong {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        expect(&MessageType::Pong, deserializer).map(|()| Self)
    }
}

// === impl Text ===

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

fn expect<'de, D: Deserializer<'de>>(
    expected: &MessageType,
    deserializer: D,
) -> Result<(), D::Error> {
    let kind = MessageType::deserialize(deserializer)?;
    if kind != *expected {
        return Err(D::Error::custom("it is of another type"));
    }
    Ok(())
}
