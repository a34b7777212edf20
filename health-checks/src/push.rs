//! `push`: what another process reports of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use health_core::ComponentSpec;
use health_core::HealthStatus;
use health_core::Outcome;
use health_core::Reason;
use health_core::reasons;

/// How long is believed what another process reports.
///
/// The component is [registered](crate::Monitor::register_reported) with the
/// [spec](Self::spec) that this gives, and each [`PushedResult`] becomes an [`Outcome`]. Until the
/// first it is Unknown, `Pending`. Once the last is older than the TTL, a Healthy or a Degraded
/// becomes Unknown, `Stale`. An Unhealthy stays, and shows its age: a process that died of what it
/// reported must not look better for being silent.
///
/// What its numbers mean by their past is looked at where the reporter is made
/// [`with_trends`](crate::Reporter::with_trends).
///
/// # Examples
///
/// ```
/// # use std::time::{Duration, Instant};
/// # use health_checks::{Monitor, MonitorConfig, PushConfig, PushedResult};
/// # use health_core::{ComponentSpec, HealthStatus, Outcome};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = PushConfig { ttl: Duration::from_secs(300) };
/// let monitor = Monitor::spawn(MonitorConfig::default());
/// let spec = config.spec(ComponentSpec::new("backup".parse()?))?;
/// let backup = monitor.register_reported(spec)?;
///
/// let pushed = PushedResult {
///     reason: Some("RunningLate".to_owned()),
///     metrics: [("lateSeconds".to_owned(), 40.0)].into(),
///     ..PushedResult::new(HealthStatus::Degraded)
/// };
/// backup.report(Outcome::try_from(pushed)?);
/// let health = monitor.component("backup", Instant::now()).ok_or("not registered")?;
/// assert_eq!(health.reason.as_str(), "RunningLate");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushConfig {
    /// How long a good result is believed. Default: 2 minutes, in which one that comes every 30 s
    /// may fail to come three times; 1 s to 7 days.
    pub ttl: Duration,
}

/// What another process reports, as it came: not to be believed before it is
/// [made an `Outcome`](Outcome::try_from), which bounds it.
#[derive(Debug, Clone, PartialEq)]
pub struct PushedResult {
    /// How it is.
    pub status: HealthStatus,
    /// Why, for machines; made CamelCase and cut to 63 characters. Absent: `Healthy` for a Healthy,
    /// else `Unspecified`.
    pub reason: Option<String>,
    /// Why, for people; cut to 1 KiB, and characters that would steer a terminal or break a line
    /// become spaces.
    pub message: Option<String>,
    /// Finite numbers, at most 64, by names of 1 to 63 letters, digits, `-`, `_` and `.`, that
    /// begin with a letter.
    pub metrics: BTreeMap<String, f64>,
}

/// Indicates a report that is refused, or a TTL that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPush {
    /// The TTL is too short or too long.
    #[error("a ttl of {0:?} is not between 1 s and 7 days")]
    Ttl(Duration),
    /// There are too many numbers; so many there are.
    #[error("{0} metrics, at most 64 are taken")]
    TooManyMetrics(usize),
    /// A number has a name that it cannot have. It is not repeated here whole.
    #[error(
        "metric name {0:?} is not valid: 1 to 63 letters, digits, '-', '_' or '.', beginning with \
         a letter"
    )]
    MetricName(String),
    /// A number is infinite or none; this is its name.
    #[error("metric {0:?} is not a finite number")]
    NotFinite(String),
}

/// A shorter TTL flaps with every hiccup of the network.
const TTL_MIN: Duration = Duration::from_secs(1);

/// What runs once a week still is watched; longer is not watching.
const TTL_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Every number is kept and travels in each report.
const METRICS_MAX: usize = 64;

/// As long as a component's name and a reason may be.
const METRIC_NAME_MAX: usize = 63;

// === impl PushConfig ===

impl PushConfig {
    /// `spec`, with results that are believed for the TTL.
    ///
    /// # Errors
    ///
    /// [`InvalidPush::Ttl`] if the TTL is too short or too long.
    pub fn spec(&self, spec: ComponentSpec) -> Result<ComponentSpec, InvalidPush> {
        if (TTL_MIN..=TTL_MAX).contains(&self.ttl) {
            Ok(spec.with_stale_after(self.ttl))
        } else {
            Err(InvalidPush::Ttl(self.ttl))
        }
    }
}

impl Default for PushConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(120),
        }
    }
}

// === impl PushedResult ===

impl PushedResult {
    /// A status and nothing else.
    #[must_use]
    pub const fn new(status: HealthStatus) -> Self {
        Self {
            status,
            reason: None,
            message: None,
            metrics: BTreeMap::new(),
        }
    }
}

impl TryFrom<PushedResult> for Outcome {
    type Error = InvalidPush;

    fn try_from(pushed: PushedResult) -> Result<Self, InvalidPush> {
        if pushed.metrics.len() > METRICS_MAX {
            return Err(InvalidPush::TooManyMetrics(pushed.metrics.len()));
        }
        for (name, value) in &pushed.metrics {
            if !is_metric_name(name) {
                let shown = name.chars().take(METRIC_NAME_MAX).collect();
                return Err(InvalidPush::MetricName(shown));
            }
            if !value.is_finite() {
                return Err(InvalidPush::NotFinite(name.clone()));
            }
        }
        let reason = match (pushed.reason, pushed.status) {
            (Some(reason), _) => Reason::from(reason.as_str()),
            (None, HealthStatus::Healthy) => reasons::HEALTHY,
            (None, HealthStatus::Degraded | HealthStatus::Unhealthy | HealthStatus::Unknown) => {
                reasons::UNSPECIFIED
            }
        };
        let message = pushed.message.unwrap_or_default();
        let message = message.replace(char::is_control, " ");
        let mut outcome = Self::new(pushed.status, reason, message);
        outcome.metrics = pushed.metrics;
        Ok(outcome)
    }
}

fn is_metric_name(name: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    name.len() <= METRIC_NAME_MAX
        && name.bytes().next().is_some_and(|c| c.is_ascii_alphabetic())
        && name.bytes().all(inner)
}

#[cfg(test)]
mod tests;
