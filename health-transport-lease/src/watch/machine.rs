//! What to ask the server next, and when.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::Backoff;
use serde_json::Value;

use super::config::WatchConfig;
use super::line::StreamItem;
use super::sightings::News;
use super::sightings::Seen;
use super::sightings::Sighting;
use super::sightings::Sightings;
use super::watched::Watched;
use crate::api::NO_ANSWER;
use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::call::Reply;
use crate::http_form::RawRequest;

/// Watches one kind of object in one workspace, for ever.
///
/// ```text
///        ┌────────── expired, stalled, told nothing, went back in time ──────────┐
///        ▼                                                                       │
/// ──► Listing ── page ─► Listing ── last page ─► Opening ── 200 ─► Streaming ────┤
///        ▲                                          ▲                  │         │
///        │      failed                              │  failed, ended   │ item    │
///        └────────────────────── Waiting ◄──────────┴──────────────────┘         │
///                                   ▲────────────────────────────────────────────┘
/// ```
///
/// Call [`handle`](Self::handle) with every input, then [`poll`](Self::poll) until it gives
/// nothing, then wait for what it asked for or for [`poll_timeout`](Self::poll_timeout). Time is
/// monotonic. There is one thing under way at most: each request, and [`WatchOutput::Close`], drops
/// what was, and nothing of that may be handed in any more.
#[derive(Debug)]
pub struct WatchMachine {
    of: Watched,
    config: WatchConfig,
    sightings: Sightings,
    state: State,
    /// What the server's newest state is known by.
    version: String,
    /// How many objects a page may have.
    page: usize,
    synced: bool,
    /// How many failures there were since a stream last lived.
    failures: u32,
    /// What was told of the trouble that there is.
    trouble: Option<String>,
    backoff: Backoff,
    request: Option<WatchOutput>,
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchInput {
    /// The reply to the page that was asked for.
    Page(Reply),
    /// The stream that was asked for has begun, or was refused.
    Opened(Result<(), ApiError>),
    /// A line of the stream.
    Item(StreamItem),
    /// The stream is at its end, or broke.
    Ended(Option<ApiError>),
    /// The time that [`poll_timeout`](WatchMachine::poll_timeout) named has come.
    Timeout,
}

/// What the machine wants.
#[derive(Debug, Clone, PartialEq)]
pub enum WatchOutput {
    /// Read this page in place of whatever is under way, and hand in [`WatchInput::Page`].
    List(RawRequest),
    /// Open this stream in place of whatever is under way, and hand in what comes.
    Watch(RawRequest),
    /// Drop whatever is under way.
    Close,
    /// This was seen.
    Saw(Box<Sighting>),
}

#[derive(Debug)]
enum State {
    /// Nothing is under way. At its time: to Listing or Opening.
    Waiting { at: Instant, next: Step },
    /// A page is asked for. With the last one: to Opening. Failed or late: to Waiting.
    Listing { began: Instant, by: Instant },
    /// A stream is asked for. Begun: to Streaming. Failed or late: to Waiting.
    Opening { by: Instant },
    /// A stream is read. Ended: to Opening, at once or by Waiting. Stalled, or of no use: to
    /// Listing, at once or by Waiting.
    Streaming {
        opened: Instant,
        heard: Instant,
        /// Whether anything was heard at all.
        said: bool,
    },
}

#[derive(Debug, Clone, Copy)]
enum Step {
    List,
    Watch,
}

/// A page is at most that many objects; of 2 KiB each it is half a megabyte.
const PAGE: usize = 250;
/// Where a list takes longer, the server forgets what it began with.
const LIST_MAX: Duration = Duration::from_secs(300);
/// A stream that lived that long was no failure.
const LIVED: Duration = Duration::from_secs(5);
/// After so many failures in a row the resourceVersion itself is in doubt, and all is read again.
const FAILURES_MAX: u32 = 3;
/// Tries are spread over up to that; a server of some hundred workspaces is asked some ten times a
/// second when it comes back.
const BACKOFF_BASE: Duration = Duration::from_millis(200);
const BACKOFF_CAP: Duration = Duration::from_secs(10);
/// A server under pressure asks for seconds; obeying more would leave the hub blind.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

// === impl WatchMachine ===

impl WatchMachine {
    /// Begins with a list at `now`, with chance from `seed`.
    #[must_use]
    pub fn new(of: Watched, config: WatchConfig, seed: u64, now: Instant) -> Self {
        let mut machine = Self {
            sightings: Sightings::new(of.clone()),
            of,
            config,
            state: State::Waiting {
                at: now,
                next: Step::List,
            },
            version: String::new(),
            page: PAGE,
            synced: false,
            failures: 0,
            trouble: None,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, seed),
            request: None,
        };
        machine.list(now);
        machine
    }

    /// Takes in what happened. What does not fit to what is under way is ignored.
    pub fn handle(&mut self, input: WatchInput, now: Instant) {
        if self.has_lived(now) {
            self.failures = 0;
            self.backoff.reset();
        }
        match (input, &mut self.state) {
            (WatchInput::Page(reply), &mut State::Listing { began, .. }) => {
                self.paged(reply, began, now);
            }
            (WatchInput::Opened(Ok(())), State::Opening { .. }) => self.opened(now),
            (WatchInput::Opened(Err(error)), State::Opening { .. }) => {
                self.failed("watch", error, Step::Watch, now);
            }
            (WatchInput::Item(item), State::Streaming { heard, said, .. }) => {
                (*heard, *said) = (now, true);
                self.heard(item, now);
            }
            (WatchInput::Ended(error), &mut State::Streaming { said, .. }) => {
                self.ended(error, said, now);
            }
            (WatchInput::Timeout, _) => self.time_out(now),
            (
                WatchInput::Page(_)
                | WatchInput::Opened(_)
                | WatchInput::Item(_)
                | WatchInput::Ended(_),
                _,
            ) => {}
        }
    }

    /// What it wants next, or saw.
    #[must_use]
    pub fn poll(&mut self) -> Option<WatchOutput> {
        let seen = self.sightings.poll();
        let seen = seen.map(|it| WatchOutput::Saw(Box::new(it)));
        seen.or_else(|| self.request.take())
    }

    /// When [`WatchInput::Timeout`] is due. There is always such a time.
    #[must_use]
    pub fn poll_timeout(&self) -> Instant {
        match self.state {
            State::Waiting { at, .. } => at,
            State::Listing { by, .. } | State::Opening { by } => by,
            State::Streaming { heard, .. } => heard + self.config.silence(),
        }
    }

    /// What was seen until now, as it is compared with what comes.
    #[must_use]
    pub const fn sightings(&self) -> &Sightings {
        &self.sightings
    }

    fn time_out(&mut self, now: Instant) {
        if now < self.poll_timeout() {
            return;
        }
        let late = || ApiError::new(ErrorKind::Timeout, NO_ANSWER);
        match self.state {
            State::Waiting {
                next: Step::List, ..
            } => self.list(now),
            State::Waiting {
                next: Step::Watch, ..
            } => self.open(now),
            State::Listing { .. } => self.failed("list", late(), Step::List, now),
            State::Opening { .. } => self.failed("watch", late(), Step::Watch, now),
            State::Streaming { heard, .. } => {
                // Whether it stalled or there was nothing to tell: a list answers that at once.
                self.trouble = Some(String::new());
                self.sightings.tell(Seen::Stalled { since: heard }, now);
                self.list(now);
            }
        }
    }

    /// Begins a list.
    fn list(&mut self, now: Instant) {
        self.sightings.take(News::ListBegan, now);
        self.ask(None, now, now);
    }

    fn ask(&mut self, next: Option<&str>, began: Instant, now: Instant) {
        let by = now + self.config.call_timeout();
        self.state = State::Listing { began, by };
        self.request = Some(WatchOutput::List(self.of.page(self.page, next)));
    }

    fn open(&mut self, now: Instant) {
        let by = now + self.config.call_timeout();
        self.state = State::Opening { by };
        let request = self.of.changes(&self.version, self.config.stream());
        self.request = Some(WatchOutput::Watch(request));
    }

    fn paged(&mut self, reply: Reply, began: Instant, now: Instant) {
        let mut list = match reply {
            Ok(list) => list,
            Err(error) => {
                if error.kind == ErrorKind::TooLarge {
                    self.page = (self.page / 2).max(1);
                }
                return self.failed("list", error, Step::List, now);
            }
        };
        let version = list["metadata"]["resourceVersion"].as_str();
        let version = version.filter(|version| !version.is_empty());
        let items = list.get("items").filter(|it| it.is_array() || it.is_null());
        let (Some(version), Some(_)) = (version.map(str::to_owned), items) else {
            // Taken for an empty list it would say that everything is gone.
            let error = ApiError::new(ErrorKind::Server, "the answer is not a list");
            return self.failed("list", error, Step::List, now);
        };
        if let Value::Array(items) = list["items"].take() {
            self.sightings.take(News::Listed(items), now);
        }
        let next = list["metadata"]["continue"].as_str();
        let next = next.filter(|next| !next.is_empty());
        if next.is_some() && now.saturating_duration_since(began) > LIST_MAX {
            let error = ApiError::new(ErrorKind::Timeout, "the list does not end");
            return self.failed("list", error, Step::List, now);
        }
        if next.is_some() {
            return self.ask(next, began, now);
        }
        self.sightings.take(News::ListEnded, now);
        if !std::mem::replace(&mut self.synced, true) {
            self.sightings.tell(Seen::Synced, now);
        }
        self.version = version;
        self.open(now);
    }

    fn opened(&mut self, now: Instant) {
        self.state = State::Streaming {
            opened: now,
            heard: now,
            said: false,
        };
        if self.trouble.take().is_some() {
            self.sightings.tell(Seen::Recovered, now);
        }
    }

    fn heard(&mut self, item: StreamItem, now: Instant) {
        let object = match &item {
            StreamItem::Changed(object)
            | StreamItem::Deleted(object)
            | StreamItem::Bookmark(object) => object,
            StreamItem::Error(error) => {
                let error = error.clone();
                return self.failed("watch", error, Step::List, now);
            }
            StreamItem::Unknown => return,
        };
        let version = object["metadata"]["resourceVersion"].as_str();
        let version = version.filter(|version| !version.is_empty());
        if let Some(version) = version {
            if is_before(version, &self.version) {
                // Another server, or one that was restored: what it had is another past.
                return self.wait(Step::List, None, now);
            }
            version.clone_into(&mut self.version);
        }
        match item {
            StreamItem::Changed(object) => self.sightings.take(News::Changed(object), now),
            StreamItem::Deleted(object) => self.sightings.take(News::Deleted(object), now),
            StreamItem::Bookmark(_) | StreamItem::Error(_) | StreamItem::Unknown => {}
        }
    }

    /// Whether the stream that is read was worth its opening.
    fn has_lived(&self, now: Instant) -> bool {
        match self.state {
            State::Streaming { opened, .. } => {
                now.saturating_duration_since(opened) >= LIVED.min(self.config.stream() / 2)
            }
            State::Waiting { .. } | State::Listing { .. } | State::Opening { .. } => false,
        }
    }

    fn ended(&mut self, error: Option<ApiError>, said: bool, now: Instant) {
        let lived = self.has_lived(now);
        // A stream that lived and said nothing, not even by a bookmark, proves nothing: a server
        // that is another one, or without bookmarks, is quiet for ever.
        let next = if said || !lived {
            Step::Watch
        } else {
            Step::List
        };
        match (error, next) {
            (Some(error), next) => self.failed("watch", error, next, now),
            (None, Step::Watch) if lived => self.open(now),
            (None, Step::List) if lived => self.list(now),
            (None, next) if self.failures < FAILURES_MAX => self.wait(next, None, now),
            (None, next) => {
                let message = "the server ends each stream as soon as it has begun";
                let error = ApiError::new(ErrorKind::Server, message);
                self.failed("watch", error, next, now);
            }
        }
    }

    /// Tells of the failure, unless it was told, and tries again later.
    fn failed(&mut self, operation: &str, error: ApiError, next: Step, now: Instant) {
        let retry_after = error.retry_after;
        let expired = error.kind == ErrorKind::Expired;
        let next = if expired || self.failures >= FAILURES_MAX {
            Step::List
        } else {
            next
        };
        // That the server forgets the past is no trouble, unless a list does not help.
        if !expired || self.failures >= FAILURES_MAX {
            let error = self.of.explain(operation, error);
            if self.trouble.as_ref() != Some(&error.message) {
                self.trouble = Some(error.message.clone());
                self.sightings.tell(Seen::Broken { error }, now);
            }
        }
        self.wait(next, retry_after, now);
    }

    fn wait(&mut self, next: Step, retry_after: Option<Duration>, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let least = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
        let at = now + least + self.backoff.next_delay();
        self.state = State::Waiting { at, next };
        self.request = Some(WatchOutput::Close);
    }
}

/// Whether that resourceVersion is an older one; only numbers can be compared.
fn is_before(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests;
