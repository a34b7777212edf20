//! The names of components, of the numbers that checks report, and of the metrics.

/// The component whose results the heartbeat reports; what a heartbeat carries leaves it out.
pub const HEARTBEAT: &str = "heartbeat";

/// Syncs a second.
pub const SYNC_RATE: &str = "syncRate";
/// The share of attempts that failed, 0 to 1.
pub const ERROR_RATE: &str = "errorRate";
/// How many items wait.
pub const QUEUE_DEPTH: &str = "queueDepth";
/// How long a sync takes on average, in seconds.
pub const LATENCY_SECONDS: &str = "latencySeconds";
/// How late a timer of the pulse runtime was, in seconds.
pub const DELAY_SECONDS: &str = "delaySeconds";
/// The HTTP status of an answer.
pub const HTTP_STATUS: &str = "httpStatus";

/// How many runs of checks ended, by the status of their result.
pub const CHECKS_TOTAL: &str = "syncer_health_checks_total";
/// How long runs of checks took.
pub const CHECK_DURATION_SECONDS: &str = "syncer_health_check_duration_seconds";
/// How many syncs succeeded.
pub const SYNCS_TOTAL: &str = "syncer_syncs_total";
/// How many syncs failed.
pub const SYNC_ERRORS_TOTAL: &str = "syncer_sync_errors_total";
