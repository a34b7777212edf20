//! Every reason that the built-in checks and the monitor give, beside those of
//! [`health_core::reasons`].

/// The connection was never up, and no attempt has failed yet.
pub const CONNECTING: &str = "Connecting";
/// A connection does not stand.
pub const DISCONNECTED: &str = "Disconnected";
/// A connection was closed on purpose, or nobody keeps it up any more.
pub const CLOSED: &str = "Closed";

/// The queue is too deep.
pub const QUEUE_DEPTH_HIGH: &str = "QueueDepthHigh";
/// Too many attempts fail.
pub const ERROR_RATE_HIGH: &str = "ErrorRateHigh";
/// It takes too long.
pub const LATENCY_HIGH: &str = "LatencyHigh";
/// Timers of the pulse runtime fire too late.
pub const SCHEDULING_DELAY_HIGH: &str = "SchedulingDelayHigh";

/// The process uses too much of the memory that it may use.
pub const MEMORY_HIGH: &str = "MemoryHigh";
/// The process uses too much of the processor time that it may use.
pub const CPU_HIGH: &str = "CpuHigh";
/// The process has too many of the files open that it may open.
pub const OPEN_FILES_HIGH: &str = "OpenFilesHigh";
/// The process has too many threads.
pub const THREADS_HIGH: &str = "ThreadsHigh";
/// The runtime has too many tasks.
pub const TASKS_HIGH: &str = "TasksHigh";
/// There is a limit on what cannot be measured.
pub const NOT_MEASURED: &str = "NotMeasured";

/// Nobody listens there.
pub const CONNECTION_REFUSED: &str = "ConnectionRefused";
/// The connection was cut before the answer was whole.
pub const CONNECTION_LOST: &str = "ConnectionLost";
/// The host cannot be reached.
pub const UNREACHABLE: &str = "Unreachable";
/// The host's name cannot be resolved.
pub const DNS_FAILED: &str = "DnsFailed";
/// The TLS handshake failed.
pub const TLS_FAILED: &str = "TlsFailed";
/// The answer is no HTTP.
pub const PROTOCOL_ERROR: &str = "ProtocolError";
/// The answer did not come in time.
pub const TIMEOUT: &str = "Timeout";
/// The answer points elsewhere.
pub const REDIRECTED: &str = "Redirected";
/// The answer is 401.
pub const UNAUTHORIZED: &str = "Unauthorized";
/// The answer is 403.
pub const FORBIDDEN: &str = "Forbidden";
/// The answer is 404.
pub const NOT_FOUND: &str = "NotFound";
/// The answer is 429.
pub const TOO_MANY_REQUESTS: &str = "TooManyRequests";
/// The answer is 500 to 599.
pub const SERVER_ERROR: &str = "ServerError";
/// The answer has another status than was expected.
pub const UNEXPECTED_STATUS: &str = "UnexpectedStatus";
/// The answer's status is good, but what came with it is not what was asked for.
pub const UNEXPECTED_BODY: &str = "UnexpectedBody";
/// A Kubernetes API server says that it is not ready.
pub const API_SERVER_NOT_READY: &str = "ApiServerNotReady";
/// The answer is larger than what is read.
pub const TOO_LARGE: &str = "TooLarge";
/// The bearer token cannot be read.
pub const TOKEN_UNREADABLE: &str = "TokenUnreadable";

/// A metric family that is needed is not there.
pub const METRIC_MISSING: &str = "MetricMissing";

/// A program says that something should be looked at.
pub const REPORTED_WARNING: &str = "ReportedWarning";
/// A program says that something is broken.
pub const REPORTED_CRITICAL: &str = "ReportedCritical";
/// A program says that it could not find out.
pub const REPORTED_UNKNOWN: &str = "ReportedUnknown";
/// A program ended with an exit status that has no meaning.
pub const UNEXPECTED_EXIT: &str = "UnexpectedExit";
/// A program was ended by a signal.
pub const KILLED: &str = "Killed";
/// A program cannot be started.
pub const NOT_STARTED: &str = "NotStarted";

/// Too much of a file system's space is used, or too little is free.
pub const DISK_SPACE_LOW: &str = "DiskSpaceLow";
/// Too many of a file system's inodes are used.
pub const INODES_LOW: &str = "InodesLow";
/// The path is not there.
pub const PATH_MISSING: &str = "PathMissing";
/// The path cannot be looked at.
pub const PATH_UNREADABLE: &str = "PathUnreadable";
/// The file system has no size, as those have that the kernel makes up.
pub const NO_CAPACITY: &str = "NoCapacity";
/// The file that is looked for is not there.
pub const FILE_MISSING: &str = "FileMissing";
/// The file was not written for too long.
pub const FILE_TOO_OLD: &str = "FileTooOld";

/// No thread could be had to run the check on.
pub const NO_THREAD: &str = "NoThread";
