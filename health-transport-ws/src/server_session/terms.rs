//! What a hub decides about a connection.

use std::time::Duration;

use super::RateLimit;

/// What a connection may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// From the upgrade to an accepted handshake. Default: 10 s.
    pub handshake: Duration,
    /// Without any frame. Default: 90 s, three times the period of a Wave 4 peer's pings.
    pub idle: Duration,
    /// How deep a message may be nested. Default: 128, as deep as the parser of a report goes down.
    pub depth: usize,
    /// How much may come a second.
    pub rate: RateLimit,
}

/// What the hub tells an agent in each acknowledgement.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Terms {
    /// The interval to beat at.
    pub interval: Option<Duration>,
    /// Not to beat again before that has passed.
    pub retry_after: Option<Duration>,
}

/// Whether a handshake is accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum Admission {
    /// It is.
    Accept(Terms),
    /// It is not.
    Refuse {
        /// Why, for the peer's log.
        reason: String,
        /// Not to come back before that has passed.
        retry_after: Option<Duration>,
    },
}

// === impl SessionLimits ===

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            depth: 128,
            rate: RateLimit::default(),
        }
    }
}
