//! One wake-up an agent, at a price that does not grow with the number of agents.
//!
//! Deadlines move later with each heartbeat, so a timer is filed once and looked at again when it
//! comes: most are then filed anew. They wait in buckets of an eighth of a second; only those of
//! the bucket that is open are in a heap, where they are exact.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::moment::Moment;

/// A bucket is 2^27 ns wide, about 134 ms.
const SHIFT: u32 = 27;

/// 137 s altogether; what is later is looked at once more on its way.
const BUCKETS: u64 = 1024;

/// The agents' timers.
///
/// An agent is known by its index. An entry that is filed for another time than the book says is
/// dead, and goes when its time comes; a deadline that is brought forward leaves one behind.
#[derive(Debug)]
pub(super) struct Timers {
    /// The last bucket that was opened.
    cursor: u64,
    buckets: Box<[Vec<u32>]>,
    /// Which buckets have entries, a bit for each.
    occupied: [u64; (BUCKETS / 64) as usize],
    open: BinaryHeap<Reverse<(Moment, u32)>>,
}

/// What each agent wants and has.
pub(super) trait Book {
    /// When the agent next wants to be woken.
    fn wanted(&self, index: u32) -> Option<Moment>;
    /// For when its timer is filed.
    fn filed(&self, index: u32) -> Option<Moment>;
    /// Remembers that.
    fn set_filed(&mut self, index: u32, at: Option<Moment>);
}

// === impl Timers ===

impl Timers {
    pub(super) fn new() -> Self {
        Self {
            cursor: 0,
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            occupied: [0; (BUCKETS / 64) as usize],
            open: BinaryHeap::new(),
        }
    }

    /// Makes sure that the agent is woken no later than it wants.
    pub(super) fn arm(&mut self, index: u32, book: &mut impl Book) {
        let Some(wanted) = book.wanted(index) else {
            return;
        };
        if book.filed(index).is_none_or(|filed| wanted < filed) {
            self.file(index, wanted, book);
        }
    }

    /// The next agent whose time has come by `now`; its timer is filed no more.
    pub(super) fn pop(&mut self, now: Moment, book: &mut impl Book) -> Option<u32> {
        self.advance(now, book);
        loop {
            let Reverse((at, index)) = *self.open.peek()?;
            if at > now {
                return None;
            }
            self.open.pop();
            if book.filed(index) != Some(at) {
                continue;
            }
            book.set_filed(index, None);
            if book.wanted(index).is_some_and(|wanted| wanted <= now) {
                return Some(index);
            }
            self.arm(index, book);
        }
    }

    /// When to look next.
    pub(super) fn next(&self) -> Option<Moment> {
        let open = self.open.peek().map(|Reverse((at, _))| *at);
        open.or_else(|| {
            let bucket = self.next_occupied(self.cursor + BUCKETS - 1)?;
            Some(Moment::from_nanos(bucket << SHIFT))
        })
    }

    /// How many entries there are, dead ones among them.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len() + self.buckets.iter().map(Vec::len).sum::<usize>()
    }

    /// What is too far away is looked at before.
    fn file(&mut self, index: u32, at: Moment, book: &mut impl Book) {
        let last = self.cursor + BUCKETS - 1;
        let at = at.min(Moment::from_nanos(last << SHIFT));
        let bucket = bucket(at);
        if bucket <= self.cursor {
            self.open.push(Reverse((at, index)));
        } else {
            let place = (bucket % BUCKETS) as usize;
            self.buckets[place].push(index);
            self.occupied[place / 64] |= 1 << (place % 64);
        }
        book.set_filed(index, Some(at));
    }

    /// Opens all buckets up to the one of `now`.
    fn advance(&mut self, now: Moment, book: &mut impl Book) {
        let last = bucket(now);
        while let Some(next) = self.next_occupied(last) {
            self.cursor = next;
            let place = (next % BUCKETS) as usize;
            self.occupied[place / 64] &= !(1 << (place % 64));
            for index in std::mem::take(&mut self.buckets[place]) {
                if book.filed(index).is_some_and(|at| bucket(at) == next) {
                    book.set_filed(index, None);
                    self.arm(index, book);
                }
            }
        }
        self.cursor = self.cursor.max(last);
    }

    /// The first bucket after the cursor, up to `last`, that has entries.
    fn next_occupied(&self, last: u64) -> Option<u64> {
        let last = last.min(self.cursor + BUCKETS - 1);
        let mut bucket = self.cursor + 1;
        while bucket <= last {
            let place = bucket % BUCKETS;
            let word = self.occupied[(place / 64) as usize] >> (place % 64);
            if word == 0 {
                bucket += 64 - place % 64;
            } else {
                bucket += u64::from(word.trailing_zeros());
                return (bucket <= last).then_some(bucket);
            }
        }
        None
    }
}

const fn bucket(at: Moment) -> u64 {
    at.nanos() >> SHIFT
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// Agents that move their deadlines, and a clock.
    struct Rig {
        timers: Timers,
        agents: Agents,
        rung: Vec<(u32, u64)>,
        now: u64,
    }

    /// What each wants, and for when it is filed.
    struct Agents(Vec<[Option<Moment>; 2]>);

    impl Book for Agents {
        fn wanted(&self, index: u32) -> Option<Moment> {
            self.0[index as usize][0]
        }

        fn filed(&self, index: u32) -> Option<Moment> {
            self.0[index as usize][1]
        }

        fn set_filed(&mut self, index: u32, at: Option<Moment>) {
            self.0[index as usize][1] = at;
        }
    }

    impl Rig {
        fn new(agents: usize) -> Self {
            Self {
                timers: Timers::new(),
                agents: Agents(vec![[None; 2]; agents]),
                rung: Vec::new(),
                now: 0,
            }
        }

        fn want(&mut self, agent: u32, at: u64) {
            self.agents.0[agent as usize][0] = Some(Moment::from_nanos(at));
            self.timers.arm(agent, &mut self.agents);
        }

        fn run_to(&mut self, end: u64) {
            while let Some(at) = self.timers.next().filter(|at| at.nanos() <= end) {
                self.now = self.now.max(at.nanos());
                self.ring();
            }
            self.now = end;
            self.ring();
        }

        fn ring(&mut self) {
            let now = Moment::from_nanos(self.now);
            while let Some(index) = self.timers.pop(now, &mut self.agents) {
                self.rung.push((index, self.now));
                self.agents.0[index as usize][0] = None;
            }
        }
    }

    #[test]
    fn a_timer_rings_exactly_however_far_away_it_was() {
        for at in [2, SECOND, 3 * SECOND + 7, 600 * SECOND + 1, 90_000 * SECOND] {
            let mut rig = Rig::new(1);
            rig.want(0, at);
            rig.run_to(at - 1);
            assert_eq!(rig.rung, []);
            rig.run_to(at);
            assert_eq!(rig.rung, [(0, at)]);
        }
    }

    #[test]
    fn a_timer_that_only_moves_later_is_filed_once() {
        let mut rig = Rig::new(1);
        for beat in 0..100 {
            rig.run_to(beat * SECOND);
            rig.want(0, (beat + 30) * SECOND);
            assert_eq!(rig.timers.len(), 1);
        }
        rig.run_to(1_000 * SECOND);
        assert_eq!(rig.rung, [(0, 129 * SECOND)]);
    }

    #[test]
    fn after_a_long_sleep_everything_rings_in_order() {
        let mut rig = Rig::new(3);
        for (agent, at) in [(0, 50), (1, 20), (2, 4000)] {
            rig.want(agent, at * SECOND);
        }
        rig.now = 10_000 * SECOND;
        rig.ring();
        let agents: Vec<_> = rig.rung.iter().map(|(agent, _)| *agent).collect();
        assert_eq!(agents, [1, 0, 2]);
    }

    proptest! {
        #[test]
        fn whatever_agents_want_each_rings_at_its_last_wish(
            steps in prop::collection::vec((0u64..40_000, 0u32..4, 1u64..400_000), 1..80)
        ) {
            let ms = 1_000_000;
            let mut rig = Rig::new(4);
            let mut clock = 0;
            let mut wishes = [None; 4];
            let mut expected = Vec::new();
            for (gap, agent, after) in steps {
                clock += gap * ms;
                rig.run_to(clock);
                for (agent, wish) in wishes.iter_mut().enumerate() {
                    if let Some(at) = wish.take_if(|at| *at <= clock) {
                        expected.push((agent as u32, at));
                    }
                }
                rig.want(agent, clock + after * ms);
                wishes[agent as usize] = Some(clock + after * ms);
            }
            let end = clock + 1_000_000 * ms;
            rig.run_to(end);
            expected.extend(wishes.iter().enumerate().filter_map(|(agent, at)| {
                Some((agent as u32, (*at)?))
            }));
            expected.sort_by_key(|(agent, at)| (*at, *agent));
            rig.rung.sort_by_key(|(agent, at)| (*at, *agent));
            prop_assert_eq!(&rig.rung, &expected);
            prop_assert_eq!(rig.timers.len(), 0);
        }
    }
}
