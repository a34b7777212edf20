#![expect(clippy::disallowed_methods, reason = "tests pick an arbitrary epoch")]

use health_core::HealthStatus;
use proptest::prelude::*;

use super::FleetVerdict::Alive;
use super::FleetVerdict::Left;
use super::FleetVerdict::Lost;
use super::FleetVerdict::Pending;
use super::FleetVerdict::Suspect;
use super::*;

#[test]
fn an_expected_agent_that_never_comes_is_lost_after_a_full_allowance() {
    let mut rig = Rig::new();
    assert_eq!(rig.run_to(29_999), Pending);
    assert_eq!(rig.run_to(30_000), Lost);
}

#[test]
fn a_silent_agent_is_suspect_after_a_late_beat_and_lost_exactly_at_its_timeout() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    // 10 s, 4 % of jitter, half an interval.
    assert_eq!(rig.run_to(15_399), Alive);
    assert_eq!(rig.run_to(15_400), Suspect);
    assert_eq!(rig.run_to(29_999), Suspect);
    assert_eq!(rig.run_to(30_000), Lost);
    assert_eq!(rig.told, [(Alive, 0), (Suspect, 15_400), (Lost, 30_000)]);
}

#[test]
fn evidence_on_any_channel_keeps_an_agent_alive() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    for second in (14..200).step_by(14) {
        rig.run_to(second * 1000);
        let channel = if second % 28 == 0 {
            Channel::Lease
        } else {
            Channel::Tunnel
        };
        rig.see(Evidence::Sign { channel });
    }
    assert_eq!(rig.told, [(Alive, 0)]);
}

/// PatchMon #773: the socket was "open" and dead, and what came on the other channel hid it. Here
/// the verdict is over the agent, and each channel says for itself when it was last heard of.
#[test]
fn pitfall_45_a_channel_that_is_dead_is_seen_beside_one_that_is_not() {
    let mut rig = Rig::new();
    rig.see(Evidence::Opened { heartbeats: true });
    rig.beat(10, 30);
    for second in (10..=100).step_by(10) {
        rig.run_to(second * 1000);
        let channel = Channel::Lease;
        rig.see(Evidence::Sign { channel });
    }
    assert_eq!(rig.verdict(), Alive);
    let view = rig.fleet.view(rig.agent);
    assert_eq!(view.last_evidence(Channel::Tunnel), Some(rig.start));
    assert_eq!(view.last_evidence(Channel::Lease), Some(rig.now));
    assert_eq!(view.last_evidence(Channel::SyncTarget), None);
}

#[test]
fn a_broken_tunnel_is_suspect_at_once_and_alive_again_when_the_agent_is_back() {
    let mut rig = Rig::new();
    rig.see(Evidence::Opened { heartbeats: true });
    rig.beat(10, 30);
    rig.run_to(3_000);
    rig.see(Evidence::Closed);
    assert_eq!(rig.verdict(), Suspect);
    rig.run_to(5_000);
    rig.see(Evidence::Opened { heartbeats: true });
    assert_eq!(rig.verdict(), Alive);
}

#[test]
fn a_goodbye_is_left_and_stays_so_until_the_agent_is_back() {
    let mut rig = Rig::new();
    rig.see(Evidence::Opened { heartbeats: true });
    rig.beat(10, 30);
    rig.see(Evidence::Goodbye);
    assert_eq!(rig.run_to(3_600_000), Left);
    rig.beat(10, 30);
    assert_eq!(rig.verdict(), Alive);
}

#[test]
fn in_a_rollout_the_goodbye_of_the_old_instance_takes_nobody_down() {
    let mut rig = Rig::new();
    rig.see(Evidence::Opened { heartbeats: true });
    rig.see(Evidence::Opened { heartbeats: true });
    rig.see(Evidence::Goodbye);
    assert_eq!(rig.verdict(), Alive);
    rig.see(Evidence::Goodbye);
    assert_eq!(rig.verdict(), Left);
}

#[test]
fn a_tunnel_without_heartbeats_has_ninety_seconds() {
    let mut rig = Rig::new();
    rig.see(Evidence::Opened { heartbeats: false });
    assert_eq!(rig.run_to(89_999), Alive);
    assert_eq!(rig.run_to(90_000), Lost);
}

#[test]
fn declared_timeouts_are_clamped() {
    for (declared, lost) in [(0.001, 3_000), (1e9, 600_000), (f64::NAN, 30_000)] {
        let mut rig = Rig::new();
        rig.beat_with(1e6, declared);
        assert_eq!(rig.run_to(lost - 1), Alive, "{declared}");
        assert_eq!(rig.run_to(lost), Lost, "{declared}");
    }
}

/// chitchat #123: each new look at a dead peer moved its time of death.
#[test]
fn pitfall_28_the_time_of_death_is_fixed_once() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    rig.run_to(30_000);
    let since = rig.fleet.view(rig.agent).since();
    for later in 1..100 {
        rig.run_to(30_000 + later * 10_000);
        rig.see(Evidence::Closed);
    }
    assert_eq!(rig.fleet.view(rig.agent).since(), since);
}

/// Kubernetes #113081: an observer that was stopped itself took the others for dead.
#[test]
fn pitfall_14_a_pause_of_the_hub_moves_every_deadline() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    rig.now += Duration::from_secs(3600);
    rig.fleet.paused(Duration::from_secs(3600), rig.now);
    assert_eq!(rig.run_to(3_600_000), Alive);
    assert_eq!(rig.run_to(3_630_000), Lost);
}

/// A beat that came during the pause waits in a socket still when the fleet's loop wakes up.
#[test]
fn a_hub_that_stopped_at_a_deadline_hears_what_waits_before_it_convicts() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    assert_eq!(rig.run_to(29_990), Suspect);
    rig.now += Duration::from_millis(20_010);
    rig.fleet.paused(Duration::from_secs(20), rig.now);
    assert_eq!(rig.run_to(50_000), Suspect);
    rig.beat(10, 30);
    assert_eq!(rig.run_to(79_999), Suspect);
    assert_eq!(rig.run_to(80_000), Lost);
}

/// The monotonic clock stood still with the machine, so the deadline has moved by itself.
#[test]
fn a_hub_that_was_suspended_for_a_night_finds_the_dead_within_one_allowance() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    rig.now += Duration::from_secs(5);
    let night = Duration::from_secs(8 * 3600);
    rig.fleet.paused(night, rig.now);
    assert_eq!(rig.run_to(34_999), Suspect);
    assert_eq!(rig.run_to(35_000), Lost);
}

/// OCM, kcp 0.11: a hub that was away for ten minutes marked whoever had not been heard of since.
#[test]
fn pitfall_18_a_hub_that_comes_back_convicts_nobody_before_a_full_allowance() {
    let start = Instant::now();
    let mut fleet = Fleet::new(FleetTerms::default());
    let agents: Vec<_> = (0..1_000)
        .map(|number| fleet.admit(id(number), start))
        .collect();
    // All but the last one dial again within an interval, each with a moment to its first beat.
    let mut rng = fastrand::Rng::with_seed(18);
    let mut dials: Vec<_> = agents[..999]
        .iter()
        .map(|agent| (start + Duration::from_millis(rng.u64(0..10_000)), *agent))
        .collect();
    dials.sort();
    let mut told = Vec::new();
    let mut tell = |fleet: &mut Fleet, now: Instant| {
        while let Some(FleetOutput::Verdict { agent, verdict, .. }) = fleet.poll() {
            told.push((agent, verdict, now));
        }
    };
    for (at, agent) in dials {
        fleet.handle_timeout(at);
        fleet.evidence(agent, Evidence::Opened { heartbeats: true }, at);
        tell(&mut fleet, at);
    }
    let dead = start + Duration::from_secs(30);
    for at in [dead - Duration::from_nanos(1), dead] {
        fleet.handle_timeout(at);
        tell(&mut fleet, at);
    }
    let convicted: Vec<_> = told
        .iter()
        .filter(|(_, verdict, _)| *verdict != Alive)
        .collect();
    assert_eq!(
        convicted,
        [&(agents[999], Lost, dead)],
        "the one that died meanwhile, and at the end of its allowance"
    );
    assert_eq!(told.len(), 1_000);
}

proptest! {
    /// One armed timer an agent always suffices: no verdict is early, none is late.
    #[test]
    fn lost_comes_exactly_at_the_last_evidence_plus_the_allowance(
        gaps in prop::collection::vec((0u64..40_000, 1u32..20, 2u32..60), 1..30)
    ) {
        let mut rig = Rig::new();
        let mut clock = 0;
        let mut lost = 30_000;
        for (gap, interval, timeout) in gaps {
            clock += gap;
            let verdict = rig.run_to(clock);
            prop_assert_eq!(verdict == Lost, clock >= lost);
            rig.beat(interval, timeout);
            lost = clock + u64::from(timeout.max(3)) * 1000;
            prop_assert!(rig.fleet.timers.len() <= 2, "one agent, at most one entry left behind");
        }
        prop_assert_ne!(rig.run_to(lost - 1), Lost);
        prop_assert_eq!(rig.run_to(lost), Lost);
    }
}

fn id(number: usize) -> AgentId {
    AgentId {
        workspace: "root:org:edge".to_owned(),
        name: format!("edge-{number}"),
    }
}

/// A fleet of one, with a clock moved by hand, in milliseconds.
struct Rig {
    fleet: Fleet,
    agent: AgentKey,
    start: Instant,
    now: Instant,
    told: Vec<(FleetVerdict, u128)>,
}

impl Rig {
    fn new() -> Self {
        let start = Instant::now();
        let mut fleet = Fleet::new(FleetTerms::default());
        let agent = fleet.admit(id(1), start);
        Self {
            fleet,
            agent,
            start,
            now: start,
            told: Vec::new(),
        }
    }

    fn see(&mut self, evidence: Evidence) {
        self.fleet.evidence(self.agent, evidence, self.now);
        self.drain();
    }

    fn beat(&mut self, interval: u32, timeout: u32) {
        self.beat_with(f64::from(interval), f64::from(timeout));
    }

    fn beat_with(&mut self, interval_seconds: f64, timeout_seconds: f64) {
        let payload = HeartbeatPayload {
            slot: "pod-1".to_owned(),
            incarnation: "1".to_owned(),
            sequence: 1,
            interval_seconds,
            timeout_seconds,
            status: HealthStatus::Healthy,
            report_age_seconds: 0.0,
            deciding: Vec::new(),
        };
        self.see(Evidence::Heartbeat {
            channel: Channel::Tunnel,
            payload: Box::new(payload),
        });
    }

    /// Lets time pass to `millis`, waking up exactly when asked to.
    fn run_to(&mut self, millis: u64) -> FleetVerdict {
        let end = self.start + Duration::from_millis(millis);
        while let Some(at) = self.fleet.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.fleet.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(end);
        self.verdict()
    }

    fn verdict(&self) -> FleetVerdict {
        self.fleet.view(self.agent).verdict()
    }

    fn drain(&mut self) {
        while let Some(FleetOutput::Verdict { verdict, .. }) = self.fleet.poll() {
            self.told
                .push((verdict, self.now.duration_since(self.start).as_millis()));
        }
    }
}
