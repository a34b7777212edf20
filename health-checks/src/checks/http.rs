//! `http`: whether a URL answers as it should.

use health_core::Outcome;
use health_core::Paired;
use http::Method;
use http::StatusCode;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::HttpTarget;
use crate::checks::InvalidTarget;
use crate::checks::fetch::Answer;
use crate::checks::fetch::FetchError;
use crate::checks::fetch::Fetcher;
use crate::checks::fetch::status_failure;
use crate::checks::sync_stats::over;
use crate::names;
use crate::reasons;

/// What an [`HttpCheck`] asks and expects.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpConfig {
    /// Where it asks.
    pub target: HttpTarget,
    /// How it asks. Default: GET.
    pub method: Method,
    /// The statuses that are good. Default: none named, which is 200 to 299.
    pub expected_status: Vec<StatusCode>,
    /// From how long an answer, in seconds, on it is Degraded or Unhealthy. Default: no limit.
    pub latency_seconds: Paired,
}

/// Whether a URL answers as it should. Redirects are not followed: where they lead was not asked
/// for. The connection is kept from one run to the next.
#[derive(Debug)]
pub struct HttpCheck {
    method: Method,
    expected_status: Vec<StatusCode>,
    latency_seconds: Paired,
    fetcher: Fetcher,
}

/// So much of a body is read, to keep the connection; its content is not looked at.
const BODY_MAX: usize = 64 * 1024;

// === impl HttpConfig ===

impl HttpConfig {
    /// A GET of `target`, that any 2xx answers well.
    #[must_use]
    pub const fn new(target: HttpTarget) -> Self {
        Self {
            target,
            method: Method::GET,
            expected_status: Vec::new(),
            latency_seconds: Paired {
                degraded: None,
                unhealthy: None,
            },
        }
    }
}

// === impl HttpCheck ===

impl HttpCheck {
    /// A check as `config` says. Reads the files that it names.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] if the target cannot be asked, or a file cannot be read.
    pub fn new(config: HttpConfig) -> Result<Self, InvalidTarget> {
        Ok(Self {
            method: config.method,
            expected_status: config.expected_status,
            latency_seconds: config.latency_seconds,
            fetcher: Fetcher::new(config.target)?,
        })
    }

    fn judge(&self, answer: &Answer) -> Outcome {
        let is_expected = if self.expected_status.is_empty() {
            answer.status.is_success()
        } else {
            self.expected_status.contains(&answer.status)
        };
        let seconds = answer.latency.as_secs_f64();
        let outcome = if is_expected {
            over(
                self.latency_seconds,
                seconds,
                reasons::LATENCY_HIGH,
                "seconds until the answer",
            )
        } else {
            status_failure(answer).into()
        };
        outcome
            .with_metric(names::LATENCY_SECONDS, seconds)
            .with_metric(names::HTTP_STATUS, f64::from(answer.status.as_u16()))
    }
}

#[async_trait::async_trait]
impl HealthChecker for HttpCheck {
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError> {
        let mut outcome = match self.fetcher.fetch(&self.method, BODY_MAX, cx).await {
            Ok(answer) => self.judge(&answer),
            Err(FetchError::Failed(failure)) => failure.into(),
            Err(FetchError::NotAsked(error)) => return Err(error),
        };
        if !outcome.message.is_empty() {
            outcome.message = format!("{}: {}", self.fetcher.shown(), outcome.message);
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
