//! What can fail, an error for each operation.

use std::time::Duration;

use crate::wire::MessageType;

/// Indicates that a message will not be sent. Permanent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The tunnel was closed on purpose, or an accepted one has ended; it stays so.
    #[error("the tunnel is closed")]
    Closed,
    /// A peer would drop the connection over a message of that many bytes.
    #[error("the message has {bytes} bytes, at most {max} are allowed")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
}

/// Indicates that somebody has the messages of that type already, or that the tunnel itself needs
/// them. Permanent while the other receiver lives.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tunnel's {0:?} messages are taken already")]
pub struct Taken(pub MessageType);

/// Indicates that a ping is not known to have arrived. All but [`Closed`](Self::Closed) are
/// transient.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PingError {
    /// There was no connection in time.
    #[error("the tunnel is not connected: {0}")]
    NotConnected(String),
    /// It was sent, or waited to be, and no pong came in time.
    #[error("no pong came within {0:?}")]
    TimedOut(Duration),
    /// The connection ended first.
    #[error("the connection ended before the pong came: {0}")]
    ConnectionLost(String),
    /// Too many pings wait for their pongs.
    #[error("{0} pings wait for their pongs already")]
    TooMany(usize),
    /// The tunnel was closed on purpose.
    #[error("the tunnel is closed")]
    Closed,
}

/// Indicates that a goodbye is not known to have arrived; the tunnel is closed all the same.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseError {
    /// There was no connection to say it on.
    #[error("there was no connection to say goodbye on")]
    NotConnected,
    /// The peer did not answer in time, or the connection broke.
    #[error("the goodbye was not answered")]
    Unanswered,
}

/// An error with all its causes on one line: what logs and states show.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
