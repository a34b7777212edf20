//! How the transports are.

use std::time::Duration;
use std::time::Instant;

use health_core::Outcome;

use crate::AgentState;
use crate::Requirement;
use crate::Sequence;
use crate::TransportName;

/// How one transport is: the only state of it, of which reports, gauges and the component
/// `heartbeat` are functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportSnapshot {
    /// The transport.
    pub name: TransportName,
    /// Where its machine stands.
    pub state: AgentState,
    /// The newest heartbeat's number.
    pub sequence: Sequence,
    /// When a heartbeat was last acknowledged.
    pub last_success: Option<Instant>,
    /// How many attempts in a row failed.
    pub consecutive_failures: u32,
    /// How many beats were missed since the start.
    pub missed: u64,
    /// From the last acknowledged attempt to its answer.
    pub round_trip: Option<Duration>,
    /// Why the last attempt failed; nothing once one succeeded.
    pub error: Option<String>,
    /// The interval that is in force.
    pub interval: Duration,
}

/// How all transports are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeartbeatSnapshot {
    /// What is required of them.
    pub requirement: Requirement,
    /// Each of them, in the order they were set up.
    pub transports: Vec<TransportSnapshot>,
}

// === impl HeartbeatSnapshot ===

impl HeartbeatSnapshot {
    /// When a heartbeat was last acknowledged on any transport.
    #[must_use]
    pub fn last_success(&self) -> Option<Instant> {
        self.transports
            .iter()
            .filter_map(|transport| transport.last_success)
            .max()
    }

    /// The component `heartbeat`.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.requirement.outcome(&self.transports)
    }
}
