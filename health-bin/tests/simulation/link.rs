//! What lies between two parties: delay, loss, duplicates, partitions, each direction by itself.
//!
//! Requests to the API server travel each by itself, so they overtake one another; what is lost is
//! gone. A tunnel's frames keep their order, as TCP does; what a partition holds back arrives after
//! it, if both ends still listen.

use std::time::Duration;

use fastrand::Rng;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From the agent.
    Up = 0,
    /// To the agent.
    Down = 1,
}

/// What happens to each message, in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    pub(crate) delay_min: Duration,
    pub(crate) delay_max: Duration,
    /// Of 100.
    pub(crate) loss: u8,
    /// Of 100.
    pub(crate) duplicate: u8,
}

/// One agent's way to the API server, or to the hub.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) weather: Weather,
    blocked: [bool; 2],
}

/// What travels on a tunnel's connection.
#[derive(Debug, Clone)]
pub(crate) enum Segment {
    /// A client dials.
    Dial,
    /// The dial is answered.
    Accepted,
    /// A text frame.
    Text(String),
    /// A WebSocket ping or pong.
    Control,
    /// A close frame.
    Close(String),
    /// The socket broke, or nobody is there.
    Reset,
}

// === impl Weather ===

impl Weather {
    /// No message is later than this when nothing is wrong.
    pub(crate) const FINE_MAX: Duration = Duration::from_millis(20);

    pub(crate) const FINE: Self = Self {
        delay_min: Duration::from_millis(1),
        delay_max: Self::FINE_MAX,
        loss: 0,
        duplicate: 0,
    };

    pub(crate) fn delay(&self, chance: &mut Rng) -> Duration {
        let (min, max) = (
            self.delay_min.as_micros() as u64,
            self.delay_max.as_micros() as u64,
        );
        Duration::from_micros(chance.u64(min..=max))
    }
}

// === impl Link ===

impl Link {
    pub(crate) const fn fine() -> Self {
        Self {
            weather: Weather::FINE,
            blocked: [false; 2],
        }
    }

    pub(crate) const fn block(&mut self, blocked: [bool; 2]) {
        self.blocked = blocked;
    }

    pub(crate) const fn is_blocked(&self, way: Way) -> bool {
        self.blocked[way as usize]
    }

    /// When a message that travels by itself arrives, after how long: not at all, once or twice.
    pub(crate) fn arrivals(&self, way: Way, chance: &mut Rng) -> Vec<Duration> {
        let lost = chance.u8(..100) < self.weather.loss;
        if self.is_blocked(way) || lost {
            return Vec::new();
        }
        let mut arrivals = vec![self.weather.delay(chance)];
        if chance.u8(..100) < self.weather.duplicate {
            arrivals.push(self.weather.delay(chance));
        }
        arrivals
    }
}
