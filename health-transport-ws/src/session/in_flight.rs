//! The pings that wait for their pongs.

use std::collections::VecDeque;
use std::time::Instant;

use super::TooManyPings;

/// One ping of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PingId(u64);

/// The pings that wait for their pongs, oldest first.
///
/// One that nobody waits for any more stays, or the pong that still comes would answer a later one.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    pings: VecDeque<Ping>,
    next: u64,
}

#[derive(Debug)]
struct Ping {
    id: PingId,
    sequence: Option<u64>,
    sent: Instant,
    /// Since when its pong is overdue after the deadline: later than `sent` after a pause.
    counted: Instant,
}

/// At two pings a second for half a minute: far more than a heartbeat makes, and the deadline for
/// the oldest ends the connection before more are of use.
const IN_FLIGHT_MAX: usize = 64;

// === impl InFlight ===

impl InFlight {
    pub(super) fn begin(
        &mut self,
        sequence: Option<u64>,
        now: Instant,
    ) -> Result<PingId, TooManyPings> {
        if self.pings.len() == IN_FLIGHT_MAX {
            return Err(TooManyPings(IN_FLIGHT_MAX));
        }
        let id = PingId(self.next);
        self.next += 1;
        self.pings.push_back(Ping {
            id,
            sequence,
            sent: now,
            counted: now,
        });
        Ok(id)
    }

    /// Takes out the next ping that a pong answers, and when that was sent.
    pub(super) fn answered(&mut self, sequence: Option<u64>) -> Option<(PingId, Instant)> {
        let place = match sequence {
            Some(_) => self
                .pings
                .iter()
                .position(|ping| ping.sequence == sequence)?,
            None => 0,
        };
        self.pings.remove(place).map(|ping| (ping.id, ping.sent))
    }

    /// Since when the oldest ping waits.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.pings.front().map(|ping| ping.counted)
    }

    /// Grants every ping its full deadline again.
    pub(super) fn forgive(&mut self, now: Instant) {
        for ping in &mut self.pings {
            ping.counted = now;
        }
    }
}
