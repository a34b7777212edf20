//! A server that fails.

use super::world::World;
use super::world::lost;
use super::world::secs;
use super::*;
use crate::testing::Fault;

/// Every failure of either call ends with what is wished for, and is told once.
#[test]
fn every_failure_is_outlived() {
    for fault in [
        Fault::Status(400),
        Fault::Status(401),
        Fault::Status(403),
        Fault::Status(404),
        Fault::Status(409),
        Fault::Status(422),
        Fault::Status(429),
        Fault::Status(500),
        Fault::Status(503),
        Fault::Busy(3),
        Fault::Lost,
        Fault::AnswerLost,
    ] {
        for write in [true, false] {
            for wish in [Wish::Alive, lost(0), Wish::Left] {
                let mut world = World::new();
                let before = [Fault::None].into_iter().take(usize::from(write));
                world.model.fail(before.chain([fault]));
                world.tell("edge-1", wish.clone());
                world.run(600);
                let case = format!("{fault:?} {write} {wish:?}");
                assert_eq!(world.standing("edge-1").known(), wish.kind(), "{case}");
                let told = usize::from(fault != Fault::Status(409));
                assert_eq!(world.failures().len(), told, "{case}");
                assert_eq!(world.contested(), 0, "{case}");
            }
        }
    }
}

/// The server is left alone, by everybody, and not for longer than it is meant to be.
#[test]
fn a_server_that_fails_is_left_alone() {
    let mut world = World::new();
    for number in 1..100 {
        world.model.create_target(&format!("edge-{number}"));
    }
    world
        .model
        .fail(std::iter::repeat_n(Fault::Status(503), 100_000));
    for number in 1..100 {
        world.tell(&format!("edge-{number}"), lost(0));
    }
    world.run(600);
    let early = world.made.len();
    assert!(early > 600 / PAUSE_CAP.as_secs() as usize);
    assert!(early < 80, "{early} requests in 10 min");
    assert_eq!(world.failures(), [ErrorKind::Server], "it is told once");
}

#[test]
fn retry_after_is_obeyed_over_all_targets() {
    let mut world = World::new();
    world.model.create_target("edge-2");
    world.model.fail([Fault::Busy(120)]);
    world.tell("edge-1", lost(0));
    world.run(1);
    world.tell("edge-2", lost(0));
    assert!(world.run(118).is_empty());
    assert!(world.machine.status(world.now).paused);
    assert_eq!(world.run(2).len(), 4);
    assert!(!world.machine.status(world.now).paused);
}

#[test]
fn what_is_wrong_with_one_target_holds_up_no_other() {
    let mut world = World::new();
    world.tell("missing", lost(0));
    for _ in 0..20 {
        for wish in [Wish::Alive, lost(0)] {
            world.tell("edge-1", wish.clone());
            world.run(5);
            assert_eq!(world.standing("edge-1").known(), wish.kind());
        }
    }
    world.run(3600);
    let asked = world.made.iter().filter(|it| it.1 == "GET missing").count();
    assert!((10..60).contains(&asked), "{asked}");
    assert_eq!(world.failures(), [ErrorKind::NotFound], "it is told once");
    // It is found by itself when it is there.
    world.model.create_target("missing");
    world.run(600);
    assert_eq!(world.standing("missing"), Standing::Known(WishKind::Lost));
}

/// fleet-server#749: agents were shown offline because the store could not take what was told.
#[test]
fn pitfall_26_a_server_that_hangs_delays_what_is_written_and_nothing_else() {
    let mut world = World::new();
    let names: Vec<_> = (0..10_000).map(|number| format!("edge-{number}")).collect();
    for name in &names {
        world.model.create_target(name);
    }
    world.hangs = true;
    for round in 0..3 {
        for name in &names {
            world.tell(name, lost(round));
            world.tell(name, Wish::Alive);
        }
        world.run(60);
        let status = world.machine.status(world.now);
        assert_eq!(status.waiting + status.in_flight, names.len());
    }
    let asked = world.made.len();
    assert!(asked <= 180 / 10 + IN_FLIGHT_MAX, "{asked}");
    world.hangs = false;
    for name in names.iter().step_by(10) {
        world.tell(name, lost(9));
    }
    world.run(60);
    world.run(220);
    for (number, name) in names.iter().enumerate() {
        let kind = if number % 10 == 0 {
            WishKind::Lost
        } else {
            WishKind::Alive
        };
        assert_eq!(world.standing(name), Standing::Known(kind), "{name}");
    }
    assert_eq!(world.machine.status(world.now).waiting, 0);
}

/// A call that is given up says nothing any more, whenever its answer comes.
#[test]
fn an_answer_that_comes_too_late_is_no_answer() {
    let mut world = World::new();
    world.tell("edge-1", lost(0));
    let Some(VerdictOutput::Call { flight, call, .. }) = world.machine.poll() else {
        panic!("it wants nothing");
    };
    assert_eq!(call.by, world.now + secs(10));
    assert_eq!(world.machine.poll_timeout(), Some(call.by));
    world.now = call.by;
    world.hand_in(VerdictInput::Timeout);
    let reply = Ok(world.object("edge-1").clone());
    let wall = world.wall();
    world.hand_in(VerdictInput::Reply {
        flight,
        reply,
        wall,
    });
    assert_eq!(world.run(60), ["GET edge-1", "PUT edge-1"]);
}
