//! Every reason that this crate gives by itself, and those that all checks share.

use crate::Reason;

/// A status that was reported without a reason.
pub const UNSPECIFIED: Reason = Reason::literal("Unspecified");
/// All is well.
pub const HEALTHY: Reason = Reason::literal("Healthy");
/// No result has come yet.
pub const PENDING: Reason = Reason::literal("Pending");
/// The last good result is older than its allowance.
pub const STALE: Reason = Reason::literal("Stale");
/// No component is counted in this scope.
pub const NO_COMPONENTS: Reason = Reason::literal("NoComponents");
/// The check did not end in time.
pub const TIMEOUT: Reason = Reason::literal("Timeout");
/// The check panicked.
pub const PANICKED: Reason = Reason::literal("Panicked");
/// The monitor itself makes no progress, so what it last said cannot be believed.
pub const MONITOR_STALLED: Reason = Reason::literal("MonitorStalled");
/// The process is on its way out.
pub const SHUTTING_DOWN: Reason = Reason::literal("ShuttingDown");

/// A number lies far from its own moving mean.
pub const ANOMALOUS: Reason = Reason::literal("Anomalous");
/// A number rises fast.
pub const RISING_FAST: Reason = Reason::literal("RisingFast");
/// A number has only grown for long.
pub const ONLY_GROWING: Reason = Reason::literal("OnlyGrowing");
