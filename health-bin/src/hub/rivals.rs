//! Two processes with one identity, found by their taking turns.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::RandomState;

use health_heartbeat::AgentKey;
use health_heartbeat::Identity;

/// Which starts of an instance had its place last. Names come from the network, so only their hashes
/// are kept.
#[derive(Debug, Default)]
pub(super) struct Rivals {
    hasher: RandomState,
    places: HashMap<u64, Turns>,
}

#[derive(Debug, Clone, Copy)]
struct Turns {
    before: Option<u64>,
    now: u64,
}

/// So many places are remembered, for a few hundred KiB. Beyond that they are forgotten together,
/// and whoever still takes turns is found two turns later.
const PLACES_MAX: usize = 4096;

// === impl Rivals ===

impl Rivals {
    /// A tunnel of `by` has taken the place of an older one of the same slot. Whether it had that
    /// place before another start did: then both run, since a start that is over never comes back.
    pub(super) fn took_over(&mut self, agent: AgentKey, by: &Identity) -> bool {
        let place = self.hasher.hash_one((agent, &by.slot));
        let now = self.hasher.hash_one(&by.incarnation);
        if self.places.len() >= PLACES_MAX && !self.places.contains_key(&place) {
            self.places.clear();
        }
        let turns = self
            .places
            .entry(place)
            .or_insert(Turns { before: None, now });
        if turns.now == now {
            return false;
        }
        let is_back = turns.before == Some(now);
        *turns = Turns {
            before: Some(turns.now),
            now,
        };
        is_back
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use health_heartbeat::AgentId;
    use health_heartbeat::Fleet;
    use health_heartbeat::FleetTerms;

    use super::*;

    #[test]
    fn only_who_comes_back_after_another_is_a_rival() {
        let mut rivals = Rivals::default();
        let [alice, bob] = agents();
        for (agent, slot, incarnation, expected) in [
            (alice, "a", "1", false),
            // A restart, its own tunnel that was half open, and another restart.
            (alice, "a", "2", false),
            (alice, "a", "2", false),
            (alice, "a", "3", false),
            // Another slot and another agent.
            (alice, "b", "2", false),
            (bob, "a", "2", false),
            (alice, "a", "2", true),
            (alice, "a", "3", true),
        ] {
            let by = identity(slot, incarnation);
            assert_eq!(rivals.took_over(agent, &by), expected, "{by:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut rivals = Rivals::default();
        let [alice, _] = agents();
        for number in 0..2 * PLACES_MAX {
            assert!(!rivals.took_over(alice, &identity(&number.to_string(), "1")));
            assert!(rivals.places.len() <= PLACES_MAX);
        }
    }

    fn identity(slot: &str, incarnation: &str) -> Identity {
        Identity {
            slot: slot.into(),
            incarnation: incarnation.into(),
        }
    }

    fn agents() -> [AgentKey; 2] {
        let now = Instant::now();
        let mut fleet = Fleet::new(FleetTerms::default(), now);
        ["alice", "bob"].map(|name| {
            let id = AgentId {
                workspace: String::new(),
                name: name.to_owned(),
            };
            fleet.admit(id, now).unwrap()
        })
    }
}
