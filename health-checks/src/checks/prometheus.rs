//! `prometheus`: how another process does, from its own metrics.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use health_core::Outcome;
use http::Method;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::HttpTarget;
use crate::checks::InvalidTarget;
use crate::checks::SyncLimits;
use crate::checks::fetch::FetchError;
use crate::checks::fetch::Fetcher;
use crate::checks::fetch::status_failure;
use crate::reasons;

mod rates;

mod text;

use rates::Rates;
use rates::Scrape;

/// What a [`PrometheusCheck`] reads.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PrometheusConfig {
    /// Where the metrics are.
    pub target: HttpTarget,
    /// The families to read. Default: those of controller-runtime.
    pub families: Families,
    /// From where on the numbers are Degraded or Unhealthy. Default: no limit.
    pub limits: SyncLimits,
}

/// The families to read. One that is not there leaves its number absent.
///
/// `workqueue_retries_total` is none of them on purpose: client-go counts every delayed requeue
/// there, those of a healthy controller too.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Families {
    /// Gauges whose sum is the queue's depth. Default: `workqueue_depth`.
    pub queue_depth: String,
    /// Counters of attempts. Default: `controller_runtime_reconcile_total`.
    pub attempts: String,
    /// Counters of failed attempts. Default: `controller_runtime_reconcile_errors_total`.
    pub errors: String,
    /// A histogram or summary of how long attempts take, in seconds, without its suffix. Default:
    /// `controller_runtime_reconcile_time_seconds`.
    pub latency: String,
}

/// How another process does, from its own metrics.
///
/// Rates are between two scrapes, so the first gives none; a counter that went back was reset and
/// counts from 0.
#[derive(Debug)]
pub struct PrometheusCheck {
    fetcher: Fetcher,
    families: Families,
    limits: SyncLimits,
    rates: Mutex<Rates>,
}

/// More than this is not read; ten times what a controller with a thousand series sends.
const BODY_MAX: usize = 4 * 1024 * 1024;

// === impl PrometheusConfig ===

impl PrometheusConfig {
    /// The families of controller-runtime at `target`, without limits.
    #[must_use]
    pub fn new(target: HttpTarget) -> Self {
        Self {
            target,
            families: Families::default(),
            limits: SyncLimits::default(),
        }
    }
}

// === impl Families ===

impl Default for Families {
    fn default() -> Self {
        Self {
            queue_depth: "workqueue_depth".to_owned(),
            attempts: "controller_runtime_reconcile_total".to_owned(),
            errors: "controller_runtime_reconcile_errors_total".to_owned(),
            latency: "controller_runtime_reconcile_time_seconds".to_owned(),
        }
    }
}

/// Judges two scrapes of one target.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(first: &[u8], second: &[u8]) {
    let url = "http://127.0.0.1:1/metrics";
    let target = HttpTarget::new(url).expect("it is a URL");
    let mut config = PrometheusConfig::new(target);
    config.limits.queue_depth.unhealthy = Some(1000.0);
    let check = PrometheusCheck::new(config).expect("it can be asked");
    let began = Instant::now();
    for (body, seconds) in [(first, 1), (second, 2)] {
        let now = began + std::time::Duration::from_secs(seconds);
        if let Ok(outcome) = check.judge(body, now) {
            let finite = |value: &f64| value.is_finite();
            assert!(outcome.metrics.values().all(finite), "{outcome:?}");
        }
    }
}

// === impl PrometheusCheck ===

impl PrometheusCheck {
    /// A check as `config` says. Reads the files that it names.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] if the target cannot be asked, or a file cannot be read.
    pub fn new(config: PrometheusConfig) -> Result<Self, InvalidTarget> {
        Ok(Self {
            fetcher: Fetcher::new(config.target)?,
            families: config.families,
            limits: config.limits,
            rates: Mutex::default(),
        })
    }

    /// Says whom it asked.
    fn about(&self, mut outcome: Outcome) -> Outcome {
        outcome.message = format!("{}: {}", self.fetcher.shown(), outcome.message);
        outcome
    }

    fn judge(&self, body: &[u8], now: Instant) -> Result<Outcome, CheckError> {
        let scrape = Scrape::read(body, &self.families);
        let missing = scrape.missing(&self.families);
        if scrape.is_empty() {
            let message = format!("{}: none of {}", self.fetcher.shown(), missing.join(", "));
            return Err(CheckError::new(reasons::METRIC_MISSING, message));
        }
        let stats = {
            let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.take(scrape, now)
        };
        let outcome = stats.judge(&self.limits);
        let unjudged = rates::unjudged(&self.families, &missing, &self.limits);
        if unjudged.is_empty() {
            return Ok(outcome);
        }
        // A limit on what is not there must not look as if it were kept.
        let message = format!("there is a limit but no {}", unjudged.join(", "));
        Ok(outcome.worst(Outcome::unknown(reasons::METRIC_MISSING, message)))
    }
}

#[async_trait::async_trait]
impl HealthChecker for PrometheusCheck {
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError> {
        let answer = match self.fetcher.fetch(&Method::GET, BODY_MAX, cx).await {
            Ok(answer) => answer,
            Err(FetchError::Failed(failure)) => return Ok(self.about(failure.into())),
            Err(FetchError::NotAsked(error)) => return Err(error),
        };
        if !answer.status.is_success() {
            return Ok(self.about(status_failure(&answer).into()));
        }
        if !answer.is_whole {
            let message = format!("{}: more than {BODY_MAX} bytes", self.fetcher.shown());
            return Err(CheckError::new(reasons::TOO_LARGE, message));
        }
        self.judge(&answer.body, Instant::now())
    }
}

#[cfg(test)]
mod tests;
