//! What this process itself uses, read from /proc by a sampler and answered from memory.

use std::time::Duration;
use std::time::Instant;

use procfs::process::Process;
use tokio::sync::watch;

use crate::exposition::Exposition;
use crate::exposition::Kind;

/// How often /proc is read.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(5);

/// What this process used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct ProcessSample {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) virtual_bytes: Option<u64>,
    /// Processor time since the start, in seconds.
    pub(crate) cpu_seconds: Option<f64>,
    /// Cores used on average since the sample before.
    pub(crate) cpu_cores: Option<f64>,
    pub(crate) threads: Option<u64>,
    pub(crate) open_files: Option<u64>,
    pub(crate) open_files_max: Option<u64>,
    /// When the process started, in seconds since the epoch.
    pub(crate) start_seconds: Option<f64>,
}

/// Samples until the receiver is dropped. What cannot be read is absent, never zero.
pub(crate) fn spawn_sampler() -> watch::Receiver<ProcessSample> {
    let (sender, receiver) = watch::channel(read(None, Duration::ZERO));
    tokio::spawn(async move {
        let mut at = Instant::now();
        loop {
            tokio::time::sleep(SAMPLE_INTERVAL).await;
            let sample = read(sender.borrow().cpu_seconds, at.elapsed());
            at = Instant::now();
            if sender.send(sample).is_err() {
                return;
            }
        }
    });
    receiver
}

fn read(cpu_before: Option<f64>, passed: Duration) -> ProcessSample {
    let Ok(process) = Process::myself() else {
        return ProcessSample::default();
    };
    let stat = process.stat().ok();
    let ticks = procfs::ticks_per_second() as f64;
    let cpu_seconds = stat
        .as_ref()
        .map(|stat| (stat.utime + stat.stime) as f64 / ticks);
    let cores = |now: f64, before: f64| (now - before).max(0.0) / passed.as_secs_f64();
    let limits = process.limits().ok();
    let start_seconds = stat.as_ref().and_then(|stat| {
        let boot = procfs::boot_time_secs().ok()?;
        Some(boot as f64 + stat.starttime as f64 / ticks)
    });
    ProcessSample {
        memory_bytes: stat.as_ref().map(|stat| stat.rss * procfs::page_size()),
        virtual_bytes: stat.as_ref().map(|stat| stat.vsize),
        cpu_seconds,
        cpu_cores: cpu_seconds
            .zip(cpu_before)
            .map(|(now, before)| cores(now, before)),
        threads: stat
            .as_ref()
            .and_then(|stat| u64::try_from(stat.num_threads).ok()),
        open_files: process.fd_count().ok().map(|count| count as u64),
        open_files_max: limits.and_then(|limits| match limits.max_open_files.soft_limit {
            procfs::process::LimitValue::Value(value) => Some(value),
            procfs::process::LimitValue::Unlimited => None,
        }),
        start_seconds,
    }
}

impl ProcessSample {
    /// The `process_*` families, by the names that every Prometheus client uses.
    pub(crate) fn write(&self, text: &mut Exposition) {
        let whole = |value: Option<u64>| value.map(|value| value as f64);
        let mut gauge = |name, help, value| text.single(name, Kind::Gauge, help, value);
        gauge(
            "process_resident_memory_bytes",
            "Resident memory of this process.",
            whole(self.memory_bytes),
        );
        gauge(
            "process_virtual_memory_bytes",
            "Virtual memory of this process.",
            whole(self.virtual_bytes),
        );
        gauge(
            "process_threads",
            "Threads of this process.",
            whole(self.threads),
        );
        gauge(
            "process_open_fds",
            "Open files of this process.",
            whole(self.open_files),
        );
        gauge(
            "process_max_fds",
            "Most files this process may open.",
            whole(self.open_files_max),
        );
        gauge(
            "process_start_time_seconds",
            "When this process started, since the epoch.",
            self.start_seconds,
        );
        text.single(
            "process_cpu_seconds_total",
            Kind::Counter,
            "Processor time of this process since its start.",
            self.cpu_seconds,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_read() {
        let sample = read(Some(0.0), Duration::from_secs(1));
        assert!(
            sample.memory_bytes.is_some_and(|bytes| bytes > 100_000),
            "{sample:?}"
        );
        assert!(
            sample.threads.is_some_and(|threads| threads >= 1),
            "{sample:?}"
        );
        assert!(
            sample.open_files.is_some_and(|files| files >= 1),
            "{sample:?}"
        );
        assert!(sample.cpu_cores.is_some(), "{sample:?}");
    }
}
