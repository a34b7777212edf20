//! A fleet that is told everything that can be told, at random.

use std::time::Duration;
use std::time::Instant;

use fastrand::Rng;
use health_core::HealthStatus;

use crate::AgentId;
use crate::AgentKey;
use crate::Change;
use crate::Channel;
use crate::Confirmation;
use crate::Evidence;
use crate::Fleet;
use crate::FleetOutput;
use crate::FleetTerms;
use crate::FleetVerdict;
use crate::Flight;
use crate::FlightLimits;
use crate::HolderIdentity;
use crate::LeaseSight;
use crate::TunnelId;
use crate::epoch::epoch;
use crate::wire::HeartbeatPayload;

/// A fleet that is told everything that can be told, at random.
pub(super) struct Pilot {
    pub(super) fleet: Fleet,
    pub(super) start: Instant,
    now: Instant,
    chance: Rng,
    known: Vec<AgentKey>,
    open: Vec<(AgentKey, TunnelId)>,
    tunnels: u64,
    pub(super) told: Vec<(Instant, FleetOutput)>,
    pub(super) recorded: usize,
}

impl Pilot {
    pub(super) fn new(seed: u64, limits: FlightLimits) -> Self {
        let start = epoch();
        let terms = FleetTerms {
            forget_after: Duration::from_secs(100),
            agents_max: 12,
            ..FleetTerms::default()
        };
        Self {
            fleet: Fleet::new(terms, start).with_recorder(limits),
            start,
            now: start,
            chance: Rng::with_seed(seed),
            known: Vec::new(),
            open: Vec::new(),
            tunnels: 0,
            told: Vec::new(),
            recorded: 0,
        }
    }

    pub(super) fn step(&mut self) {
        let pass = self.chance.u64(0..6_000_000_000);
        self.wake(self.now + Duration::from_nanos(pass));
        let agent = self
            .known
            .get(self.chance.usize(0..=self.known.len().max(1)))
            .copied();
        self.recorded += 1;
        match (agent, self.chance.u8(0..32)) {
            (None, _) | (_, 0) => {
                let id = id(self.chance.usize(0..15));
                let had = self.fleet.find(&id).is_some();
                let key = self.fleet.admit(id, self.now);
                self.recorded -= usize::from(had);
                self.known
                    .extend(key.filter(|key| !self.known.contains(key)));
            }
            (Some(agent), 1) => self.fleet.expect(agent),
            (Some(agent), 2) => self.retire(agent),
            (Some(agent), 3) => {
                let channel = self.chance_of(Channel::ALL);
                self.fleet.gone(agent, channel);
            }
            (Some(agent), 4..10) => self.open(agent),
            (Some(agent), 10..13) => self.end(agent),
            (Some(agent), 25) => self.leave(agent),
            (Some(agent), 13..18) => self.lease(agent),
            (Some(agent), 18..20) => {
                let change = self.chance_of([Change::First, Change::Renewed]);
                self.see(agent, Evidence::SyncTarget { change });
            }
            (Some(agent), 20..23) => {
                let said = self.chance_of([Confirmation::Silent, Confirmation::Failed]);
                self.fleet.confirmed(agent, said, self.now);
            }
            (_, 23) => {
                let pause = Duration::from_millis(self.chance.u64(0..100_000));
                self.fleet.paused(pause, self.now);
            }
            (_, 24) if self.chance.bool() => self.fleet.take_over(self.now),
            (Some(agent), _) => self.beat(agent),
        }
        self.drain();
    }

    /// Time passes, and the loop wakes up late sometimes.
    fn wake(&mut self, end: Instant) {
        while let Some(at) = self.fleet.poll_timeout().filter(|at| *at <= end) {
            let late = Duration::from_millis(self.chance.u64(0..3_000));
            self.now = self
                .now
                .max(at + late * u32::from(self.chance.u8(0..4) == 0));
            self.fleet.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(end);
    }

    fn open(&mut self, agent: AgentKey) {
        self.tunnels += 1;
        let tunnel = TunnelId(self.tunnels);
        let heartbeats = self.chance.u8(0..4) > 0;
        self.open.push((agent, tunnel));
        self.see(agent, Evidence::Opened { tunnel, heartbeats });
    }

    fn end(&mut self, agent: AgentKey) {
        let Some(place) = self.open.iter().position(|(of, _)| *of == agent) else {
            return self.see(
                agent,
                Evidence::Frame {
                    tunnel: TunnelId(0),
                },
            );
        };
        let (_, tunnel) = self.open[place];
        if self.chance.bool() {
            return self.see(agent, Evidence::Goodbye { tunnel });
        }
        self.open.remove(place);
        self.see(agent, Evidence::Closed { tunnel });
    }

    /// All its instances say goodbye.
    fn leave(&mut self, agent: AgentKey) {
        let (mine, others) = self.open.iter().partition(|(of, _)| *of == agent);
        self.open = others;
        let mine: Vec<(AgentKey, TunnelId)> = mine;
        for (_, tunnel) in mine {
            self.see(agent, Evidence::Goodbye { tunnel });
            self.see(agent, Evidence::Closed { tunnel });
        }
        let (change, lease) = (Change::Released, LeaseSight::default());
        self.see(agent, Evidence::Lease { change, lease });
    }

    /// Nobody expects it any more, and its tunnels are gone.
    fn retire(&mut self, agent: AgentKey) {
        while self.open.iter().any(|(of, _)| *of == agent) {
            self.end(agent);
        }
        self.fleet.unexpect(agent);
        for channel in Channel::ALL {
            self.fleet.gone(agent, channel);
        }
    }

    fn lease(&mut self, agent: AgentKey) {
        let holder = self.chance_of(["pod-1_a", "pod-1_b", "pod_2", "kubelet", ""]);
        let holder = HolderIdentity::from(holder);
        let change = self.chance_of([Change::First, Change::Renewed, Change::Released]);
        let lease = LeaseSight {
            holder: Some(&holder).filter(|it| !it.as_str().is_empty()),
            duration: self.chance_of([None, Some(Duration::from_secs(15))]),
            status: self.chance_of([None, Some(HealthStatus::Degraded)]),
            sequence: self.chance_of([None, Some(5)]),
            skew_ms: self.chance_of([None, Some(-7)]),
        };
        self.see(agent, Evidence::Lease { change, lease });
    }

    fn beat(&mut self, agent: AgentKey) {
        let open = self.open.iter().find(|(of, _)| *of == agent);
        let tunnel = open.map_or(TunnelId(0), |(_, tunnel)| *tunnel);
        let slot = self.chance_of(["pod-1", "pod", "a", "b", "c", "d"]);
        let incarnation = self.chance_of(["a", "b", "2"]);
        let interval = self.chance_of([10.0, 5.0, 0.1, f64::NAN, 1e9]);
        let timeout = self.chance_of([30.0, 12.345_678_901, -1.0, 1e300]);
        let payload = &payload(slot, incarnation, interval, timeout);
        let skew_ms = self.chance_of([None, Some(3), Some(i64::MIN)]);
        self.see(
            agent,
            Evidence::Heartbeat {
                tunnel,
                payload,
                skew_ms,
            },
        );
    }

    /// It came in a little before it is handed in, sometimes.
    fn see(&mut self, agent: AgentKey, evidence: Evidence<'_>) {
        let before = Duration::from_millis(self.chance_of([0, 0, 40]));
        self.fleet.evidence(agent, evidence, self.now - before);
    }

    fn chance_of<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.chance.usize(..N)]
    }

    fn drain(&mut self) {
        while let Some(output) = self.fleet.poll() {
            self.told.push((self.now, output));
        }
    }

    /// The same was told at the same times, and the fleet is the same in the end.
    #[track_caller]
    pub(super) fn compare(&self, flight: &Flight) {
        let mut replay = flight.replay(self.fleet.beginning());
        let told = replay.by_ref().flat_map(|step| step.told);
        let told: Vec<_> = told.map(|(_, output)| output).collect();
        let before = self.told.len() - told.len();
        let expected = self.told[before..].iter().map(|(_, output)| output.clone());
        assert_eq!(told, expected.collect::<Vec<_>>());
        let is_whole = flight.halves[0].before.roll.len() == 0;
        assert!(!is_whole || before == 0, "the first {before} are missing");
        assert_eq!(state(replay.fleet()), state(&self.fleet));
    }
}

/// All that anybody can see of a fleet, but for earlier transitions.
fn state(fleet: &Fleet) -> Vec<String> {
    let agents = fleet.views().map(|view| {
        let record = view.record.bare();
        let due = fleet.due_of(view.key());
        format!("{:?} {record:?} {due:?}", view.key())
    });
    let doubts = format!("{} {:?}", fleet.doubts(), fleet.leaving);
    let counts = FleetVerdict::ALL.map(|verdict| fleet.count(verdict));
    agents.chain([doubts, format!("{counts:?}")]).collect()
}

pub(super) fn id(number: usize) -> AgentId {
    AgentId {
        workspace: "root:org:edge".to_owned(),
        name: format!("edge-{number}"),
    }
}

pub(super) fn payload(
    slot: &str,
    incarnation: &str,
    interval: f64,
    timeout: f64,
) -> HeartbeatPayload {
    HeartbeatPayload {
        slot: slot.to_owned(),
        incarnation: incarnation.to_owned(),
        sequence: 1,
        interval_seconds: interval,
        timeout_seconds: timeout,
        status: HealthStatus::Healthy,
        report_age_seconds: 0.0,
        deciding: Vec::new(),
    }
}
