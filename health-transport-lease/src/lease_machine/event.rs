//! What the machine is told, and what it says.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::HolderIdentity;

use crate::call::ApiError;
use crate::call::Output;
use crate::call::Reply;
use crate::record::Renewal;

/// What the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum LeaseInput {
    /// A heartbeat is to be written.
    Beat {
        /// What to write.
        renewal: Renewal,
        /// The wall clock's time, which is written and decides nothing.
        wall: SystemTime,
        /// When the beat must be at its end.
        by: Instant,
    },
    /// The agent leaves.
    Release {
        /// The wall clock's time, which is written and decides nothing.
        wall: SystemTime,
        /// When the release must be at its end.
        by: Instant,
    },
    /// The last call's reply.
    Reply(Reply),
    /// The time that [`poll_timeout`](crate::LeaseMachine::poll_timeout) named has come.
    Timeout,
    /// The clock stood still for that long while others' went on.
    Paused(Duration),
}

/// What the machine wants.
pub type LeaseOutput = Output<LeaseEvent, LeaseOutcome>;

/// What happened to the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseEvent {
    /// It became ours.
    Acquired,
    /// Somebody else wrote it in between.
    Conflicted,
    /// It was ours, and is another's now, or nobody's.
    Lost {
        /// Whose it is.
        to: Option<HolderIdentity>,
    },
    /// We gave it back.
    Released,
}

/// How a beat or a release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    /// The Lease is ours, and this heartbeat stands in it.
    Acknowledged,
    /// It is another's.
    StandingBy {
        /// Whose.
        holder: HolderIdentity,
    },
    /// It is not ours any more, or never was.
    Released,
    /// The heartbeat is not known to have been written.
    Failed {
        /// What failed; nothing where no call was made.
        operation: &'static str,
        /// Why.
        error: ApiError,
    },
}
