//! A server, a clock, and a machine that watches.

use super::super::*;
use crate::testing::Caller;
use crate::testing::Line;
use crate::testing::Model;
use crate::testing::Stream;
use crate::watch::LeaseChange;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;

pub(super) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

/// A server, a clock, and a machine that watches Leases.
pub(super) struct World {
    pub(super) model: Model,
    pub(super) machine: WatchMachine,
    pub(super) start: Instant,
    pub(super) now: Instant,
    /// What is under way at the server.
    under_way: Option<UnderWay>,
    /// The requests, shortened, with when they were made.
    pub(super) asked: Vec<(Instant, String)>,
    pub(super) seen: Vec<Sighting>,
    /// What somebody knows who was told it all: the holder and the time of each Lease.
    pub(super) view: BTreeMap<String, String>,
}

struct UnderWay {
    stream: Stream,
    bookmark: Instant,
    end: Instant,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Model::default())
    }

    pub(super) fn with(model: Model) -> Self {
        let start = Instant::now();
        let of = Watched::Leases {
            namespace: "default".to_owned(),
        };
        Self {
            model,
            machine: WatchMachine::new(of, WatchConfig::new("default").unwrap(), 7, start),
            start,
            now: start,
            under_way: None,
            asked: Vec::new(),
            seen: Vec::new(),
            view: BTreeMap::new(),
        }
    }

    /// Lets that much time pass, and everything happen in it.
    pub(super) fn run(&mut self, wait: Duration) {
        let until = self.now + wait;
        // Whoever ends streams without end asks again without end.
        for _ in 0..1_000_000 {
            self.settle();
            let quiet = self.under_way.as_ref().map(|it| it.bookmark.min(it.end));
            let next = quiet.map_or(until, |at| at.min(until));
            let next = next.min(self.machine.poll_timeout());
            self.now = self.now.max(next);
            if next == until && self.machine.poll_timeout() > until {
                self.tick();
                self.settle();
                return;
            }
            self.tick();
        }
        panic!("it does not come to rest");
    }

    /// Lets everything happen that needs no time.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some(output) = self.machine.poll() {
                self.take(output);
            }
            let Some(under_way) = &mut self.under_way else {
                return;
            };
            match self.model.read(&mut under_way.stream) {
                Line::Event(event) => self.say(&event),
                Line::End => self.end(None),
                Line::Nothing => return,
            }
        }
    }

    /// A line of the stream.
    pub(super) fn say(&mut self, event: &Value) {
        let item = StreamItem::parse(event.to_string().as_bytes()).unwrap();
        self.machine.handle(WatchInput::Item(item), self.now);
    }

    pub(super) fn end(&mut self, error: Option<ApiError>) {
        self.under_way = None;
        self.machine.handle(WatchInput::Ended(error), self.now);
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.under_way.is_some()
    }

    /// The stream that is open.
    pub(super) fn stream(&self) -> Stream {
        self.under_way.as_ref().unwrap().stream.clone()
    }

    fn tick(&mut self) {
        if let Some(under_way) = &mut self.under_way {
            if self.now >= under_way.bookmark {
                under_way.bookmark = self.now + secs(60);
                if let Some(bookmark) = self.model.bookmark(&mut under_way.stream) {
                    self.say(&bookmark);
                }
            } else if self.now >= under_way.end {
                if self.model.is_stalled(&under_way.stream) {
                    under_way.end = self.now + secs(3600);
                } else {
                    self.end(None);
                }
            }
        }
        if self.now >= self.machine.poll_timeout() {
            self.machine.handle(WatchInput::Timeout, self.now);
        }
    }

    fn take(&mut self, output: WatchOutput) {
        match output {
            WatchOutput::List(request) => {
                self.under_way = None;
                self.note("list", &request);
                // What is not answered is waited for until its time is up.
                if let Some(response) = self.model.request(&request) {
                    let page = WatchInput::Page(response.reply());
                    self.machine.handle(page, self.now);
                }
            }
            WatchOutput::Watch(request) => {
                self.under_way = None;
                self.note("watch", &request);
                let opened = match self.model.watch_by(Caller::Admin, &request) {
                    None => return,
                    Some(Err(refusal)) => Err(refusal.reply().unwrap_err()),
                    Some(Ok(stream)) => {
                        self.under_way = Some(UnderWay {
                            stream,
                            bookmark: self.now + secs(28),
                            end: self.now + secs(30),
                        });
                        Ok(())
                    }
                };
                self.machine.handle(WatchInput::Opened(opened), self.now);
            }
            WatchOutput::Close => self.under_way = None,
            WatchOutput::Saw(sighting) => self.see(*sighting),
        }
    }

    fn see(&mut self, sighting: Sighting) {
        assert_eq!(sighting.at, self.now);
        match &sighting.what {
            Seen::Lease { target, lease } => {
                let known = self.view.insert(lease.name.clone(), shown(target, lease));
                let first = lease.change == LeaseChange::First;
                assert_eq!(known.is_none(), first, "{sighting:?}");
            }
            Seen::LeaseGone { name, .. } => {
                assert!(self.view.remove(name).is_some(), "{sighting:?}");
            }
            Seen::Target { .. }
            | Seen::TargetGone { .. }
            | Seen::Synced
            | Seen::Stalled { .. }
            | Seen::Broken { .. }
            | Seen::Recovered
            | Seen::TooMany { .. } => {}
        }
        self.seen.push(sighting);
    }

    fn note(&mut self, what: &str, request: &RawRequest) {
        let mut line = what.to_owned();
        let (_, query) = request.path.split_once('?').unwrap();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap();
            if matches!(key, "continue" | "limit" | "resourceVersion") {
                write!(line, " {value}").unwrap();
            }
        }
        self.asked.push((self.now, line));
    }

    /// The requests since this was asked last.
    pub(super) fn asked(&mut self) -> Vec<String> {
        self.asked.drain(..).map(|(_, line)| line).collect()
    }

    /// What was seen since this was asked last.
    pub(super) fn told(&mut self) -> Vec<String> {
        self.seen.drain(..).map(|it| said(it.what)).collect()
    }

    /// What a fresh list shows.
    pub(super) fn truth(&self) -> BTreeMap<String, String> {
        let request = Watched::Leases {
            namespace: "default".to_owned(),
        };
        let request = request.page(0, None);
        let list = self.model.clone().request(&request).unwrap().reply();
        let list = list.unwrap();
        let leases = list["items"].as_array().unwrap().iter().cloned();
        leases
            .map(|lease| {
                let lease = crate::LeaseObject::from(lease);
                let sight = crate::watch::LeaseSight::of(&lease, None);
                let shown = shown(lease.target().unwrap(), &sight);
                (sight.name, shown)
            })
            .collect()
    }

    pub(super) fn renew(&mut self, name: &str, time: u64) {
        self.model.put(&path(name), lease(name, time));
    }
}

fn shown(target: &str, lease: &crate::watch::LeaseSight) -> String {
    format!("{target} {:?} {:?}", lease.holder, lease.renew_time)
}

fn said(seen: Seen) -> String {
    match seen {
        Seen::Lease { target, lease } => format!("{target} {:?}", lease.change),
        Seen::LeaseGone { target, .. } => format!("{target} gone"),
        Seen::Broken { error } => format!("broken: {}", error.message),
        other @ (Seen::Target { .. }
        | Seen::TargetGone { .. }
        | Seen::Synced
        | Seen::Stalled { .. }
        | Seen::Recovered
        | Seen::TooMany { .. }) => {
            let said = format!("{other:?}").to_lowercase();
            said.split(' ').next().unwrap().to_owned()
        }
    }
}

pub(super) fn path(name: &str) -> String {
    format!("{LEASES}/{name}")
}

pub(super) fn lease(name: &str, time: u64) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"syncer-health/sync-target": name}},
        "spec": {"holderIdentity": "x_1", "renewTime": format!("{time}")},
    })
}

pub(super) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
