//! Rollouts: several instances of one agent, each with a slot.

use std::collections::BTreeSet;

use super::rig::Rig;
use super::rig::payload;
use crate::fleet::Change;
use crate::fleet::FleetVerdict::Alive;
use crate::fleet::FleetVerdict::Left;
use crate::fleet::FleetVerdict::Lost;
use crate::fleet::FleetVerdict::Suspect;
use crate::fleet::instance::INSTANCES_MAX;
use crate::wire::HeartbeatPayload;

#[test]
fn in_a_rollout_the_goodbye_of_the_old_instance_takes_nobody_down() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat_with(0, 1, &payload("old", 10.0, 30.0));
    rig.open(2);
    rig.beat_with(0, 2, &payload("new", 10.0, 30.0));
    rig.leave(1);
    assert_eq!(rig.verdict(), Alive);
    rig.leave(2);
    assert_eq!(rig.told_of_it(), [(Alive, 0), (Left, 0)]);
}

#[test]
fn an_instance_that_breaks_beside_one_that_lives_is_no_suspicion() {
    let mut rig = Rig::new();
    for (tunnel, slot) in [(1, "old"), (2, "new")] {
        rig.open(tunnel);
        rig.beat_with(0, tunnel, &payload(slot, 10.0, 30.0));
    }
    rig.close(1);
    assert_eq!(rig.verdict(), Alive);
    rig.close(2);
    assert_eq!(rig.verdict(), Suspect);
}

/// The old instance leaves, the new one has died before: that is no goodbye of the agent.
#[test]
fn the_agent_has_left_only_when_the_last_instance_said_so() {
    let mut rig = Rig::new();
    for (tunnel, slot) in [(1, "old"), (2, "new")] {
        rig.open(tunnel);
        rig.beat_with(0, tunnel, &payload(slot, 10.0, 30.0));
    }
    rig.close(2);
    rig.leave(1);
    assert_eq!(rig.verdict(), Suspect);
    assert_eq!(rig.run_to(30_000), Lost);
}

#[test]
fn a_newer_tunnel_of_the_same_instance_replaces_the_older_one() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    rig.open(2);
    rig.beat_with(0, 2, &payload("pod-1", 10.0, 30.0));
    assert_eq!(rig.replaced, [(1, "1".to_owned())]);
    rig.beat_with(0, 2, &payload("pod-1", 10.0, 30.0));
    assert_eq!(rig.replaced.len(), 1);
    rig.close(1);
    assert_eq!(rig.verdict(), Alive);
}

/// Two processes with one identity whose first beats came the other way round than their tunnels
/// beat beside each other without end, and nobody was told.
#[test]
fn the_older_tunnel_is_replaced_though_it_beats_last() {
    let mut rig = Rig::new();
    let [older, newer] = ["1", "2"].map(|incarnation| HeartbeatPayload {
        incarnation: incarnation.to_owned(),
        ..payload("pod-1", 10.0, 30.0)
    });
    rig.open(1);
    rig.open(2);
    rig.beat_with(0, 2, &newer);
    rig.beat_with(0, 1, &older);
    assert_eq!(rig.replaced, [(1, "2".to_owned())]);
    let instances: Vec<_> = rig.view().instances().collect();
    let [instance] = instances[..] else {
        panic!("one slot is one instance: {instances:?}");
    };
    assert_eq!(
        instance.incarnation, "2",
        "who is thrown out is not believed"
    );
    rig.close(1);
    rig.close(2);
    assert_eq!(rig.verdict(), Suspect);
}

/// In whatever order they beat: all that were heard are replaced but the newest of them.
#[test]
fn of_a_slot_s_tunnels_only_the_newest_stays() {
    for number in 0..3_u32.pow(5) {
        let beats: Vec<u64> = (0..5)
            .map(|at| u64::from(number / 3_u32.pow(at) % 3))
            .collect();
        let mut rig = Rig::new();
        for tunnel in 0..3 {
            rig.open(tunnel);
        }
        for tunnel in &beats {
            rig.beat_with(0, *tunnel, &payload("pod-1", 10.0, 30.0));
        }
        let replaced: BTreeSet<_> = rig.replaced.iter().map(|(tunnel, _)| *tunnel).collect();
        let mut heard: BTreeSet<_> = beats.iter().copied().collect();
        heard.pop_last();
        assert_eq!(replaced, heard, "{beats:?}");
    }
}

#[test]
fn another_instance_replaces_no_tunnel() {
    let mut rig = Rig::new();
    for (tunnel, slot) in [(1, "old"), (2, "new")] {
        rig.open(tunnel);
        rig.beat_with(0, tunnel, &payload(slot, 10.0, 30.0));
    }
    assert!(rig.replaced.is_empty());
    assert_eq!(rig.view().instances().count(), 2);
}

#[test]
fn a_slots_new_incarnation_replaces_its_old_one() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    let restarted = HeartbeatPayload {
        incarnation: "2".to_owned(),
        sequence: 0,
        ..payload("pod-1", 5.0, 15.0)
    };
    rig.open(2);
    rig.beat_with(0, 2, &restarted);
    let instances: Vec<_> = rig.view().instances().collect();
    assert_eq!(instances.len(), 1);
    assert_eq!((instances[0].incarnation, instances[0].sequence), ("2", 0));
    assert_eq!(rig.replaced, [(1, "2".to_owned())]);
    rig.run_to(15_000);
    assert_eq!(rig.verdict(), Lost, "its own terms count");
}

/// The one that is replaced may declare more: it counts until it left or is silent for as long.
#[test]
fn the_longest_allowance_of_those_present_counts() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat_with(0, 1, &payload("slow", 60.0, 180.0));
    rig.open(2);
    rig.beat_with(0, 2, &payload("fast", 1.0, 3.0));
    assert_eq!(rig.view().allowance().as_secs(), 180);
    rig.leave(1);
    rig.beat_with(0, 2, &payload("fast", 1.0, 3.0));
    assert_eq!(rig.view().allowance().as_secs(), 3);
}

#[test]
fn a_crash_loop_with_new_names_keeps_a_few_instances() {
    let mut rig = Rig::new();
    for number in 0..100_u32 {
        rig.beat_with(0, 1, &payload(&format!("pod-{number}"), 10.0, 30.0));
        rig.run_to(u64::from(number + 1) * 1000);
    }
    assert_eq!(rig.view().instances().count(), INSTANCES_MAX);
    assert_eq!(rig.view().carried().unwrap().slot, "pod-99");
}

#[test]
fn a_goodbye_over_the_tunnel_counts_though_the_lease_was_released_before() {
    let mut rig = Rig::new();
    rig.open(1);
    rig.beat(10, 30);
    rig.lease(Change::Renewed, "pod-1_1");
    rig.lease(Change::Released, "");
    assert_eq!(rig.verdict(), Alive);
    rig.leave(1);
    assert_eq!(rig.told_of_it(), [(Alive, 0), (Left, 0)]);
}

#[test]
fn what_an_instance_says_of_its_health_is_kept() {
    let mut rig = Rig::new();
    let mut beat = payload("pod-1", 10.0, 30.0);
    beat.status = health_core::HealthStatus::Degraded;
    beat.report_age_seconds = 1.5;
    beat.deciding = vec![crate::wire::DecidingPayload {
        component: "sync-engine".to_owned(),
        status: health_core::HealthStatus::Degraded,
        reason: "QueueDepthHigh".to_owned(),
        message: "1200 waiting".to_owned(),
    }];
    rig.beat_with(0, 1, &beat);
    let carried = rig.view().carried().unwrap();
    assert_eq!(carried.status, Some(beat.status));
    assert_eq!(carried.deciding, beat.deciding);
    assert_eq!(carried.report_age_seconds, 1.5);
    // A Lease carries the status only; who decided it stays while that is the same.
    rig.lease(Change::Renewed, "pod-1_1");
    assert_eq!(rig.view().carried().unwrap().deciding, beat.deciding);
    beat.deciding.clear();
    rig.beat_with(0, 1, &beat);
    assert!(rig.view().carried().unwrap().deciding.is_empty());
}
