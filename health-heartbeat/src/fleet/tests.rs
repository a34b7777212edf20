mod doubt;

mod instances;

mod objects;

mod rig;

use std::sync::Arc;

use proptest::prelude::*;

use self::rig::Rig;
use self::rig::id;
use self::rig::payload;
use super::FleetVerdict::Alive;
use super::FleetVerdict::Left;
use super::FleetVerdict::Lost;
use super::FleetVerdict::Pending;
use super::FleetVerdict::Suspect;
use super::*;

#[test]
fn an_expected_agent_that_never_comes_is_lost_after_a_full_allowance() {
    let mut rig = Rig::new();
    assert_eq!(rig.run_to(89_999), Pending);
    assert_eq!(rig.run_to(90_000), Lost);
    assert_eq!(rig.view().reason(), FleetReason::NeverHeard);
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
    assert_eq!(rig.view().reason(), FleetReason::HeartbeatTimeout);
    let told = [(Alive, 0), (Suspect, 15_400), (Lost, 30_000)];
    assert_eq!(rig.told_of_it(), told);
    assert!(rig.confirms.is_empty(), "it has nothing to look at");
}

#[test]
fn evidence_on_any_channel_keeps_an_agent_alive() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    for second in (14..200).step_by(14) {
        rig.run_to(second * 1000);
        match second % 3 {
            0 => rig.frame(),
            1 => rig.lease(Change::Renewed, "pod-1_1"),
            _ => rig.sync_target(Change::Renewed),
        }
    }
    assert_eq!(rig.told_of_it(), [(Alive, 0)]);
}

/// PatchMon #773: the socket was "open" and dead, and what came on the other channel hid it. Here
/// the verdict is over the agent, and each channel says for itself when it was last heard of.
#[test]
fn pitfall_45_a_channel_that_is_dead_is_seen_beside_one_that_is_not() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    for second in (10..=100).step_by(10) {
        rig.run_to(second * 1000);
        rig.lease(Change::Renewed, "pod-1_1");
    }
    let view = rig.view();
    assert_eq!(view.verdict(), Alive);
    assert_eq!(view.last_evidence(Channel::Tunnel), Some(rig.start));
    assert_eq!(view.last_evidence(Channel::Lease), Some(rig.now));
    assert_eq!(view.last_evidence(Channel::SyncTarget), None);
}

#[test]
fn a_broken_tunnel_is_suspect_at_once_and_alive_again_when_the_agent_is_back() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    rig.run_to(3_000);
    rig.close(1);
    assert_eq!(rig.verdict(), Suspect);
    rig.run_to(5_000);
    rig.open(2);
    assert_eq!(rig.verdict(), Alive);
}

#[test]
fn a_goodbye_is_left_and_stays_so_until_the_agent_is_back() {
    let mut rig = Rig::new();
    rig.fleet.expect(rig.agents[0]);
    rig.open(1);
    rig.beat(10, 30);
    rig.leave(1);
    assert_eq!(rig.run_to(100_000_000), Left);
    rig.open(2);
    rig.beat(10, 30);
    assert_eq!(rig.verdict(), Alive);
}

#[test]
fn a_tunnel_without_heartbeats_has_ninety_seconds() {
    let mut rig = Rig::new();
    let (tunnel, heartbeats) = (TunnelId(1), false);
    rig.see(Evidence::Opened { tunnel, heartbeats });
    // Half of it for an interval that nobody declared, its jitter, and half of that again.
    assert_eq!(rig.run_to(69_299), Alive);
    assert_eq!(rig.run_to(89_999), Suspect);
    assert_eq!(rig.run_to(90_000), Lost);
}

/// A Wave 4 peer pings every 30 s; a Lease of 30 s beside it must not make it flap.
#[test]
fn a_plain_tunnel_beside_a_lease_has_the_longer_allowance() {
    let mut rig = Rig::new();
    let (tunnel, heartbeats) = (TunnelId(1), false);
    rig.see(Evidence::Opened { tunnel, heartbeats });
    rig.lease(Change::Renewed, "pod-1_1");
    assert_eq!(rig.run_to(60_000), Alive);
    rig.close(1);
    rig.lease(Change::Renewed, "pod-1_1");
    assert_eq!(rig.view().allowance(), Duration::from_secs(30));
}

#[test]
fn declared_timeouts_are_clamped() {
    for (declared, lost) in [(0.001, 3_000), (1e9, 600_000), (f64::NAN, 90_000)] {
        let mut rig = Rig::new();
        rig.beat_with(0, 1, &payload("pod-1", 1e6, declared));
        assert_eq!(rig.run_to(lost - 1), Alive, "{declared}");
        assert_eq!(rig.run_to(lost), Lost, "{declared}");
    }
}

/// chitchat #123: each new look at a dead peer moved its time of death.
#[test]
fn pitfall_28_the_time_of_death_is_fixed_once() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    rig.run_to(30_000);
    let since = rig.view().since();
    rig.close(1);
    for later in 1..100 {
        rig.run_to(30_000 + later * 1_000);
        rig.confirmed(Confirmation::Silent);
    }
    assert_eq!(rig.view().since(), since);
    assert_eq!(rig.told_of_it().last(), Some(&(Lost, 30_000)));
}

/// chitchat: who beat more slowly than the detector's longest interval never became alive.
#[test]
fn pitfall_27_an_agent_is_alive_however_slowly_it_beats() {
    for (interval, timeout) in [(10, 30), (60, 180), (290, 600)] {
        let mut rig = Rig::new();
        for beat in 0..20 {
            rig.run_to(beat * u64::from(interval) * 1_040);
            rig.beat(interval, timeout);
        }
        assert_eq!(rig.told_of_it(), [(Alive, 0)], "every {interval} s");
    }
}

/// Akka: what was sampled over an outage made its detector slow or nervous for long after it. Here
/// nothing is sampled: the same silence gives the same verdicts at the same times.
#[test]
fn pitfall_29_an_outage_changes_nothing_about_the_next_one() {
    let silence = |rig: &mut Rig| {
        let began = rig.millis();
        let before = rig.told.len();
        rig.run_to(began + 40_000);
        let told = rig.told[before..].iter();
        let told = told.map(|(_, verdict, at)| (*verdict, at - began));
        let told: Vec<_> = told.collect();
        rig.beat(10, 30);
        told
    };
    let mut rig = Rig::new();
    rig.beat(10, 30);
    let first = silence(&mut rig);
    assert_eq!(first, [(Suspect, 15_400), (Lost, 30_000)]);
    for _ in 0..50 {
        assert_eq!(silence(&mut rig), first);
    }
}

/// Consul #3852: the time to live ran out while the beat that had come in waited for its handler.
#[test]
fn pitfall_25_a_beat_counts_from_when_it_came_in() {
    let mut rig = Rig::new();
    rig.beat(10, 30);
    rig.run_to(25_000);
    let came_in = rig.now;
    // The hub is busy for twenty seconds: time is not handed in before what has come in is.
    rig.now += Duration::from_secs(20);
    let (tunnel, payload) = (TunnelId(1), &payload("pod-1", 10.0, 30.0));
    let beat = Evidence::Heartbeat {
        tunnel,
        payload,
        skew_ms: None,
    };
    rig.fleet.evidence(rig.agents[0], beat, came_in);
    rig.fleet.handle_timeout(rig.now);
    rig.drain();
    assert!(!rig.told.iter().any(|(_, verdict, _)| *verdict == Lost));
    assert_eq!(rig.run_to(54_999), Suspect);
    assert_eq!(rig.run_to(55_000), Lost);
}

#[test]
fn evidence_that_comes_late_takes_nothing_back() {
    let mut rig = Rig::new();
    rig.run_to(10_000);
    rig.beat(10, 30);
    let long_ago = rig.start;
    let frame = Evidence::Frame {
        tunnel: TunnelId(1),
    };
    rig.fleet.evidence(rig.agents[0], frame, long_ago);
    assert_eq!(rig.run_to(39_999), Suspect);
    assert_eq!(rig.run_to(40_000), Lost);
}

#[test]
fn a_clock_that_is_wrong_is_measured_and_decides_nothing() {
    let mut rig = Rig::new();
    let day_ms = 86_400_000;
    for (skew_ms, shown) in [
        (Some(day_ms), Some(86_400_000)),
        (None, Some(86_400_000)),
        (Some(-3), Some(-3)),
        (Some(i64::MIN), Some(i32::MIN + 1)),
    ] {
        let payload = payload("pod-1", 10.0, 30.0);
        let (tunnel, payload) = (TunnelId(1), &payload);
        rig.see(Evidence::Heartbeat {
            tunnel,
            payload,
            skew_ms,
        });
        assert_eq!(rig.view().skew_ms(), shown);
        rig.run_to(rig.millis() + 10_000);
    }
    assert_eq!(rig.told_of_it(), [(Alive, 0)]);
}

#[test]
fn who_is_gone_for_an_hour_and_expected_by_nobody_is_forgotten() {
    let mut rig = Rig::of(2);
    rig.fleet.expect(rig.agents[1]);
    rig.beat_of(0, 10, 30);
    rig.beat_of(1, 10, 30);
    let hour = 3_600_000;
    rig.run_to(30_000 + hour - 1);
    assert!(rig.forgotten.is_empty());
    let end = rig.start + Duration::from_millis(30_000 + 2 * hour);
    rig.fleet.handle_timeout(end);
    let forgotten = rig.agents[0];
    let agents = std::mem::take(&mut rig.agents);
    assert_eq!(
        rig.fleet.poll(),
        Some(FleetOutput::Forgotten {
            agent: forgotten,
            id: Arc::new(id(0)),
        })
    );
    assert!(rig.fleet.view(forgotten).is_none());
    assert!(rig.fleet.view(agents[1]).is_some());
    // Its number is not the next one's, and what is said of it is said of nobody.
    let next = rig.fleet.admit(id(7), end).unwrap();
    assert_ne!(next, forgotten);
    let frame = Evidence::Frame {
        tunnel: TunnelId(1),
    };
    rig.fleet.look_ahead([forgotten].into_iter());
    rig.fleet.evidence(forgotten, frame, end);
    assert_eq!(rig.fleet.view(next).unwrap().verdict(), Pending);
}

#[test]
fn who_is_not_expected_any_more_and_was_never_heard_is_forgotten_at_once() {
    let mut rig = Rig::of(2);
    for agent in rig.agents.clone() {
        rig.fleet.expect(agent);
    }
    rig.beat_of(1, 10, 30);
    for agent in rig.agents.clone() {
        rig.fleet.unexpect(agent);
    }
    rig.drain();
    assert_eq!(rig.forgotten, ["root:org:edge/edge-0"]);
    assert_eq!(rig.verdict_of(1), Alive);
}

/// An anonymous hub could be filled with names.
#[test]
fn there_is_room_for_so_many_and_no_more() {
    let terms = FleetTerms {
        agents_max: 2,
        ..FleetTerms::default()
    };
    let mut rig = Rig::with(2, terms);
    assert_eq!(rig.fleet.admit(id(3), rig.now), None);
    assert!(rig.fleet.admit(id(1), rig.now).is_some(), "it is known");
    rig.fleet.unexpect(rig.agents[0]);
    assert!(rig.fleet.admit(id(3), rig.now).is_some());
}

#[test]
fn the_same_inputs_give_the_same_outputs_whether_looked_ahead_or_not() {
    let run = |looks: bool| {
        let mut rig = Rig::of(40);
        let mut chance = fastrand::Rng::with_seed(7);
        let start = rig.start;
        for _ in 0..2_000 {
            rig.run_to(rig.millis() + chance.u64(0..400));
            let agent = chance.usize(0..40);
            if looks {
                rig.fleet.look_ahead(rig.agents[agent..].iter().copied());
            }
            match chance.u8(0..4) {
                0 => rig.lease_of(agent, Change::Renewed, "pod-1_1"),
                _ => rig.beat_of(agent, chance.u32(1..20), chance.u32(2..40)),
            }
        }
        assert_eq!(rig.start, start);
        rig.told
    };
    let told = run(false);
    assert_eq!(run(false), told);
    assert_eq!(run(true), told);
}

proptest! {
    /// One armed timer an agent always suffices: no verdict is early, none is late.
    #[test]
    fn lost_comes_exactly_at_the_last_evidence_plus_the_allowance(
        gaps in prop::collection::vec((0u64..40_000, 1u32..20, 2u32..60), 1..30)
    ) {
        let mut rig = Rig::new();
        let mut clock = 0;
        let mut lost = 90_000;
        for (gap, interval, timeout) in gaps {
            clock += gap;
            let verdict = rig.run_to(clock);
            prop_assert_eq!(verdict == Lost, clock >= lost);
            rig.beat(interval, timeout);
            lost = clock + u64::from(timeout.max(3)) * 1000;
        }
        prop_assert_ne!(rig.run_to(lost - 1), Lost);
        prop_assert_eq!(rig.run_to(lost), Lost);
    }
}
