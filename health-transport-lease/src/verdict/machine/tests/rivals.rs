//! Others who write the same object, or the same condition.

use super::world::World;
use super::world::foreign;
use super::world::lost;
use super::world::stands;
use super::*;
use crate::testing::Fault;

/// OCM #770: the hub's and the agent's controller wrote one condition in turns, for ever.
#[test]
fn pitfall_15_a_rival_is_noticed_and_left_to_it() {
    for (name, rival) in [
        ("writes", Some(foreign("False"))),
        ("agrees in status only", Some(foreign("True"))),
        ("removes", None),
        ("is a hub of ours", stands(&Wish::Left)),
    ] {
        let mut world = World::new();
        world.model.create_target("edge-2");
        world.tell("edge-1", Wish::Alive);
        world.tell("edge-2", Wish::Alive);
        world.run(60);
        let mut puts = 1;
        for _ in 0..100 {
            world.rival_writes("edge-1", rival.clone());
            world.watch("edge-1");
            let requests = world.run(20);
            puts += requests.iter().filter(|it| *it == "PUT edge-1").count();
        }
        assert_eq!(puts, 4, "it {name}: once, and three times over the rival");
        assert_eq!(world.contested(), 1, "it {name}");
        assert_eq!(world.machine.status(world.now).contested, 1);
        // Whatever is wished for: that target is the rival's, and no other is.
        world.tell("edge-1", lost(0));
        world.tell("edge-2", lost(0));
        assert_eq!(world.run(60), ["GET edge-2", "PUT edge-2"], "it {name}");
        // A recreated one is nobody's yet.
        world.model.create_target("edge-1");
        world.watch("edge-1");
        world.run(60);
        world.tell("edge-1", Wish::Alive);
        world.run(60);
        assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Alive));
    }
}

#[test]
fn pitfall_15_without_a_watch_the_rival_is_noticed_by_our_own_reads() {
    let mut world = World::new();
    for (number, wish) in [Wish::Alive, lost(0)]
        .into_iter()
        .cycle()
        .take(50)
        .enumerate()
    {
        world.tell("edge-1", wish);
        let requests = world.run(20);
        let theirs = world.contested() > 0;
        assert_eq!(
            requests.contains(&"PUT edge-1".to_owned()),
            !theirs,
            "{number}"
        );
        world.rival_writes("edge-1", Some(foreign("Unknown")));
    }
    assert_eq!(world.contested(), 1);
    assert!(world.made.len() < 12);
}

/// Somebody's hand, once in a while.
#[test]
fn who_writes_over_it_now_and_then_is_no_rival() {
    let mut world = World::new();
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    for _ in 0..20 {
        world.rival_writes("edge-1", Some(foreign("False")));
        world.watch("edge-1");
        assert_eq!(world.run(30 * 60), ["GET edge-1", "PUT edge-1"]);
        assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Alive));
    }
    assert_eq!(world.contested(), 0);
}

#[test]
fn who_writes_what_we_wish_is_no_rival() {
    let mut world = World::new();
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    for wish in [lost(0), Wish::Alive].into_iter().cycle().take(20) {
        world.rival_writes("edge-1", stands(&wish));
        world.tell("edge-1", wish);
        assert_eq!(world.run(60), ["GET edge-1"]);
    }
    assert_eq!(world.contested(), 0);
}

/// The agent writes its heartbeat into the same object all the time.
#[test]
fn pitfall_15_conflicts_with_the_agent_are_no_strikes_and_cost_it_nothing() {
    let mut world = World::new();
    for wish in [Wish::Alive, lost(0)].into_iter().cycle().take(20) {
        world.agent_races = 2;
        world.tell("edge-1", wish.clone());
        let turn = ["GET edge-1", "PUT edge-1"];
        assert_eq!(world.run(60), turn.repeat(3));
        assert_eq!(world.standing("edge-1").known(), wish.kind());
        let agents = &world.object("edge-1")["status"]["conditions"][0];
        assert_eq!(agents["type"], "SyncerReady");
    }
    assert_eq!(world.contested(), 0);
}

#[test]
fn who_loses_every_race_comes_again_later() {
    let mut world = World::new();
    world.agent_races = 7;
    world.tell("edge-1", lost(0));
    let requests = world.run(0);
    assert_eq!(requests.len(), CALLS_MAX as usize);
    assert_eq!(world.failures(), [ErrorKind::Conflict]);
    world.run(600);
    assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Lost));
    assert_eq!(world.failures(), [ErrorKind::Conflict], "it is told once");
}

/// A write whose answer is lost is ours all the same, when it is found.
#[test]
fn a_lost_answer_is_no_rival() {
    let mut world = World::new();
    for wish in [Wish::Alive, lost(0)].into_iter().cycle().take(20) {
        world.model.fail([Fault::None, Fault::AnswerLost]);
        world.tell("edge-1", wish.clone());
        let mut requests = world.run(60);
        requests.dedup();
        assert_eq!(requests, ["GET edge-1", "PUT edge-1", "GET edge-1"]);
        assert_eq!(world.standing("edge-1").known(), wish.kind());
        world.model.fail([Fault::None, Fault::Lost]);
        world.tell("edge-1", Wish::Left);
        world.run(60);
        assert_eq!(world.standing("edge-1"), Standing::Known(WishKind::Left));
    }
    assert_eq!(world.contested(), 0);
}

/// The same where something else is to stand there by the time that it is found.
#[test]
fn a_lost_answer_is_no_rival_of_the_next_verdict() {
    let mut world = World::new();
    for (wish, next) in [(Wish::Alive, Wish::Left), (lost(0), Wish::Alive)]
        .into_iter()
        .cycle()
        .take(20)
    {
        world.model.fail([Fault::None, Fault::AnswerLost]);
        world.tell("edge-1", wish);
        world.run(1);
        world.tell("edge-1", next.clone());
        world.run(60);
        assert_eq!(world.standing("edge-1").known(), next.kind());
    }
    assert_eq!(world.contested(), 0);
}

/// What another leader wrote meanwhile is held against nobody.
#[test]
fn two_leaders_in_turn_are_no_rivals() {
    let mut world = World::new();
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    for wish in [lost(0), Wish::Alive].into_iter().cycle().take(20) {
        world.hand_in(VerdictInput::Active(false));
        world.tell("edge-1", wish.clone());
        assert!(world.run(60).is_empty(), "only one of them writes");
        let theirs = if wish == Wish::Alive {
            stands(&lost(0))
        } else {
            stands(&Wish::Left)
        };
        world.rival_writes("edge-1", theirs);
        world.hand_in(VerdictInput::Active(true));
        assert_eq!(world.run(60), ["GET edge-1", "PUT edge-1"]);
        assert_eq!(world.standing("edge-1").known(), wish.kind());
    }
    assert_eq!(world.contested(), 0);
}

/// A watch that lags shows what stood there before our write.
#[test]
fn a_watch_that_lags_costs_a_read_and_no_write() {
    let mut world = World::new();
    world.tell("edge-1", Wish::Alive);
    world.run(60);
    let old = Standing::of(world.object("edge-1"));
    let uid = world.object("edge-1")["metadata"]["uid"].as_str().unwrap();
    let late = VerdictInput::Seen {
        target: "edge-1".into(),
        uid: uid.to_owned(),
        standing: old,
    };
    world.tell("edge-1", lost(0));
    world.run(60);
    for _ in 0..10 {
        world.hand_in(late.clone());
        assert_eq!(world.run(60), ["GET edge-1"]);
    }
    assert_eq!(world.contested(), 0);
}
