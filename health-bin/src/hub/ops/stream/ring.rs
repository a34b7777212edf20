//! The newest transitions, numbered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;

use super::Transition;
use crate::clock::WallClock;
use crate::hub::ops::view;

/// The newest transitions, numbered from 1.
#[derive(Debug)]
pub(super) struct Ring {
    entries: VecDeque<Arc<Entry>>,
    newest: u64,
    kept: usize,
}

/// A transition and its number.
#[derive(Debug)]
pub(in crate::hub::ops) struct Entry {
    pub(in crate::hub::ops) number: u64,
    pub(in crate::hub::ops) transition: Transition,
    /// Written by the first reader that needs it, so that telling costs the fleet nothing.
    json: OnceLock<String>,
}

/// Indicates that a reader is so far behind that transitions are gone that it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub::ops) struct Gap;

// === impl Ring ===

impl Ring {
    pub(super) const fn new(kept: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            newest: 0,
            kept,
        }
    }

    /// Remembers a transition and gives its number; the oldest goes where there is no room.
    pub(super) fn push(&mut self, transition: Transition) -> u64 {
        if self.entries.len() == self.kept {
            self.entries.pop_front();
        }
        self.newest += 1;
        self.entries.push_back(Arc::new(Entry {
            number: self.newest,
            transition,
            json: OnceLock::new(),
        }));
        self.newest
    }

    /// The number of the newest, 0 before the first.
    pub(super) const fn newest(&self) -> u64 {
        self.newest
    }

    /// The number in front of the newest `count`.
    pub(super) fn before_newest(&self, count: usize) -> u64 {
        self.newest - count.min(self.entries.len()) as u64
    }

    /// What came after `seen`, the oldest first, at most `count`.
    pub(super) fn after(&self, seen: u64, count: usize) -> Result<Vec<Arc<Entry>>, Gap> {
        let gone = self.newest - self.entries.len() as u64;
        if seen < gone || seen > self.newest {
            return Err(Gap);
        }
        // No more than `kept`, so it fits.
        let skip = usize::try_from(seen - gone).unwrap_or(usize::MAX);
        Ok(self
            .entries
            .iter()
            .skip(skip)
            .take(count)
            .cloned()
            .collect())
    }
}

// === impl Entry ===

impl Entry {
    pub(in crate::hub::ops) fn json(&self) -> &str {
        let write = || view::transition(&self.transition, &WallClock::now());
        self.json.get_or_init(write)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use health_heartbeat::AgentId;
    use health_heartbeat::FleetReason;
    use health_heartbeat::FleetVerdict;

    use super::*;

    #[test]
    fn a_reader_gets_what_it_has_not_seen_or_learns_of_a_gap() {
        let mut ring = Ring::new(3);
        assert_eq!(numbers(&ring, 0, 9), Ok(vec![]));
        assert_eq!(numbers(&ring, 1, 9), Err(Gap), "nobody has seen that");
        for number in 1..=3 {
            assert_eq!(ring.push(transition()), number);
        }
        assert_eq!(numbers(&ring, 0, 9), Ok(vec![1, 2, 3]));
        assert_eq!(numbers(&ring, 1, 1), Ok(vec![2]));
        ring.push(transition());
        assert_eq!(numbers(&ring, 0, 9), Err(Gap), "the first is gone");
        assert_eq!(numbers(&ring, 1, 9), Ok(vec![2, 3, 4]));
        assert_eq!(numbers(&ring, 4, 9), Ok(vec![]));
        assert_eq!(numbers(&ring, 5, 9), Err(Gap));
        for (count, before) in [(0, 4), (1, 3), (3, 1), (9, 1)] {
            assert_eq!(ring.before_newest(count), before);
        }
    }

    fn numbers(ring: &Ring, seen: u64, count: usize) -> Result<Vec<u64>, Gap> {
        let entries = ring.after(seen, count)?;
        Ok(entries.iter().map(|entry| entry.number).collect())
    }

    fn transition() -> Transition {
        Transition {
            at: Instant::now(),
            agent: AgentId {
                workspace: String::new(),
                name: "edge-1".to_owned(),
            },
            from: None,
            verdict: FleetVerdict::Alive,
            reason: FleetReason::HeartbeatReceived,
        }
    }
}
