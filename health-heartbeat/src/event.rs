//! What happened to a transport's heartbeats.

use std::time::Duration;

use crate::HolderIdentity;
use crate::Sequence;
use crate::TransportName;

/// Something that happened to one transport's heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatEvent {
    /// The transport.
    pub transport: TransportName,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a transport's heartbeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// An attempt was made.
    Sent {
        /// The heartbeat.
        sequence: Sequence,
        /// The attempt at it, from 1.
        attempt: u32,
    },
    /// A heartbeat arrived.
    Acknowledged {
        /// The heartbeat.
        sequence: Sequence,
        /// From the attempt to its answer.
        round_trip: Duration,
    },
    /// An attempt failed; there may be another before the beat counts as missed.
    AttemptFailed {
        /// The heartbeat.
        sequence: Sequence,
        /// The attempt at it, from 1.
        attempt: u32,
        /// Why, with all causes.
        error: String,
        /// Whether this error was not told yet since a beat arrived at its first attempt: worth
        /// telling people.
        is_news: bool,
    },
    /// An interval ended without an acknowledgement.
    Missed {
        /// How many in a row.
        consecutive: u32,
    },
    /// Too many beats in a row were missed, or the timeout passed without an acknowledgement.
    Failed {
        /// For how long nothing was acknowledged.
        silent: Duration,
    },
    /// The first acknowledgement after a failure.
    Recovered {
        /// For how long nothing was acknowledged.
        silent: Duration,
    },
    /// Another agent was found to beat for the target; this one stands by.
    StoodBy {
        /// The other one.
        holder: HolderIdentity,
    },
    /// This agent, which stood by, beats for the target now.
    TookOver,
    /// The other side told another interval.
    IntervalChanged {
        /// The new one.
        interval: Duration,
    },
    /// The process itself was stopped or suspended; its deadlines moved by that much.
    Paused {
        /// For how long.
        pause: Duration,
    },
    /// The agent left on purpose.
    Released {
        /// Whether the goodbye is known to have arrived.
        acknowledged: bool,
    },
}
