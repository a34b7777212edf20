//! What a hub hears of its tunnels.

use std::fmt;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::wire::HeartbeatPayload;
use serde_json::value::RawValue;

use crate::ServerEnd;
use crate::wire::HandshakePayload;
use crate::wire::Timestamp;

/// One of a hub's connections, as the hub numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// What a hub hears of one of its tunnels.
#[derive(Debug)]
pub struct TunnelEvent {
    /// Of which.
    pub connection: ConnectionId,
    /// When it was received, not when it was delivered.
    pub at: Instant,
    /// What.
    pub what: Heard,
}

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// A handshake that was accepted. Always the first; its token is taken out.
    Opened(HandshakePayload),
    /// A heartbeat, bounded. It has been acknowledged already.
    Heartbeat {
        /// The heartbeat.
        payload: HeartbeatPayload,
        /// When the agent's clock says that it was sent; it decides nothing.
        sent: Option<SystemTime>,
    },
    /// Any other frame: a sign of life.
    Frame,
    /// The agent's own report.
    Status(Box<RawValue>),
    /// The agent leaves on purpose.
    Goodbye {
        /// Why.
        reason: String,
    },
    /// The tunnel is gone. Always the last.
    Closed {
        /// Why.
        why: ServerEnd,
    },
}

/// What was heard and not delivered yet, of each kind the latest: as much as one tunnel can ever
/// hold, however slow the hub and however fast the agent.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    opened: Option<(Instant, HandshakePayload)>,
    status: Option<(Instant, Box<RawValue>)>,
    heartbeat: Option<(Instant, HeartbeatPayload, Timestamp)>,
    frame: Option<Instant>,
    goodbye: Option<(Instant, String)>,
    closed: Option<(Instant, ServerEnd)>,
}

// === impl Undelivered ===

impl Undelivered {
    pub(crate) fn push(&mut self, what: Heard, at: Instant) {
        match what {
            Heard::Opened(handshake) => self.opened = Some((at, handshake)),
            Heard::Status(status) => self.status = Some((at, status)),
            Heard::Heartbeat { payload, sent } => {
                self.push_heartbeat(payload, sent.map_or(Timestamp::ZERO, Timestamp::from), at);
            }
            Heard::Frame => self.frame = Some(at),
            Heard::Goodbye { reason } => self.goodbye = Some((at, reason)),
            Heard::Closed { why } => self.closed = Some((at, why)),
        }
    }

    /// What its time means is found out when it is delivered: it has been answered by then.
    pub(crate) fn push_heartbeat(
        &mut self,
        payload: HeartbeatPayload,
        sent: Timestamp,
        at: Instant,
    ) {
        self.heartbeat = Some((at, payload, sent));
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.opened.is_none()
            && self.status.is_none()
            && self.heartbeat.is_none()
            && self.frame.is_none()
            && self.goodbye.is_none()
            && self.closed.is_none()
    }

    /// The next to deliver: the first comes first and the last comes last.
    pub(crate) fn pop(&mut self) -> Option<(Instant, Heard)> {
        if let Some((at, handshake)) = self.opened.take() {
            return Some((at, Heard::Opened(handshake)));
        }
        if let Some((at, status)) = self.status.take() {
            return Some((at, Heard::Status(status)));
        }
        if let Some((at, payload, sent)) = self.heartbeat.take() {
            let sent = sent.time();
            return Some((at, Heard::Heartbeat { payload, sent }));
        }
        if let Some(at) = self.frame.take() {
            return Some((at, Heard::Frame));
        }
        if let Some((at, reason)) = self.goodbye.take() {
            return Some((at, Heard::Goodbye { reason }));
        }
        let (at, why) = self.closed.take()?;
        Some((at, Heard::Closed { why }))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
