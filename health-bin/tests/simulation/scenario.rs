//! What one seed stands for: who is there, how they are set, and what befalls them.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use health_heartbeat::HeartbeatConfig;
use health_transport_lease::Objects;
use health_transport_lease::duration_seconds;

use crate::agent::Lane;
use crate::faults;
use crate::faults::Act;
use crate::faults::Fault;
use crate::world::Time;

/// One seed's scenario.
#[derive(Debug, Clone)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) threshold: u32,
    pub(crate) targets: usize,
    pub(crate) agents: Vec<AgentSpec>,
    pub(crate) faults: Vec<Fault>,
    /// When everything is well again.
    pub(crate) heal: Time,
    pub(crate) end: Time,
    /// Whether bodies of requests travel as text.
    pub(crate) codec: bool,
}

/// One agent of it.
#[derive(Debug, Clone)]
pub(crate) struct AgentSpec {
    pub(crate) slot: String,
    pub(crate) target: usize,
    pub(crate) tunnel: bool,
    pub(crate) lease: bool,
    pub(crate) status: bool,
}

/// The SyncTarget is written at most that often.
pub(crate) const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// For the calls and the connections that a beat needs, when nothing is wrong.
pub(crate) const ROUND_TRIPS: Duration = Duration::from_secs(1);

/// Each interval is longer by up to this share.
const JITTER: f64 = 1.04;

// === impl Scenario ===

impl Scenario {
    pub(crate) fn draw(seed: u64) -> Self {
        // Another stream of chance than the run's.
        let mut chance = Rng::with_seed(seed ^ 0x5eed_5eed_5eed_5eed);
        let interval = Duration::from_secs([10, 10, 10, 5, 2, 20][chance.usize(..6)]);
        let agents = draw_agents(&mut chance);
        let mut scenario = Self {
            seed,
            interval,
            timeout: interval.mul_f64([2.0, 3.0, 3.0, 4.5][chance.usize(..4)]),
            threshold: chance.u32(1..=4),
            targets: agents.iter().map(|it| it.target + 1).max().unwrap_or(1),
            agents,
            faults: Vec::new(),
            heal: interval * chance.u32(15..=40),
            end: Time::ZERO,
            codec: chance.u8(..4) == 0,
        };
        scenario.faults = faults::draw(&scenario, &mut chance);
        scenario.end = scenario.heal + scenario.quiet();
        scenario
    }

    /// Two agents with both transports and a hub, to which nothing happens: what is measured.
    pub(crate) fn calm(duration: Duration) -> Self {
        let agent = |target: usize| AgentSpec {
            slot: format!("pod-{target}"),
            target,
            tunnel: true,
            lease: true,
            status: false,
        };
        Self {
            seed: 1,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            threshold: 3,
            targets: 2,
            agents: vec![agent(0), agent(1)],
            faults: Vec::new(),
            heal: Time::ZERO,
            end: duration,
            codec: false,
        }
    }

    pub(crate) fn config(&self) -> HeartbeatConfig {
        let config = HeartbeatConfig::new(self.interval, self.timeout, self.threshold);
        let bounded =
            config.and_then(|it| it.with_interval_bounds(self.interval / 2, self.interval * 2));
        bounded.expect("every scenario's configuration is valid")
    }

    pub(crate) fn objects(&self) -> Vec<Objects> {
        let objects = |target| Objects {
            namespace: "default".to_owned(),
            lease: format!("edge-{target}-heartbeat"),
            target: format!("edge-{target}"),
        };
        (0..self.targets).map(objects).collect()
    }

    /// How long a holder that is silent is believed, at most: the hub may double the interval.
    pub(crate) fn lease_duration(&self) -> Duration {
        Duration::from_secs(duration_seconds(self.timeout * 2).unsigned_abs().into())
    }

    /// When a transport works again, counted from the healing or from the end of a Retry-After.
    ///
    /// Two intervals with their jitter: the attempt that hangs from before is dropped at the end of
    /// its own interval at the latest, and the first one of the next interval arrives. The tunnel
    /// has to be dialed again first: its backoff is capped at one interval, and the beat that
    /// finds out that it is broken takes one. The SyncTarget's status is written by the Lease's
    /// holder only, every other interval, and not more often than every five seconds.
    pub(crate) fn recovery(&self, lane: Lane, interval: Duration) -> Duration {
        let two = interval.mul_f64(2.0 * JITTER) + ROUND_TRIPS;
        match lane {
            Lane::Lease => two,
            Lane::Tunnel => two + interval,
            Lane::Status => two + (self.interval * 2).mul_f64(2.0 * JITTER) + MIN_INTERVAL,
        }
    }

    /// When the Lease of a dead holder is another's, counted as above: the other one sees it at
    /// its next beat, waits for its duration, and beats once more.
    pub(crate) fn takeover(&self) -> Duration {
        self.lease_duration() + (self.interval * 2).mul_f64(3.0 * JITTER) + ROUND_TRIPS
    }

    /// Whether every agent has a tunnel and is Suspect before any other's allowance is over, so
    /// that a hub that hears nobody must notice.
    pub(crate) fn mass_is_sure(&self) -> bool {
        let told = |fault: &Fault| matches!(fault.act, Act::HubTerms(_));
        self.agents.iter().all(|agent| agent.tunnel)
            && self.timeout >= self.interval * 3
            && !self.faults.iter().any(told)
    }

    fn quiet(&self) -> Duration {
        // A Retry-After may last for half a timeout, a hub's refusal for 20 s, a first sight for
        // 90 s, and twice that where the hub doubts itself.
        let longest = self
            .takeover()
            .max(self.recovery(Lane::Status, self.interval * 2));
        let first_sight = Duration::from_secs(2 * 90).max(self.timeout * 4);
        longest + self.timeout + first_sight + self.interval * 3
    }
}

/// Two to five agents: some of them two slots of one target, each with a tunnel, a Lease or both.
fn draw_agents(chance: &mut Rng) -> Vec<AgentSpec> {
    let count = chance.usize(2..=5);
    let mut agents = Vec::new();
    let mut target = 0;
    while agents.len() < count {
        let pair = agents.len() + 2 <= count && chance.bool();
        let (tunnel, lease) = [(true, true), (true, false), (false, true)][chance.usize(..3)];
        let lease = lease || pair;
        let status = lease && chance.u8(..3) == 0;
        for slot in 0..=usize::from(pair) {
            agents.push(AgentSpec {
                slot: format!("pod-{target}-{slot}"),
                target,
                tunnel,
                lease,
                status,
            });
        }
        target += 1;
    }
    agents
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: interval {:?}, timeout {:?}, threshold {}, {} faults, \
             heals at {:?}, ends at {:?}",
            self.seed,
            self.interval,
            self.timeout,
            self.threshold,
            self.faults.len(),
            self.heal,
            self.end
        )?;
        for agent in &self.agents {
            let lanes: Vec<_> = agent.lanes().collect();
            write!(f, "; {} for edge-{} {lanes:?}", agent.slot, agent.target)?;
        }
        Ok(())
    }
}

// === impl AgentSpec ===

impl AgentSpec {
    pub(crate) fn lanes(&self) -> impl Iterator<Item = Lane> + use<> {
        let lanes = [
            (self.tunnel, Lane::Tunnel),
            (self.lease, Lane::Lease),
            (self.status, Lane::Status),
        ];
        lanes
            .into_iter()
            .filter_map(|(has, lane)| has.then_some(lane))
    }
}
