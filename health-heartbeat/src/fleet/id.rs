//! Who is meant.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// An agent, as the control plane names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentId {
    /// The workspace of its target, compared as written; empty where there is none.
    pub workspace: String,
    /// The name of its target.
    pub name: String,
}

/// An admitted agent's number: names are resolved once, and evidence is cheap. The number of an
/// agent that was forgotten is never another one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentKey {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// A tunnel, as the hub numbers them: a newer one has a higher number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TunnelId(pub u64);

// === impl AgentId ===

impl fmt::Display for AgentId {
    /// `WORKSPACE/NAME`; an empty workspace is written `-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workspace = if self.workspace.is_empty() {
            "-"
        } else {
            &self.workspace
        };
        write!(f, "{workspace}/{}", self.name)
    }
}
