//! When to dial again, as a pure decision.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::Backoff;
use health_heartbeat::HeartbeatConfig;

/// When to dial again: after a capped backoff with full jitter, for ever.
///
/// A thousand agents whose hub restarts come back spread over the backoff, not at once; one that is
/// thrown out right after each handshake backs off as if it had not been let in.
#[derive(Debug)]
pub struct Reconnect {
    backoff: Backoff,
    interval: Duration,
    timeout: Duration,
    connected: Option<Instant>,
}

/// What the last try says about the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hint {
    /// The time that the peer asked to be left alone for.
    pub retry_after: Option<Duration>,
    /// A newer tunnel of the same agent took this one's place.
    pub replaced: bool,
}

/// The longest time to be left alone for that is obeyed: a mistaken header must not silence an
/// agent for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// The first wait is up to this share of an interval.
const BASE: u32 = 8;

// === impl Reconnect ===

impl Reconnect {
    /// The policy for a heartbeat: no wait is longer than its interval, but for what a peer asks.
    #[must_use]
    pub fn new(heartbeat: &HeartbeatConfig, seed: u64) -> Self {
        let interval = heartbeat.interval();
        Self {
            backoff: Backoff::new(interval / BASE, interval, seed),
            interval,
            timeout: heartbeat.timeout(),
            connected: None,
        }
    }

    /// The handshake was answered.
    pub const fn connected(&mut self, now: Instant) {
        self.connected = Some(now);
    }

    /// A dial failed, or the connection ended: when to dial again.
    #[must_use]
    pub fn failed(&mut self, hint: Hint, now: Instant) -> Instant {
        let stood = self
            .connected
            .take()
            .map(|since| now.saturating_duration_since(since));
        if stood.is_some_and(|stood| stood >= self.interval) {
            self.backoff.reset();
        }
        let asked = hint.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let away = if hint.replaced {
            self.timeout
        } else {
            Duration::ZERO
        };
        now + asked.max(away) + self.backoff.next_delay()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_one_interval_and_never_stop() {
        let mut reconnect = Reconnect::new(&HeartbeatConfig::default(), 1);
        let now = Instant::now();
        let waits: Vec<_> = (0..10_000)
            .map(|_| reconnect.failed(Hint::default(), now) - now)
            .collect();
        assert!(waits[0] <= ms(1_250));
        assert!(waits.iter().all(|wait| *wait <= ms(10_000)));
        assert!(waits[5_000..].iter().any(|wait| *wait > ms(9_000)));
    }

    /// remotedialer and the TMC syncer come back after a fixed time, all at once.
    #[test]
    fn pitfall_44_a_thousand_agents_do_not_come_back_together() {
        let now = Instant::now();
        let mut connects = vec![0_usize; 300];
        for seed in 0..1_000 {
            let mut reconnect = Reconnect::new(&HeartbeatConfig::default(), seed);
            let mut at = now;
            // The hub is away for ten seconds.
            while at - now < ms(10_000) {
                at = reconnect.failed(Hint::default(), at);
            }
            connects[usize::try_from((at - now).as_millis() / 100).unwrap()] += 1;
        }
        let peak = connects.iter().max().unwrap();
        assert!(*peak < 40, "{peak} of 1000 in a tenth of a second");
    }

    /// Kubernetes #65954: each failure closed all connections, and each new one began with lists.
    /// Whoever is thrown out at once, again and again, dials twice an interval in the long run.
    #[test]
    fn pitfall_8_failures_do_not_become_dials_without_end() {
        let start = Instant::now();
        for (seed, let_in) in (0..100).flat_map(|seed| [(seed, false), (seed, true)]) {
            let mut reconnect = Reconnect::new(&HeartbeatConfig::default(), seed);
            let (mut now, mut dials) = (start, 0);
            while now < start + ms(3_600_000) {
                if let_in {
                    reconnect.connected(now);
                }
                now = reconnect.failed(Hint::default(), now);
                dials += 1;
            }
            assert!((600..=850).contains(&dials), "{dials} in 360 intervals");
        }
    }

    #[test]
    fn only_a_connection_that_stood_for_an_interval_begins_the_backoff_anew() {
        let mut reconnect = Reconnect::new(&HeartbeatConfig::default(), 1);
        let mut now = Instant::now();
        for _ in 0..5 {
            now = reconnect.failed(Hint::default(), now);
        }
        reconnect.connected(now);
        let early = reconnect.backoff.ceiling();
        let _ = reconnect.failed(Hint::default(), now + ms(9_999));
        assert_eq!(
            (early, reconnect.backoff.ceiling()),
            (ms(10_000), ms(10_000))
        );
        reconnect.connected(now);
        assert!(reconnect.failed(Hint::default(), now + ms(10_000)) <= now + ms(11_250));
    }

    #[test]
    fn what_the_peer_asks_is_obeyed_within_bounds_and_still_spread() {
        let now = Instant::now();
        let wait = |hint| {
            let mut reconnect = Reconnect::new(&HeartbeatConfig::default(), 3);
            reconnect.failed(hint, now) - now
        };
        for (retry_after, replaced, least) in [
            (Some(ms(5_000)), false, 5_000),
            (Some(ms(86_400_000)), false, 300_000),
            (None, true, 30_000),
            (Some(ms(5_000)), true, 30_000),
            (Some(ms(60_000)), true, 60_000),
        ] {
            let hint = Hint {
                retry_after,
                replaced,
            };
            let wait = wait(hint);
            assert!(wait > ms(least) && wait <= ms(least + 1_250), "{wait:?}");
        }
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }
}
