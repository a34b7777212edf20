//! `disk`: how full the file system of a path is.

use std::path::PathBuf;

use health_core::Outcome;
use health_core::Paired;
use rustix::fs::StatVfs;
use rustix::io::Errno;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::InvalidCheck;
use crate::checks::invalid::Worse;
use crate::checks::invalid::validate;
use crate::checks::invalid::validate_share;
use crate::checks::sync_stats::over;
use crate::checks::sync_stats::under;
use crate::names;
use crate::reasons;

/// What a [`DiskCheck`] looks at.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DiskConfig {
    /// Any path on the file system. No default.
    pub path: PathBuf,
    /// From which share of the space, 0 to 1, on it is Degraded or Unhealthy. Default: 0.85 and
    /// 0.95.
    pub used_ratio: Paired,
    /// With how many free bytes or fewer it is Degraded or Unhealthy. Default: no limit.
    pub free_bytes: Paired,
    /// From which share of the inodes, 0 to 1, on it is Degraded or Unhealthy; never where the file
    /// system has no fixed number of them. Default: 0.85 and 0.95.
    pub inodes_used_ratio: Paired,
}

/// How full the file system of a path is, as `df` counts: what is reserved for root is not free.
///
/// A path that is not there, and a file system that has no size (`/proc`), are Unknown.
///
/// It asks on the thread that it runs on: the call blocks for good where a network file system has
/// lost its server. That is then this component's `Timeout`; the monitor takes everybody else
/// elsewhere and never asks a second time while the first is stuck, so that one dead mount costs
/// one thread.
///
/// ```
/// use health_checks::checks::DiskCheck;
/// use health_checks::checks::DiskConfig;
///
/// let mut config = DiskConfig::new("/var/lib/syncer");
/// config.free_bytes.unhealthy = Some(64.0 * 1024.0 * 1024.0);
/// let check = DiskCheck::new(config)?;
/// # Ok::<(), health_checks::checks::InvalidCheck>(())
/// ```
#[derive(Debug)]
pub struct DiskCheck {
    config: DiskConfig,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Usage {
    used_ratio: f64,
    free_bytes: f64,
    /// Absent where there is no fixed number of inodes.
    inodes_used_ratio: Option<f64>,
}

// === impl DiskConfig ===

impl DiskConfig {
    /// Looks at the file system of `path`, with the default limits.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let shares = Paired {
            degraded: Some(0.85),
            unhealthy: Some(0.95),
        };
        Self {
            path: path.into(),
            used_ratio: shares,
            free_bytes: Paired::default(),
            inodes_used_ratio: shares,
        }
    }
}

// === impl DiskCheck ===

impl DiskCheck {
    /// A check as `config` says. The path may appear later.
    ///
    /// # Errors
    ///
    /// [`InvalidCheck`] if the path is empty, or limits are the wrong way round or out of reach.
    pub fn new(config: DiskConfig) -> Result<Self, InvalidCheck> {
        if config.path.as_os_str().is_empty() {
            return Err(InvalidCheck::NoPath);
        }
        validate_share(config.used_ratio, names::USED_RATIO)?;
        validate(config.free_bytes, names::FREE_BYTES, Worse::Below)?;
        validate_share(config.inodes_used_ratio, names::INODES_USED_RATIO)?;
        Ok(Self { config })
    }

    fn failed(&self, errno: Errno) -> CheckError {
        let path = &self.config.path;
        let error = if errno == Errno::NOENT || errno == Errno::NOTDIR {
            CheckError::new(reasons::PATH_MISSING, format!("{path:?} is not there"))
        } else {
            let message = format!("failed to look at the file system of {path:?}");
            CheckError::new(reasons::PATH_UNREADABLE, message)
        };
        error.with_source(std::io::Error::from(errno))
    }
}

#[async_trait::async_trait]
impl HealthChecker for DiskCheck {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let path = &self.config.path;
        let seen = rustix::fs::statvfs(path).map_err(|errno| self.failed(errno))?;
        let usage = Usage::of(&seen).ok_or_else(|| {
            let message = format!("the file system of {path:?} has no size");
            CheckError::new(reasons::NO_CAPACITY, message)
        })?;
        let mut outcome = usage.judge(&self.config);
        if !outcome.message.is_empty() {
            outcome.message = format!("{}: {}", path.display(), outcome.message);
        }
        Ok(outcome)
    }
}

// === impl Usage ===

impl Usage {
    /// Nothing if the file system has no size.
    fn of(seen: &StatVfs) -> Option<Self> {
        let used_ratio = used(seen.f_blocks, seen.f_bfree, seen.f_bavail)?;
        Some(Self {
            used_ratio,
            free_bytes: seen.f_bavail as f64 * seen.f_frsize as f64,
            inodes_used_ratio: used(seen.f_files, seen.f_ffree, seen.f_favail),
        })
    }

    fn judge(&self, config: &DiskConfig) -> Outcome {
        let space = over(
            config.used_ratio,
            self.used_ratio,
            reasons::DISK_SPACE_LOW,
            "of the space is used",
        );
        let free = under(
            config.free_bytes,
            self.free_bytes,
            reasons::DISK_SPACE_LOW,
            "bytes are free",
        );
        let mut outcome = space.worst(free);
        if let Some(inodes) = self.inodes_used_ratio {
            let judged = over(
                config.inodes_used_ratio,
                inodes,
                reasons::INODES_LOW,
                "of the inodes are used",
            );
            outcome = outcome
                .worst(judged)
                .with_metric(names::INODES_USED_RATIO, inodes);
        }
        outcome
            .with_metric(names::USED_RATIO, self.used_ratio)
            .with_metric(names::FREE_BYTES, self.free_bytes)
    }
}

/// The share of what can be used that is used: of `all`, `free` are not taken and `available` may
/// be had by everyone. Nothing if there is none at all.
fn used(all: u64, free: u64, available: u64) -> Option<f64> {
    if all == 0 {
        return None;
    }
    let used = all.saturating_sub(free) as f64;
    // Some file systems claim that more is available than there is.
    let available = available.min(all) as f64;
    let usable = used + available;
    // With all of it reserved there is nothing to be had.
    Some(if usable > 0.0 { used / usable } else { 1.0 })
}

#[cfg(test)]
mod tests;
