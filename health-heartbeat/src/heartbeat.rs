//! What is sent.

use std::fmt;
use std::time::Duration;

use health_core::Carried;

use crate::Identity;

/// One heartbeat: that the agent's loops run, and how healthy the agent says it is.
#[derive(Debug, Clone)]
pub struct Heartbeat {
    /// Who is beating.
    pub identity: Identity,
    /// Its number on this transport, since this start of the agent; retries keep it.
    pub sequence: Sequence,
    /// When to expect the next one.
    pub interval: Duration,
    /// After how much silence to give this agent up.
    pub timeout: Duration,
    /// How healthy the agent is.
    pub carried: Carried,
}

/// A heartbeat's number; truth is in slot, incarnation and sequence, never in timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
