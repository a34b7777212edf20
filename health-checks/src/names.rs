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

/// The memory of the process that is resident, in bytes.
pub const MEMORY_BYTES: &str = "memoryBytes";
/// The memory that the process may use, in bytes.
pub const MEMORY_LIMIT_BYTES: &str = "memoryLimitBytes";
/// The share of the memory that the process may use, 0 to 1.
pub const MEMORY_RATIO: &str = "memoryRatio";
/// The cores that the process used on average since the run before.
pub const CPU_CORES: &str = "cpuCores";
/// How many files the process has open.
pub const OPEN_FILES: &str = "openFiles";
/// How many threads the process has.
pub const THREADS: &str = "threads";
/// How many tasks the runtime has.
pub const TASKS: &str = "tasks";
/// The share of a file system's space that is used, 0 to 1.
pub const USED_RATIO: &str = "usedRatio";
/// How many bytes of a file system may still be written.
pub const FREE_BYTES: &str = "freeBytes";
/// The share of a file system's inodes that is used, 0 to 1.
pub const INODES_USED_RATIO: &str = "inodesUsedRatio";
/// How long ago a file was written, in seconds.
pub const AGE_SECONDS: &str = "ageSeconds";
/// How large a file is.
pub const SIZE_BYTES: &str = "sizeBytes";

/// How many runs of checks ended, by the status of their result.
pub const CHECKS_TOTAL: &str = "syncer_health_checks_total";
/// How long runs of checks took.
pub const CHECK_DURATION_SECONDS: &str = "syncer_health_check_duration_seconds";
/// How many syncs succeeded.
pub const SYNCS_TOTAL: &str = "syncer_syncs_total";
/// How many syncs failed.
pub const SYNC_ERRORS_TOTAL: &str = "syncer_sync_errors_total";
