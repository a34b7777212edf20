//! `/events`, as a browser reads it.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::net::TcpStream;

use crate::fleet::agent;
use crate::fleet::hub;
use crate::fleet::verdict;
use crate::support::get;
use crate::support::head;
use crate::support::secs;

/// An open stream.
pub(crate) struct Events {
    lines: tokio::io::Lines<BufReader<TcpStream>>,
}

/// One event.
#[derive(Debug, Default)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

#[tokio::test]
async fn a_killed_agent_is_told_to_who_listens_and_to_who_comes_back() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut events = Events::open(ops, "/events", &[]).await;
    let counts = events.next("counts").await;
    assert_eq!(counts.data["Alive"], 0, "the counts come first");
    let one = agent(tunnels, &[]);
    let alive = events.next("transition").await;
    assert_eq!(
        (
            &alive.data["verdict"],
            &alive.data["name"],
            &alive.data["workspace"]
        ),
        (&"Alive".into(), &"edge-1".into(), &"root:org:edge".into())
    );
    assert_eq!(events.next("counts").await.data["Alive"], 1);
    verdict(ops, "Alive", secs(5)).await;
    one.signal("KILL").await;
    for (from, to, reason) in [
        ("Alive", "Suspect", "TunnelBroken"),
        ("Suspect", "Lost", "HeartbeatTimeout"),
    ] {
        let event = events.next("transition").await;
        assert_eq!(
            (
                &event.data["from"],
                &event.data["verdict"],
                &event.data["reason"]
            ),
            (&from.into(), &to.into(), &reason.into())
        );
        let agent = get(ops, "/fleet/root:org:edge/edge-1", &[]).await;
        let shown = agent.expect("an answer").json();
        let transitions = shown["transitions"].as_array().expect("a list");
        let known = transitions.iter().any(|known| {
            known["verdict"] == event.data["verdict"] && known["at"] == event.data["at"]
        });
        assert!(known || to == "Suspect", "{event:?} in {shown}");
    }
    let mut again = Events::open(ops, "/events", &[("Last-Event-ID", &alive.id)]).await;
    for expected in ["Suspect", "Lost"] {
        assert_eq!(again.next("transition").await.data["verdict"], expected);
    }
    let path = format!("/events?lastEventId={}&verdict=lost", alive.id);
    let mut lost = Events::open(ops, &path, &[]).await;
    assert_eq!(lost.next("transition").await.data["verdict"], "Lost");
}

#[tokio::test]
async fn who_comes_back_to_another_hub_is_told_to_begin_anew() {
    let (_hub, tunnels, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let one = agent(tunnels, &[]);
    verdict(ops, "Alive", secs(5)).await;
    let mut events = Events::open(ops, "/events", &[("Last-Event-ID", "0a0b0c0d-7")]).await;
    let reset = events.next("reset").await;
    let mut recent = Events::open(ops, "/events?recent=5", &[]).await;
    let newest = recent.next("transition").await;
    assert_eq!(reset.id, newest.id, "it goes on from now");
    one.signal("KILL").await;
    assert_eq!(events.next("transition").await.data["verdict"], "Suspect");
}

#[tokio::test]
async fn more_streams_than_there_are_places_for_are_refused_and_others_are_still_answered() {
    let (_hub, _, ops) = hub("127.0.0.1:0", "127.0.0.1:0").await;
    let mut open = Vec::new();
    for _ in 0..128 {
        open.push(Events::open(ops, "/events", &[]).await);
    }
    let refused = get(ops, "/events", &[]).await.expect("an answer");
    assert_eq!(refused.status, 503);
    assert!(refused.head.contains("retry-after: 10"), "{}", refused.head);
    let fleet = get(ops, "/fleet", &[]).await.expect("an answer");
    assert_eq!(fleet.status, 200);
}

// === impl Events ===

impl Events {
    /// Opens a stream, which must be one.
    pub(crate) async fn open(ops: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut stream = TcpStream::connect(ops).await.expect("somebody listens");
        let head = head(ops, "GET", path, headers, 0);
        stream
            .write_all(head.as_bytes())
            .await
            .expect("it takes it");
        let mut lines = BufReader::new(stream).lines();
        let mut answer = String::new();
        while let Some(line) = lines.next_line().await.expect("an answer") {
            if line.is_empty() {
                break;
            }
            answer.push_str(&line.to_lowercase());
            answer.push('\n');
        }
        assert!(answer.starts_with("http/1.1 200"), "{path}: {answer}");
        assert!(
            answer.contains("content-type: text/event-stream\n"),
            "{answer}"
        );
        assert!(answer.contains("cache-control: no-store\n"), "{answer}");
        Self { lines }
    }

    /// The next event of this kind; the others are skipped.
    pub(crate) async fn next(&mut self, kind: &str) -> Event {
        let wait = async {
            loop {
                let event = self.any().await.expect("the stream is open");
                if event.kind == kind {
                    return event;
                }
            }
        };
        let waited = tokio::time::timeout(secs(20), wait).await;
        waited.unwrap_or_else(|_| panic!("no event {kind}"))
    }

    /// Waits for the end of the stream.
    pub(crate) async fn ended(&mut self) {
        let wait = async { while self.any().await.is_some() {} };
        tokio::time::timeout(secs(20), wait).await.expect("it ends");
    }

    /// What stands between two empty lines; the sizes of chunks are skipped like comments.
    async fn any(&mut self) -> Option<Event> {
        let mut event = Event::default();
        while let Ok(Some(line)) = self.lines.next_line().await {
            let Some((field, value)) = line.split_once(": ") else {
                if line.is_empty() && !event.kind.is_empty() {
                    return Some(event);
                }
                continue;
            };
            match field {
                "event" => value.clone_into(&mut event.kind),
                "id" => value.clone_into(&mut event.id),
                "data" => event.data = serde_json::from_str(value).expect("data is JSON"),
                _ => {}
            }
        }
        None
    }
}
