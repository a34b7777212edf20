//! What a watch says.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::Caller;
use super::Fault;
use super::Model;
use super::address::Address;
use super::address::Kind;
use super::answer;
use super::history::Change;
use super::list::Selector;
use super::list::Wanted;
use crate::RawRequest;
use crate::RawResponse;

/// A watch that is open. Whoever has it reads it when they like, and ends it by dropping it: the
/// model has no clock.
#[derive(Debug, Clone)]
pub struct Stream {
    prefix: String,
    kind: Kind,
    selector: Selector,
    bookmarks: bool,
    /// Up to which revision it has spoken.
    position: u64,
    /// What is said before anything else.
    first: VecDeque<Value>,
    /// How often all streams had been ended when it began.
    streams_ended: u64,
    stalled: bool,
    ended: bool,
}

/// What a stream says next.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// This event.
    Event(Value),
    /// Nothing yet.
    Nothing,
    /// Nothing any more.
    End,
}

// === impl Model ===

impl Model {
    /// Opens a watch; nothing where it is never answered, and a response where it is refused.
    pub fn watch_by(
        &mut self,
        caller: Caller<'_>,
        request: &RawRequest,
    ) -> Option<Result<Stream, RawResponse>> {
        let asked = (request.method.clone(), request.path.clone());
        self.requests.push(asked);
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        match (fault, Self::answer_of(fault)) {
            (Fault::Stalled | Fault::StreamError(_), _) | (_, None) => {}
            (_, Some(answer)) => return answer.map(Err),
        }
        if fault == Fault::AnswerLost {
            return None;
        }
        let mut opened = self.open(caller, request);
        match (&mut opened, fault) {
            (Ok(stream), Fault::Stalled) => stream.stalled = true,
            (Ok(stream), Fault::StreamError(code)) => {
                let error = answer::status(code, "", "by fault", None);
                stream.first = VecDeque::from([error_event(&error)]);
            }
            _ => {}
        }
        Some(opened)
    }

    /// Whether the request is one for [`watch_by`](Self::watch_by).
    #[must_use]
    pub fn is_watch(request: &RawRequest) -> bool {
        let (_, query) = request.path.split_once('?').unwrap_or_default();
        request.method == http::Method::GET && Wanted::parse(query).watch
    }

    /// What a stream says next.
    pub fn read(&self, stream: &mut Stream) -> Line {
        if self.stalled || stream.stalled {
            return Line::Nothing;
        }
        if !self.is_open(stream) {
            return Line::End;
        }
        if let Some(event) = stream.first.pop_front() {
            stream.ended = event["type"] == "ERROR";
            return Line::Event(event);
        }
        let since = stream.position;
        let changes = self.history.since(since);
        let Some(changes) = changes.filter(|_| since >= self.oldest(stream.kind)) else {
            stream.ended = true;
            return Line::Event(error_event(&self.too_old(stream.position)));
        };
        for change in changes {
            stream.position = change.revision;
            if let Some(event) = stream.event(change) {
                return Line::Event(event);
            }
        }
        Line::Nothing
    }

    /// A bookmark of where the stream is; nothing where it wants none, has still something to say,
    /// or says nothing any more. As on kcp, a quiet watch of SyncTargets has none.
    pub fn bookmark(&self, stream: &mut Stream) -> Option<Value> {
        let ahead = stream.position > self.revision;
        let silent = ahead || self.is_stalled(stream) || !self.is_open(stream);
        if silent || !stream.bookmarks || stream.kind == Kind::SyncTarget {
            return None;
        }
        // A bookmark before what it skips would lose that for good.
        if self.read(&mut stream.clone()) != Line::Nothing {
            return None;
        }
        stream.position = self.revision;
        Some(json!({
            "type": "BOOKMARK",
            "object": {
                "kind": stream.kind.name(), "apiVersion": stream.kind.api_version(),
                "metadata": { "resourceVersion": self.revision.to_string() },
            },
        }))
    }

    fn is_open(&self, stream: &Stream) -> bool {
        let undefined = stream.kind == Kind::SyncTarget && self.schema.is_none();
        !stream.ended && !undefined && stream.streams_ended == self.streams_ended
    }

    /// From where on a watch of that kind can be: its definition's time.
    const fn oldest(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Lease | Kind::SubjectAccessReview | Kind::TokenReview => 0,
            Kind::SyncTarget => self.defined_at,
        }
    }

    /// Whether that stream says nothing, not even that it is at its end.
    #[must_use]
    pub const fn is_stalled(&self, stream: &Stream) -> bool {
        self.stalled || stream.stalled
    }

    /// Forgets what was before now: a watch or a list from there is answered 410.
    pub fn forget(&mut self) {
        self.history.forget(self.revision);
    }

    /// Ends every stream that is open.
    pub const fn end_streams(&mut self) {
        self.streams_ended += 1;
    }

    /// Lets no stream say anything, or lets them speak again; none of them notices an end either.
    pub const fn stall_streams(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// All that a watch says until now, as one answer.
    pub(super) fn drained(&self, address: &Address<'_>, wanted: &Wanted) -> RawResponse {
        let mut stream = match self.stream(address, wanted) {
            Ok(stream) => stream,
            Err(refusal) => return refusal,
        };
        let mut body = Vec::new();
        while let Line::Event(event) = self.read(&mut stream) {
            body.extend_from_slice(event.to_string().as_bytes());
            body.push(b'\n');
        }
        RawResponse {
            status: 200,
            retry_after: None,
            body,
        }
    }

    fn open(&self, caller: Caller<'_>, request: &RawRequest) -> Result<Stream, RawResponse> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let address = Address::parse(path).ok_or_else(answer::no_such_page)?;
        self.rights.check(caller, &request.method, &address, true)?;
        self.check_kind(&address)?;
        self.stream(&address, &Wanted::parse(query))
    }

    fn stream(&self, address: &Address<'_>, wanted: &Wanted) -> Result<Stream, RawResponse> {
        let mut stream = Stream {
            prefix: format!("{}/", address.path()),
            kind: address.kind,
            selector: wanted.selector.clone(),
            bookmarks: wanted.bookmarks,
            position: self.revision,
            first: VecDeque::new(),
            streams_ended: self.streams_ended,
            stalled: false,
            ended: false,
        };
        if matches!(&*wanted.version, "" | "0") {
            let there = self.objects.range(stream.prefix.clone()..);
            let there = there.take_while(|(path, _)| path.starts_with(&stream.prefix));
            let wanted = there.filter(|(_, object)| stream.selector.takes(object));
            stream.first = wanted.map(|(_, it)| event("ADDED", it)).collect();
        } else {
            stream.position = wanted.version.parse().map_err(|_| {
                let version = &wanted.version;
                let message = format!(
                    "resourceVersion: Invalid value: {version:?}: strconv.ParseUint: \
                     parsing {version:?}: invalid syntax"
                );
                answer::status(500, "", &message, None)
            })?;
        }
        Ok(stream)
    }

    fn too_old(&self, position: u64) -> RawResponse {
        let message = format!("too old resource version: {position} ({})", self.revision);
        answer::status(410, "Expired", &message, None)
    }
}

// === impl Stream ===

impl Stream {
    /// The change as those see it whom only some objects concern.
    fn event(&self, change: &Change) -> Option<Value> {
        if !change.path.starts_with(&self.prefix) {
            return None;
        }
        let taken = |object: &Option<Arc<Value>>| {
            let object = object.as_ref().filter(|it| self.selector.takes(it));
            object.map(Arc::clone)
        };
        match (taken(&change.before), taken(&change.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(event("ADDED", &after)),
            (Some(_), Some(after)) => Some(event("MODIFIED", &after)),
            (Some(before), None) => {
                let mut gone = event("DELETED", &before);
                let version = change.revision.to_string();
                gone["object"]["metadata"]["resourceVersion"] = version.into();
                Some(gone)
            }
        }
    }
}

fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

fn error_event(refusal: &RawResponse) -> Value {
    let status = serde_json::from_slice::<Value>(&refusal.body);
    event("ERROR", &status.unwrap_or_default())
}
