//! How a connection of the client ended.

use std::time::Duration;

use crate::CloseReason;
use crate::wire::InvalidMessage;
use crate::wire::MessageType;

/// How a connection of the client ended. All but [`Left`](Self::Left) are transient: it dials again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The peer did not answer the handshake.
    #[error("the handshake was not answered within {0:?}")]
    HandshakeUnanswered(Duration),
    /// The peer refused the handshake.
    #[error("the handshake was refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
        /// Not to come back before that has passed, if the peer says.
        retry_after: Option<Duration>,
    },
    /// The peer answered the handshake with something else.
    #[error("the handshake was answered with a {0:?} message")]
    NoHandshake(MessageType),
    /// The peer sent a binary frame, which this protocol does not have.
    #[error("the peer sent a binary frame, expected one JSON object in a text frame")]
    Binary,
    /// The peer sent what is no message.
    #[error("the peer sent a frame that is no message: {0}")]
    Malformed(String),
    /// Nothing came for too long, not even the answer to a probe.
    #[error("nothing was heard for {0:?}")]
    Silent(Duration),
    /// A ping was not answered for too long, whatever else came.
    #[error("a ping was not answered within {0:?}")]
    PingUnanswered(Duration),
    /// The peer said goodbye.
    #[error("closed by the peer: {reason}")]
    ClosedByPeer {
        /// Why.
        reason: CloseReason,
        /// Not to come back before that has passed, if the peer says.
        retry_after: Option<Duration>,
    },
    /// The socket broke.
    #[error("{0}")]
    Broken(String),
    /// We said goodbye.
    #[error("closed on purpose")]
    Left,
}

/// The longest text of a peer that is shown.
const TEXT_MAX: usize = 512;

// === impl SessionEnd ===

impl SessionEnd {
    pub(super) fn malformed(error: &InvalidMessage) -> Self {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        Self::Malformed(cause.unwrap_or_default())
    }

    pub(super) fn refused(reason: &str, retry_after: Option<Duration>) -> Self {
        Self::Refused {
            reason: reason[..reason.floor_char_boundary(TEXT_MAX)].to_owned(),
            retry_after,
        }
    }

    /// Not to come back before that has passed, if the peer says.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::ClosedByPeer { retry_after, .. } => {
                *retry_after
            }
            Self::HandshakeUnanswered(_)
            | Self::NoHandshake(_)
            | Self::Binary
            | Self::Malformed(_)
            | Self::Silent(_)
            | Self::PingUnanswered(_)
            | Self::Broken(_)
            | Self::Left => None,
        }
    }

    /// Whether the peer is there and should get a close frame.
    pub(crate) const fn is_polite(&self) -> bool {
        match self {
            Self::HandshakeUnanswered(_)
            | Self::Refused { .. }
            | Self::NoHandshake(_)
            | Self::Binary
            | Self::Malformed(_)
            | Self::ClosedByPeer { .. } => true,
            Self::Silent(_) | Self::PingUnanswered(_) | Self::Broken(_) | Self::Left => false,
        }
    }

    /// Whether the peer said that a newer tunnel of the same agent took this one's place.
    #[must_use]
    pub fn is_replaced(&self) -> bool {
        matches!(
            self,
            Self::ClosedByPeer {
                reason: CloseReason::Replaced,
                ..
            }
        )
    }
}
