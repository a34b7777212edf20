//! Every name that others read or write too: labels, annotations, conditions, reasons, metrics.

/// The label of a Lease that names its SyncTarget, and the annotation that holds the name in full
/// where it does not fit a label.
pub const SYNC_TARGET: &str = "syncer-health/sync-target";
/// The annotation of a Lease with the status that the last renewal carried.
pub const STATUS: &str = "syncer-health/status";
/// The annotation of a Lease with the last renewal's sequence number.
pub const SEQUENCE: &str = "syncer-health/sequence";

/// The SyncTarget's API group.
pub const GROUP: &str = "workload.kcp.io";
/// The SyncTarget's API version.
pub const VERSION: &str = "v1alpha1";
/// The SyncTarget's kind.
pub const KIND: &str = "SyncTarget";
/// The SyncTarget's resource name.
pub const PLURAL: &str = "synctargets";

/// The condition that an agent writes on its SyncTarget.
pub const SYNCER_READY: &str = "SyncerReady";
/// The condition that a hub writes on each SyncTarget.
pub const HEARTBEAT_HEALTHY: &str = "HeartbeatHealthy";
/// The reason of [`SYNCER_READY`] when the agent leaves.
pub const SHUTTING_DOWN: &str = "ShuttingDown";

pub(crate) const LEASE_TRANSITIONS_TOTAL: &str = "syncer_lease_transitions_total";
pub(crate) const LEASE_CONFLICTS_TOTAL: &str = "syncer_lease_conflicts_total";
pub(crate) const UPDATES_TOTAL: &str = "syncer_synctarget_updates_total";
pub(crate) const UPDATES_SUPPRESSED_TOTAL: &str = "syncer_synctarget_updates_suppressed_total";
