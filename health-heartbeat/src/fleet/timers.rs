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

/// So many entries of a bucket are looked at together: their lines are in the nearest cache still
/// when each is opened.
const AHEAD: usize = 128;

/// The agents' timers.
///
/// An agent is known by its index. What each wants stands in one dense table, so that looking at a
/// timer again costs no look at its agent. An entry that is filed for another time than the table
/// says is dead, and goes when its time comes; a deadline that is brought forward leaves one behind.
#[derive(Debug)]
pub(super) struct Timers {
    alarms: Vec<Alarm>,
    /// The last bucket that was opened.
    cursor: u64,
    buckets: Box<[Vec<u32>]>,
    /// Which buckets have entries, a bit for each.
    occupied: [u64; (BUCKETS / 64) as usize],
    open: BinaryHeap<Reverse<(Moment, u32)>>,
    /// The entries of the bucket that is being opened; kept for its room.
    opening: Vec<u32>,
    /// How often a timer was filed: what is done once shows here where it is done again and again.
    #[cfg(test)]
    filings: u64,
}

/// One agent's timer.
#[derive(Debug, Clone, Copy, Default)]
struct Alarm {
    /// When it wants to be woken.
    wanted: Option<Moment>,
    /// For when its timer is filed, which is no later.
    filed: Option<Moment>,
}

// === impl Timers ===

impl Timers {
    pub(super) fn new() -> Self {
        Self {
            alarms: Vec::new(),
            cursor: 0,
            buckets: (0..BUCKETS).map(|_| Vec::new()).collect(),
            occupied: [0; (BUCKETS / 64) as usize],
            open: BinaryHeap::new(),
            opening: Vec::new(),
            #[cfg(test)]
            filings: 0,
        }
    }

    /// From now on the agent wants to be woken then, or not at all.
    pub(super) fn set(&mut self, index: u32, wanted: Option<Moment>) {
        let place = index as usize;
        if place >= self.alarms.len() {
            self.alarms.resize_with(place + 1, Alarm::default);
        }
        let alarm = &mut self.alarms[place];
        alarm.wanted = wanted;
        if let Some(wanted) = wanted
            && alarm.filed.is_none_or(|filed| wanted < filed)
        {
            self.file(index, wanted);
        }
    }

    /// Reads something of an agent's line of the table, for nothing but to have read it; see
    /// [`Fleet::look_ahead`](super::Fleet::look_ahead).
    pub(super) fn look(&self, index: u32) -> u64 {
        let alarm = self.alarms.get(index as usize);
        alarm.map_or(0, |alarm| alarm.wanted.map_or(0, Moment::nanos))
    }

    /// The next agent whose time has come by `now`, in the order of their times and numbers; it has
    /// no timer then.
    pub(super) fn pop(&mut self, now: Moment) -> Option<u32> {
        self.advance(now);
        loop {
            let Reverse((at, index)) = *self.open.peek()?;
            if at > now {
                return None;
            }
            self.open.pop();
            let alarm = &mut self.alarms[index as usize];
            if alarm.filed != Some(at) {
                continue;
            }
            alarm.filed = None;
            match alarm.wanted {
                Some(wanted) if wanted <= at => {
                    alarm.wanted = None;
                    return Some(index);
                }
                // Who is due later waits for its turn: the order is that of the deadlines, whatever
                // each timer was filed for before.
                Some(wanted) => self.file(index, wanted),
                None => {}
            }
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
    fn file(&mut self, index: u32, at: Moment) {
        #[cfg(test)]
        {
            self.filings += 1;
            assert!(
                self.filings < 10_000_000,
                "timers are filed again and again"
            );
        }
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
        self.alarms[index as usize].filed = Some(at);
    }

    /// Opens all buckets up to the one of `now`.
    fn advance(&mut self, now: Moment) {
        let last = bucket(now);
        if last.saturating_sub(self.cursor) >= BUCKETS {
            return self.skip_to(last);
        }
        while let Some(next) = self.next_occupied(last) {
            self.cursor = next;
            let place = (next % BUCKETS) as usize;
            self.occupied[place / 64] &= !(1 << (place % 64));
            let mut opening = std::mem::take(&mut self.opening);
            std::mem::swap(&mut opening, &mut self.buckets[place]);
            for some in opening.chunks(AHEAD) {
                let look = some.iter().map(|index| self.look(*index));
                std::hint::black_box(look.fold(0, u64::wrapping_add));
                for index in some {
                    let alarm = &mut self.alarms[*index as usize];
                    if alarm.filed.is_none_or(|at| bucket(at) != next) {
                        continue;
                    }
                    alarm.filed = None;
                    if let Some(wanted) = alarm.wanted {
                        self.file(*index, wanted);
                    }
                }
            }
            opening.clear();
            self.opening = opening;
        }
        self.cursor = self.cursor.max(last);
    }

    /// Opens all buckets at once, where so much time has passed that all have come: to walk there in
    /// steps of 137 s would hold up a fleet that has run for months and files its timers anew.
    fn skip_to(&mut self, last: u64) {
        let before = std::mem::replace(&mut self.cursor, last);
        self.occupied = [0; (BUCKETS / 64) as usize];
        let mut opening = std::mem::take(&mut self.opening);
        for bucket in &mut self.buckets {
            opening.append(bucket);
        }
        for index in opening.drain(..) {
            let alarm = &mut self.alarms[index as usize];
            // Those of the bucket that was open are in the heap.
            if alarm.filed.is_none_or(|at| bucket(at) <= before) {
                continue;
            }
            alarm.filed = None;
            if let Some(wanted) = alarm.wanted {
                self.file(index, wanted);
            }
        }
        self.opening = opening;
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
        rung: Vec<(u32, u64)>,
        now: u64,
    }

    impl Rig {
        fn new() -> Self {
            Self {
                timers: Timers::new(),
                rung: Vec::new(),
                now: 0,
            }
        }

        fn want(&mut self, agent: u32, at: u64) {
            self.timers.set(agent, Some(Moment::from_nanos(at)));
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
            while let Some(index) = self.timers.pop(now) {
                self.rung.push((index, self.now));
            }
        }
    }

    /// A replay files its timers anew, and must wake its agents in the same order.
    #[test]
    fn the_earlier_deadline_rings_first_whatever_the_timers_were_filed_for() {
        let mut rig = Rig::new();
        rig.want(0, SECOND);
        rig.run_to(SECOND - 1);
        rig.want(0, 5 * SECOND);
        rig.want(1, 3 * SECOND);
        rig.now = 6 * SECOND;
        rig.ring();
        assert_eq!(rig.rung, [(1, 6 * SECOND), (0, 6 * SECOND)]);
    }

    #[test]
    fn a_timer_rings_exactly_however_far_away_it_was() {
        for at in [2, SECOND, 3 * SECOND + 7, 600 * SECOND + 1, 90_000 * SECOND] {
            let mut rig = Rig::new();
            rig.want(0, at);
            rig.run_to(at - 1);
            assert_eq!(rig.rung, []);
            rig.run_to(at);
            assert_eq!(rig.rung, [(0, at)]);
        }
    }

    #[test]
    fn a_timer_that_only_moves_later_is_filed_once() {
        let mut rig = Rig::new();
        for beat in 0..100 {
            rig.run_to(beat * SECOND);
            rig.want(0, (beat + 30) * SECOND);
            assert_eq!(rig.timers.len(), 1);
        }
        rig.run_to(1_000 * SECOND);
        assert_eq!(rig.rung, [(0, 129 * SECOND)]);
    }

    #[test]
    fn who_wants_nothing_any_more_is_not_woken() {
        let mut rig = Rig::new();
        rig.want(0, 30 * SECOND);
        rig.timers.set(0, None);
        rig.run_to(100 * SECOND);
        assert_eq!((rig.rung.len(), rig.timers.len()), (0, 0));
    }

    #[test]
    fn after_a_long_sleep_everything_rings_in_order() {
        let mut rig = Rig::new();
        for (agent, at) in [(0, 50), (1, 20), (2, 4000)] {
            rig.want(agent, at * SECOND);
        }
        rig.now = 10_000 * SECOND;
        rig.ring();
        let agents: Vec<_> = rig.rung.iter().map(|(agent, _)| *agent).collect();
        assert_eq!(agents, [1, 0, 2]);
    }

    /// What is saved of a hub may have any time, and a fleet that stood still files its timers as if
    /// its time began: neither is walked through in steps.
    #[test]
    fn a_sleep_of_centuries_is_one_look_at_each_timer() {
        const YEAR: u64 = 365 * 86_400 * SECOND;
        let mut rig = Rig::new();
        for (agent, at) in [
            (0, 500 * YEAR),
            (1, 20 * SECOND),
            (2, 300 * YEAR),
            (3, 501 * YEAR),
        ] {
            rig.want(agent, at);
        }
        rig.now = 500 * YEAR;
        rig.ring();
        let agents: Vec<_> = rig.rung.iter().map(|(agent, _)| *agent).collect();
        assert_eq!(agents, [1, 2, 0]);
        assert_eq!(rig.timers.filings, 8);
    }

    proptest! {
        #[test]
        fn whatever_agents_want_each_rings_at_its_last_wish(
            steps in prop::collection::vec((0u64..40_000, 0u32..4, 1u64..400_000), 1..80)
        ) {
            let ms = 1_000_000;
            let mut rig = Rig::new();
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
