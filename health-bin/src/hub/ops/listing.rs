//! A page of the fleet.
//!
//! Under the fleet's lock one walk with small keys chooses the page; its agents are copied a few at a
//! time, and written outside of it. In between others have their turn: a page of thousands delays
//! no heartbeat by more than a few milliseconds.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use health_heartbeat::AgentKey;
use health_heartbeat::AgentView;
use health_heartbeat::Fleet;
use health_heartbeat::FleetVerdict;
use serde::Serialize;

use super::order::Epoch;
use super::order::Place;
use super::order::Position;
use super::query::FleetQuery;
use super::view::AgentCopy;
use crate::clock::WallClock;

/// Which agents are on a page.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) chosen: Vec<AgentKey>,
    /// Where the page ended, if more follows.
    pub(super) next: Option<Position>,
    /// How many agents the filter admits, on all pages together.
    pub(super) matching: usize,
    pub(super) counts: Counts,
    /// Whether verdicts wait, since so many fell silent together.
    doubt: bool,
}

/// What `/fleet` answers, as far as it is written.
#[derive(Debug)]
pub(super) struct Answer {
    wall: WallClock,
    text: Vec<u8>,
    is_empty: bool,
}

/// What stands behind the agents.
#[derive(Debug, Serialize)]
struct End {
    next: Option<String>,
    matching: usize,
    counts: BTreeMap<&'static str, usize>,
    doubt: bool,
    now: String,
}

/// So many agents are copied and written at a time: about a millisecond.
pub(super) const AT_ONCE: usize = 64;

/// The whole fleet by verdict, in the order of [`FleetVerdict::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts([usize; FleetVerdict::ALL.len()]);

// === impl Listing ===

impl Listing {
    /// Chooses a page. Its cost grows with the fleet: call it once a request.
    pub(super) fn of(fleet: &Fleet, query: &FleetQuery, epoch: &Epoch) -> Self {
        let mut matching = 0;
        let mut scratch = String::new();
        let mut found: Vec<(Place, u32, AgentView<'_>)> = Vec::new();
        for (number, view) in (0..).zip(fleet.views()) {
            if !query.filter.admits(view, &mut scratch) {
                continue;
            }
            matching += 1;
            let place = query.sort.place(view, epoch);
            let after = query.after.as_ref();
            if after.is_none_or(|after| query.sort.is_behind(place, view.id(), after)) {
                found.push((place, number, view));
            }
        }
        // The walk is by workspace and name, so its number is what equal places are told apart by.
        let order = |(a, one, _): &(Place, u32, _), (b, other, _): &(Place, u32, _)| -> Ordering {
            query.sort.direct(a.cmp(b).then(one.cmp(other)))
        };
        let more = found.len() > query.limit;
        if more {
            found.select_nth_unstable_by(query.limit, order);
            found.truncate(query.limit);
        }
        found.sort_unstable_by(order);
        let next = found
            .last()
            .filter(|_| more)
            .map(|(place, _, view)| Position {
                place: *place,
                id: view.id().clone(),
            });
        Self {
            chosen: found.iter().map(|(_, _, view)| view.key()).collect(),
            next,
            matching,
            counts: Counts::of(fleet),
            doubt: fleet.doubts(),
        }
    }
}

// === impl Answer ===

impl Answer {
    pub(super) fn begin(wall: WallClock) -> Self {
        Self {
            wall,
            text: b"{\"agents\":[".to_vec(),
            is_empty: true,
        }
    }

    /// Writes some agents.
    pub(super) fn add(&mut self, agents: &[AgentCopy]) {
        for agent in agents {
            if !self.is_empty {
                self.text.push(b',');
            }
            self.is_empty = false;
            self.write(&agent.summary(&self.wall));
        }
    }

    /// Writes the rest.
    pub(super) fn end(mut self, listing: &Listing, query: &FleetQuery, epoch: &Epoch) -> Vec<u8> {
        let next = listing.next.as_ref();
        let end = End {
            next: next.map(|position| query.sort.cursor(position, epoch)),
            matching: listing.matching,
            counts: listing.counts.named(),
            doubt: listing.doubt,
            now: self.wall.show(self.wall.instant()),
        };
        self.text.push(b']');
        let opened = self.text.len();
        self.write(&end);
        // The end goes on with the object that the beginning has opened.
        self.text[opened] = b',';
        self.text
    }

    fn write(&mut self, value: &impl Serialize) {
        // Strings and numbers have a form in JSON, and a Vec takes it.
        let _ = serde_json::to_writer(&mut self.text, value);
    }
}

// === impl Counts ===

impl Counts {
    pub(super) fn of(fleet: &Fleet) -> Self {
        Self(FleetVerdict::ALL.map(|verdict| fleet.count(verdict)))
    }

    /// So many agents are Lost and no others are there.
    #[cfg(test)]
    pub(super) fn lost(count: usize) -> Self {
        let of = |verdict| {
            if verdict == FleetVerdict::Lost {
                count
            } else {
                0
            }
        };
        Self(FleetVerdict::ALL.map(of))
    }

    /// How many agents have a verdict.
    pub(super) const fn get(&self, verdict: FleetVerdict) -> usize {
        self.0[verdict as usize]
    }

    fn named(&self) -> BTreeMap<&'static str, usize> {
        let verdicts = FleetVerdict::ALL.into_iter();
        verdicts
            .map(|verdict| (verdict.as_str(), self.get(verdict)))
            .collect()
    }

    /// The counts as JSON, on one line.
    pub(super) fn json(&self) -> String {
        // Numbers have a form in JSON.
        serde_json::to_string(&self.named()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
