//! `resources`: what this process uses, against what it may use.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_core::Outcome;
use health_core::Paired;
use tokio::runtime::Handle;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::InvalidCheck;
use crate::checks::invalid::Worse;
use crate::checks::invalid::validate;
use crate::checks::invalid::validate_share;
use crate::checks::sync_stats::over;
use crate::names;
use crate::reasons;

mod usage;

mod cgroup;

use usage::Usage;

/// From where on what this process uses is Degraded or Unhealthy.
///
/// A limit is a number of at least 0, of a share at most 1, and a degraded one is not past its
/// unhealthy one. What has no limit is measured and not judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResourcesConfig {
    /// The share of the memory that it may use: of the smallest limit of its cgroup and those above
    /// it, or of the host's memory if that is less. Default: 0.8 and 0.95.
    pub memory_ratio: Paired,
    /// The share of the processor time that it may use: of the smallest quota of its cgroup and
    /// those above it, or of the host's cores if these are fewer. Default: no limit, since many
    /// a process is meant to use all it gets.
    pub cpu_ratio: Paired,
    /// The share of the files that it may open, the soft limit. Default: 0.8 and 0.95.
    pub open_files_ratio: Paired,
    /// How many threads it has. Default: no limit.
    pub threads: Paired,
    /// How many tasks the runtime has that the check was given. Default: no limit.
    pub tasks: Paired,
}

/// What this process uses, against what it may use: memory, processor time, open files, threads
/// and tasks.
///
/// What cannot be read is absent from the numbers, never 0, and a limit on it makes the result
/// Unknown, `NotMeasured`, unless something else is worse. So it is off Linux, where nothing but
/// the tasks can be read, and where cgroups are not mounted.
///
/// Processor time is measured from one run to the next: the first gives no number and is not judged
/// by it.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use health_checks::{Monitor, MonitorConfig, Schedule};
/// # use health_checks::checks::{ResourcesCheck, ResourcesConfig};
/// # use health_core::{ComponentSpec, Paired};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ResourcesConfig {
///     tasks: Paired { degraded: Some(10_000.0), unhealthy: None },
///     ..ResourcesConfig::default()
/// };
/// let check = ResourcesCheck::new(config)?.with_runtime(tokio::runtime::Handle::current());
/// let monitor = Monitor::spawn(MonitorConfig::default());
/// let every = Schedule::new(Duration::from_secs(30), Duration::from_secs(5));
/// monitor.register(ComponentSpec::new("resources".parse()?), every, Arc::new(check))?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ResourcesCheck {
    config: ResourcesConfig,
    root: PathBuf,
    runtime: Option<Handle>,
    cpu: Mutex<CpuMeter>,
}

/// How many cores were used between two runs.
#[derive(Debug, Default)]
struct CpuMeter {
    last: Option<(Instant, f64)>,
    cores: Option<f64>,
}

/// What limits on shares are called that are no numbers of the report.
const CPU_RATIO: &str = "cpuRatio";
const OPEN_FILES_RATIO: &str = "openFilesRatio";

/// Processor time is told in steps of 10 ms: over less than this, one step is more than 2 %.
const CPU_WINDOW_MIN: Duration = Duration::from_millis(500);

/// Reads what the kernel shows of a process, its host and its cgroups.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let limits = [
        usage::open_files_max(&text),
        usage::host_memory(&text),
        usage::host_cores(&text),
        cgroup::memory_v1(&text),
        cgroup::memory_v2(&text),
        cgroup::cpu_v2(&text),
        cgroup::quota_v1(&text),
    ];
    for limit in limits.into_iter().flatten() {
        assert!(limit > 0.0, "{limit} from {text:?}");
    }
    // What they say is the kernel's to know; here it is enough that they end.
    let _ = usage::Stat::parse(&text);
    cgroup::fuzz(&text);
}

// === impl ResourcesConfig ===

impl ResourcesConfig {
    /// Whether the limits can be kept.
    ///
    /// # Errors
    ///
    /// [`InvalidCheck`] for the first pair that cannot.
    pub fn validate(&self) -> Result<(), InvalidCheck> {
        validate_share(self.memory_ratio, names::MEMORY_RATIO)?;
        validate_share(self.cpu_ratio, CPU_RATIO)?;
        validate_share(self.open_files_ratio, OPEN_FILES_RATIO)?;
        validate(self.threads, names::THREADS, Worse::Above)?;
        validate(self.tasks, names::TASKS, Worse::Above)
    }
}

impl Default for ResourcesConfig {
    fn default() -> Self {
        const NEARLY_ALL: Paired = Paired {
            degraded: Some(0.8),
            unhealthy: Some(0.95),
        };
        Self {
            memory_ratio: NEARLY_ALL,
            cpu_ratio: Paired::default(),
            open_files_ratio: NEARLY_ALL,
            threads: Paired::default(),
            tasks: Paired::default(),
        }
    }
}

// === impl ResourcesCheck ===

impl ResourcesCheck {
    /// A check of this process. Without [`with_runtime`](Self::with_runtime) the number of tasks
    /// is not known.
    ///
    /// # Errors
    ///
    /// [`InvalidCheck`] if the limits cannot be kept.
    pub fn new(config: ResourcesConfig) -> Result<Self, InvalidCheck> {
        config.validate()?;
        Ok(Self {
            config,
            root: PathBuf::from("/"),
            runtime: None,
            cpu: Mutex::default(),
        })
    }

    /// Counts the tasks of `runtime` too.
    #[must_use]
    pub fn with_runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    fn look(&self, now: Instant) -> Outcome {
        let usage = Usage::read(&self.root);
        let cores = {
            let mut meter = self.cpu.lock().unwrap_or_else(PoisonError::into_inner);
            meter.take(usage.cpu_seconds, now)
        };
        let tasks = self
            .runtime
            .as_ref()
            .map(|runtime| runtime.metrics().num_alive_tasks() as f64);
        judge(&usage, cores, tasks, &self.config)
    }
}

#[async_trait::async_trait]
impl HealthChecker for ResourcesCheck {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        Ok(self.look(Instant::now()))
    }
}

// === impl CpuMeter ===

impl CpuMeter {
    /// The cores used on average since the last time, from the processor time used in all. Asked
    /// again too soon, it repeats itself.
    fn take(&mut self, cpu_seconds: Option<f64>, now: Instant) -> Option<f64> {
        let Some(used) = cpu_seconds else {
            *self = Self::default();
            return None;
        };
        if let Some((at, before)) = self.last {
            let passed = now.saturating_duration_since(at);
            if passed < CPU_WINDOW_MIN {
                return self.cores;
            }
            self.cores = Some((used - before).max(0.0) / passed.as_secs_f64());
        }
        self.last = Some((now, used));
        self.cores
    }
}

/// `cores` and `tasks` are used now; the first is absent on the first run.
fn judge(
    usage: &Usage,
    cores: Option<f64>,
    tasks: Option<f64>,
    config: &ResourcesConfig,
) -> Outcome {
    let mut outcome = compare(usage, cores, tasks, config);
    for (name, value) in [
        (names::MEMORY_BYTES, usage.memory_bytes),
        (names::MEMORY_LIMIT_BYTES, usage.memory_limit_bytes),
        (names::MEMORY_RATIO, usage.memory_ratio()),
        (names::CPU_CORES, cores),
        (names::OPEN_FILES, usage.open_files),
        (names::THREADS, usage.threads),
        (names::TASKS, tasks),
    ] {
        if let Some(value) = value {
            outcome = outcome.with_metric(name, value);
        }
    }
    outcome
}

fn compare(
    usage: &Usage,
    cores: Option<f64>,
    tasks: Option<f64>,
    config: &ResourcesConfig,
) -> Outcome {
    let mut outcome = Outcome::healthy();
    let mut unmeasured = Vec::new();
    for (key, value, limit, reason, what) in [
        (
            names::MEMORY_RATIO,
            usage.memory_ratio(),
            config.memory_ratio,
            reasons::MEMORY_HIGH,
            "of the memory that it may use",
        ),
        (
            CPU_RATIO,
            usage.cpu_ratio(cores),
            config.cpu_ratio,
            reasons::CPU_HIGH,
            "of the processor time that it may use",
        ),
        (
            OPEN_FILES_RATIO,
            usage.open_files_ratio(),
            config.open_files_ratio,
            reasons::OPEN_FILES_HIGH,
            "of the files that it may open",
        ),
        (
            names::THREADS,
            usage.threads,
            config.threads,
            reasons::THREADS_HIGH,
            "threads",
        ),
        (
            names::TASKS,
            tasks,
            config.tasks,
            reasons::TASKS_HIGH,
            "tasks",
        ),
    ] {
        let is_pending = key == CPU_RATIO && cores.is_none() && usage.tells_cpu();
        match value {
            Some(value) => outcome = outcome.worst(over(limit, value, reason, what)),
            None if limit == Paired::default() || is_pending => {}
            None => unmeasured.push(key),
        }
    }
    if unmeasured.is_empty() {
        return outcome;
    }
    // A limit on what is not there must not look as if it were kept.
    let message = format!("there is a limit but no {}", unmeasured.join(", "));
    outcome.worst(Outcome::unknown(reasons::NOT_MEASURED, message))
}

#[cfg(test)]
mod tests;
