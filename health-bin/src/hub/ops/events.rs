//! `/events`: the stream as server-sent events.
//!
//! `transition` events have ids and can be resumed; `counts` come when they change, at most one a
//! second; `reset` says that transitions were missed and that the fleet must be read anew.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::HeaderName;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::access;
use super::access::Caller;
use super::bad_request;
use super::listing::Counts;
use super::query::Filter;
use super::stream::Stream;
use crate::hub::HubState;

/// Proxies close what is silent for a minute or half of one; a page notices a dead hub by it.
const COMMENT_EVERY: Duration = Duration::from_secs(10);

/// How soon a browser comes back, in milliseconds.
const RETRY_MS: u32 = 1000;

/// Transitions in one write, about 16 KiB: what a reader makes the hub hold for it.
const BATCH_MAX: usize = 64;

/// When to ask again for a stream while all places are taken, in seconds.
const BUSY_SECONDS: &str = "10";

/// What a browser sends when it comes back.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Tells proxies of a well-known kind that an answer is not to be held back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Whether a reader may still read.
type Admitted = Box<dyn Fn() -> BoxFuture<'static, bool> + Send + Sync>;

/// One reader's place.
struct Reader {
    stream: Arc<Stream>,
    filter: Filter,
    admitted: Admitted,
    /// When that is asked next, also of a stream that always has something to tell.
    ask_at: Instant,
    /// The number of the last transition that was looked at.
    seen: u64,
    newest: watch::Receiver<u64>,
    counts: watch::Receiver<Counts>,
    /// What it knows.
    told: Counts,
    stop: watch::Receiver<bool>,
    comment_at: Instant,
    /// Written before anything else.
    first: Option<String>,
}

/// What is asked beside the filter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// So many of the newest transitions come first.
    pub(super) recent: usize,
    /// Where to go on, for who cannot send the header.
    pub(super) last_event_id: Option<String>,
}

pub(super) async fn events(
    State(state): State<Arc<HubState>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let query = query.unwrap_or_default();
    let filter = match Filter::parse(&query) {
        Ok(filter) => filter,
        Err(problem) => return bad_request(&problem),
    };
    let mut start = Start::parse(&query);
    if let Some(id) = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()) {
        start.last_event_id = Some(id.to_owned());
    }
    let stream = Arc::clone(&state.ops.stream);
    let Ok(place) = Arc::clone(&stream.places).try_acquire_owned() else {
        let retry = [(header::RETRY_AFTER, BUSY_SECONDS)];
        let text = "too many streams are open\n";
        return (StatusCode::SERVICE_UNAVAILABLE, retry, text).into_response();
    };
    let told = Counts::of(&state.fleet.lock().fleet);
    let stop = state.stop.clone();
    let admitted: Admitted = Box::new(move || {
        let (state, caller) = (Arc::clone(&state), caller.clone());
        async move { access::still_admits(&state, &caller).await }.boxed()
    });
    let reader = Reader::new(stream, filter, admitted, told, stop, &start);
    let body = stream::unfold((reader, place), async |(mut reader, place)| {
        let text = reader.next().await?;
        Some((Ok::<_, Infallible>(text), (reader, place)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (ACCEL_BUFFERING, "no"),
    ];
    (headers, Body::from_stream(body)).into_response()
}

// === impl Reader ===

impl Reader {
    fn new(
        stream: Arc<Stream>,
        filter: Filter,
        admitted: Admitted,
        told: Counts,
        stop: watch::Receiver<bool>,
        start: &Start,
    ) -> Self {
        let mut first = format!("retry: {RETRY_MS}\n\n");
        let seen = match &start.last_event_id {
            None => stream.begin(start.recent),
            Some(id) => stream.resume(id).unwrap_or_else(|_| {
                let now = stream.now();
                write_reset(&mut first, &stream.id(now));
                now
            }),
        };
        write_counts(&mut first, told);
        Self {
            newest: stream.newest(),
            counts: stream.counts(),
            stream,
            filter,
            admitted,
            ask_at: Instant::now() + COMMENT_EVERY,
            seen,
            told,
            stop,
            comment_at: Instant::now() + COMMENT_EVERY,
            first: Some(first),
        }
    }

    /// What to write next; nothing when the stream ends, since the hub does or its session has.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            if *self.stop.borrow() || !self.is_admitted().await {
                return None;
            }
            let mut text = String::new();
            let caught_up = self.catch_up(&mut text);
            if self.counts.has_changed().ok()? {
                self.count(&mut text);
            }
            if !text.is_empty() {
                self.comment_at = Instant::now() + COMMENT_EVERY;
                return Some(text);
            }
            if !caught_up {
                continue;
            }
            tokio::select! {
                changed = self.stop.changed() => changed.ok()?,
                changed = self.newest.changed() => changed.ok()?,
                changed = self.counts.changed() => {
                    changed.ok()?;
                    self.counts.mark_changed();
                }
                () = tokio::time::sleep_until(self.comment_at) => {
                    self.comment_at = Instant::now() + COMMENT_EVERY;
                    return self.is_admitted().await.then(|| ":\n\n".to_owned());
                }
            }
        }
    }

    /// Whether it may still read: a session that has ended reads no further.
    async fn is_admitted(&mut self) -> bool {
        if Instant::now() < self.ask_at {
            return true;
        }
        self.ask_at = Instant::now() + COMMENT_EVERY;
        (self.admitted)().await
    }

    /// Writes what came since, one batch of it; says whether there is no more for now.
    ///
    /// Who falls behind by more than the ring holds misses transitions and is told so. Nothing
    /// waits for it: what is kept for a reader is this one text.
    fn catch_up(&mut self, text: &mut String) -> bool {
        let stream = &self.stream;
        self.newest.borrow_and_update();
        let Ok(entries) = stream.after(self.seen, BATCH_MAX) else {
            self.seen = stream.now();
            write_reset(text, &stream.id(self.seen));
            return false;
        };
        for entry in &entries {
            self.seen = entry.number;
            let transition = &entry.transition;
            if !self
                .filter
                .admits_change(&transition.agent, transition.verdict)
            {
                continue;
            }
            let id = stream.id(entry.number);
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "event: transition\nid: {id}\ndata: {}\n\n",
                entry.json()
            );
        }
        entries.is_empty()
    }

    /// Writes the counts, if they are others than it knows.
    fn count(&mut self, text: &mut String) {
        let counts = *self.counts.borrow_and_update();
        if self.told != counts {
            self.told = counts;
            write_counts(text, counts);
        }
    }
}

// === impl Start ===

impl Start {
    pub(super) fn parse(query: &str) -> Self {
        let mut start = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                // The ring has no more than it has, so any number will do.
                "recent" => start.recent = value.parse().unwrap_or_default(),
                "lastEventId" if !value.is_empty() => {
                    start.last_event_id = Some(value.into_owned());
                }
                _ => {}
            }
        }
        start
    }
}

fn write_reset(text: &mut String, id: &str) {
    // Writing to a String cannot fail.
    let _ = write!(text, "event: reset\nid: {id}\ndata: {{}}\n\n");
}

fn write_counts(text: &mut String, counts: Counts) {
    // Writing to a String cannot fail.
    let _ = write!(text, "event: counts\ndata: {}\n\n", counts.json());
}

#[cfg(test)]
mod tests;
