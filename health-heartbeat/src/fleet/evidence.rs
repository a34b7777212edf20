//! Signs of an agent.

use std::time::Duration;

use health_core::HealthStatus;
use serde::Deserialize;
use serde::Serialize;

use super::TunnelId;
use crate::HolderIdentity;
use crate::wire::HeartbeatPayload;

/// Where evidence comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// A tunnel.
    Tunnel,
    /// A watched Lease.
    Lease,
    /// A watched SyncTarget.
    SyncTarget,
}

/// A sign of an agent, stamped on receipt by the caller's `now`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence<'a> {
    /// A tunnel was opened.
    Opened {
        /// Which.
        tunnel: TunnelId,
        /// Whether heartbeats will come over it.
        heartbeats: bool,
    },
    /// A heartbeat arrived over a tunnel.
    Heartbeat {
        /// Over which.
        tunnel: TunnelId,
        /// What it says.
        payload: &'a HeartbeatPayload,
        /// How far the agent's clock is ahead of the hub's, in milliseconds. It decides nothing.
        skew_ms: Option<i64>,
    },
    /// Something else that only a living agent sends arrived over a tunnel.
    Frame {
        /// Over which.
        tunnel: TunnelId,
    },
    /// Whoever is at the other end of a tunnel leaves on purpose. Its end is told apart.
    Goodbye {
        /// Of which.
        tunnel: TunnelId,
    },
    /// A tunnel ended. Always the last that is told of it.
    Closed {
        /// Which.
        tunnel: TunnelId,
    },
    /// A Lease was seen.
    Lease {
        /// What is new about it.
        change: Change,
        /// What it says.
        lease: LeaseSight<'a>,
    },
    /// A SyncTarget was seen.
    SyncTarget {
        /// What is new about it. It is never [`Change::Released`].
        change: Change,
    },
}

/// What is new about an object that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Change {
    /// It had not been seen before: no sign of life, and none of death.
    First,
    /// The time in it changed, or its holder did: somebody lives.
    Renewed,
    /// Its holder was emptied.
    Released,
}

/// What a Lease says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LeaseSight<'a> {
    /// Who holds it; nobody where it was released.
    pub holder: Option<&'a HolderIdentity>,
    /// For how long without renewal.
    pub duration: Option<Duration>,
    /// How healthy the holder says it is.
    pub status: Option<HealthStatus>,
    /// The number of the heartbeat that it was renewed by.
    pub sequence: Option<u64>,
    /// How far the holder's clock is ahead of the hub's, in milliseconds. It decides nothing.
    pub skew_ms: Option<i64>,
}

/// What a live look at an agent's objects came to, when [`FleetOutput::Confirm`] had asked for one.
///
/// What it finds changed is handed in as [`Evidence`], and needs no confirmation.
///
/// [`FleetOutput::Confirm`]: crate::FleetOutput::Confirm
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Confirmation {
    /// Nothing has changed.
    Silent,
    /// Nobody could look: the server did not answer.
    Failed,
}

// === impl Channel ===

impl Channel {
    /// All channels.
    pub const ALL: [Self; 3] = [Self::Tunnel, Self::Lease, Self::SyncTarget];

    /// The name, as it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "websocket",
            Self::Lease => "lease",
            Self::SyncTarget => "synctarget",
        }
    }
}
