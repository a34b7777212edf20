//! What a heartbeat carries of the agent's health.

use std::time::Duration;
use std::time::Instant;

use crate::ProbeAnswer;
use crate::Verdict;

/// What a heartbeat carries of the agent's health.
///
/// The component `heartbeat` itself is left out of both: who hears the heartbeat knows that better.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The verdict over all components.
    pub verdict: Verdict,
    /// The readiness probe's answer.
    pub readiness: ProbeAnswer,
    /// How long ago the newest result came.
    pub age: Duration,
}

/// Who knows the agent's health: a monitor, or an embedder's own book-keeping.
pub trait HealthSource: Send + Sync {
    /// What a heartbeat that leaves now should carry. Answers from memory, and never blocks.
    fn carried(&self, now: Instant) -> Carried;
}
