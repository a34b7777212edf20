//! Everybody, by number and by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::AgentId;
use super::AgentKey;
use super::FleetReason;
use super::FleetTerms;
use super::FleetVerdict;
use super::moment::Moment;
use super::record::Record;

/// Everybody, by number and by name, and how many have which verdict.
#[derive(Debug)]
pub(super) struct Roll {
    terms: FleetTerms,
    names: BTreeMap<Arc<AgentId>, AgentKey>,
    places: Vec<Place>,
    free: Vec<u32>,
    counts: [usize; FleetVerdict::ALL.len()],
}

/// Where one agent's record is, one after the other, each from the beginning of a line of memory.
/// The generation comes first, beside what a heartbeat needs of the record.
#[repr(C, align(64))]
#[derive(Debug)]
struct Place {
    generation: u32,
    record: Option<Record>,
}

// === impl Roll ===

impl Roll {
    pub(super) const fn new(terms: FleetTerms) -> Self {
        Self {
            terms,
            names: BTreeMap::new(),
            places: Vec::new(),
            free: Vec::new(),
            counts: [0; FleetVerdict::ALL.len()],
        }
    }

    /// Adds an agent that is not known; nothing where there is no room.
    pub(super) fn add(&mut self, id: AgentId, now: Moment) -> Option<AgentKey> {
        if self.names.len() >= self.terms.agents_max {
            return None;
        }
        let id = Arc::new(id);
        let record = Some(Record::new(Arc::clone(&id), &self.terms, now));
        let index = match self.free.pop() {
            Some(index) => {
                self.places[index as usize].record = record;
                index
            }
            None => {
                let index = u32::try_from(self.places.len()).ok()?;
                let generation = 0;
                self.places.push(Place { generation, record });
                index
            }
        };
        let generation = self.places[index as usize].generation;
        let key = AgentKey { index, generation };
        self.names.insert(id, key);
        self.counts[FleetVerdict::Pending as usize] += 1;
        Some(key)
    }

    pub(super) fn remove(&mut self, agent: AgentKey) -> Option<Arc<AgentId>> {
        self.get(agent)?;
        let place = &mut self.places[agent.index as usize];
        let record = place.record.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(agent.index);
        self.names.remove(&record.id);
        self.counts[record.verdict as usize] -= 1;
        Some(record.id)
    }

    /// The same without its names, and without what decides nothing.
    pub(super) fn bare(&self) -> Self {
        let places = self.places.iter().map(|place| Place {
            generation: place.generation,
            record: place.record.as_ref().map(Record::bare),
        });
        Self {
            terms: self.terms,
            names: BTreeMap::new(),
            places: places.collect(),
            free: self.free.clone(),
            counts: self.counts,
        }
    }

    /// The same with its names and counts, of what [`bare`](Self::bare) left.
    pub(super) fn restored(&self) -> Self {
        let mut roll = self.bare();
        roll.counts = [0; FleetVerdict::ALL.len()];
        for (index, place) in (0..).zip(&roll.places) {
            if let Some(record) = &place.record {
                let generation = place.generation;
                let key = AgentKey { index, generation };
                roll.names.insert(Arc::clone(&record.id), key);
                roll.counts[record.verdict as usize] += 1;
            }
        }
        roll
    }

    /// A roll of those places, by number, without names; the numbers in `free` are given again, the
    /// last one first.
    pub(super) fn of_places(
        terms: FleetTerms,
        places: Vec<(u32, Option<Record>)>,
        free: Vec<u32>,
    ) -> Self {
        let place = |(generation, record)| Place { generation, record };
        Self {
            places: places.into_iter().map(place).collect(),
            free,
            ..Self::new(terms)
        }
    }

    /// The generation and the record of a number that was given.
    pub(super) fn place(&self, index: u32) -> Option<(u32, Option<&Record>)> {
        let place = self.places.get(index as usize)?;
        Some((place.generation, place.record.as_ref()))
    }

    /// The numbers that are given again, the last one first.
    pub(super) fn free(&self) -> &[u32] {
        &self.free
    }

    /// How many numbers were given.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn find(&self, id: &AgentId) -> Option<AgentKey> {
        self.names.get(id).copied()
    }

    /// Who has that number now.
    pub(super) fn key(&self, index: u32) -> Option<AgentKey> {
        let place = self.places.get(index as usize)?;
        place.record.as_ref()?;
        let generation = place.generation;
        Some(AgentKey { index, generation })
    }

    pub(super) fn get(&self, agent: AgentKey) -> Option<&Record> {
        let place = self.places.get(agent.index as usize)?;
        let record = place.record.as_ref();
        record.filter(|_| place.generation == agent.generation)
    }

    pub(super) fn get_mut(&mut self, agent: AgentKey) -> Option<&mut Record> {
        let place = self.places.get_mut(agent.index as usize)?;
        let record = place.record.as_mut();
        record.filter(|_| place.generation == agent.generation)
    }

    /// Changes a verdict, and says which one it was where it was another.
    pub(super) fn decide(
        &mut self,
        agent: AgentKey,
        verdict: FleetVerdict,
        reason: FleetReason,
        now: Moment,
    ) -> Option<FleetVerdict> {
        let before = self.get_mut(agent)?.decide(verdict, reason, now)?;
        self.counts[before as usize] -= 1;
        self.counts[verdict as usize] += 1;
        Some(before)
    }

    pub(super) const fn count(&self, verdict: FleetVerdict) -> usize {
        self.counts[verdict as usize]
    }

    /// All of them, by number.
    pub(super) fn keys(&self) -> Vec<AgentKey> {
        let indexes = 0..u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        indexes.filter_map(|index| self.key(index)).collect()
    }

    /// All of them, by workspace and name.
    pub(super) fn by_name(&self) -> impl Iterator<Item = (&AgentId, AgentKey)> {
        self.names.iter().map(|(id, key)| (&**id, *key))
    }
}

#[cfg(test)]
#[cfg(target_pointer_width = "64")]
mod tests {
    use super::*;
    use crate::fleet::instance::Beat;

    /// What a heartbeat among a million costs is the lines that it waits for.
    #[test]
    fn an_agent_has_three_lines_of_memory_and_a_heartbeat_needs_two() {
        let mut roll = Roll::new(FleetTerms::default());
        let now = Moment::from_nanos(1);
        let (workspace, name) = ("root".to_owned(), "edge-1".to_owned());
        let key = roll.add(AgentId { workspace, name }, now).unwrap();
        let record = roll.get_mut(key).unwrap();
        record.beat(&Beat::of("slot", "1", std::time::Duration::ZERO), None, now);
        let place = &roll.places[0];
        let instances = &place.record.as_ref().unwrap().instances;
        let begin = std::ptr::from_ref(place).addr();
        let second = std::ptr::from_ref(instances).addr() - begin;
        assert_eq!(second, 64, "what is looked at ahead is in the second line");
        let end = std::ptr::from_ref(&instances[0].left).addr() + 1;
        assert!(end - begin <= 2 * 64);
        assert_eq!(size_of::<Place>(), 3 * 64);
    }
}
