//! What the fleet tells.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::AgentId;
use super::AgentKey;
use super::FleetReason;
use super::FleetVerdict;
use super::TunnelId;
use crate::Identity;

/// What the fleet tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FleetOutput {
    /// The verdict over an agent changed.
    Verdict {
        /// Whose.
        agent: AgentKey,
        /// From what.
        from: FleetVerdict,
        /// To what.
        verdict: FleetVerdict,
        /// Why.
        reason: FleetReason,
    },
    /// Look live at the agent's Lease and SyncTarget, before it is convicted. What has changed
    /// there is [`Evidence`](super::Evidence); else say so with [`Fleet::confirmed`](super::Fleet::confirmed).
    Confirm {
        /// Whose.
        agent: AgentKey,
        /// When an answer is not waited for any more.
        by: Instant,
    },
    /// Close this tunnel: a newer one of the same instance has replaced it. It is said again at each
    /// beat that still comes over it.
    Replace {
        /// Whose.
        agent: AgentKey,
        /// Which.
        tunnel: TunnelId,
        /// Who beats over the newer one. Another start than before, and back again the next time,
        /// are two processes with one slot.
        by: Identity,
        /// For so long its peer is to stay away.
        stay_away: Duration,
    },
    /// So many fell silent together that the fault may be the hub's own: their verdicts wait for
    /// one more allowance.
    MassSilence {
        /// How many are silent.
        silent: usize,
        /// Of how many.
        of: usize,
    },
    /// That is over.
    MassSilenceOver,
    /// Nobody expects this agent, and it has been gone for long: its record is no more.
    Forgotten {
        /// What it was.
        agent: AgentKey,
        /// Who it was.
        id: Arc<AgentId>,
    },
}
