//! What a message is.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de::Error;
use serde::de::Visitor;

/// What a message is: four types control the tunnel, four carry the sync traffic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// The first message, and its answer.
    Handshake,
    /// A sign of life that wants an answer.
    Ping,
    /// That answer.
    Pong,
    /// A goodbye.
    Close,
    /// An object to create, update or delete.
    Resource,
    /// The status of a resource.
    Status,
    /// A Kubernetes event.
    Event,
    /// Something to do.
    Command,
    /// A type that this version of the protocol does not know.
    Other(String),
}

// === impl MessageType ===

impl MessageType {
    /// The types that the protocol knows, in its order.
    pub const KNOWN: [Self; 8] = [
        Self::Handshake,
        Self::Ping,
        Self::Pong,
        Self::Close,
        Self::Resource,
        Self::Status,
        Self::Event,
        Self::Command,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Other(name) => name,
            Self::Handshake
            | Self::Ping
            | Self::Pong
            | Self::Close
            | Self::Resource
            | Self::Status
            | Self::Event
            | Self::Command => self.label(),
        }
    }

    /// The name in metric labels, of which there are only as many as the protocol knows types.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::Ping => "ping",
            Self::Pong => "pong",
            Self::Close => "close",
            Self::Resource => "resource",
            Self::Status => "status",
            Self::Event => "event",
            Self::Command => "command",
            Self::Other(_) => "other",
        }
    }

    /// Whether the tunnel itself deals with it, so that nobody else can have it.
    #[must_use]
    pub const fn is_control(&self) -> bool {
        match self {
            Self::Handshake | Self::Ping | Self::Pong | Self::Close => true,
            Self::Resource | Self::Status | Self::Event | Self::Command | Self::Other(_) => false,
        }
    }
}

impl From<&str> for MessageType {
    fn from(name: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|known| known.as_str() == name)
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for MessageType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MessageType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Name)
    }
}

/// Reads a type's name without keeping it.
struct Name;

impl Visitor<'_> for Name {
    type Value = MessageType;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a message's type")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(MessageType::from(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_from_what_it_writes() {
        for kind in MessageType::KNOWN {
            assert_eq!(MessageType::from(kind.as_str()), kind);
        }
        let unknown = MessageType::from("teleport");
        assert_eq!(unknown, MessageType::Other("teleport".to_owned()));
        assert_eq!((unknown.as_str(), unknown.label()), ("teleport", "other"));
    }
}
