//! `file`: whether a file is there, and how long ago it was written.

use std::fs::Metadata;
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use health_core::Outcome;
use health_core::Paired;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::InvalidCheck;
use crate::checks::invalid::Worse;
use crate::checks::invalid::validate;
use crate::checks::sync_stats::over;
use crate::names;
use crate::reasons;

/// What a [`FileCheck`] looks at.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct FileConfig {
    /// The file; links are followed. No default.
    pub path: PathBuf,
    /// From which age, in seconds since it was last written, on it is Degraded or Unhealthy.
    /// Default: no limit, so that it only has to be there.
    pub age_seconds: Paired,
}

/// Whether a file is there, and how long ago it was written: a lock, a stamp, the last backup.
///
/// A missing file is Unhealthy; one that cannot be looked at is Unknown. The age is by the wall
/// clock, as a file's time is: a file from the future has age 0 and the message says so.
///
/// It asks on the thread that it runs on, which a network file system without its server blocks:
/// that is then this component's `Timeout`, and costs nobody else anything.
///
/// ```
/// use health_checks::checks::FileCheck;
/// use health_checks::checks::FileConfig;
///
/// let mut config = FileConfig::new("/var/backups/etcd.snapshot");
/// config.age_seconds.degraded = Some(26.0 * 3600.0);
/// let check = FileCheck::new(config)?;
/// # Ok::<(), health_checks::checks::InvalidCheck>(())
/// ```
#[derive(Debug)]
pub struct FileCheck {
    config: FileConfig,
}

// === impl FileConfig ===

impl FileConfig {
    /// Looks at `path`, and any age is good.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            age_seconds: Paired::default(),
        }
    }
}

// === impl FileCheck ===

impl FileCheck {
    /// A check as `config` says. The file may appear later.
    ///
    /// # Errors
    ///
    /// [`InvalidCheck`] if the path is empty, or the limits are the wrong way round.
    pub fn new(config: FileConfig) -> Result<Self, InvalidCheck> {
        if config.path.as_os_str().is_empty() {
            return Err(InvalidCheck::NoPath);
        }
        validate(config.age_seconds, names::AGE_SECONDS, Worse::Above)?;
        Ok(Self { config })
    }

    fn judge(&self, metadata: &Metadata, now: SystemTime) -> io::Result<Outcome> {
        let (seconds, ahead) = match now.duration_since(metadata.modified()?) {
            Ok(age) => (age.as_secs_f64(), None),
            Err(error) => (0.0, Some(error.duration())),
        };
        let mut outcome = over(
            self.config.age_seconds,
            seconds,
            reasons::FILE_TOO_OLD,
            "seconds old",
        );
        if let Some(ahead) = ahead
            && outcome.message.is_empty()
        {
            let seconds = ahead.as_secs_f64();
            outcome.message = format!("written {seconds:.1} seconds in the future");
        }
        if !outcome.message.is_empty() {
            outcome.message = format!("{}: {}", self.config.path.display(), outcome.message);
        }
        Ok(outcome
            .with_metric(names::AGE_SECONDS, seconds)
            .with_metric(names::SIZE_BYTES, metadata.len() as f64))
    }

    /// What it means that the file cannot be looked at.
    fn failed(&self, error: io::Error) -> Result<Outcome, CheckError> {
        let path = &self.config.path;
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::NotADirectory {
            let message = format!("{} is not there", path.display());
            return Ok(Outcome::unhealthy(reasons::FILE_MISSING, message));
        }
        let message = format!("failed to look at {path:?}");
        Err(CheckError::new(reasons::PATH_UNREADABLE, message).with_source(error))
    }
}

#[async_trait::async_trait]
impl HealthChecker for FileCheck {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let judged = std::fs::metadata(&self.config.path)
            .and_then(|metadata| self.judge(&metadata, SystemTime::now()));
        judged.or_else(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests;
