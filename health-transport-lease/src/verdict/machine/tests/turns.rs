//! Whose turn it is, and how often.

use super::world::World;
use super::world::foreign;
use super::world::lost;
use super::world::secs;
use super::world::wishes;
use super::*;
use crate::testing::Fault;

#[test]
fn a_fleet_that_falls_silent_is_written_at_the_rate_and_the_lost_first() {
    let mut world = World::new();
    let names: Vec<_> = (0..2000).map(|number| format!("edge-{number}")).collect();
    for name in &names {
        world.model.create_target(name);
    }
    for (number, name) in names.iter().enumerate() {
        let wish = if number % 2 == 0 {
            Wish::Alive
        } else {
            lost(0)
        };
        world.tell(name, wish);
    }
    world.run(60);
    assert_eq!(world.machine.status(world.now).waiting, 0);
    let turns = world.made.iter().filter(|(_, it)| it.starts_with("GET"));
    let turns: Vec<_> = turns.cloned().collect();
    assert_eq!(turns.len(), 2000);
    // Before anybody else was told, so many had begun.
    let alive =
        |it: &(Instant, String)| world.standing(&it.1[4..]) != Standing::Known(WishKind::Lost);
    let first = turns.iter().skip(IN_FLIGHT_MAX).position(alive);
    assert_eq!(first, Some(1000 - IN_FLIGHT_MAX / 2));
    for (number, (at, _)) in turns.iter().enumerate() {
        let bound = 100.0 + (*at - world.start).as_secs_f64() * 50.0;
        assert!(number as f64 <= bound, "{number}");
    }
}

#[test]
fn nothing_is_written_by_who_is_not_the_leader() {
    let mut world = World::new();
    world.hand_in(VerdictInput::Active(false));
    world.tell("edge-1", lost(0));
    assert!(world.run(600).is_empty());
    assert_eq!(world.machine.poll_timeout(), None);
    world.hand_in(VerdictInput::Active(true));
    assert_eq!(world.run(1), ["GET edge-1", "PUT edge-1"]);
}

/// Who stops to be the leader between its read and its write does not write.
#[test]
fn who_is_no_leader_any_more_does_not_end_its_turn() {
    let mut world = World::new();
    world.tell("edge-1", lost(0));
    let Some(VerdictOutput::Call { flight, .. }) = world.machine.poll() else {
        panic!("it wants nothing");
    };
    world.hand_in(VerdictInput::Active(false));
    let reply = Ok(world.object("edge-1").clone());
    let wall = world.wall();
    world.hand_in(VerdictInput::Reply {
        flight,
        reply,
        wall,
    });
    assert!(world.run(60).is_empty());
    world.hand_in(VerdictInput::Active(true));
    assert_eq!(world.run(60), ["GET edge-1", "PUT edge-1"]);
}

/// A new leader with a watch asks the server for nothing that it has been shown.
#[test]
fn what_a_watch_has_shown_is_not_read_again() {
    let mut world = World::new();
    let names: Vec<_> = (0..1000).map(|number| format!("edge-{number}")).collect();
    for name in &names {
        world.model.create_target(name);
        world.tell(name, Wish::Alive);
    }
    world.run(60);
    world.restart();
    world.hand_in(VerdictInput::Active(false));
    for (number, name) in names.iter().enumerate() {
        // Whichever comes first.
        if number % 2 == 0 {
            world.tell(name, Wish::Alive);
            world.watch(name);
        } else {
            world.watch(name);
            world.tell(name, Wish::Alive);
        }
    }
    world.tell("edge-7", lost(0));
    world.hand_in(VerdictInput::Active(true));
    assert_eq!(world.run(600), ["GET edge-7", "PUT edge-7"]);
}

/// Whatever happens: never two calls about one target, never more turns than the rate allows,
/// never faster than the interval; and when it is quiet, what was told last stands there.
#[test]
fn whatever_happens_the_bounds_hold_and_the_newest_wish_stands_at_last() {
    for seed in 0..200 {
        let mut world = chaos(seed);
        let log = world.made.clone();
        assert_eq!(
            chaos(seed).made.len(),
            log.len(),
            "the same seed, the same calls"
        );
        for number in 0..5 {
            let name = format!("edge-{number}");
            let mut asked: Vec<_> = Vec::new();
            let mut writes: Vec<Instant> = Vec::new();
            for (at, request) in &log {
                if request.ends_with(&name) {
                    asked.push(*at);
                    if request.starts_with("PUT") {
                        writes.push(*at);
                    }
                }
            }
            // A turn is at most three writes at one time.
            writes.dedup();
            let close = writes.windows(2).any(|pair| pair[1] - pair[0] < secs(5));
            assert!(!close, "seed {seed}: {name}");
            let last = lost(10_000 + seed);
            world.tell(&name, Wish::Alive);
            world.tell(&name, last);
        }
        world.run(3600);
        for number in 0..5 {
            let name = format!("edge-{number}");
            let standing = world.standing(&name);
            assert_eq!(standing, Standing::Known(WishKind::Lost), "seed {seed}");
            let message = &world.object(&name)["status"]["conditions"];
            let told = lost(10_000 + seed).condition().unwrap().message;
            assert!(
                message.to_string().contains(&told),
                "seed {seed}: {message}"
            );
        }
    }
}

fn chaos(seed: u64) -> World {
    let mut chance = fastrand::Rng::with_seed(seed);
    let config = VerdictConfig {
        foreign_writes_max: u32::MAX,
        rate: 2,
        burst: 3,
        ..VerdictConfig::default()
    };
    let mut world = World::of(Dialect::TmcApi, config);
    for number in 0..5 {
        world.model.create_target(&format!("edge-{number}"));
    }
    for _ in 0..300 {
        let name = format!("edge-{}", chance.u8(0..5));
        match chance.u8(0..12) {
            0..5 => {
                let [wish, ..] = [chance.choice(wishes()).unwrap()];
                world.tell(&name, wish);
            }
            5 => world.rival_writes(&name, Some(foreign("False"))),
            6 => world.agent_races = chance.u32(0..8),
            7 => world.watch(&name),
            8 => world.model.create_target(&name),
            9 => world.hand_in(VerdictInput::Active(chance.bool())),
            10 => world.hangs = chance.u8(0..4) == 0,
            _ => {
                let faults = [
                    Fault::None,
                    Fault::Status(500),
                    Fault::Status(403),
                    Fault::Busy(7),
                    Fault::Lost,
                    Fault::AnswerLost,
                ];
                world.model.fail(chance.choice(faults));
            }
        }
        world.run(chance.u64(0..8));
    }
    world.hangs = false;
    world.agent_races = 0;
    world.hand_in(VerdictInput::Active(true));
    world.run(3600);
    let start = world.start;
    let turns = world.made.iter().filter(|(_, it)| it.starts_with("GET"));
    let turns: Vec<_> = turns.map(|(at, _)| *at - start).collect();
    // Reads after lost races are part of a turn: at most three each.
    for (number, at) in turns.iter().enumerate() {
        let bound = 3.0 * (3.0 + at.as_secs_f64() * 2.0);
        assert!(number as f64 <= bound, "seed {seed}: {number} at {at:?}");
    }
    world
}
