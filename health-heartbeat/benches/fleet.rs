//! What a heartbeat and an agent cost the fleet's machine, with a million of them. Run it with
//! `cargo bench -p health-heartbeat --bench fleet`.

#![expect(
    clippy::disallowed_methods,
    reason = "a measuring program reads the clock and its own memory"
)]

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use health_core::HealthStatus;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::Evidence;
use health_heartbeat::Fleet;
use health_heartbeat::FleetOutput;
use health_heartbeat::FleetTerms;
use health_heartbeat::FleetVerdict;
use health_heartbeat::FlightLimits;
use health_heartbeat::TunnelId;
use health_heartbeat::wire::HeartbeatPayload;

use support::Row;

#[path = "../../health-checks/benches/support.rs"]
mod support;

const AGENTS: usize = 1_000_000;

/// Each beats once in ten seconds, as by default.
const INTERVAL: Duration = Duration::from_secs(10);

/// So many rounds are one timeout, in which each agent's timer is looked at again once.
const ROUNDS: usize = 3;

/// So many rounds fill a few halves of a recorder.
const ROUNDS_RECORDED: usize = 10;

/// How many times each thing is measured, of which the best counts: who else uses the machine can
/// only add to what it takes.
const TURNS: usize = 10;

/// The machine is woken once in so many heartbeats, if something is due: a hundred a millisecond
/// come in, and a driver takes what has come at once.
const BATCH: usize = 100;

fn main() {
    if !support::is_asked_for() {
        return;
    }
    let before = resident();
    let mut world = World::new(AGENTS, None);
    world.round();
    let with_names = resident() - before - AGENTS * size_of::<(AgentKey, TunnelId)>();
    let before = resident();
    let names: Vec<_> = (0..AGENTS).map(names).collect();
    let of_names = resident() - before - AGENTS * size_of::<(Arc<AgentId>, Box<str>)>();
    drop(names);
    let bytes = with_names - of_names;
    let took = best(|| world.rounds(ROUNDS));
    Row::new("a heartbeat, 1,000,000 agents", took, "ns")
        .beside("a look-up in a map of them", look_up(&mut world.chance))
        .budget("≤ 150")
        .print();
    Row::new(
        "memory an agent, its names apart",
        bytes as f64 / AGENTS as f64,
        "B",
    )
    .beside("its names", of_names as f64 / AGENTS as f64)
    .budget("≤ 300")
    .print();
    world.die();
    recorded();
}

/// The best of all turns.
fn best(mut turn: impl FnMut() -> f64) -> f64 {
    (0..TURNS).map(|_| turn()).fold(f64::INFINITY, f64::min)
}

/// What it costs that a fleet keeps its last inputs; the copies of the fleet that come with it are
/// in it. Both are measured in turns.
fn recorded() {
    let limits = FlightLimits::default();
    let mut worlds = [None, Some(limits)].map(|recorder| World::new(limits.agents_max, recorder));
    let [mut plain, mut recorded] = [f64::INFINITY; 2];
    for _ in 0..TURNS {
        let [one, other] = &mut worlds;
        plain = plain.min(one.rounds(ROUNDS_RECORDED));
        recorded = recorded.min(other.rounds(ROUNDS_RECORDED));
    }
    Row::new(
        "a heartbeat that is recorded, 20,000 agents",
        recorded,
        "ns",
    )
    .beside("one that is not", plain)
    .print();
}

struct World {
    fleet: Fleet,
    /// Each with its tunnel.
    order: Vec<(AgentKey, TunnelId)>,
    chance: Rng,
    now: Instant,
    convicted: usize,
}

// === impl World ===

impl World {
    fn new(agents: usize, recorder: Option<FlightLimits>) -> Self {
        let now = Instant::now();
        let mut fleet = Fleet::new(FleetTerms::default(), now);
        if let Some(limits) = recorder {
            fleet = fleet.with_recorder(limits);
        }
        let admit = |number| {
            let agent = fleet.admit(id(number), now).expect("there is room");
            (agent, TunnelId(number as u64))
        };
        // A round's order is the next one's too, with jitter: an agent beats every ten seconds or
        // so.
        let mut order: Vec<_> = (0..agents).map(admit).collect();
        let mut chance = Rng::with_seed(1);
        chance.shuffle(&mut order);
        Self {
            fleet,
            order,
            chance,
            now,
            convicted: 0,
        }
    }

    /// What a heartbeat costs, in nanoseconds.
    fn rounds(&mut self, rounds: usize) -> f64 {
        let began = processor_nanos();
        for _ in 0..rounds {
            self.round();
        }
        let took = (processor_nanos() - began) / (rounds * self.order.len()) as f64;
        assert_eq!(self.convicted, 0, "nobody who beats is convicted");
        assert_eq!(self.fleet.count(FleetVerdict::Alive), self.order.len());
        took
    }

    /// Every agent beats once, within one interval.
    fn round(&mut self) {
        let mut payload = payload();
        // Where an agent's next beat is early or late by the jitter, its neighbours' are too.
        let agents = self.order.len();
        for _ in 0..agents / 100 {
            let (one, other) = (
                self.chance.usize(..agents),
                self.chance.usize(..agents / 25),
            );
            self.order.swap(one, (one + other) % agents);
        }
        let order = std::mem::take(&mut self.order);
        for batch in order.chunks(BATCH) {
            self.now += INTERVAL / (agents / BATCH) as u32;
            self.fleet.look_ahead(batch.iter().map(|(agent, _)| *agent));
            for (agent, tunnel) in batch {
                payload.sequence += 1;
                let evidence = Evidence::Heartbeat {
                    tunnel: *tunnel,
                    payload: &payload,
                    skew_ms: Some(3),
                };
                self.fleet.evidence(*agent, evidence, self.now);
            }
            self.wake();
        }
        self.order = order;
    }

    fn wake(&mut self) {
        if self.fleet.poll_timeout().is_some_and(|at| at <= self.now) {
            self.fleet.handle_timeout(self.now);
        }
        while let Some(output) = self.fleet.poll() {
            if let FleetOutput::Verdict { verdict, .. } = output {
                self.convicted += usize::from(verdict == FleetVerdict::Lost);
            }
        }
    }

    /// All of them fall silent: what a verdict costs.
    fn die(&mut self) {
        let began = processor_nanos();
        let end = self.now + Duration::from_secs(70);
        while self.now < end {
            self.now += Duration::from_millis(1);
            self.wake();
        }
        assert_eq!(self.convicted, AGENTS, "everybody is silent");
        let took = (processor_nanos() - began) / AGENTS as f64;
        // Suspect, held back since all of them are, and Lost: three wake-ups each.
        Row::new("a silence from its beginning to its verdict", took, "ns").print();
    }
}

/// What any machine pays that finds an agent's record among a million by its number.
fn look_up(chance: &mut Rng) -> f64 {
    let map: std::collections::HashMap<u64, [u64; 32]> =
        (0..AGENTS as u64).map(|key| (key, [key; 32])).collect();
    let keys: Vec<_> = (0..AGENTS).map(|_| chance.u64(..AGENTS as u64)).collect();
    best(|| {
        let began = processor_nanos();
        let sum: u64 = keys
            .iter()
            .map(|key| map[key][7])
            .fold(0, u64::wrapping_add);
        std::hint::black_box(sum);
        (processor_nanos() - began) / AGENTS as f64
    })
}

fn id(number: usize) -> AgentId {
    AgentId {
        workspace: format!("root:org:team-{}", number % 1000),
        name: format!("edge-{number}"),
    }
}

/// What every hub has to keep of an agent's names, and of its instance's.
fn names(number: usize) -> (Arc<AgentId>, Box<str>) {
    let HeartbeatPayload {
        slot, incarnation, ..
    } = payload();
    (Arc::new(id(number)), format!("{slot}_{incarnation}").into())
}

fn payload() -> HeartbeatPayload {
    HeartbeatPayload {
        slot: "9b2c52f4-1c09-4c7e-8f0d-5d1b0c7f3a10".to_owned(),
        incarnation: "1a6f0c52e3a14b8f9d2e7c6b5a493827".to_owned(),
        sequence: 0,
        interval_seconds: INTERVAL.as_secs_f64(),
        timeout_seconds: 30.0,
        status: HealthStatus::Healthy,
        report_age_seconds: 1.0,
        deciding: Vec::new(),
    }
}

/// The time that this process, which has one thread, has had of a processor.
fn processor_nanos() -> f64 {
    let schedstat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos = schedstat.split(' ').next().and_then(|it| it.parse().ok());
    nanos.unwrap_or(f64::NAN)
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0) * 4096
}
