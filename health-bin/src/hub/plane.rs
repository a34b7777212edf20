//! What the fleet wants of the control plane, whichever transports this program was built with.

use std::fmt;
use std::time::Instant;

use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::AgentView;

/// What the fleet wants of the control plane. It is told under the fleet's lock: nothing here waits.
pub(super) trait ControlPlane: fmt::Debug + Send + Sync {
    /// A verdict changed, and is to stand on the agent's SyncTarget.
    fn judged(&self, agent: AgentView<'_>);

    /// Look live at the agent's objects, and tell the fleet what came of it.
    fn look(&self, agent: AgentKey, id: &AgentId, by: Instant);

    /// This hub leads from now on, or does not. Whoever begins has told before that it knows of
    /// nobody how it is: what it thought as a standby is never written.
    fn lead(&self, leads: bool);

    /// The agent is no more.
    fn forgotten(&self, id: &AgentId);
}
