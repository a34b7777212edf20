mod errors;
mod rivals;
mod turns;
mod world;

use self::world::THEN;
use self::world::World;
use self::world::foreign;
use self::world::lost;
use self::world::path;
use self::world::secs;
use self::world::stands;
use self::world::wishes;
use super::*;
use crate::Dialect;
use serde_json::Value;
use serde_json::json;

/// Every wish, whatever stands there, in every dialect.
#[test]
fn every_wish_meets_everything_that_can_stand_there() {
    let standings: Vec<_> = wishes()
        .iter()
        .map(stands)
        .chain([Some(foreign("True")), Some(foreign("False"))])
        .collect();
    for dialect in Dialect::ALL {
        for wish in wishes() {
            for standing in &standings {
                check(dialect, &wish, standing.as_ref());
            }
        }
    }
}

#[track_caller]
fn check(dialect: Dialect, wish: &Wish, standing: Option<&Value>) {
    let case = format!("{dialect:?} {wish:?} {standing:?}");
    let mut world = World::of(dialect, VerdictConfig::default());
    let others = [
        json!({"type": "Ready", "status": "True", "lastTransitionTime": THEN}),
        json!({"type": "SyncerReady", "status": "False", "severity": "Error", "reason": "R",
            "message": "m", "lastTransitionTime": THEN}),
    ];
    let mut list = others.to_vec();
    list.extend(standing.cloned());
    let mut object = world.object("edge-1").clone();
    object["status"] = json!({ "conditions": list, dialect.heartbeat_field(): THEN });
    world.model.put(&path("edge-1"), object);
    let before = world.object("edge-1").clone();

    world.tell("edge-1", wish.clone());
    let requests = world.run(60);
    let Some(condition) = wish.condition() else {
        assert!(requests.is_empty(), "{case}");
        return;
    };
    let after = world.object("edge-1");
    if standing.map(|it| &it["reason"]) == Some(&json!(condition.reason)) {
        assert_eq!(requests, ["GET edge-1"], "{case}");
        assert_eq!(*after, before, "{case}");
        return;
    }
    assert_eq!(requests, ["GET edge-1", "PUT edge-1"], "{case}");
    let list = after["status"]["conditions"].as_array().unwrap();
    assert_eq!(json!(list[..2]).to_string(), json!(others).to_string());
    assert_eq!(list.len(), 3, "{case}");
    assert_eq!(after["status"][dialect.heartbeat_field()], THEN);
    let ours = &list[2];
    assert_eq!(ours["status"], condition.status.as_str(), "{case}");
    assert_eq!(ours["reason"], *condition.reason, "{case}");
    assert_eq!(ours["message"], *condition.message, "{case}");
    let severity = condition.severity.map(crate::Severity::as_str);
    assert_eq!(ours.get("severity").and_then(Value::as_str), severity);
    let moved = standing.is_none_or(|it| it["status"] != condition.status.as_str());
    let time = if moved { "2023-11-14T22:13:20Z" } else { THEN };
    assert_eq!(ours["lastTransitionTime"], time, "{case}");
}

/// chitchat #123: each look at the dead moved the time of death.
#[test]
fn pitfall_28_the_time_of_death_is_fixed_once() {
    let mut world = World::new();
    world.hand_in(VerdictInput::Active(false));
    world.tell("edge-1", lost(0));
    world.tell("edge-1", lost(1));
    world.hand_in(VerdictInput::Active(true));
    world.run(60);
    let told = lost(0).condition().unwrap().message;
    assert_eq!(world.condition()["message"], told, "the first one counts");
    let written = world.object("edge-1").clone();
    for seconds in 1..100 {
        world.tell("edge-1", lost(seconds));
        assert!(world.run(7).is_empty());
    }
    // Nor does a hub move it that knows of it by what stands there only.
    world.restart();
    world.tell("edge-1", lost(500));
    assert_eq!(world.run(60), ["GET edge-1"]);
    world.tell("edge-1", Wish::Leave);
    world.tell("edge-1", lost(501));
    assert!(world.run(60).is_empty());
    assert_eq!(*world.object("edge-1"), written);
}

#[test]
fn another_death_has_another_time_even_if_the_life_between_was_never_written() {
    let mut world = World::new();
    world.tell("edge-1", lost(0));
    world.run(60);
    let before = world.condition().clone();
    for wish in [lost(100), Wish::Alive, Wish::Leave, lost(200)] {
        world.tell("edge-1", wish);
    }
    assert_eq!(world.run(60), ["GET edge-1", "PUT edge-1"]);
    let after = world.condition();
    assert_eq!(after["message"], lost(200).condition().unwrap().message);
    assert_eq!(after["lastTransitionTime"], before["lastTransitionTime"]);
    world.tell("edge-1", lost(300));
    assert!(world.run(60).is_empty());
}

#[test]
fn what_is_written_is_the_newest_wish_and_at_most_one_in_an_interval() {
    let mut world = World::new();
    let mut puts = Vec::new();
    for (number, wish) in wishes().into_iter().cycle().take(400).enumerate() {
        world.tell("edge-1", wish);
        let made = world.made.len();
        world.run(1);
        let new = &world.made[made..];
        puts.extend(new.iter().filter(|it| it.1 == "PUT edge-1").map(|it| it.0));
        assert!(world.machine.status(world.now).waiting <= 1, "{number}");
    }
    assert!(puts.windows(2).all(|pair| pair[1] - pair[0] >= secs(5)));
    assert!(puts.len() > 50);
    world.tell("edge-1", Wish::Left);
    world.run(10);
    assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Left));
}

#[test]
fn who_is_suspect_is_left_as_it_is() {
    let mut world = World::new();
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    for wish in [Wish::Leave, Wish::Alive, Wish::Leave] {
        world.tell("edge-1", wish);
        assert!(world.run(60).is_empty());
    }
    world.tell("edge-1", Wish::Left);
    world.tell("edge-1", Wish::Leave);
    assert_eq!(world.run(60), ["GET edge-1"], "it was not written in time");
    assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Alive));
}

/// OCM registration#280, and a deletion under a hub's hands: a recreated target is another one.
#[test]
fn pitfall_16_the_dead_of_old_is_not_written_on_a_recreated_target() {
    for wish in [lost(0), Wish::Left] {
        for watched in [true, false] {
            let mut world = World::new();
            world.tell("edge-1", wish.clone());
            world.run(60);
            world.model.create_target("edge-1");
            if watched {
                world.watch("edge-1");
            } else {
                world.hand_in(VerdictInput::Active(false));
                world.hand_in(VerdictInput::Active(true));
            }
            assert_eq!(world.run(60), ["GET edge-1"], "{watched}");
            let target = "edge-1".into();
            let recreated = VerdictEvent::Recreated { target };
            assert_eq!(world.events.last(), Some(&recreated));
            assert_eq!(world.standing("edge-1"), Standing::Absent);
            // It is told of the new one: that is written.
            world.tell("edge-1", wish.clone());
            world.run(60);
            assert_eq!(world.standing("edge-1").known(), wish.kind());
            let transition = &world.condition()["lastTransitionTime"];
            assert_ne!(*transition, "2023-11-14T22:13:20Z");
        }
    }
}

/// The same where this hub knows of the old one by its watch only.
#[test]
fn pitfall_16_the_dead_of_old_that_was_only_seen_is_not_written_on_a_recreated_target() {
    let mut world = World::new();
    world.rival_writes("edge-1", stands(&lost(0)));
    world.watch("edge-1");
    world.tell("edge-1", lost(0));
    assert!(world.run(60).is_empty(), "it says so already");
    world.model.create_target("edge-1");
    world.watch("edge-1");
    assert_eq!(world.run(60), ["GET edge-1"]);
    assert_eq!(world.standing("edge-1"), Standing::Absent);
}

#[test]
fn pitfall_16_the_living_is_written_on_a_recreated_target() {
    let mut world = World::new();
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    world.model.create_target("edge-1");
    world.watch("edge-1");
    assert_eq!(world.run(60), ["GET edge-1", "PUT edge-1"]);
    assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Alive));
}

/// It is recreated between our read and our write: the uid keeps the write off.
#[test]
fn pitfall_16_a_write_under_way_is_not_applied_to_a_recreated_target() {
    let mut world = World::new();
    world.tell("edge-1", lost(0));
    let Some(VerdictOutput::Call { flight, .. }) = world.machine.poll() else {
        panic!("it wants nothing");
    };
    let reply = Ok(world.object("edge-1").clone());
    let wall = world.wall();
    world.hand_in(VerdictInput::Reply {
        flight,
        reply,
        wall,
    });
    world.model.create_target("edge-1");
    assert_eq!(world.run(60), ["PUT edge-1", "GET edge-1"]);
    assert_eq!(world.standing("edge-1"), Standing::Absent);
}

#[test]
fn who_is_forgotten_is_written_no_more() {
    let mut world = World::new();
    world.tell("edge-1", lost(0));
    world.hand_in(VerdictInput::Forget {
        target: "edge-1".into(),
    });
    // The read was wanted before.
    assert_eq!(world.run(60), ["GET edge-1"]);
    assert_eq!(world.standing("edge-1"), Standing::Absent);
    assert_eq!(world.machine.status(world.now).waiting, 0);
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Alive));
}
