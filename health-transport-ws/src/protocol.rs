//! Every text of the protocol that the outside world sees.

/// The protocol's version, as the handshake names it.
pub const VERSION: &str = "v1alpha1";

/// The capability of a peer whose pings are heartbeats.
pub const CAPABILITY_HEARTBEAT: &str = "heartbeat";
/// The capability of a peer that sends `status` messages.
pub const CAPABILITY_STATUS: &str = "status";

/// The request header that names the SyncTarget.
pub const HEADER_SYNC_TARGET: &str = "X-SyncTarget";
/// The request header that names the logical cluster; empty for a Wave 4 peer.
pub const HEADER_WORKSPACE: &str = "X-Workspace";

/// The resource that a SyncTarget's `status` message is about.
#[must_use]
pub fn status_resource(sync_target: &str) -> String {
    format!("synctargets.workload.kcp.io/{sync_target}")
}
