//! A fleet with a clock moved by hand, in milliseconds.

use crate::epoch::epoch;
use health_core::HealthStatus;

use super::super::*;

pub(super) struct Rig {
    pub(super) fleet: Fleet,
    pub(super) agents: Vec<AgentKey>,
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) told: Vec<(usize, FleetVerdict, u64)>,
    /// Who is to be looked at, and when that was said.
    pub(super) confirms: Vec<(usize, u64)>,
    /// Each with the start that replaced it.
    pub(super) replaced: Vec<(u64, String)>,
    pub(super) doubts: Vec<(bool, u64)>,
    pub(super) forgotten: Vec<String>,
}

/// The tunnel over which an agent's heartbeats come, unless a test says otherwise.
const TUNNEL: TunnelId = TunnelId(1);

pub(super) fn id(number: usize) -> AgentId {
    AgentId {
        workspace: "root:org:edge".to_owned(),
        name: format!("edge-{number}"),
    }
}

pub(super) fn payload(slot: &str, interval_seconds: f64, timeout_seconds: f64) -> HeartbeatPayload {
    HeartbeatPayload {
        slot: slot.to_owned(),
        incarnation: "1".to_owned(),
        sequence: 1,
        interval_seconds,
        timeout_seconds,
        status: HealthStatus::Healthy,
        report_age_seconds: 0.0,
        deciding: Vec::new(),
    }
}

impl Rig {
    /// A fleet of one.
    pub(super) fn new() -> Self {
        Self::of(1)
    }

    pub(super) fn of(agents: usize) -> Self {
        Self::with(agents, FleetTerms::default())
    }

    pub(super) fn with(agents: usize, terms: FleetTerms) -> Self {
        let start = epoch();
        let mut fleet = Fleet::new(terms, start);
        let agents = (0..agents).map(|number| fleet.admit(id(number), start).unwrap());
        Self {
            agents: agents.collect(),
            fleet,
            start,
            now: start,
            told: Vec::new(),
            confirms: Vec::new(),
            replaced: Vec::new(),
            doubts: Vec::new(),
            forgotten: Vec::new(),
        }
    }

    pub(super) fn see(&mut self, evidence: Evidence<'_>) {
        self.see_of(0, evidence);
    }

    pub(super) fn see_of(&mut self, agent: usize, evidence: Evidence<'_>) {
        self.fleet.evidence(self.agents[agent], evidence, self.now);
        self.drain();
    }

    pub(super) fn open(&mut self, tunnel: u64) {
        self.see(Evidence::Opened {
            tunnel: TunnelId(tunnel),
            heartbeats: true,
        });
    }

    pub(super) fn close(&mut self, tunnel: u64) {
        let tunnel = TunnelId(tunnel);
        self.see(Evidence::Closed { tunnel });
    }

    pub(super) fn leave(&mut self, tunnel: u64) {
        let goodbye = TunnelId(tunnel);
        self.see(Evidence::Goodbye { tunnel: goodbye });
        self.close(tunnel);
    }

    pub(super) fn frame(&mut self) {
        self.see(Evidence::Frame { tunnel: TUNNEL });
    }

    /// A heartbeat of the first agent's only instance, in seconds.
    pub(super) fn beat(&mut self, interval: u32, timeout: u32) {
        self.beat_of(0, interval, timeout);
    }

    pub(super) fn beat_of(&mut self, agent: usize, interval: u32, timeout: u32) {
        let payload = payload("pod-1", interval.into(), timeout.into());
        self.beat_with(agent, TUNNEL.0, &payload);
    }

    pub(super) fn beat_with(&mut self, agent: usize, tunnel: u64, payload: &HeartbeatPayload) {
        self.see_of(
            agent,
            Evidence::Heartbeat {
                tunnel: TunnelId(tunnel),
                payload,
                skew_ms: None,
            },
        );
    }

    /// The first agent's Lease, for 30 s.
    pub(super) fn lease(&mut self, change: Change, holder: &str) {
        self.lease_of(0, change, holder);
    }

    pub(super) fn lease_of(&mut self, agent: usize, change: Change, holder: &str) {
        let holder = HolderIdentity::from(holder);
        let lease = LeaseSight {
            holder: Some(&holder).filter(|holder| !holder.as_str().is_empty()),
            duration: Some(Duration::from_secs(30)),
            ..LeaseSight::default()
        };
        self.see_of(agent, Evidence::Lease { change, lease });
    }

    pub(super) fn sync_target(&mut self, change: Change) {
        self.see(Evidence::SyncTarget { change });
    }

    pub(super) fn confirmed(&mut self, confirmation: Confirmation) {
        self.fleet.confirmed(self.agents[0], confirmation, self.now);
        self.drain();
    }

    /// Lets time pass to `millis`, waking up exactly when asked to; the first agent's verdict then.
    pub(super) fn run_to(&mut self, millis: u64) -> FleetVerdict {
        let end = self.start + Duration::from_millis(millis);
        while let Some(at) = self.fleet.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.fleet.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(end);
        self.verdict()
    }

    /// The same for a fleet so large that checking its counts at each step takes long.
    pub(super) fn run_quietly_to(&mut self, millis: u64) {
        let end = self.start + Duration::from_millis(millis);
        while let Some(at) = self.fleet.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.fleet.handle_timeout(self.now);
        }
        self.now = self.now.max(end);
    }

    pub(super) fn view(&self) -> AgentView<'_> {
        self.fleet.view(self.agents[0]).unwrap()
    }

    pub(super) fn verdict(&self) -> FleetVerdict {
        self.view().verdict()
    }

    pub(super) fn verdict_of(&self, agent: usize) -> FleetVerdict {
        self.fleet.view(self.agents[agent]).unwrap().verdict()
    }

    /// What was told of the first agent.
    pub(super) fn told_of_it(&self) -> Vec<(FleetVerdict, u64)> {
        let first = self.told.iter().filter(|(agent, ..)| *agent == 0);
        first.map(|(_, verdict, at)| (*verdict, *at)).collect()
    }

    pub(super) fn millis(&self) -> u64 {
        u64::try_from(self.now.duration_since(self.start).as_millis()).unwrap()
    }

    pub(super) fn number(&self, agent: AgentKey) -> usize {
        self.agents.iter().position(|it| *it == agent).unwrap()
    }

    pub(super) fn drain(&mut self) {
        let at = self.millis();
        while let Some(output) = self.fleet.poll() {
            match output {
                FleetOutput::Verdict { agent, verdict, .. } => {
                    self.told.push((self.number(agent), verdict, at));
                }
                FleetOutput::Confirm { agent, by } => {
                    assert!(by > self.now);
                    self.confirms.push((self.number(agent), at));
                }
                FleetOutput::Replace { tunnel, by, .. } => {
                    self.replaced.push((tunnel.0, by.incarnation.to_string()));
                }
                FleetOutput::MassSilence { .. } => self.doubts.push((true, at)),
                FleetOutput::MassSilenceOver => self.doubts.push((false, at)),
                FleetOutput::Forgotten { id, .. } => self.forgotten.push(id.to_string()),
            }
        }
        let of = |verdict| {
            let of_it = self.fleet.views().filter(|it| it.verdict() == verdict);
            of_it.count()
        };
        for verdict in FleetVerdict::ALL {
            assert_eq!(self.fleet.count(verdict), of(verdict), "{verdict}");
        }
    }
}
