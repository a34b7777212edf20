use std::future::ready;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use health_heartbeat::AgentId;
use health_heartbeat::FleetReason;
use health_heartbeat::FleetVerdict;

use super::super::stream::Transition;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_reader_gets_counts_first_then_what_changes_with_ids_it_can_go_on_from() {
    let room = Room::new();
    room.change("old", FleetVerdict::Alive);
    let mut alice = room.reader("", &Start::default());
    let first = alice.next().await.unwrap();
    assert!(
        first.starts_with("retry: 1000\n\nevent: counts\ndata: {\"Alive\":0,"),
        "{first}"
    );
    room.change("edge-1", FleetVerdict::Lost);
    let text = alice.next().await.unwrap();
    assert_eq!(
        text.matches("event: transition\nid: t-2\n").count(),
        1,
        "{text}"
    );
    assert!(
        text.contains("\"name\":\"edge-1\",\"from\":\"Alive\",\"verdict\":\"Lost\""),
        "{text}"
    );
    room.change("edge-2", FleetVerdict::Lost);
    let mut again = room.reader("", &resumed("t-2"));
    let first = again.next().await.unwrap();
    assert!(!first.contains("reset"), "{first}");
    let text = again.next().await.unwrap();
    assert!(
        text.contains("edge-2") && !text.contains("edge-1"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_too_late_or_from_another_start_is_told_to_begin_anew() {
    let room = Room::new();
    room.change("edge-1", FleetVerdict::Lost);
    for id in ["other-1", "t-2", "t-", "1", "t-18446744073709551616"] {
        let mut reader = room.reader("", &resumed(id));
        let first = reader.next().await.unwrap();
        assert!(
            first.contains("event: reset\nid: t-1\ndata: {}\n\n"),
            "{id}: {first}"
        );
        room.silent(&mut reader).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_makes_nobody_wait_holds_one_batch_and_learns_that_it_missed_some() {
    let room = Room::new();
    let mut slow = room.reader("", &Start::default());
    slow.next().await.unwrap();
    // Nothing here awaits, so nothing here can have waited for the reader.
    for number in 0..100_000 {
        room.change(&format!("edge-{number}"), FleetVerdict::Lost);
    }
    let text = slow.next().await.unwrap();
    assert_eq!(text, "event: reset\nid: t-100000\ndata: {}\n\n");
    for number in 0..100 {
        room.change(&format!("late-{number}"), FleetVerdict::Lost);
    }
    let text = slow.next().await.unwrap();
    assert_eq!(text.matches("event: transition").count(), BATCH_MAX);
    let text = slow.next().await.unwrap();
    assert_eq!(text.matches("event: transition").count(), 100 - BATCH_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_reader_hears_of_the_verdicts_and_workspaces_that_it_asked_for() {
    let room = Room::new();
    for (query, heard) in [
        ("verdict=lost", vec!["edge-1"]),
        (
            "verdict=lost,alive&workspace=root",
            vec!["edge-1", "edge-2"],
        ),
        ("workspace=-", vec![]),
    ] {
        let mut reader = room.reader(query, &Start::default());
        reader.next().await.unwrap();
        room.change("edge-1", FleetVerdict::Lost);
        room.change("edge-2", FleetVerdict::Alive);
        match heard.is_empty() {
            true => room.silent(&mut reader).await,
            false => {
                let text = reader.next().await.unwrap();
                for name in ["edge-1", "edge-2"] {
                    assert_eq!(
                        text.contains(name),
                        heard.contains(&name),
                        "{query}: {text}"
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_come_first_for_who_asks() {
    let room = Room::new();
    for name in ["edge-1", "edge-2", "edge-3"] {
        room.change(name, FleetVerdict::Lost);
    }
    let mut reader = room.reader("", &Start::parse("recent=2"));
    reader.next().await.unwrap();
    let text = reader.next().await.unwrap();
    assert!(!text.contains("edge-1") && text.contains("edge-2") && text.contains("edge-3"));
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_open_by_comments_until_its_session_ends() {
    let room = Room::new();
    let mut reader = room.reader("", &Start::default());
    reader.next().await.unwrap();
    for _ in 0..3 {
        let began = Instant::now();
        assert_eq!(reader.next().await.as_deref(), Some(":\n\n"));
        assert_eq!(began.elapsed(), COMMENT_EVERY);
    }
    room.admitted.store(false, Ordering::Relaxed);
    assert_eq!(reader.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_never_silent_ends_with_its_session_too() {
    let room = Room::new();
    let mut reader = room.reader("", &Start::default());
    reader.next().await.unwrap();
    room.admitted.store(false, Ordering::Relaxed);
    let ended = Instant::now();
    while ended.elapsed() <= COMMENT_EVERY {
        room.change("edge-1", FleetVerdict::Lost);
        if reader.next().await.is_none() {
            assert_eq!(ended.elapsed(), COMMENT_EVERY);
            return;
        }
        tokio::time::sleep(COMMENT_EVERY / 5).await;
    }
    panic!("it still reads after {:?}", ended.elapsed());
}

#[tokio::test(start_paused = true)]
async fn counts_are_told_when_they_change_and_at_most_once_a_second() {
    let room = Room::new();
    let mut reader = room.reader("", &Start::default());
    reader.next().await.unwrap();
    let stream = Arc::clone(&room.stream);
    let looks = AtomicUsize::new(0);
    // With each look another one is Lost, five times; after that nothing changes any more.
    let count = move || Counts::lost(looks.fetch_add(1, Ordering::Relaxed).min(4) + 1);
    tokio::spawn(stream.run_counts(count, room.stop.subscribe()));
    let mut last = Instant::now();
    for lost in 1..=5 {
        let text = reader.next().await.unwrap();
        assert!(text.contains(&format!("\"Lost\":{lost},")), "{text}");
        assert_eq!(last.elapsed(), Duration::from_secs(1));
        last = Instant::now();
    }
    room.silent(&mut reader).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_hub_also_while_much_is_told() {
    let room = Room::new();
    let mut idle = room.reader("", &Start::default());
    let mut busy = room.reader("", &Start::default());
    idle.next().await.unwrap();
    busy.next().await.unwrap();
    let stop = async { room.stop.send_replace(true) };
    let (ended, _) = tokio::join!(idle.next(), stop);
    assert_eq!(ended, None);
    for _ in 0..1000 {
        room.change("edge-1", FleetVerdict::Lost);
    }
    assert_eq!(busy.next().await, None);
}

/// A stream, and what its readers depend on.
struct Room {
    stream: Arc<Stream>,
    stop: watch::Sender<bool>,
    admitted: Arc<AtomicBool>,
}

impl Room {
    fn new() -> Self {
        Self {
            stream: Stream::new("t".to_owned()),
            stop: watch::Sender::new(false),
            admitted: Arc::new(AtomicBool::new(true)),
        }
    }

    fn reader(&self, query: &str, start: &Start) -> Reader {
        let admitted = Arc::clone(&self.admitted);
        Reader::new(
            Arc::clone(&self.stream),
            Filter::parse(query).unwrap(),
            Box::new(move || ready(admitted.load(Ordering::Relaxed)).boxed()),
            Counts::default(),
            self.stop.subscribe(),
            start,
        )
    }

    fn change(&self, name: &str, verdict: FleetVerdict) {
        self.stream.publish(Transition {
            at: std::time::Instant::now(),
            agent: AgentId {
                workspace: "root".to_owned(),
                name: name.to_owned(),
            },
            from: Some(FleetVerdict::Alive),
            verdict,
            reason: FleetReason::HeartbeatTimeout,
        });
    }

    /// The next thing that a reader gets is a comment.
    async fn silent(&self, reader: &mut Reader) {
        assert_eq!(reader.next().await.as_deref(), Some(":\n\n"));
    }
}

fn resumed(id: &str) -> Start {
    Start {
        recent: 0,
        last_event_id: Some(id.to_owned()),
    }
}
