//! Whether a connection stands.

use std::time::Instant;

/// How a connection that is kept up by somebody is: the mark that a transport sets and the
/// `connection` check reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionState {
    /// There is none, and somebody tries or waits to try again.
    Disconnected {
        /// Since when.
        since: Instant,
        /// Why the last attempt failed or the last connection ended.
        error: Option<String>,
    },
    /// It stands.
    Connected {
        /// Since when.
        since: Instant,
    },
    /// It was closed on purpose and stays so.
    Closed,
}

impl ConnectionState {
    /// Whether it stands.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Connected { .. })
    }
}
