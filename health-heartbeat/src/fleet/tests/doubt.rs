//! What the hub does when the fault may be its own: pauses, starts, and mass silence.

use std::time::Duration;

use proptest::prelude::*;

use super::rig::Rig;
use crate::fleet::Change;
use crate::fleet::Confirmation;
use crate::fleet::Evidence;
use crate::fleet::FleetVerdict::Alive;
use crate::fleet::FleetVerdict::Lost;
use crate::fleet::FleetVerdict::Pending;
use crate::fleet::FleetVerdict::Suspect;
use crate::fleet::TunnelId;

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
    let mut rig = Rig::of(1_000);
    // All but the last one dial again within an interval, each with a moment to its first beat.
    let mut rng = fastrand::Rng::with_seed(18);
    let mut dials: Vec<_> = (0..999).map(|agent| (rng.u64(0..10_000), agent)).collect();
    dials.sort_unstable();
    for (at, agent) in dials {
        rig.run_quietly_to(at);
        let (tunnel, heartbeats) = (TunnelId(agent as u64), true);
        let opened = Evidence::Opened { tunnel, heartbeats };
        rig.fleet.evidence(rig.agents[agent], opened, rig.now);
    }
    rig.run_quietly_to(85_000);
    for agent in 0..999 {
        let tunnel = TunnelId(agent as u64);
        let frame = Evidence::Frame { tunnel };
        rig.fleet.evidence(rig.agents[agent], frame, rig.now);
    }
    rig.run_to(90_000);
    let convicted: Vec<_> = rig.told.iter().filter(|(_, it, _)| *it == Lost).collect();
    let dead = (999, Lost, 90_000);
    assert_eq!(convicted, [&dead], "the one that died meanwhile");
}

#[test]
fn a_hub_that_hears_nobody_after_its_start_doubts_itself_first() {
    let mut rig = Rig::of(3);
    assert_eq!(rig.run_to(179_999), Pending);
    assert_eq!(rig.doubts, [(true, 90_000)]);
    assert_eq!(rig.run_to(180_000), Lost);
}

#[test]
fn a_hub_that_takes_over_gives_everybody_a_full_allowance() {
    let mut rig = Rig::of(2);
    for agent in 0..2 {
        rig.lease_of(agent, Change::Renewed, "pod-1_1");
    }
    // The second one was silent for long when the standby becomes the leader.
    for second in [10, 20, 29] {
        rig.run_to(second * 1000);
        rig.lease(Change::Renewed, "pod-1_1");
    }
    rig.fleet.take_over(rig.now);
    rig.drain();
    assert_eq!((rig.verdict(), rig.verdict_of(1)), (Pending, Pending));
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(58_999);
    assert_eq!(rig.verdict_of(1), Pending);
    rig.fleet
        .confirmed(rig.agents[1], Confirmation::Silent, rig.now);
    rig.run_to(59_000);
    assert_eq!(rig.verdict_of(1), Lost);
}

/// The node controller: when whole zones fall silent together, the fault is likely its own.
#[test]
fn when_half_of_the_fleet_falls_silent_at_once_the_verdicts_wait_for_one_more_timeout() {
    let mut rig = Rig::of(6);
    for agent in 0..6 {
        rig.beat_of(agent, 10, 30);
    }
    rig.run_to(10_000);
    for agent in 0..3 {
        rig.beat_of(agent, 10, 30);
    }
    for second in [20, 30, 40, 50] {
        rig.run_to(second * 1000);
        for agent in 0..3 {
            rig.beat_of(agent, 10, 30);
        }
    }
    assert_eq!(rig.doubts, [(true, 30_000)]);
    assert_eq!(rig.verdict_of(4), Suspect);
    rig.run_to(59_999);
    assert_eq!(rig.verdict_of(4), Suspect);
    rig.run_to(60_000);
    assert_eq!((rig.verdict(), rig.verdict_of(4)), (Alive, Lost));
    assert_eq!(rig.doubts, [(true, 30_000), (false, 60_000)]);
}

#[test]
fn who_is_back_before_the_held_verdict_was_never_lost() {
    let mut rig = Rig::of(5);
    for agent in 0..5 {
        rig.beat_of(agent, 10, 30);
    }
    rig.run_to(55_000);
    for agent in 0..5 {
        rig.beat_of(agent, 10, 30);
    }
    rig.run_to(56_000);
    assert!(!rig.told.iter().any(|(_, verdict, _)| *verdict == Lost));
    assert_eq!(rig.doubts, [(true, 30_000), (false, 55_000)]);
}

#[test]
fn two_of_many_are_no_mass_and_two_of_two_are_none_either() {
    for others in [0, 2] {
        let mut rig = Rig::of(2 + others);
        for agent in 0..2 + others {
            rig.beat_of(agent, 10, 30);
        }
        for second in [10, 20] {
            rig.run_to(second * 1000);
            for agent in 2..2 + others {
                rig.beat_of(agent, 10, 30);
            }
        }
        assert_eq!(rig.run_to(30_000), Lost, "{others}");
        assert!(rig.doubts.is_empty());
    }
}

#[test]
fn after_the_test_for_mass_silence_the_leases_are_looked_at() {
    let mut rig = Rig::of(3);
    for agent in 0..3 {
        rig.lease_of(agent, Change::Renewed, "pod-1_1");
    }
    rig.run_to(25_000);
    assert!(rig.confirms.is_empty());
    assert_eq!(rig.doubts, [(true, 25_000)]);
    rig.run_to(55_000);
    assert_eq!(rig.confirms.len(), 3, "and only then");
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(60_000), Lost);
}

proptest! {
    /// However agents fall silent, doubt ends: each is Lost within two allowances, and none within
    /// one.
    #[test]
    fn every_silence_ends_within_two_allowances(
        last in prop::collection::vec(0u64..60_000, 1..12)
    ) {
        let mut rig = Rig::of(last.len());
        let mut beats: Vec<_> = last
            .iter()
            .enumerate()
            .flat_map(|(agent, end)| (0..=*end).step_by(10_000).map(move |at| (at, agent)))
            .collect();
        beats.sort_unstable();
        for (at, agent) in &beats {
            rig.run_to(*at);
            rig.beat_of(*agent, 10, 30);
        }
        rig.run_to(200_000);
        for (agent, end) in last.iter().enumerate() {
            let last = end / 10_000 * 10_000;
            let lost = rig.told.iter().filter(|(it, verdict, _)| (*it, *verdict) == (agent, Lost));
            let at: Vec<_> = lost.map(|(.., at)| at - last).collect();
            prop_assert!(at == [30_000] || at == [60_000], "{at:?}");
        }
        let ends = rig.doubts.last().is_none_or(|(begins, _)| !begins);
        prop_assert!(ends);
    }
}
