//! Leases and SyncTargets: what is seen of them, and the live look before a conviction.

use std::time::Duration;

use super::rig::Rig;
use crate::fleet::Change;
use crate::fleet::Channel;
use crate::fleet::Confirmation;
use crate::fleet::FleetVerdict::Alive;
use crate::fleet::FleetVerdict::Left;
use crate::fleet::FleetVerdict::Lost;
use crate::fleet::FleetVerdict::Pending;
use crate::fleet::FleetVerdict::Suspect;

#[test]
fn the_first_sight_of_a_lease_is_neither_life_nor_death() {
    let mut rig = Rig::new();
    rig.run_to(5_000);
    rig.lease(Change::First, "pod-1_1");
    assert_eq!(rig.run_to(34_999), Pending);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(35_000), Lost);
}

/// OCM: a Lease that had expired under another hub made a false failover.
#[test]
fn pitfall_17_an_old_lease_that_is_renewed_again_was_never_lost() {
    let mut rig = Rig::new();
    rig.lease(Change::First, "pod-1_1");
    rig.run_to(9_000);
    rig.lease(Change::Renewed, "pod-1_1");
    assert_eq!(rig.told_of_it(), [(Alive, 9_000)]);
}

#[test]
fn an_agent_of_a_lease_only_is_suspect_then_looked_at_then_lost_in_time() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(25_000);
    // Half the duration for an interval that nobody declared, its jitter, half of that again.
    assert_eq!(rig.told_of_it(), [(Alive, 0), (Suspect, 23_100)]);
    assert_eq!(rig.confirms, [(0, 25_000)]);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(29_999), Suspect);
    assert_eq!(rig.run_to(30_000), Lost);
}

/// Kubernetes #85221: the watch had stalled, and every node was marked. Here the live look finds
/// the renewal that the watch did not tell.
#[test]
fn pitfall_20_a_watch_that_stalls_convicts_nobody() {
    let mut rig = Rig::new();
    for round in 0..20 {
        rig.lease(Change::Renewed, "pod-1_1");
        rig.run_to(round * 25_000 + 25_000);
        assert_eq!(rig.confirms.len() as u64, round + 1);
    }
    assert!(!rig.told.iter().any(|(_, verdict, _)| *verdict == Lost));
}

#[test]
fn pitfall_20_an_agent_that_died_while_the_watch_stalls_is_still_found() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(25_000);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(30_000), Lost);
}

#[test]
fn while_nobody_can_look_an_agent_without_a_tunnel_stays_suspect() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    for second in 25..600 {
        rig.run_to(second * 1000);
        rig.confirmed(Confirmation::Failed);
        assert_eq!(rig.verdict(), Suspect);
    }
    // It asks again and again, every five seconds.
    assert!(
        (100..=120).contains(&rig.confirms.len()),
        "{}",
        rig.confirms.len()
    );
}

/// The server was away, so nobody could beat there either: at its first answer nothing can have
/// changed yet.
#[test]
fn whoever_beats_only_where_nobody_could_look_has_a_full_allowance_from_the_first_answer() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    for second in 25..60 {
        rig.run_to(second * 1000);
        rig.confirmed(Confirmation::Failed);
    }
    rig.run_to(60_000);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(65_000), Suspect);
    rig.lease(Change::Renewed, "pod-1_1");
    assert_eq!(rig.verdict(), Alive);
    assert!(!rig.told.iter().any(|(_, verdict, _)| *verdict == Lost));
}

#[test]
fn whoever_is_silent_for_that_long_is_looked_at_again_and_lost() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(25_000);
    rig.confirmed(Confirmation::Failed);
    rig.run_to(60_000);
    rig.confirmed(Confirmation::Silent);
    let looks = rig.confirms.len();
    assert_eq!(rig.run_to(84_999), Suspect);
    assert_eq!(rig.confirms.len(), looks);
    rig.run_to(85_000);
    assert_eq!(rig.confirms.len(), looks + 1);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(89_999), Suspect);
    assert_eq!(rig.run_to(90_000), Lost);
}

#[test]
fn a_pause_does_not_forget_that_nobody_could_look() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(25_000);
    rig.confirmed(Confirmation::Failed);
    rig.run_to(60_000);
    rig.confirmed(Confirmation::Failed);
    rig.now += Duration::from_secs(2);
    rig.fleet.paused(Duration::from_secs(2), rig.now);
    let looks = rig.confirms.len();
    rig.run_to(62_001);
    assert_eq!(rig.confirms.len(), looks + 1, "it asks at once");
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(87_001), Suspect);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(92_001), Lost);
}

/// Whether many others are silent too says nothing of the server.
#[test]
fn neither_does_a_mass_silence() {
    let mut rig = Rig::of(3);
    for agent in 0..3 {
        rig.lease_of(agent, Change::Renewed, "pod-1_1");
    }
    rig.run_to(20_000);
    for agent in 1..3 {
        rig.lease_of(agent, Change::Renewed, "pod-1_1");
    }
    rig.run_to(25_000);
    rig.confirmed(Confirmation::Failed);
    rig.run_to(58_000);
    assert!(rig.view().is_held());
    let looks = rig.confirms.len();
    rig.run_to(60_000);
    assert!(rig.confirms.len() > looks);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(89_999), Suspect);
}

/// A server that was frozen answers what it was asked before.
#[test]
fn an_answer_that_comes_too_late_is_one_of_a_server_that_was_away() {
    for (late, asked_again) in [(30_500, false), (37_000, true)] {
        let mut rig = Rig::new();
        rig.lease(Change::Renewed, "pod-1_1");
        rig.run_to(late);
        assert_eq!(rig.confirms.len() > 2, asked_again);
        rig.confirmed(Confirmation::Silent);
        assert_eq!(rig.run_to(late + 24_999), Suspect);
        rig.run_to(late + 25_000);
        rig.confirmed(Confirmation::Silent);
        assert_eq!(rig.run_to(late + 30_000), Lost);
    }
}

#[test]
fn a_look_that_is_never_answered_is_asked_for_again() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    assert_eq!(rig.run_to(60_000), Suspect);
    let at: Vec<_> = rig.confirms.iter().map(|(_, at)| *at).collect();
    assert_eq!(
        at,
        [
            25_000, 30_000, 35_000, 40_000, 45_000, 50_000, 55_000, 60_000
        ]
    );
}

#[test]
fn an_agent_with_a_tunnel_too_is_lost_in_time_though_nobody_can_look() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(25_000);
    rig.confirmed(Confirmation::Failed);
    assert_eq!(rig.run_to(29_999), Suspect);
    assert_eq!(rig.run_to(30_000), Lost);
}

#[test]
fn an_answer_that_nobody_waits_for_decides_nothing() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.confirmed(Confirmation::Silent);
    rig.run_to(25_000);
    assert_eq!(rig.confirms.len(), 1, "it is looked at all the same");
}

#[test]
fn a_released_lease_is_left_after_one_interval_without_a_successor() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(10_000);
    rig.lease(Change::Released, "");
    assert_eq!(rig.run_to(24_999), Alive);
    assert_eq!(rig.run_to(25_000), Left);
}

#[test]
fn a_successor_within_the_interval_is_a_rollout() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "old_1");
    rig.run_to(10_000);
    rig.lease(Change::Released, "");
    rig.run_to(12_000);
    rig.lease(Change::Renewed, "new_1");
    rig.run_to(26_000);
    assert_eq!(rig.told_of_it(), [(Alive, 0)]);
}

#[test]
fn a_lease_that_was_released_before_the_hubs_start_is_left_and_not_lost() {
    let mut rig = Rig::new();
    rig.lease(Change::First, "");
    rig.run_to(200_000);
    assert_eq!(rig.told_of_it(), [(Left, 45_000)]);
}

#[test]
fn an_agent_of_a_synctarget_only_has_a_minute() {
    let mut rig = Rig::new();
    rig.sync_target(Change::First);
    rig.run_to(1_000);
    rig.sync_target(Change::Renewed);
    assert_eq!(rig.run_to(60_000), Suspect);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(60_999), Suspect);
    assert_eq!(rig.run_to(61_000), Lost);
}

/// A hub that was cut off just then has not seen that the agent made it again.
#[test]
fn a_lease_that_was_deleted_is_looked_for_all_the_same() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.fleet.gone(rig.agents[0], Channel::Lease);
    rig.run_to(25_000);
    assert_eq!(rig.confirms, [(0, 25_000)]);
    rig.confirmed(Confirmation::Silent);
    assert_eq!(rig.run_to(30_000), Lost);
}

#[test]
fn a_target_that_is_deleted_is_forgotten_once_its_agent_is_gone() {
    let mut rig = Rig::new();
    rig.sync_target(Change::First);
    rig.fleet.gone(rig.agents[0], Channel::SyncTarget);
    rig.drain();
    assert_eq!(rig.forgotten, ["root:org:edge/edge-0"]);
}

#[test]
fn a_pause_forgets_what_was_seen_before_it() {
    let mut rig = Rig::new();
    rig.lease(Change::Renewed, "pod-1_1");
    rig.run_to(26_000);
    rig.confirmed(Confirmation::Silent);
    rig.now += Duration::from_secs(60);
    rig.fleet.paused(Duration::from_secs(60), rig.now);
    let before = rig.confirms.len();
    rig.run_to(91_000);
    assert_eq!(rig.verdict(), Suspect);
    assert!(rig.confirms.len() > before);
}
