//! How an accepted connection ended.

use std::time::Duration;

use super::RateLimit;
use crate::CloseReason;
use crate::wire::InvalidMessage;
use crate::wire::MessageType;

/// How an accepted connection ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ServerEnd {
    /// No handshake came, or nobody decided about it in time.
    #[error("no accepted handshake within {0:?}")]
    NoHandshake(Duration),
    /// Something else came before the handshake was answered.
    #[error("a {0:?} message came before the handshake was answered")]
    Early(MessageType),
    /// The handshake was refused.
    #[error("the handshake was refused: {0}")]
    Refused(String),
    /// The peer sent a binary frame, which this protocol does not have.
    #[error("the peer sent a binary frame, expected one JSON object in a text frame")]
    Binary,
    /// The peer sent what is no message.
    #[error("the peer sent a frame that is no message: {0}")]
    Malformed(String),
    /// The peer sent a message that is nested too deep.
    #[error("the peer sent a message that is nested deeper than {0}")]
    TooDeep(usize),
    /// The peer sent more than it may.
    #[error("the peer sent more than {} frames or {} bytes a second", .0.frames, .0.bytes)]
    TooFast(RateLimit),
    /// Nothing came for too long.
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    /// The peer said goodbye.
    #[error("the peer left")]
    Left,
    /// The peer closed without a goodbye.
    #[error("the peer closed without a goodbye")]
    ClosedByPeer,
    /// The socket broke.
    #[error("{0}")]
    Broken(String),
    /// The hub ended it.
    #[error("closed by the hub: {0}")]
    Closed(CloseReason),
}

// === impl ServerEnd ===

impl ServerEnd {
    pub(super) fn malformed(error: &InvalidMessage) -> Self {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        Self::Malformed(cause.unwrap_or_default())
    }
}
