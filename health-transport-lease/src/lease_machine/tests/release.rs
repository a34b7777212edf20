//! How an agent leaves.

use super::world::*;
use crate::testing::Fault;
use http::Method;

#[test]
fn a_release_is_client_gos_and_the_next_one_need_not_wait() {
    let mut world = World::new();
    let (mut alice, mut bob) = (agent("alice", "1"), agent("bob", "1"));
    world.beat(&mut alice, 1);
    world.beat(&mut bob, 1);
    world.methods();
    assert_eq!(world.release(&mut alice), "released");
    assert_eq!(world.methods(), ["PUT"]);
    assert_eq!(world.spec()["holderIdentity"], "");
    assert_eq!(world.spec()["leaseDurationSeconds"], 1);
    assert_eq!(alice.tenure().held, None);
    assert_eq!(world.beat(&mut bob, 2), "acknowledged");
    assert_eq!(world.spec()["leaseTransitions"], 1);
}

/// client-go 1b1630d32: the release conflicts with a renewal of our own that is under way.
#[test]
fn pitfall_11_a_release_goes_through_across_a_renewal_in_flight() {
    for (arrives_after_calls, beat) in [(0, 2), (1, 2), (2, 2)] {
        let mut world = World::new();
        let mut alice = agent("alice", "1");
        world.beat(&mut alice, 1);
        world.begin(&mut alice, beat);
        let late = world.next_call(&mut alice).unwrap();
        world.begin_release(&mut alice);
        assert_eq!(
            alice.tenure().held,
            None,
            "given up before the release is sent"
        );
        for _ in 0..arrives_after_calls {
            world.answer(&mut alice);
        }
        let _ = world.model.call(&late.verb, &objects());
        let _ = world.finish(&mut alice);
        assert_eq!(world.spec()["holderIdentity"], "", "{arrives_after_calls}");
    }
}

/// component-helpers d1f2e8e: leaving hangs in the retries of a creation that cannot succeed.
#[test]
fn pitfall_10_a_release_of_what_was_never_held_ends_at_once() {
    let mut world = World::new();
    assert_eq!(world.release(&mut agent("alice", "1")), "released");
    assert_eq!(world.methods(), [] as [Method; 0]);
    let mut bob = agent("bob", "1");
    world
        .model
        .fail([Fault::None, Fault::None, Fault::Status(422)]);
    assert_eq!(world.beat(&mut bob, 1), "failed Invalid");
    world.methods();
    assert_eq!(world.release(&mut bob), "released");
    assert_eq!(world.methods(), [] as [Method; 0]);
}

#[test]
fn a_release_leaves_alone_what_is_another_ones() {
    let mut world = World::new();
    let (mut old, mut new) = (agent("alice", "1"), agent("alice", "2"));
    world.beat(&mut old, 1);
    world.beat(&mut new, 1);
    assert_eq!(world.release(&mut old), "released");
    assert_eq!(world.spec()["holderIdentity"], "alice_2");
}

#[test]
fn a_release_ends_by_its_deadline_when_nobody_answers() {
    let mut world = World::new();
    let mut alice = agent("alice", "1");
    world.beat(&mut alice, 1);
    world.model.fail([Fault::Lost; 20]);
    let start = world.now;
    assert_eq!(world.release(&mut alice), "failed Timeout");
    assert!(world.now <= start + secs(5));
}
