//! How often to beat, and when silence counts as failure.

use std::time::Duration;

/// How often to beat, and when silence counts as failure.
///
/// Made by [`new`](Self::new) only, which refuses what cannot work together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeartbeatConfig {
    interval: Duration,
    timeout: Duration,
    failure_threshold: u32,
    interval_min: Duration,
    interval_max: Duration,
}

/// Indicates values that cannot work together; lists everything that is wrong. Permanent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct InvalidHeartbeatConfig(pub Vec<String>);

/// Shorter intervals than this are refused: a beat must have room for a retry.
const INTERVAL_FLOOR: Duration = Duration::from_millis(100);

// === impl HeartbeatConfig ===

impl HeartbeatConfig {
    /// Checks the values together.
    ///
    /// # Errors
    ///
    /// Lists everything that is wrong and what would be right:
    /// - `interval` is shorter than 100 ms;
    /// - `timeout` is shorter than two intervals, so that one lost beat would be a failure
    ///   (client-go #65094, controller-runtime #1760);
    /// - `failure_threshold` is 0.
    pub fn new(
        interval: Duration,
        timeout: Duration,
        failure_threshold: u32,
    ) -> Result<Self, InvalidHeartbeatConfig> {
        let mut wrong = Vec::new();
        if interval < INTERVAL_FLOOR {
            wrong.push(format!(
                "interval is {interval:?}, at least {INTERVAL_FLOOR:?} is allowed"
            ));
        }
        let two_intervals = interval.saturating_mul(2);
        if timeout < two_intervals {
            wrong.push(format!(
                "timeout is {timeout:?} with an interval of {interval:?}, \
                 at least {two_intervals:?} (twice the interval) is allowed"
            ));
        }
        if failure_threshold == 0 {
            wrong.push("failureThreshold is 0, at least 1 is allowed".to_owned());
        }
        if wrong.is_empty() {
            Ok(Self {
                interval,
                timeout,
                failure_threshold,
                interval_min: interval,
                interval_max: interval,
            })
        } else {
            Err(InvalidHeartbeatConfig(wrong))
        }
    }

    /// Lets an answer move the interval within these bounds, the timeout with it.
    ///
    /// # Errors
    ///
    /// If `min` is shorter than 100 ms or `interval` does not lie between the two.
    pub fn with_interval_bounds(
        mut self,
        min: Duration,
        max: Duration,
    ) -> Result<Self, InvalidHeartbeatConfig> {
        let mut wrong = Vec::new();
        if min < INTERVAL_FLOOR {
            wrong.push(format!(
                "intervalMin is {min:?}, at least {INTERVAL_FLOOR:?} is allowed"
            ));
        }
        if !(min..=max).contains(&self.interval) {
            wrong.push(format!(
                "interval is {:?}, it must lie between intervalMin ({min:?}) \
                 and intervalMax ({max:?})",
                self.interval
            ));
        }
        if !wrong.is_empty() {
            return Err(InvalidHeartbeatConfig(wrong));
        }
        (self.interval_min, self.interval_max) = (min, max);
        Ok(self)
    }

    /// The same with another interval, clamped to its bounds; the timeout keeps its ratio.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        let clamped = interval.clamp(self.interval_min, self.interval_max);
        let ratio = clamped.as_secs_f64() / self.interval.as_secs_f64();
        self.timeout = self.timeout.mul_f64(ratio).max(clamped * 2);
        self.interval = clamped;
        self
    }

    /// The time from beat to beat. Default: 10 s.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// The time without an acknowledgement after which the transport has failed. Default: 30 s.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The number of missed beats in a row after which the transport has failed. Default: 3.
    #[must_use]
    pub const fn failure_threshold(&self) -> u32 {
        self.failure_threshold
    }

    /// How long one attempt may take: half an interval or a third of the timeout, whichever is
    /// shorter, so that a hang leaves room for another attempt.
    #[must_use]
    pub fn attempt_deadline(&self) -> Duration {
        (self.interval / 2).min(self.timeout / 3)
    }
}

impl Default for HeartbeatConfig {
    /// 10 s, 30 s, 3; an answer may move the interval between 1 s and 60 s.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            failure_threshold: 3,
            interval_min: Duration::from_secs(1),
            interval_max: Duration::from_secs(60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// controller-runtime #1760: durations that could not work hung without a word.
    #[test]
    fn pitfall_13_values_that_cannot_work_together_are_all_told() {
        for (interval, timeout, threshold, wrong) in [
            (10_000, 30_000, 3, 0),
            (10_000, 20_000, 1, 0),
            (10_000, 19_999, 3, 1),
            (30_000, 10_000, 3, 1),
            (0, 0, 0, 2),
            (99, 99, 0, 3),
        ] {
            let result = HeartbeatConfig::new(ms(interval), ms(timeout), threshold);
            let found = result.err().map_or(0, |error| error.0.len());
            assert_eq!(found, wrong, "{interval} {timeout} {threshold}");
        }
    }

    /// client-go #65094, Kubernetes #121793: one hang used up the whole grace. Here a hang, the
    /// longest wait after it and one more attempt fit into every timeout that is allowed.
    #[test]
    fn pitfall_48_two_attempts_and_the_wait_between_fit_into_every_timeout() {
        for interval in [100, 999, 1_000, 10_000, 60_000, 86_400_000] {
            for timeout in [2 * interval, 2 * interval + 1, 3 * interval, 100 * interval] {
                let config = HeartbeatConfig::new(ms(interval), ms(timeout), 3).unwrap();
                let deadline = config.attempt_deadline();
                let wait = config.interval() / 2;
                let spent = deadline + wait + deadline;
                assert!(spent < config.timeout(), "{interval} {timeout}: {spent:?}");
            }
        }
    }

    #[test]
    fn an_attempt_leaves_room_for_another() {
        let deadline = |interval, timeout| {
            HeartbeatConfig::new(ms(interval), ms(timeout), 3)
                .unwrap()
                .attempt_deadline()
        };
        assert_eq!(deadline(10_000, 30_000), ms(5_000));
        assert_eq!(deadline(10_000, 20_000), ms(5_000));
        assert_eq!(deadline(1_000, 60_000), ms(500));
    }

    #[test]
    fn a_new_interval_is_clamped_and_takes_the_timeout_with_it() {
        let config = HeartbeatConfig::default();
        for (told, interval, timeout) in [
            (20_000, 20_000, 60_000),
            (1, 1_000, 3_000),
            (3_600_000, 60_000, 180_000),
        ] {
            let moved = config.with_interval(ms(told));
            assert_eq!(
                (moved.interval(), moved.timeout()),
                (ms(interval), ms(timeout))
            );
        }
    }

    #[test]
    fn the_interval_lies_between_its_bounds() {
        let config = HeartbeatConfig::default();
        assert!(config.with_interval_bounds(ms(1_000), ms(9_000)).is_err());
        assert!(config.with_interval_bounds(ms(1), ms(60_000)).is_err());
        assert!(config.with_interval_bounds(ms(10_000), ms(10_000)).is_ok());
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
