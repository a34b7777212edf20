//! How many may dial in, and when the others may come back, as a pure decision.

use std::collections::HashMap;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::AgentId;

/// Counts those who dial in with credentials that hold.
///
/// Whoever is refused here is told a time that nobody else is told: those who are refused together
/// come back as fast as the hub takes them, and no faster.
#[derive(Debug)]
pub(super) struct Pressure {
    dials: Bucket,
    /// Those who were told to come back and have not yet, as far as one can know.
    away: Bucket,
    agents: HashMap<AgentId, Bucket>,
    chance: fastrand::Rng,
}

/// What becomes of a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It goes on.
    Go,
    /// Too many dial in; this one comes back after that time.
    Busy(Duration),
    /// This one dials in too often; it comes back after that time.
    TooOften(Duration),
}

/// Tokens that come back with time.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What fills a bucket.
#[derive(Debug, Clone, Copy)]
struct Rate {
    a_second: f64,
    burst: f64,
}

/// Dials that the hub takes: a TLS handshake costs up to a millisecond of one core, and heartbeats
/// need that core too.
pub(super) const DIALS_A_SECOND: u32 = 1_000;

const DIALS: Rate = Rate {
    a_second: DIALS_A_SECOND as f64,
    burst: 2.0 * DIALS_A_SECOND as f64,
};

/// Dials of one agent: it backs off by itself up to its interval, so this is one that restarts all
/// the time, or two that throw each other out.
const AGENT: Rate = Rate {
    a_second: 1.0,
    burst: 20.0,
};

/// The agents that are remembered: at the rate of [`DIALS`] a bucket is full again before as many
/// others can have dialled, so this is never reached by those who let it go full.
const AGENTS_MAX: usize = 40_000;

/// When to come back to a hub that has its hands full, at the earliest.
const BUSY_AWAY: Duration = Duration::from_secs(1);

/// When to come back to a hub that has no place, at the earliest; up to twice of it at the latest.
const FULL_AWAY: Duration = Duration::from_secs(10);

/// Those who may come in, but not all at once, do so within this time: half of the timeout that
/// agents have by default.
const AWAY_MAX: Duration = Duration::from_secs(15);

// === impl Pressure ===

impl Pressure {
    pub(super) fn new(seed: u64, now: Instant) -> Self {
        Self {
            dials: Bucket::full(DIALS, now),
            away: Bucket::full(DIALS, now),
            agents: HashMap::new(),
            chance: fastrand::Rng::with_seed(seed),
        }
    }

    /// An agent dials in; one whose name comes only later counts among all of them.
    pub(super) fn dial(&mut self, agent: &AgentId, now: Instant) -> Pace {
        if !agent.name.is_empty() && !self.may_dial(agent, now) {
            return Pace::TooOften(self.between(FULL_AWAY / 2, FULL_AWAY));
        }
        if self.dials.take(DIALS, now) {
            return Pace::Go;
        }
        // So many wait already: the next one has its turn after them.
        let waiting = self.away.owe(DIALS, now);
        let turn = Duration::from_secs_f64(waiting / DIALS.a_second);
        Pace::Busy(if turn < AWAY_MAX {
            self.between(BUSY_AWAY + turn, BUSY_AWAY * 2 + turn)
        } else {
            self.between(BUSY_AWAY, AWAY_MAX)
        })
    }

    fn may_dial(&mut self, agent: &AgentId, now: Instant) -> bool {
        if let Some(bucket) = self.agents.get_mut(agent) {
            return bucket.take(AGENT, now);
        }
        if self.agents.len() >= AGENTS_MAX {
            self.agents.retain(|_, bucket| !bucket.is_full(AGENT, now));
        }
        // Where there is no room the rate of all holds this one.
        if self.agents.len() < AGENTS_MAX {
            let mut bucket = Bucket::full(AGENT, now);
            bucket.tokens -= 1.0;
            self.agents.insert(agent.clone(), bucket);
        }
        true
    }

    /// When to come back to a hub whose places are all taken.
    pub(super) fn full(&mut self) -> Duration {
        self.between(FULL_AWAY, FULL_AWAY * 2)
    }

    /// When each of `tunnels` may come back after the hub has ended: spread over as long as another
    /// hub needs to take them all, each at a time of its own.
    pub(super) fn drain(&mut self, tunnels: usize) -> impl Iterator<Item = Duration> {
        let window = drain_window(tunnels).as_secs_f64();
        let each = window / tunnels.max(1) as f64;
        (0..tunnels).map(move |number| {
            let chance = self.chance.f64();
            DRAIN_FIRST + Duration::from_secs_f64(each * (number as f64 + chance))
        })
    }

    fn between(&mut self, from: Duration, to: Duration) -> Duration {
        from + (to - from).mul_f64(self.chance.f64())
    }
}

/// The next hub needs a moment to be there.
const DRAIN_FIRST: Duration = Duration::from_secs(1);

/// How long it takes until all tunnels of a hub that ends have come back: at half the rate that the
/// next one takes, as long as that is over within half a timeout.
pub(super) fn drain_window(tunnels: usize) -> Duration {
    let seconds = 2.0 * tunnels as f64 / DIALS.a_second;
    Duration::from_secs_f64(seconds).clamp(Duration::from_secs(1), AWAY_MAX)
}

// === impl Bucket ===

impl Bucket {
    const fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: rate.burst,
            at: now,
        }
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        let there = self.tokens >= 1.0;
        if there {
            self.tokens -= 1.0;
        }
        there
    }

    /// Takes one that is not there, and gives how many are owed now.
    fn owe(&mut self, rate: Rate, now: Instant) -> f64 {
        self.fill(rate, now);
        self.tokens -= 1.0;
        rate.burst - self.tokens
    }

    fn is_full(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        self.tokens >= rate.burst
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now.max(self.at);
        self.tokens = (self.tokens + passed * rate.a_second).min(rate.burst);
    }
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use super::*;

    /// remotedialer and the TMC syncer come back after a fixed time, all at once; here it is a whole
    /// fleet that a hub meets when it starts.
    #[test]
    fn pitfall_44_a_fleet_that_dials_at_once_is_let_in_at_the_hub_s_own_rate() {
        let start = Instant::now();
        let mut pressure = Pressure::new(1, start);
        let mut dials: BinaryHeap<_> = (0..15_000).map(|n| Reverse((Duration::ZERO, n))).collect();
        let mut in_each_second = [0_u32; 60];
        while let Some(Reverse((at, number))) = dials.pop() {
            match pressure.dial(&agent(number), start + at) {
                Pace::Go => {}
                Pace::Busy(away) => {
                    assert!(away >= Duration::from_secs(1), "{away:?}");
                    dials.push(Reverse((at + away, number)));
                    in_each_second[usize::try_from((at + away).as_secs()).unwrap()] += 1;
                }
                Pace::TooOften(_) => panic!("{number} came back when it was told to"),
            }
        }
        let peak = in_each_second.iter().max().unwrap();
        assert!(*peak <= DIALS_A_SECOND * 5 / 4, "{in_each_second:?}");
        let last = in_each_second.iter().rposition(|count| *count > 0).unwrap();
        assert!(last <= 30, "{in_each_second:?}");
    }

    #[test]
    fn an_agent_that_dials_all_the_time_is_told_to_wait_and_harms_no_other() {
        let start = Instant::now();
        let mut pressure = Pressure::new(1, start);
        let mut let_in = 0;
        for dial in 0..1_000 {
            match pressure.dial(&agent(1), start + Duration::from_millis(10 * dial)) {
                Pace::Go => let_in += 1,
                Pace::TooOften(away) => assert!(away >= FULL_AWAY / 2, "{away:?}"),
                Pace::Busy(_) => panic!("nobody else is there"),
            }
        }
        assert!((20..=31).contains(&let_in), "{let_in}");
        assert_eq!(pressure.dial(&agent(2), start), Pace::Go);
    }

    #[test]
    fn who_is_refused_together_does_not_come_back_together() {
        let mut pressure = Pressure::new(7, Instant::now());
        let mut full: Vec<_> = (0..100).map(|_| pressure.full()).collect();
        full.sort();
        full.dedup();
        assert_eq!(full.len(), 100);
        assert!(
            full.iter()
                .all(|away| (FULL_AWAY..=FULL_AWAY * 2).contains(away))
        );
    }

    /// The other end of it: a hub that stops.
    #[test]
    fn pitfall_44_a_hub_that_ends_sends_its_agents_back_one_after_the_other() {
        let mut pressure = Pressure::new(1, Instant::now());
        for tunnels in [1, 10, 1_000, 15_000] {
            let away: Vec<_> = pressure.drain(tunnels).collect();
            let last = DRAIN_FIRST + drain_window(tunnels);
            assert_eq!(away.len(), tunnels);
            assert!(away.is_sorted() && away[0] >= DRAIN_FIRST);
            assert!(*away.last().unwrap() <= last, "{tunnels}: {away:?}");
            let mut in_each_second = [0_u32; 20];
            for away in away {
                in_each_second[usize::try_from(away.as_secs()).unwrap()] += 1;
            }
            let peak = in_each_second.iter().max().unwrap();
            assert!(*peak <= DIALS_A_SECOND + 1, "{tunnels}: {in_each_second:?}");
        }
        assert_eq!(pressure.drain(0).count(), 0);
        assert_eq!(drain_window(1_000_000), AWAY_MAX);
    }

    #[test]
    fn what_is_remembered_of_agents_is_bounded() {
        let start = Instant::now();
        let mut pressure = Pressure::new(1, start);
        for number in 0..2 * AGENTS_MAX {
            let at = start + Duration::from_millis(number as u64);
            let _ = pressure.dial(&agent(number), at);
            assert!(pressure.agents.len() <= AGENTS_MAX);
        }
    }

    #[test]
    fn the_same_seed_says_the_same() {
        let now = Instant::now();
        let told = |seed| {
            let mut pressure = Pressure::new(seed, now);
            let told: Vec<_> = pressure.drain(9).collect();
            told
        };
        assert_eq!(told(3), told(3));
        assert_ne!(told(3), told(4));
    }

    fn agent(number: usize) -> AgentId {
        AgentId {
            workspace: String::new(),
            name: format!("edge-{number}"),
        }
    }
}
