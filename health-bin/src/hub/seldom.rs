//! What is told of many, of each once in a while, and of all together within a bound.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::RandomState;
use std::time::Duration;
use std::time::Instant;

/// Of whom was told lately. Names come from the network, so only their hashes are kept.
#[derive(Debug, Default)]
pub(super) struct Seldom {
    hasher: RandomState,
    told: HashMap<u64, Instant>,
    untold: u64,
}

/// The same is told so often at most.
const EVERY: Duration = Duration::from_secs(60);

/// So many are told of within that time: more lines are read by nobody, and whoever makes up names
/// must not fill a disk with them.
const TOLD_MAX: usize = 64;

// === impl Seldom ===

impl Seldom {
    /// Whether to tell of this one now, and then also how many were not told of since the last that
    /// was.
    pub(super) fn tell(&mut self, whom: impl Hash, now: Instant) -> Option<u64> {
        let whom = self.hasher.hash_one(whom);
        let is_fresh = |at: &Instant| now.saturating_duration_since(*at) < EVERY;
        if self.told.len() >= TOLD_MAX {
            self.told.retain(|_, at| is_fresh(at));
        }
        let told = self.told.get(&whom);
        if told.is_some_and(is_fresh) || (told.is_none() && self.told.len() >= TOLD_MAX) {
            self.untold += 1;
            return None;
        }
        self.told.insert(whom, now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_of_once_a_minute_with_how_many_were_not() {
        let start = Instant::now();
        let mut seldom = Seldom::default();
        for (seconds, whom, told) in [
            (0, "alice", Some(0)),
            (1, "alice", None),
            (2, "bob", Some(1)),
            (59, "alice", None),
            (60, "alice", Some(1)),
            (61, "bob", None),
            (500, "bob", Some(1)),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(seldom.tell(whom, now), told, "{whom} at {seconds} s");
        }
    }

    #[test]
    fn whoever_makes_up_names_fills_neither_the_log_nor_the_memory() {
        let start = Instant::now();
        let mut seldom = Seldom::default();
        let told = |seldom: &mut Seldom, seconds| {
            let now = start + Duration::from_secs(seconds);
            let told = (0..1_000).filter_map(|number| seldom.tell((seconds, number), now));
            told.count()
        };
        assert_eq!(told(&mut seldom, 0), TOLD_MAX);
        assert_eq!(told(&mut seldom, 30), 0);
        assert_eq!(told(&mut seldom, 60), TOLD_MAX);
        assert!(seldom.told.len() <= TOLD_MAX);
    }
}
