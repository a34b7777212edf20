//! How much a peer may send, as a pure decision.

use std::time::Duration;
use std::time::Instant;

/// How much a peer may send before it is closed for it.
///
/// Generous on purpose: a syncer may run its whole sync traffic over its tunnel, at 1,000 messages a
/// second and more. Who goes beyond this is no busy syncer but a broken one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Frames a second. Default: 20,000, four times of what the tunnel is measured with.
    pub frames: u32,
    /// Bytes of their content a second. Default: 32 MiB, 32 times of that.
    pub bytes: u32,
    /// So much time's worth may come at once. Default: 3 s.
    pub burst: Duration,
}

/// What a peer has left of its [`RateLimit`].
#[derive(Debug)]
pub(super) struct Meter {
    limit: RateLimit,
    frames: f64,
    bytes: f64,
    at: Instant,
}

// === impl RateLimit ===

impl Default for RateLimit {
    fn default() -> Self {
        Self {
            frames: 20_000,
            bytes: 32 * 1024 * 1024,
            burst: Duration::from_secs(3),
        }
    }
}

// === impl Meter ===

impl Meter {
    pub(super) fn new(limit: RateLimit, now: Instant) -> Self {
        let mut meter = Self {
            limit,
            frames: 0.0,
            bytes: 0.0,
            at: now,
        };
        meter.fill(limit.burst);
        meter
    }

    /// Counts a frame; whether it is within the limit.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> bool {
        self.fill(now.saturating_duration_since(self.at));
        self.at = now;
        self.frames -= 1.0;
        self.bytes -= bytes as f64;
        self.frames >= 0.0 && self.bytes >= 0.0
    }

    fn fill(&mut self, passed: Duration) {
        let (passed, burst) = (passed.as_secs_f64(), self.limit.burst.as_secs_f64());
        let (frames, bytes) = (f64::from(self.limit.frames), f64::from(self.limit.bytes));
        self.frames = (self.frames + passed * frames).min(burst * frames);
        self.bytes = (self.bytes + passed * bytes).min(burst * bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit {
        frames: 10,
        bytes: 1_000,
        burst: Duration::from_secs(2),
    };

    #[test]
    fn a_burst_passes_and_what_is_above_the_rate_does_not() {
        let now = Instant::now();
        let mut meter = Meter::new(LIMIT, now);
        assert!((0..20).all(|_| meter.take(1, now)));
        assert!(!meter.take(1, now));
    }

    #[test]
    fn the_rate_itself_passes_for_ever() {
        let start = Instant::now();
        let mut meter = Meter::new(LIMIT, start);
        assert!((0..10_000).all(|beat| meter.take(100, start + Duration::from_millis(100 * beat))));
    }

    #[test]
    fn bytes_count_as_well_as_frames() {
        let now = Instant::now();
        let mut meter = Meter::new(LIMIT, now);
        assert!(meter.take(2_000, now));
        assert!(!meter.take(1, now));
        assert!(meter.take(1, now + Duration::from_secs(1)));
    }
}
