mod properties;
mod world;

use self::world::World;
use self::world::lease;
use self::world::path;
use self::world::secs;
use super::*;
use crate::testing::Fault;
use crate::testing::Line;
use crate::testing::Model;
use serde_json::json;

#[test]
fn a_list_is_followed_by_a_watch_from_where_it_was() {
    let mut world = World::new();
    world.renew("edge-1", 1);
    world.settle();
    assert_eq!(world.asked(), ["list 250", "watch 1"]);
    assert_eq!(world.told(), ["edge-1 First", "synced"]);
    world.renew("edge-1", 2);
    world.renew("edge-2", 1);
    world.settle();
    assert_eq!(world.told(), ["edge-1 Renewed", "edge-2 First"]);
    world.model.delete(&path("edge-1"));
    world.settle();
    assert_eq!(world.told(), ["edge-1 gone"]);
    world.run(secs(29));
    assert_eq!(world.asked(), [""; 0], "a stream that speaks is kept");
}

/// The server of the tests, too: a bookmark before a change that was not told would lose it.
#[test]
fn a_bookmark_is_never_ahead_of_what_was_told() {
    let mut world = World::new();
    world.settle();
    let stream = world.stream();
    world.renew("edge-1", 1);
    let mut ahead = stream.clone();
    assert_eq!(world.model.bookmark(&mut ahead), None);
    assert_ne!(world.model.read(&mut ahead), Line::Nothing);
    assert_ne!(world.model.bookmark(&mut ahead), None);
}

#[test]
fn a_list_of_many_is_read_in_pages() {
    let mut world = World::new();
    for number in 0..600 {
        world.renew(&format!("edge-{number:03}"), 1);
    }
    world.settle();
    let pages = [
        "list 250",
        "list 250 600%3A",
        "list 250 600%3A",
        "watch 600",
    ];
    let asked = world.asked();
    assert_eq!(asked.len(), pages.len());
    for (asked, page) in asked.iter().zip(pages) {
        assert!(asked.starts_with(page), "{asked}");
    }
    assert_eq!(world.view.len(), 600);
}

#[test]
fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let mut world = World::new();
    let too_large = || WatchInput::Page(Err(ApiError::new(ErrorKind::TooLarge, "too large")));
    let mut pages = Vec::new();
    for _ in 0..10 {
        let Some(WatchOutput::List(request)) = next_request(&mut world.machine) else {
            panic!("no list");
        };
        let (_, rest) = request.path.split_once("limit=").unwrap();
        pages.push(rest.split('&').next().unwrap().to_owned());
        world.machine.handle(too_large(), world.now);
        world.now = world.machine.poll_timeout();
        world.machine.handle(WatchInput::Timeout, world.now);
    }
    assert_eq!(
        pages,
        ["250", "125", "62", "31", "15", "7", "3", "1", "1", "1"]
    );
}

#[test]
fn a_stream_that_ends_is_taken_up_where_it_was() {
    let mut world = World::new();
    world.renew("edge-1", 1);
    world.settle();
    world.renew("edge-1", 2);
    world.run(secs(10));
    world.asked();
    world.told();
    world.run(secs(20));
    assert_eq!(world.asked(), ["watch 2"], "at once, after its 30 s");
    // What changed that nobody watches moves the bookmark on.
    for _ in 0..5 {
        let bare = json!({"metadata": {"name": "theirs"}});
        world.model.put(&path("theirs"), bare);
    }
    world.run(secs(30));
    assert_eq!(world.asked(), ["watch 7"]);
    world.renew("edge-1", 3);
    world.end(Some(ApiError::new(ErrorKind::Connection, "reset")));
    world.run(secs(1));
    let broken = "broken: cannot watch the Leases in namespace \"default\": reset";
    assert_eq!(world.told(), [broken, "recovered", "edge-1 Renewed"]);
    assert_eq!(world.asked(), ["watch 7"]);
}

#[test]
fn what_the_server_forgot_is_listed_again() {
    let mut world = World::new();
    world.renew("edge-1", 1);
    world.renew("edge-2", 1);
    world.settle();
    world.told();
    // As an event of the stream that is open.
    world.renew("edge-1", 2);
    world.model.delete(&path("edge-2"));
    world.model.forget();
    world.run(secs(1));
    assert_eq!(
        world.asked(),
        ["list 250", "watch 2", "list 250", "watch 4"]
    );
    assert_eq!(world.told(), ["edge-1 Renewed", "edge-2 gone"]);
    // As the answer to the next one.
    world.model.end_streams();
    world.model.fail([Fault::Status(410)]);
    world.run(secs(10));
    assert_eq!(world.asked(), ["watch 4", "list 250", "watch 4"]);
    // In the middle of a list.
    for number in 0..300 {
        world.renew(&format!("many-{number}"), 1);
    }
    world.told();
    world.model.forget();
    world.model.fail([Fault::None, Fault::Status(410)]);
    world.run(secs(10));
    assert_eq!(world.view, world.truth());
    let mut told = world.told().into_iter();
    let broken = told.find(|line| line.starts_with("broken"));
    assert_eq!(broken, None, "it is no trouble");
    assert!(world.is_streaming());
}

/// Kubernetes #85221 and microk8s #5386: a watch that says nothing, not even that it is at its end.
/// It is noticed after its silence, it convicts nobody, and what changed meanwhile is found.
#[test]
fn pitfall_20_a_watch_that_stalls_is_noticed_and_replaced() {
    let mut world = World::new();
    world.renew("edge-1", 1);
    world.renew("edge-2", 1);
    world.run(secs(10));
    world.renew("edge-1", 2);
    world.run(secs(5));
    world.told();
    world.asked();
    world.model.stall_streams(true);
    let heard = world.now - secs(5);
    world.renew("edge-1", 3);
    world.run(secs(34));
    assert_eq!(world.told(), [""; 0]);
    world.run(secs(1));
    let stalled = world.seen.first().unwrap();
    assert_eq!(stalled.what, Seen::Stalled { since: heard });
    assert_eq!(stalled.at, heard + secs(40));
    // The list is read live: the living is found, and the silent is not told as gone.
    assert_eq!(world.told(), ["stalled", "edge-1 Renewed", "recovered"]);
    assert_eq!(world.asked(), ["list 250", "watch 4"]);
    world.renew("edge-2", 2);
    world.run(secs(40));
    assert_eq!(world.told(), ["stalled", "edge-2 Renewed", "recovered"]);
    world.model.stall_streams(false);
    world.run(secs(300));
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn a_quiet_watch_has_not_stalled() {
    let mut world = World::new();
    world.renew("edge-1", 1);
    world.run(secs(3600));
    assert_eq!(world.told(), ["edge-1 First", "synced"]);
    let asked = world.asked();
    assert_eq!(&asked[..3], ["list 250", "watch 1", "watch 1"]);
    assert_eq!(asked.len(), 122, "one watch in 30 s, after one list");
}

/// A server without bookmarks, or with another past than the one that the watch is from, is quiet
/// for ever.
#[test]
fn what_a_stream_says_that_never_spoke_is_not_believed() {
    let mut world = World::new();
    world.renew("edge-1", 1);
    world.settle();
    world.asked();
    world.now += secs(30);
    world.end(None);
    world.settle();
    assert_eq!(world.asked(), ["list 250", "watch 1"]);
}

#[test]
fn every_call_has_its_deadline() {
    let mut world = World::new();
    world.model.fail([Fault::Lost]);
    world.run(secs(10));
    let late = "broken: cannot list the Leases in namespace \"default\": no answer in time";
    assert_eq!(world.told(), [late]);
    world.model.fail([Fault::None, Fault::Lost]);
    world.run(secs(11));
    let late = "broken: cannot watch the Leases in namespace \"default\": no answer in time";
    assert_eq!(world.told(), ["synced", late, "recovered"]);
}

#[test]
fn it_never_gives_up_and_tells_each_reason_once() {
    let mut world = World::new();
    world.model.fail(vec![Fault::Status(503); 1000]);
    world.run(secs(4000));
    let broken = "broken: cannot list the Leases in namespace \"default\": by fault (HTTP 503)";
    assert_eq!(world.told(), [broken]);
    let times: Vec<_> = world.asked.iter().map(|(at, _)| *at).collect();
    let waits: Vec<_> = times.windows(2).map(|it| it[1] - it[0]).collect();
    assert!(waits.iter().all(|wait| *wait <= BACKOFF_CAP));
    assert!(waits[..3].iter().all(|wait| *wait <= secs(1)), "at first");
    assert!((600..1000).contains(&waits.len()), "{}", waits.len());
    world.model.fail(vec![Fault::Status(500); 1]);
    world.run(secs(4000));
    let told = world.told();
    assert_eq!(told[told.len() - 2..], ["synced", "recovered"]);
}

#[test]
fn retry_after_is_obeyed() {
    let mut world = World::new();
    world.model.fail([Fault::Busy(7), Fault::Busy(3600)]);
    world.run(secs(100));
    let times: Vec<_> = world
        .asked
        .iter()
        .map(|(at, _)| *at - world.start)
        .collect();
    assert!((secs(7)..secs(8)).contains(&times[1]), "{times:?}");
    let second = times[2] - times[1];
    assert!((secs(60)..secs(61)).contains(&second), "{times:?}");
}

#[test]
fn a_watch_that_fails_again_and_again_is_begun_anew_by_a_list() {
    let mut world = World::new();
    world.settle();
    world.asked();
    world.model.end_streams();
    world.model.fail(vec![Fault::Status(500); 4]);
    world.run(secs(20));
    assert_eq!(
        world.asked(),
        [
            "watch 0", "watch 0", "watch 0", "list 250", "list 250", "watch 0"
        ]
    );
}

#[test]
fn a_server_that_ends_each_stream_at_once_is_asked_less_and_less() {
    let mut world = World::new();
    for _ in 0..200 {
        world.settle();
        if world.is_streaming() {
            world.end(None);
        }
        world.settle();
        world.now = world.machine.poll_timeout();
        world.machine.handle(WatchInput::Timeout, world.now);
    }
    let took = world.now - world.start;
    assert!(took > secs(200), "{took:?}");
    let told = world.told();
    assert_eq!(told[0], "synced");
    assert!(told[1].contains("ends each stream"), "{told:?}");
}

/// A server that was restored from a backup, or another one in its place.
#[test]
fn a_server_that_went_back_in_time_is_listed_again() {
    let mut world = World::new();
    for time in 0..5 {
        world.renew("edge-1", time);
    }
    world.settle();
    world.told();
    world.asked();
    let mut restored = Model::default();
    restored.put(&path("edge-2"), lease("edge-2", 1));
    world.model = restored;
    let bookmark = json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "1"}}});
    world.say(&bookmark);
    world.run(secs(1));
    assert_eq!(world.asked(), ["list 250", "watch 1"]);
    assert_eq!(world.told(), ["edge-2 First", "edge-1 gone"]);
}

#[test]
fn an_answer_that_is_no_list_does_not_say_that_everything_is_gone() {
    for answer in [
        json!({}),
        json!({"items": []}),
        json!({"metadata": {"resourceVersion": ""}, "items": []}),
        json!({"metadata": {"resourceVersion": "9"}}),
        json!({"metadata": {"resourceVersion": "9"}, "items": {}}),
        json!({"kind": "Status", "status": "Success"}),
    ] {
        let mut world = World::new();
        world.renew("edge-1", 1);
        world.settle();
        world.model.end_streams();
        world.model.fail([Fault::Status(410), Fault::Lost]);
        world.run(secs(2));
        world.told();
        let page = WatchInput::Page(Ok(answer.clone()));
        world.machine.handle(page, world.now);
        world.settle();
        let told = world.told();
        assert_eq!(told.len(), 1, "{answer}");
        assert!(told[0].ends_with("the answer is not a list"), "{told:?}");
    }
    // Go writes an empty list as null.
    let mut world = World::new();
    let _ = next_request(&mut world.machine);
    let empty = json!({"metadata": {"resourceVersion": "9"}, "items": null});
    world.machine.handle(WatchInput::Page(Ok(empty)), world.now);
    world.settle();
    assert_eq!(world.told(), ["synced"]);
}

/// OCM [R]: whatever a stream says, the watch goes on.
#[test]
fn pitfall_19_no_line_ends_the_watch_for_good() {
    for object in [
        json!(null),
        json!(5),
        json!({"metadata": 5}),
        json!({"metadata": {"resourceVersion": 5, "name": []}}),
        json!({"metadata": {"name": "x", "labels": {"syncer-health/sync-target": 5}}}),
        json!({"metadata": {"name": "", "resourceVersion": "later"}}),
    ] {
        for kind in ["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "LATER"] {
            let mut world = World::new();
            world.renew("edge-1", 1);
            world.settle();
            world.say(&json!({"type": kind, "object": object}));
            world.run(secs(2));
            world.renew("edge-1", 2);
            world.run(secs(40));
            assert_eq!(world.view, world.truth(), "{kind} {object}");
            assert!(world.is_streaming());
        }
    }
}

#[test]
fn the_same_seed_asks_at_the_same_times() {
    let times = |seed| {
        let mut world = World::new();
        let (of, config) = (
            world.machine.of.clone(),
            WatchConfig::new("default").unwrap(),
        );
        world.machine = WatchMachine::new(of, config, seed, world.start);
        world.model.fail(vec![Fault::Status(503); 20]);
        world.run(secs(100));
        let times = world.asked.iter().map(|(at, _)| *at - world.start);
        times.collect::<Vec<_>>()
    };
    assert_eq!(times(1), times(1));
    assert_ne!(times(1), times(2));
}

fn next_request(machine: &mut WatchMachine) -> Option<WatchOutput> {
    let mut outputs = std::iter::from_fn(|| machine.poll());
    outputs.find(|it| !matches!(it, WatchOutput::Saw(_)))
}
