//! What the fleet thinks of an agent, and why.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// What the fleet thinks of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FleetVerdict {
    /// Expected and not heard of yet. Becomes Alive with evidence, Lost at its deadline, Left where
    /// its Lease was released before.
    Pending,
    /// Heard of lately. Becomes Suspect, Lost or Left.
    Alive,
    /// Its tunnel broke or its beat is late. Becomes Alive with evidence, Lost at its deadline.
    Suspect,
    /// Silent past its allowance. Becomes Alive with evidence.
    Lost,
    /// It said goodbye. Becomes Alive with evidence.
    Left,
}

/// Why the fleet thinks so. Outside they are the texts of [`as_str`](Self::as_str).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FleetReason {
    /// Somebody says that there should be such an agent.
    Expected,
    /// Evidence came.
    HeartbeatReceived,
    /// Its beat is later than its jitter and half an interval.
    HeartbeatLate,
    /// Its last tunnel ended without a goodbye.
    TunnelBroken,
    /// Nothing came for its whole allowance.
    HeartbeatTimeout,
    /// Nothing came for its whole allowance, nor ever before since the fleet began.
    NeverHeard,
    /// Its last instance left on purpose.
    SyncerLeft,
}

// === impl FleetVerdict ===

impl FleetVerdict {
    /// All verdicts.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Alive,
        Self::Suspect,
        Self::Lost,
        Self::Left,
    ];

    /// The name, as it stands in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Alive => "Alive",
            Self::Suspect => "Suspect",
            Self::Lost => "Lost",
            Self::Left => "Left",
        }
    }

    /// The name in lower case, as it stands in metric labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }

    /// Whether silence still can convict.
    pub(super) const fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Alive | Self::Suspect => true,
            Self::Lost | Self::Left => false,
        }
    }
}

impl fmt::Display for FleetVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

// === impl FleetReason ===

impl FleetReason {
    /// The reason, as it stands in answers and conditions.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "Expected",
            Self::HeartbeatReceived => "HeartbeatReceived",
            Self::HeartbeatLate => "HeartbeatLate",
            Self::TunnelBroken => "TunnelBroken",
            Self::HeartbeatTimeout => "HeartbeatTimeout",
            Self::NeverHeard => "NeverHeard",
            Self::SyncerLeft => "SyncerLeft",
        }
    }
}

impl fmt::Display for FleetReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
