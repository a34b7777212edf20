//! When `--watch` asks again.

use std::time::Duration;
use std::time::Instant;

/// When to ask, and when to open the stream that tells of changes.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the last answer was asked for, and once it came, when that was.
    asked_at: Instant,
    /// How long it took.
    took: Duration,
    /// Something changed since.
    told: bool,
    events: Events,
}

/// The stream of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Events {
    /// An agent has none.
    None,
    /// To be opened then.
    Closed { open_at: Instant },
    /// It tells.
    Open,
}

/// How often is asked of who does not tell.
const ASK_EVERY: Duration = Duration::from_secs(2);

/// How often is asked of who tells verdicts: what agents say of themselves, and ages, change without.
const REFRESH_EVERY: Duration = Duration::from_secs(5);

/// A burst of changes is asked for once: a hub of thousands writes a list each time.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// What takes long, as the list of a great fleet, is asked for so many times less: a hub is not kept
/// busy by who only looks.
const REST: u32 = 4;

/// When a stream that ended, or was refused, is asked for again: what a hub says too when all its
/// places are taken.
const OPEN_AGAIN: Duration = Duration::from_secs(10);

// === impl Pace ===

impl Pace {
    /// The first answer came at `now`. Only a hub tells of changes.
    pub(super) const fn new(tells: bool, now: Instant) -> Self {
        let events = match tells {
            true => Events::Closed { open_at: now },
            false => Events::None,
        };
        Self {
            asked_at: now,
            took: Duration::ZERO,
            told: false,
            events,
        }
    }

    /// When to ask.
    pub(super) fn ask_at(&self) -> Instant {
        let every = match (self.events, self.told) {
            (Events::None | Events::Closed { .. }, _) => ASK_EVERY,
            (Events::Open, true) => TOLD_EVERY,
            (Events::Open, false) => REFRESH_EVERY,
        };
        self.asked_at + every.max(self.took * REST)
    }

    /// When to open the stream, if it is not open.
    pub(super) const fn open_at(&self) -> Option<Instant> {
        match self.events {
            Events::Closed { open_at } => Some(open_at),
            Events::None | Events::Open => None,
        }
    }

    /// An answer is asked for: changes from now on may not be in it.
    pub(super) const fn asking(&mut self, now: Instant) {
        self.asked_at = now;
        self.told = false;
    }

    /// The answer came, or will not: the next one is counted from here.
    pub(super) fn asked(&mut self, now: Instant) {
        self.took = now.saturating_duration_since(self.asked_at);
        self.asked_at = now;
    }

    /// The stream is open. What changed before it was is asked for.
    pub(super) const fn opened(&mut self) {
        self.events = Events::Open;
        self.told = true;
    }

    /// The stream told of a change.
    pub(super) const fn told(&mut self) {
        self.told = true;
    }

    /// The stream ended, or was refused.
    pub(super) fn closed(&mut self, now: Instant) {
        let open_at = now + OPEN_AGAIN;
        self.events = Events::Closed { open_at };
    }
}

/// Finds the events in a stream of them, which comes in pieces. What they say is not kept.
#[derive(Debug, Default)]
pub(super) struct EventFinder {
    /// Characters of this line that began as the field does.
    matched: usize,
    /// Whether one did not.
    is_other: bool,
}

/// How a line begins that says what happened; others are comments, ids and data.
const FIELD: &[u8] = b"event:";

// === impl EventFinder ===

impl EventFinder {
    /// Whether an event begins in this piece.
    pub(super) fn find(&mut self, piece: &[u8]) -> bool {
        let mut found = false;
        for byte in piece {
            if matches!(byte, b'\n' | b'\r') {
                *self = Self::default();
            } else if !self.is_other && FIELD.get(self.matched) == Some(byte) {
                self.matched += 1;
                found |= self.matched == FIELD.len();
            } else {
                self.is_other = true;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_tell_is_asked_every_two_seconds_and_less_where_that_takes_long() {
        let start = Instant::now();
        let mut pace = Pace::new(false, start);
        assert_eq!(pace.ask_at() - start, Duration::from_secs(2));
        assert_eq!(pace.open_at(), None);
        let asked = start + Duration::from_secs(2);
        for (took, next) in [(0, 2_000), (400, 2_000), (1_000, 4_000), (10_000, 40_000)] {
            let answered = asked + Duration::from_millis(took);
            pace.asking(asked);
            pace.asked(answered);
            let waits = pace.ask_at() - answered;
            assert_eq!(
                waits,
                Duration::from_millis(next),
                "an answer within {took} ms"
            );
        }
    }

    #[test]
    fn who_tells_is_asked_when_it_does_and_at_most_once_a_second() {
        let start = Instant::now();
        let mut pace = Pace::new(true, start);
        assert_eq!(pace.open_at(), Some(start), "the stream is opened at once");
        assert_eq!(
            pace.ask_at() - start,
            Duration::from_secs(2),
            "and asked meanwhile"
        );
        pace.opened();
        assert_eq!(pace.open_at(), None);
        assert_eq!(
            pace.ask_at() - start,
            Duration::from_secs(1),
            "what changed meanwhile"
        );
        pace.asking(start);
        pace.asked(start);
        assert_eq!(
            pace.ask_at() - start,
            Duration::from_secs(5),
            "nothing was told"
        );
        pace.told();
        pace.told();
        assert_eq!(
            pace.ask_at() - start,
            Duration::from_secs(1),
            "a burst is one question"
        );
        pace.asking(start);
        pace.told();
        pace.asked(start);
        assert_eq!(
            pace.ask_at() - start,
            Duration::from_secs(1),
            "told while the answer was made"
        );
    }

    #[test]
    fn a_stream_that_ends_is_opened_again_and_meanwhile_asked_for() {
        let start = Instant::now();
        let mut pace = Pace::new(true, start);
        pace.opened();
        pace.closed(start);
        assert_eq!(pace.ask_at() - start, Duration::from_secs(2));
        assert_eq!(pace.open_at(), Some(start + Duration::from_secs(10)));
    }

    #[test]
    fn events_are_found_wherever_the_pieces_end() {
        let stream = b"retry: 1000\n\nevent: counts\ndata: {\"event:\":1}\n\n:\n\nid: event:\n\n\
                       event: reset\r\nevent: x\n";
        for size in 1..stream.len() {
            let mut finder = EventFinder::default();
            let pieces = stream.chunks(size);
            let found = pieces.filter(|piece| finder.find(piece)).count();
            assert!((1..=3).contains(&found), "{size}: {found}");
        }
        let mut finder = EventFinder::default();
        let bytes = stream.iter().filter(|byte| finder.find(&[**byte]));
        assert_eq!(bytes.count(), 3);
        assert!(!EventFinder::default().find(b":\n\nretry: 1\ndata: event:\nvent:\nxevent:\n"));
    }
}
