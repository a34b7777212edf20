//! A server's pages and streams, a line each, for the machine that watches, of each kind of object.

#![no_main]

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use health_transport_lease::ApiError;
use health_transport_lease::ErrorKind;
use health_transport_lease::RawResponse;
use health_transport_lease::Reply;
use health_transport_lease::watch::LeaseChange;
use health_transport_lease::watch::Lines;
use health_transport_lease::watch::Seen;
use health_transport_lease::watch::Sighting;
use health_transport_lease::watch::StreamItem;
use health_transport_lease::watch::TargetChange;
use health_transport_lease::watch::WatchConfig;
use health_transport_lease::watch::WatchInput;
use health_transport_lease::watch::WatchMachine;
use health_transport_lease::watch::WatchOutput;
use health_transport_lease::watch::Watched;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

/// What a sight keeps of a time and of another text.
const TIME_MAX: usize = 64;
const TEXT_MAX: usize = 1024;

/// The longest that it waits for anything: 60 s that a server asks for, and 10 s of its own.
const WAIT_MAX: Duration = Duration::from_secs(70);

/// A list is there after so many inputs, whatever was under way.
const INPUTS_MAX: usize = 10;

fuzz_target!(|bytes: &[u8]| {
    lines_are_the_same_however_they_are_cut(bytes);
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    // No name is longer than what is kept of it: two that are would be one here.
    if lines.iter().any(|line| line.len() > TEXT_MAX) {
        return;
    }
    let namespace = "default".to_owned();
    for of in [Watched::Leases { namespace }, Watched::SyncTargets] {
        let mut hub = Hub::new(of);
        for line in &lines {
            hub.read(line);
        }
        hub.read_all_again();
    }
});

fn lines_are_the_same_however_they_are_cut(bytes: &[u8]) {
    let items = |size: usize| {
        let (mut lines, mut items) = (Lines::default(), Vec::new());
        for chunk in bytes.chunks(size) {
            lines.push(chunk).expect("they are short enough");
            items.extend(std::iter::from_fn(|| lines.next_item()));
        }
        items
    };
    let whole = items(bytes.len().max(1));
    for size in [
        1,
        2,
        usize::from(bytes.first().copied().unwrap_or(1)).max(1),
    ] {
        assert_eq!(items(size), whole, "{size}");
    }
}

/// What is under way at the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UnderWay {
    Nothing,
    Page,
    Opening,
    Stream,
}

/// Somebody who is told what the machine sees.
struct Hub {
    machine: WatchMachine,
    under_way: UnderWay,
    now: Instant,
    /// The objects that were told and are not gone.
    known: BTreeSet<String>,
}

impl Hub {
    fn new(of: Watched) -> Self {
        let now = Instant::now();
        let config = WatchConfig::new("default").expect("it is a namespace");
        let machine = WatchMachine::new(of, config, 7, now);
        let mut hub = Self {
            machine,
            under_way: UnderWay::Nothing,
            now,
            known: BTreeSet::new(),
        };
        hub.drain();
        hub
    }

    /// A line is a page, a stream's item, or where it begins so a refusal, an end, or silence.
    fn read(&mut self, line: &[u8]) {
        while self.under_way == UnderWay::Nothing {
            self.time_out();
        }
        let refusal = line.first() == Some(&b'4');
        match (self.under_way, line) {
            (_, b"~") => self.time_out(),
            (UnderWay::Page, _) => self.handle(WatchInput::Page(reply(line))),
            (UnderWay::Opening, _) if refusal => {
                let error = reply(line).expect_err("it is a refusal");
                self.handle(WatchInput::Opened(Err(error)));
            }
            (UnderWay::Opening, _) => {
                self.under_way = UnderWay::Stream;
                self.handle(WatchInput::Opened(Ok(())));
                self.read_item(line);
            }
            (UnderWay::Stream, _) => self.read_item(line),
            (UnderWay::Nothing, _) => {}
        }
    }

    fn read_item(&mut self, line: &[u8]) {
        let ended = match line {
            b"!" => WatchInput::Ended(None),
            b"?" => WatchInput::Ended(Some(ApiError::new(ErrorKind::Connection, "reset"))),
            _ => {
                if let Some(item) = StreamItem::parse(line) {
                    self.now += Duration::from_millis(700);
                    self.handle(WatchInput::Item(item));
                }
                return;
            }
        };
        self.under_way = UnderWay::Nothing;
        self.handle(ended);
    }

    /// Whatever was told, after a whole list all is known that is in it, and nothing else.
    fn read_all_again(&mut self) {
        let object = |name: &str| {
            let labels = json!({"syncer-health/sync-target": name});
            json!({"metadata": {"name": name, "labels": labels, "resourceVersion": "1"}})
        };
        let list = json!({
            "metadata": {"resourceVersion": "2"},
            "items": [object("edge-1"), object("edge-2")],
        });
        let mut listed = false;
        for _ in 0..INPUTS_MAX {
            match self.under_way {
                UnderWay::Nothing => self.time_out(),
                UnderWay::Page => {
                    listed = true;
                    self.handle(WatchInput::Page(Ok(list.clone())));
                }
                UnderWay::Opening | UnderWay::Stream if listed => break,
                UnderWay::Opening => {
                    let error = ApiError::new(ErrorKind::Expired, "too old");
                    self.handle(WatchInput::Opened(Err(error)));
                }
                UnderWay::Stream => {
                    let error = ApiError::new(ErrorKind::Expired, "too old");
                    self.handle(WatchInput::Item(StreamItem::Error(error)));
                }
            }
        }
        let known: Vec<_> = self.known.iter().map(String::as_str).collect();
        assert!(listed && known == ["edge-1", "edge-2"], "{known:?}");
        assert_eq!(self.machine.sightings().len(), 2);
    }

    fn time_out(&mut self) {
        let at = self.machine.poll_timeout();
        assert!(
            at <= self.now + WAIT_MAX,
            "it waits for {:?}",
            at - self.now
        );
        self.now = self.now.max(at);
        self.handle(WatchInput::Timeout);
    }

    fn handle(&mut self, input: WatchInput) {
        if matches!(input, WatchInput::Page(_)) {
            self.under_way = UnderWay::Nothing;
        }
        self.machine.handle(input, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        let mut requests = 0;
        while let Some(output) = self.machine.poll() {
            let under_way = match output {
                WatchOutput::Saw(sighting) => {
                    self.see(*sighting);
                    continue;
                }
                WatchOutput::List(request) => {
                    assert!(request.path.starts_with("/apis/") && request.path.is_ascii());
                    UnderWay::Page
                }
                WatchOutput::Watch(request) => {
                    assert!(!request.path.contains(char::is_whitespace));
                    UnderWay::Opening
                }
                WatchOutput::Close => UnderWay::Nothing,
            };
            self.under_way = under_way;
            requests += 1;
        }
        assert!(requests <= 1, "{requests} requests after one input");
    }

    /// Nothing is told as gone that was not there, or as first that was.
    fn see(&mut self, sighting: Sighting) {
        assert_eq!(sighting.at, self.now);
        match sighting.what {
            Seen::Lease { lease, .. } => {
                let first = lease.change == LeaseChange::First;
                bounded([lease.renew_time.as_deref()], TIME_MAX);
                bounded([lease.holder.as_ref().map(|it| it.as_str())], TEXT_MAX);
                assert_eq!(self.known.insert(lease.name), first);
            }
            Seen::Target { target, sight } => {
                let beat = sight.heartbeat.as_ref();
                bounded([sight.uid.as_deref(), beat.map(|it| &*it.text)], TIME_MAX);
                if let Some(it) = &sight.heartbeat_healthy {
                    let texts = [&it.severity, &it.reason, &it.message, &it.since];
                    bounded(texts.map(Option::as_deref), TEXT_MAX);
                }
                let first = sight.change == TargetChange::First;
                assert_eq!(self.known.insert(target), first);
            }
            Seen::LeaseGone { name, .. } => assert!(self.known.remove(&name), "{name:?}"),
            Seen::TargetGone { target } => assert!(self.known.remove(&target), "{target:?}"),
            Seen::Broken { error } => assert!(!error.message.contains('\n'), "{error:?}"),
            Seen::Synced | Seen::Stalled { .. } | Seen::Recovered | Seen::TooMany { .. } => {}
        }
    }
}

fn bounded<const N: usize>(texts: [Option<&str>; N], max: usize) {
    for text in texts.into_iter().flatten() {
        assert!(text.len() <= max, "{} bytes are kept", text.len());
    }
}

/// An answer begins with its status where it is a refusal, as `410 {"kind":"Status"}`.
fn reply(line: &[u8]) -> Reply {
    let refusal = line.first() == Some(&b'4');
    let digits = line.get(..3).and_then(|it| std::str::from_utf8(it).ok());
    let status = digits.and_then(|digits| digits.parse::<u16>().ok());
    let (status, body) = match status {
        Some(status) if refusal => (status, &line[3..]),
        Some(_) | None if refusal => (400, line),
        Some(_) | None => (200, line),
    };
    let response = RawResponse {
        status,
        retry_after: None,
        body: body.to_vec(),
    };
    response.reply()
}
