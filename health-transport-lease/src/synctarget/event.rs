//! What the publisher's machine is told, and what it says.

use std::time::Instant;
use std::time::SystemTime;

use crate::call::ApiError;
use crate::call::Output;
use crate::call::Reply;
use crate::synctarget::Condition;
use crate::synctarget::Dialect;

/// What the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum StatusInput {
    /// A heartbeat is to be written.
    Beat {
        /// The condition that goes with it.
        condition: Condition,
        /// The wall clock's time, which is written and decides nothing.
        wall: SystemTime,
        /// When the beat must be at its end.
        by: Instant,
    },
    /// The agent leaves: one write says so, whatever the rate.
    Release {
        /// The wall clock's time, which is written and decides nothing.
        wall: SystemTime,
        /// When the release must be at its end.
        by: Instant,
    },
    /// The last call's reply.
    Reply(Reply),
    /// The time that [`poll_timeout`](crate::StatusMachine::poll_timeout) named has come.
    Timeout,
}

/// What the machine wants.
pub type StatusOutput = Output<StatusEvent, StatusOutcome>;

/// What happened to the SyncTarget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusEvent {
    /// It takes this dialect.
    Speaks(Dialect),
    /// It is another one than was written before, of the same name.
    Recreated,
}

/// How a beat or a release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatusOutcome {
    /// The status was written.
    Written,
    /// Nothing had changed since a write that is recent enough, or nothing is known yet that is
    /// worth one.
    Suppressed {
        /// Until then that is so.
        until: Instant,
    },
    /// The status is not known to have been written.
    Failed {
        /// What failed.
        operation: &'static str,
        /// Why.
        error: ApiError,
    },
}
