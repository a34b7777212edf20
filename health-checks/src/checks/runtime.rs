//! `runtime`: how late the pulse runtime runs what is due.

use std::time::Duration;
use std::time::Instant;

use health_core::Outcome;
use health_core::Paired;
use tokio::sync::mpsc;
use tokio::sync::oneshot;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::sync_stats::over;
use crate::names;
use crate::reasons;

/// What a [`RuntimeCheck`] measures with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RuntimeConfig {
    /// How long the timer is whose lateness is measured. Default: 100 ms; 1 ms to 1 s.
    pub timer: Duration,
    /// From which delay, in seconds, on it is Degraded or Unhealthy. Default: 0.5 and 5.
    pub delay_seconds: Paired,
}

/// How late the pulse runtime runs what is due: the heartbeats and probes live there.
///
/// Each run has a task on that runtime wait for a timer, and measures how much longer than that the
/// answer took. A runtime that stands still gives the result once it goes on, with the whole delay.
#[derive(Debug)]
pub struct RuntimeCheck {
    config: RuntimeConfig,
    requests: mpsc::Sender<oneshot::Sender<()>>,
}

/// One run at a time asks, and the one before it may have given up.
const REQUESTS_MAX: usize = 4;

// === impl RuntimeConfig ===

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            timer: Duration::from_millis(100),
            delay_seconds: Paired {
                degraded: Some(0.5),
                unhealthy: Some(5.0),
            },
        }
    }
}

// === impl RuntimeCheck ===

impl RuntimeCheck {
    /// A check of the current runtime. Its task there ends when the check is dropped.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[must_use]
    pub fn spawn(mut config: RuntimeConfig) -> Self {
        const TIMER_MIN: Duration = Duration::from_millis(1);
        const TIMER_MAX: Duration = Duration::from_secs(1);
        config.timer = config.timer.clamp(TIMER_MIN, TIMER_MAX);
        let (requests, mut inbox) = mpsc::channel::<oneshot::Sender<()>>(REQUESTS_MAX);
        tokio::spawn(async move {
            while let Some(answer) = inbox.recv().await {
                tokio::time::sleep(config.timer).await;
                // Whoever asked may have been dropped.
                answer.send(()).ok();
            }
        });
        Self { config, requests }
    }
}

#[async_trait::async_trait]
impl HealthChecker for RuntimeCheck {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let gone = || CheckError::new(reasons::CLOSED, "the pulse runtime has ended");
        let asked = Instant::now();
        let (answer, answered) = oneshot::channel();
        self.requests.send(answer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?;
        let delay = asked.elapsed().saturating_sub(self.config.timer);
        Ok(judge(delay, &self.config))
    }
}

fn judge(delay: Duration, config: &RuntimeConfig) -> Outcome {
    let seconds = delay.as_secs_f64();
    over(
        config.delay_seconds,
        seconds,
        reasons::SCHEDULING_DELAY_HIGH,
        "seconds late",
    )
    .with_metric(names::DELAY_SECONDS, seconds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use health_core::HealthStatus;

    #[test]
    fn delays_are_judged_by_their_limits() {
        for (millis, status) in [
            (0, HealthStatus::Healthy),
            (499, HealthStatus::Healthy),
            (500, HealthStatus::Degraded),
            (5000, HealthStatus::Unhealthy),
        ] {
            let outcome = judge(Duration::from_millis(millis), &RuntimeConfig::default());
            assert_eq!(outcome.status, status, "{millis} ms");
        }
    }

    #[tokio::test]
    async fn a_runtime_that_stood_still_is_late_by_as_much() {
        let check = RuntimeCheck::spawn(RuntimeConfig {
            timer: Duration::from_millis(1),
            ..RuntimeConfig::default()
        });
        let context = CheckContext::new(Duration::from_secs(5), Instant::now());
        let block = async {
            let until = Instant::now() + Duration::from_millis(550);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
        };
        let (outcome, ()) = tokio::join!(check.check(context), block);
        let outcome = outcome.unwrap();
        assert!(outcome.metrics["delaySeconds"] >= 0.5, "{outcome:?}");
        assert_eq!(outcome.reason.as_str(), "SchedulingDelayHigh");
    }
}
