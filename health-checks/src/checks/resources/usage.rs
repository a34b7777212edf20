//! What /proc says of this process and of the host.

use std::fs;
use std::io;
use std::path::Path;

use super::cgroup;

/// What this process uses and may use; what cannot be read is absent, and what is not limited is
/// infinite.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Usage {
    /// What is resident.
    pub(super) memory_bytes: Option<f64>,
    /// Never infinite: the host's memory ends somewhere.
    pub(super) memory_limit_bytes: Option<f64>,
    /// Processor time since the start.
    pub(super) cpu_seconds: Option<f64>,
    /// How many cores it may use; never infinite.
    pub(super) cores_max: Option<f64>,
    pub(super) threads: Option<f64>,
    pub(super) open_files: Option<f64>,
    pub(super) open_files_max: Option<f64>,
}

/// The fields of /proc/self/stat that are used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stat {
    pub(super) cpu_ticks: f64,
    pub(super) threads: f64,
    pub(super) resident_pages: f64,
}

// === impl Usage ===

impl Usage {
    /// Reads the files below `root`, which is `/` but in tests.
    pub(super) fn read(root: &Path) -> Self {
        let proc = root.join("proc");
        let text = |path: &str| read(&proc.join(path)).ok();
        let stat = text("self/stat").and_then(|text| Stat::parse(&text));
        let cgroup = cgroup::Limits::read(root);
        let memory = text("meminfo").and_then(|text| host_memory(&text));
        let cores = text("stat").and_then(|text| host_cores(&text));
        Self {
            memory_bytes: stat.map(|stat| stat.resident_pages * page_bytes()),
            memory_limit_bytes: smaller(cgroup.memory_bytes, memory),
            cpu_seconds: stat.map(|stat| stat.cpu_ticks / ticks_per_second()),
            cores_max: smaller(cgroup.cpu_cores, cores),
            threads: stat.map(|stat| stat.threads),
            open_files: count(&proc.join("self/fd")),
            open_files_max: text("self/limits").and_then(|text| open_files_max(&text)),
        }
    }

    /// The share of the memory that it may use.
    pub(super) fn memory_ratio(&self) -> Option<f64> {
        Some(self.memory_bytes? / self.memory_limit_bytes?)
    }

    /// The share of the processor time that it may use, when it uses so many cores.
    pub(super) fn cpu_ratio(&self, cores: Option<f64>) -> Option<f64> {
        Some(cores? / self.cores_max?)
    }

    /// The share of the files that it may open.
    pub(super) fn open_files_ratio(&self) -> Option<f64> {
        Some(self.open_files? / self.open_files_max?)
    }

    /// Whether two runs give a share of the processor time.
    pub(super) const fn tells_cpu(&self) -> bool {
        self.cpu_seconds.is_some() && self.cores_max.is_some()
    }
}

// === impl Stat ===

impl Stat {
    /// The name of the program, in parentheses, may itself hold spaces and parentheses.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        // As in proc_pid_stat(5), whose field 3 is the first behind the name.
        Some(Self {
            cpu_ticks: (number(14 - 3)? as f64) + (number(15 - 3)? as f64),
            threads: number(20 - 3)? as f64,
            resident_pages: number(24 - 3)? as f64,
        })
    }
}

/// A file of the kernel's as text, whatever the names in it are made of.
pub(super) fn read(path: &Path) -> io::Result<String> {
    fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The soft limit in /proc/self/limits.
pub(super) fn open_files_max(text: &str) -> Option<f64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(f64::INFINITY),
        soft => positive(soft),
    }
}

/// The bytes of /proc/meminfo's `MemTotal`, which is in KiB whatever it calls them.
pub(super) fn host_memory(text: &str) -> Option<f64> {
    let mut lines = text.lines();
    let rest = lines.find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib = positive(rest.trim().strip_suffix("kB")?.trim_end())?;
    Some(kib * 1024.0)
}

/// How many lines for a single core /proc/stat has.
pub(super) fn host_cores(text: &str) -> Option<f64> {
    let is_core = |line: &&str| {
        let number = line.strip_prefix("cpu");
        number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cores = text.lines().filter(is_core).count();
    (cores > 0).then_some(cores as f64)
}

/// A whole number greater than 0: what may not be used at all is no process's limit.
pub(super) fn positive(text: &str) -> Option<f64> {
    let number = text.parse::<u64>().ok()?;
    (number > 0).then_some(number as f64)
}

/// The smaller of the cgroup's limit and the host's. The host's need not be known where the
/// cgroup has one; where the cgroup's is not known, neither is the smaller.
fn smaller(cgroup: Option<f64>, host: Option<f64>) -> Option<f64> {
    let smaller = cgroup?.min(host.unwrap_or(f64::INFINITY));
    smaller.is_finite().then_some(smaller)
}

/// How many entries a directory has.
fn count(path: &Path) -> Option<f64> {
    let entries = fs::read_dir(path).ok()?;
    Some(entries.count() as f64)
}

#[cfg(target_os = "linux")]
fn page_bytes() -> f64 {
    rustix::param::page_size() as f64
}

#[cfg(target_os = "linux")]
fn ticks_per_second() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(target_os = "linux"))]
fn page_bytes() -> f64 {
    4096.0
}

#[cfg(not(target_os = "linux"))]
fn ticks_per_second() -> f64 {
    100.0
}
