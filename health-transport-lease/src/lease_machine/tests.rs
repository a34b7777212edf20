use super::*;
use crate::testing::Fault;
use serde_json::json;

mod release;
mod world;

use world::*;

#[test]
fn a_steady_renewal_is_exactly_one_request() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    assert_eq!(world.beat(&mut alice, 1), "acknowledged");
    assert_eq!(world.methods(), ["GET", "GET", "POST"]);
    for sequence in 2..50 {
        world.sleep(10);
        assert_eq!(world.beat(&mut alice, sequence), "acknowledged");
        assert_eq!(world.methods(), ["PUT"]);
    }
    assert_eq!(world.spec()["leaseTransitions"], 0);
    assert_eq!(world.events, [LeaseEvent::Acquired]);
}

/// OCM hub_timeout: an old Lease is there at the start; nobody saw it expire yet.
#[test]
fn pitfall_17_another_slot_is_waited_for_by_our_own_observation() {
    let mut world = World::new();
    let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
    world.beat(&mut alice, 1);
    world.sleep(3600);
    assert_eq!(world.beat(&mut bob, 1), "standing by for alice_1");
    world.sleep(29);
    assert_eq!(world.beat(&mut bob, 2), "standing by for alice_1");
    world.sleep(1);
    assert_eq!(world.beat(&mut bob, 3), "acknowledged");
    assert_eq!(world.spec()["leaseTransitions"], 1);
    world.sleep(1);
    assert_eq!(world.beat(&mut alice, 2), "standing by for bob_1");
    assert_eq!(alice.tenure().held, None);
    assert_eq!(alice.tenure().other, Some("bob_1".into()));
}

#[test]
fn a_holder_that_renews_is_never_taken_over() {
    let mut world = World::new();
    let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
    for sequence in 1..100 {
        assert_eq!(world.beat(&mut alice, sequence), "acknowledged");
        assert_eq!(world.beat(&mut bob, sequence), "standing by for alice_1");
        world.sleep(29);
    }
}

/// The time that counts is the Lease's own, not the observer's.
#[test]
fn expiry_honours_the_recorded_duration() {
    let mut world = World::new();
    world.model.put(LEASE, lease("kubelet", json!(120)));
    let mut bob = agent("bob", "1");
    world.beat(&mut bob, 1);
    world.sleep(119);
    assert_eq!(world.beat(&mut bob, 2), "standing by for kubelet");
    world.sleep(1);
    assert_eq!(world.beat(&mut bob, 3), "acknowledged");
}

#[test]
fn a_write_of_the_metadata_is_no_sign_of_life() {
    let mut world = World::new();
    world.model.put(LEASE, lease("alice_1", json!(30)));
    let mut bob = agent("bob", "1");
    world.beat(&mut bob, 1);
    world.sleep(30);
    let mut labelled = lease("alice_1", json!(30));
    labelled["metadata"]["labels"] = json!({"by": "a person"});
    world.model.put(LEASE, labelled);
    assert_eq!(world.beat(&mut bob, 2), "acknowledged");
    assert_eq!(world.object()["metadata"]["labels"]["by"], "a person");
}

#[test]
fn a_restart_takes_over_at_once_and_the_old_one_stands_by() {
    let mut world = World::new();
    let (mut old, mut new) = (agent("alice", "1"), agent("alice", "2"));
    world.beat(&mut old, 1);
    assert_eq!(world.beat(&mut new, 1), "acknowledged");
    assert_eq!(world.spec()["leaseTransitions"], 1);
    world.sleep(10);
    assert_eq!(world.beat(&mut old, 2), "standing by for alice_2");
    world.sleep(10);
    assert_eq!(world.beat(&mut new, 2), "acknowledged");
    assert_eq!(world.beat(&mut old, 3), "standing by for alice_2");
}

/// Kubernetes #79096: the write is applied, its answer lost, and each further one conflicts.
#[test]
fn pitfall_5_a_lost_acknowledgement_is_found_again() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    world.sleep(10);
    let sent = world.now;
    world.model.fail([Fault::AnswerLost]);
    assert_eq!(world.beat(&mut alice, 2), "failed Timeout");
    world.methods();
    assert_eq!(world.beat(&mut alice, 2), "acknowledged");
    assert_eq!(
        world.methods(),
        ["GET"],
        "what is written is not written again"
    );
    assert_eq!(
        held(&alice),
        sent + secs(30),
        "counted from the send of the write that arrived"
    );
    world.sleep(10);
    assert_eq!(world.beat(&mut alice, 3), "acknowledged");
    assert_eq!(world.methods(), ["PUT"]);
}

/// The answer to the creation is lost, too.
#[test]
fn a_lost_creation_is_found_again() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world
        .model
        .fail([Fault::None, Fault::None, Fault::AnswerLost]);
    assert_eq!(world.beat(&mut alice, 1), "failed Timeout");
    assert_eq!(world.beat(&mut alice, 1), "acknowledged");
    assert_eq!(world.spec()["leaseTransitions"], 0);
}

/// The write arrives only after the next one has looked: the conflict is with ourselves.
#[test]
fn a_conflict_with_our_own_late_write_is_an_acknowledgement() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    world.begin(&mut alice, 2);
    let late = world.next_call(&mut alice).unwrap();
    world.sleep(5);
    alice.handle(LeaseInput::Timeout, world.now);
    assert_eq!(world.finish(&mut alice), "failed Timeout");
    world.begin(&mut alice, 2);
    world.answer(&mut alice);
    let _ = world.model.call(&late.verb, &objects());
    assert_eq!(world.finish(&mut alice), "acknowledged");
    assert_eq!(world.conflicts(), 1);
}

/// kube-leader-election: two candidates see "expired", and both have acquired.
#[test]
fn pitfall_31_of_two_writers_at_one_resource_version_one_wins() {
    let mut world = World::new();
    world.model.put(LEASE, lease("", json!(1)));
    let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
    world.begin(&mut alice, 1);
    world.answer(&mut alice);
    world.begin(&mut bob, 1);
    world.answer(&mut bob);
    assert_eq!(world.finish(&mut alice), "acknowledged");
    assert_eq!(world.finish(&mut bob), "standing by for alice_1");
    assert_eq!(bob.tenure().held, None);
}

/// gardener #15716: after a conflict the decision is by a live read, in the same beat.
#[test]
fn pitfall_6_a_conflict_is_decided_by_a_live_read() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    let mut theirs = world.object().clone();
    theirs["metadata"]["annotations"]["theirs"] = "1".into();
    world.model.put(LEASE, theirs);
    world.methods();
    assert_eq!(world.beat(&mut alice, 2), "acknowledged");
    assert_eq!(world.methods(), ["PUT", "GET", "PUT"]);
    assert_eq!(world.object()["metadata"]["annotations"]["theirs"], "1");
}

/// component-helpers tries five times without a pause.
#[test]
fn pitfall_9_lost_races_are_bounded_and_apart() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    world.methods();
    world.rival = true;
    let start = world.now;
    assert_eq!(world.beat(&mut alice, 2), "failed Conflict");
    assert_eq!(world.methods().len(), 6);
    assert!(world.now > start, "there was no wait at all");
    world.rival = false;
    assert_eq!(world.beat(&mut alice, 2), "acknowledged");
}

/// kube-lease-manager says leader after expiry when the server is down.
#[test]
fn pitfall_32_what_is_held_ends_before_anyone_else_can_take_it() {
    let mut world = World::new();
    let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
    let sent = world.now;
    world.beat(&mut alice, 1);
    assert_eq!(held(&alice), sent + secs(30));
    world.beat(&mut bob, 1);
    for sequence in 2..8 {
        world.model.fail([Fault::Lost]);
        assert!(world.beat(&mut alice, sequence).starts_with("failed"));
    }
    assert_eq!(
        held(&alice),
        sent + secs(30),
        "failed renewals prolong nothing"
    );
    world.now = sent + secs(30);
    assert!(!alice.tenure().is_held(world.now, Duration::ZERO));
    assert_eq!(world.beat(&mut bob, 2), "acknowledged");
}

#[test]
fn a_shorter_duration_shortens_what_is_held_before_it_is_sent() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    world.timeout = secs(3);
    world.begin(&mut alice, 2);
    assert_eq!(held(&alice), world.now + secs(3));
    world.timeout = secs(60);
    world.finish(&mut alice);
    world.beat(&mut alice, 3);
    assert_eq!(held(&alice), world.now + secs(60));
}

#[test]
fn a_pause_of_our_own_shortens_what_is_held() {
    let mut world = World::new();
    let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
    world.beat(&mut alice, 1);
    alice.handle(LeaseInput::Paused(secs(3600)), world.now);
    assert!(!alice.tenure().is_held(world.now, Duration::ZERO));
    world.beat(&mut bob, 1);
    world.sleep(29);
    bob.handle(LeaseInput::Paused(secs(3600)), world.now);
    assert_eq!(world.beat(&mut bob, 2), "standing by for alice_1");
    world.sleep(30);
    assert_eq!(world.beat(&mut bob, 3), "acknowledged");
}

/// Kubernetes #113081: a clock that went back by an hour made nodes Unknown. Summer time, a step,
/// a year in the past: what is written moves, and nothing that is decided.
#[test]
fn pitfall_14_a_wall_clock_that_jumps_decides_nothing() {
    let year = 31_536_000;
    for jump in [-3600, 3600, -year, year, -1_700_000_000, 8000 * year] {
        let mut world = World::new();
        let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
        for sequence in 1..20 {
            world.ahead = if sequence % 4 < 2 { 0 } else { jump };
            let sent = world.now;
            assert_eq!(world.beat(&mut alice, sequence), "acknowledged", "{jump}");
            assert_eq!(held(&alice), sent + secs(30), "{jump}");
            assert_eq!(world.beat(&mut bob, sequence), "standing by for alice_1");
            world.sleep(29);
        }
        world.sleep(1);
        world.ahead = -jump.min(1_700_000_000);
        assert_eq!(world.beat(&mut bob, 20), "acknowledged", "{jump}");
        assert_eq!(world.beat(&mut alice, 20), "standing by for bob_1");
    }
}

/// OCM registration#280: a loop stops for good when its object is gone.
#[test]
fn pitfall_16_a_lease_that_was_deleted_is_created_again() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    world.model.delete(LEASE);
    assert_eq!(world.beat(&mut alice, 2), "acknowledged");
    assert_eq!(world.spec()["holderIdentity"], "alice_1");
    assert!(world.events.contains(&LeaseEvent::Lost { to: None }));
}

/// Kubernetes #84981: orphans. What the target owns goes with the target.
#[test]
fn pitfall_47_a_created_lease_is_owned_by_its_target_where_that_can_be_read() {
    let mut world = World::new();
    world.model.define(Some(crate::Dialect::Kcp));
    world.model.create_target("edge-1");
    world.beat(&mut agent("alice", "1"), 1);
    let owners = &world.object()["metadata"]["ownerReferences"];
    assert_eq!(owners[0]["name"], "edge-1");
    assert_eq!(owners[0]["uid"], "uid-1");
    assert_eq!(owners[0].get("blockOwnerDeletion"), None);
    for fault in [Fault::Status(403), Fault::Status(500), Fault::Lost] {
        world.model.delete(LEASE);
        world.model.fail([Fault::None, fault]);
        assert_eq!(
            world.beat(&mut agent("alice", "2"), 1),
            "acknowledged",
            "{fault:?}"
        );
        assert_eq!(world.object()["metadata"].get("ownerReferences"), None);
    }
}

#[test]
fn every_failure_has_its_kind_and_the_next_beat_recovers() {
    for (fault, kind, next) in [
        (Fault::Status(403), "Forbidden", "PUT"),
        (Fault::Status(401), "Unauthorized", "PUT"),
        (Fault::Status(422), "Invalid", "PUT"),
        (Fault::Busy(5), "TooMany", "PUT"),
        (Fault::Status(500), "Server", "GET"),
        (Fault::Status(503), "Server", "GET"),
        (Fault::Lost, "Timeout", "GET"),
    ] {
        let mut world = World::new();
        let mut alice = agent("alice", "1");
        world.beat(&mut alice, 1);
        world.model.fail([fault]);
        assert_eq!(world.beat(&mut alice, 2), format!("failed {kind}"));
        world.methods();
        assert_eq!(world.beat(&mut alice, 2), "acknowledged");
        assert_eq!(world.methods()[0], next, "{fault:?}");
    }
}

#[test]
fn a_missing_namespace_is_told_from_a_missing_lease() {
    let mut world = World::new();
    let elsewhere = Objects {
        namespace: "nowhere".to_owned(),
        ..objects()
    };
    let mut alice = LeaseMachine::new(elsewhere.clone(), &identity("alice", "1"), 7);
    world.objects = elsewhere;
    assert_eq!(world.beat(&mut alice, 1), "failed NamespaceMissing");
}

/// A kcp says of a workspace that is not there that it, and not the Lease, is not found.
#[test]
fn where_even_a_new_lease_is_not_found_nobody_else_is_blamed() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.model.fail([Fault::NoWorkspace; 3]);
    assert_eq!(world.beat(&mut alice, 1), "failed NotFound");
    assert_eq!(world.methods(), ["GET", "GET", "POST"]);
    assert_eq!(world.beat(&mut alice, 2), "acknowledged");
}

/// The crates' interop: Leases as kubelet, client-go, kubert and kube-leader-election leave them.
#[test]
fn pitfall_33_leases_of_other_programs_are_taken_over_when_they_are_free() {
    for (holder, duration, free) in [
        (json!(null), json!(null), true),
        (json!(""), json!(1), true),
        (json!("kubelet-7"), json!(40), false),
        (json!("kubelet-7"), json!(null), false),
        (json!("kubelet-7"), json!(0), false),
        (json!("kubelet-7"), json!(-5), false),
    ] {
        let mut world = World::new();
        let mut theirs = lease("", json!(null));
        theirs["spec"]["holderIdentity"] = holder.clone();
        theirs["spec"]["leaseDurationSeconds"] = duration;
        world.model.put(LEASE, theirs);
        let mut alice = agent("alice", "1");
        let expected = if free {
            "acknowledged"
        } else {
            "standing by for kubelet-7"
        };
        assert_eq!(world.beat(&mut alice, 1), expected, "{holder}");
        world.sleep(40);
        assert_eq!(world.beat(&mut alice, 2), "acknowledged", "{holder}");
    }
}

#[test]
fn the_same_seed_and_inputs_give_the_same_waits() {
    let run = |seed| {
        let mut world = World::new();
        let mut alice = LeaseMachine::new(objects(), &identity("alice", "1"), seed);
        let start = world.now;
        world.beat(&mut alice, 1);
        world.rival = true;
        world.beat(&mut alice, 2);
        world.now - start
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}
