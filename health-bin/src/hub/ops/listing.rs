//! A page of the fleet.
//!
//! Under the fleet's lock it walks with small keys and copies one page's agents; what is written is
//! written outside of it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use health_heartbeat::AgentView;
use health_heartbeat::Fleet;
use health_heartbeat::FleetVerdict;
use serde::Serialize;

use super::order::Epoch;
use super::order::Place;
use super::order::Position;
use super::query::FleetQuery;
use super::view::AgentCopy;
use super::view::AgentSummary;
use crate::clock::WallClock;

/// A page of the fleet, copied.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) agents: Vec<AgentCopy>,
    /// Where the page ended, if more follows.
    pub(super) next: Option<Position>,
    /// How many agents the filter admits, on all pages together.
    pub(super) matching: usize,
    pub(super) counts: Counts,
    /// Whether verdicts wait, since so many fell silent together.
    doubt: bool,
}

/// The whole fleet by verdict, in the order of [`FleetVerdict::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts([usize; FleetVerdict::ALL.len()]);

/// What `/fleet` answers.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    now: String,
    agents: Vec<AgentSummary<'a>>,
    next: Option<String>,
    matching: usize,
    counts: BTreeMap<&'static str, usize>,
    doubt: bool,
}

// === impl Listing ===

impl Listing {
    /// Chooses and copies a page. Its cost grows with the fleet: call it once a request.
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
            agents: found
                .iter()
                .map(|(_, _, view)| AgentCopy::of(*view))
                .collect(),
            next,
            matching,
            counts: Counts::of(fleet),
            doubt: fleet.doubts(),
        }
    }

    /// The page as JSON.
    pub(super) fn json(&self, query: &FleetQuery, epoch: &Epoch, wall: &WallClock) -> Vec<u8> {
        let next = self.next.as_ref();
        let answer = Answer {
            now: wall.show(wall.instant()),
            agents: self
                .agents
                .iter()
                .map(|agent| agent.summary(wall))
                .collect(),
            next: next.map(|position| query.sort.cursor(position, epoch)),
            matching: self.matching,
            counts: self.counts.named(),
            doubt: self.doubt,
        };
        // Strings and numbers have a form in JSON.
        serde_json::to_vec(&answer).unwrap_or_default()
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
