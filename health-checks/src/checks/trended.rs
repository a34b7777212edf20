//! Any check, with what its numbers mean by their past.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use health_core::Outcome;
use health_core::Trends;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;

/// Any check, with what its numbers mean by their past: far from their moving mean, rising fast,
/// only growing.
///
/// What the check finds out passes through its [`Trends`]. That it could not find out passes as it
/// is, and leaves them as they are: an outage is no value.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use std::time::Instant;
/// use health_checks::checks::{SyncEngineCheck, SyncLimits, SyncRecorder, TrendedCheck};
/// use health_core::{Paired, TrendConfig, TrendLimits, Trends};
///
/// # fn main() -> Result<(), health_core::InvalidTrend> {
/// let recorder = SyncRecorder::new(Instant::now());
/// let engine = SyncEngineCheck::new(recorder.clone(), SyncLimits::default());
/// let limits = TrendLimits {
///     growing_seconds: Paired { degraded: Some(600.0), unhealthy: None },
///     ..TrendLimits::default()
/// };
/// let trends = Trends::default().with("queueDepth", TrendConfig::default(), limits)?;
/// let check = TrendedCheck::new(Arc::new(engine), trends);
/// # Ok(())
/// # }
/// ```
pub struct TrendedCheck {
    inner: Arc<dyn HealthChecker>,
    trends: Mutex<Trends>,
}

impl TrendedCheck {
    /// `inner`, whose numbers are looked at as `trends` says.
    #[must_use]
    pub fn new(inner: Arc<dyn HealthChecker>, trends: Trends) -> Self {
        Self {
            inner,
            trends: Mutex::new(trends),
        }
    }
}

#[async_trait::async_trait]
impl HealthChecker for TrendedCheck {
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError> {
        let outcome = self.inner.check(cx).await?;
        let mut trends = self.trends.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(trends.apply(outcome, Instant::now()))
    }
}

impl fmt::Debug for TrendedCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrendedCheck").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use health_core::Paired;
    use health_core::TrendConfig;
    use health_core::TrendLimits;

    use super::*;

    /// Gives each of these results in turn.
    struct Script(Mutex<Vec<Result<Outcome, CheckError>>>);

    #[tokio::test]
    async fn a_value_unlike_those_before_it_is_anomalous() {
        let mut script: Vec<_> = (0..12).map(|step| depth(f64::from(step % 2))).collect();
        script.push(depth(900.0));
        let check = trended(script);
        for _ in 0..12 {
            let outcome = run(&check).await.unwrap();
            assert_eq!(outcome.reason.as_str(), "Healthy");
        }
        let outcome = run(&check).await.unwrap();
        assert_eq!(outcome.reason.as_str(), "Anomalous");
        assert_eq!(outcome.metrics["queueDepth"], 900.0);
        assert!(outcome.metrics["queueDepthDeviations"] > 4.0);
        assert!(outcome.metrics["queueDepthMean"] < 1.0);
    }

    #[tokio::test]
    async fn an_error_passes_as_it_is_and_changes_no_past() {
        let mut script: Vec<_> = (0..12).map(|_| depth(5.0)).collect();
        script.push(Err(CheckError::new("MetricMissing", "not there")));
        script.push(Ok(Outcome::unhealthy("Refused", "nobody listens")));
        script.push(depth(5.0));
        let check = trended(script);
        for _ in 0..12 {
            run(&check).await.unwrap();
        }
        let error = run(&check).await.unwrap_err();
        assert_eq!(error.reason.as_str(), "MetricMissing");
        assert_eq!(error.message, "not there");
        let refused = run(&check).await.unwrap();
        assert_eq!(refused, Outcome::unhealthy("Refused", "nobody listens"));
        let outcome = run(&check).await.unwrap();
        assert_eq!(outcome.reason.as_str(), "Healthy");
        assert_eq!(outcome.metrics["queueDepthMean"], 5.0);
        assert_eq!(outcome.metrics["queueDepthDeviations"], 0.0);
    }

    #[async_trait::async_trait]
    impl HealthChecker for Script {
        async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
            self.0.lock().unwrap().remove(0)
        }
    }

    async fn run(check: &TrendedCheck) -> Result<Outcome, CheckError> {
        let now = Instant::now();
        check
            .check(CheckContext::new(Duration::from_secs(5), now))
            .await
    }

    fn trended(script: Vec<Result<Outcome, CheckError>>) -> TrendedCheck {
        let limits = TrendLimits {
            deviations: Paired {
                degraded: Some(4.0),
                unhealthy: None,
            },
            ..TrendLimits::default()
        };
        let trends = Trends::default();
        let trends = trends.with("queueDepth", TrendConfig::default(), limits);
        TrendedCheck::new(Arc::new(Script(Mutex::new(script))), trends.unwrap())
    }

    fn depth(depth: f64) -> Result<Outcome, CheckError> {
        Ok(Outcome::healthy().with_metric("queueDepth", depth))
    }
}
