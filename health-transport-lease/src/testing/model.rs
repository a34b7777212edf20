//! A model of an API server: resourceVersions, validation, strictness, rights, lists, watches,
//! faults.
//!
//! It knows Leases, SyncTargets and namespaces, who comes with which token and may do what, and answers about them as a real one does: the
//! cases in `tests/kcp` are run on it and on kcp. It makes no I/O and reads no clock: the
//! simulation calls it, and a scripted server is a shell over it.

mod address;
mod answer;
mod history;
mod lease;
mod list;
mod review;
mod rights;
mod schema;
mod stream;
mod write;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::Objects;
use crate::RawRequest;
use crate::RawResponse;
use crate::Reply;
use crate::Verb;
use crate::names;
use crate::synctarget::Dialect;

use self::address::Address;
use self::address::Kind;
use self::address::Query;
use self::history::History;
use self::list::Wanted;
pub use self::rights::Caller;
use self::rights::Rights;
use self::schema::Schema;
pub use self::stream::Line;
pub use self::stream::Stream;

/// The server's state.
#[derive(Debug, Clone)]
pub struct Model {
    objects: BTreeMap<String, Arc<Value>>,
    history: History,
    namespaces: BTreeSet<String>,
    /// What the SyncTarget's definition has; nothing where there is none.
    schema: Option<Schema>,
    /// Since when it has.
    defined_at: u64,
    rights: Rights,
    /// Whose each token is.
    tokens: BTreeMap<String, Value>,
    revision: u64,
    /// How often all streams were ended.
    streams_ended: u64,
    /// Whether no stream says anything.
    stalled: bool,
    faults: VecDeque<Fault>,
    requests: Vec<(Method, String)>,
}

/// What goes wrong with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing does.
    None,
    /// It is answered with this status, and nothing is done.
    Status(u16),
    /// It is answered with 429 and this many seconds to wait.
    Busy(u64),
    /// It is answered as kcp does below a workspace that is not there.
    NoWorkspace,
    /// It is not done, and never answered.
    Lost,
    /// It is done, and never answered.
    AnswerLost,
    /// A watch begins, and never says anything; anything else is not answered.
    Stalled,
    /// A watch begins, and what it says first is an error with this status; anything else is
    /// answered so.
    StreamError(u16),
}

// === impl Model ===

impl Default for Model {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            history: History::default(),
            namespaces: BTreeSet::from(["default".to_owned()]),
            schema: None,
            defined_at: 0,
            rights: Rights::default(),
            tokens: BTreeMap::new(),
            revision: 0,
            streams_ended: 0,
            stalled: false,
            faults: VecDeque::new(),
            requests: Vec::new(),
        }
    }
}

impl Model {
    /// A server with the SyncTarget's definition in this dialect.
    #[must_use]
    pub fn with_dialect(dialect: Dialect) -> Self {
        let mut model = Self::default();
        model.define(Some(dialect));
        model
    }

    /// Changes or removes the SyncTarget's definition. What SyncTargets were before is forgotten.
    pub fn define(&mut self, dialect: Option<Dialect>) {
        self.schema = dialect.map(Schema::of);
        self.defined_at = self.revision;
    }

    /// Makes a SyncTarget, with a uid of its own; one of that name is deleted first.
    pub fn create_target(&mut self, name: &str) {
        let path = Address::target(name).path();
        self.delete(&path);
        let object = json!({
            "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
            "kind": names::KIND,
            "metadata": { "name": name },
            "spec": {},
        });
        self.put(&path, object);
    }

    /// Makes or changes an object behind everybody's back, as another writer does. It gets a uid
    /// where it has none.
    pub fn put(&mut self, path: &str, mut object: Value) {
        let revision = self.bump();
        if !object["metadata"]["uid"].is_string() {
            let known = self
                .objects
                .get(path)
                .map(|known| &known["metadata"]["uid"]);
            let uid = known.cloned().unwrap_or_else(|| uid(revision));
            object["metadata"]["uid"] = uid;
        }
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let object = Arc::new(object);
        let before = self.objects.insert(path.to_owned(), Arc::clone(&object));
        self.history.add(revision, path, before, Some(object));
    }

    /// Removes an object, and what only it owned.
    pub fn delete(&mut self, path: &str) -> Option<Value> {
        let removed = self.remove_one(path)?;
        self.collect();
        Some(Arc::unwrap_or_clone(removed))
    }

    fn remove_one(&mut self, path: &str) -> Option<Arc<Value>> {
        let removed = self.objects.remove(path)?;
        let revision = self.bump();
        let before = Some(Arc::clone(&removed));
        self.history.add(revision, path, before, None);
        Some(removed)
    }

    /// An object as it is.
    #[must_use]
    pub fn object(&self, path: &str) -> Option<&Value> {
        self.objects.get(path).map(|object| &**object)
    }

    /// Lets the user do what these RBAC rules say, besides what it may already.
    pub fn allow(&mut self, user: &str, rules: &Value) {
        self.rights.allow(user, rules);
    }

    /// Lets the next requests fail in turn.
    pub fn fail(&mut self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.extend(faults);
    }

    /// The requests since the last time this was asked.
    pub fn take_requests(&mut self) -> Vec<(Method, String)> {
        std::mem::take(&mut self.requests)
    }

    /// Does a machine's call; nothing where it is never answered.
    pub fn call(&mut self, verb: &Verb, objects: &Objects) -> Option<Reply> {
        let response = self.respond(Caller::Admin, verb.request(objects))?;
        Some(response.reply())
    }

    /// Does an admin's request; nothing where it is never answered.
    pub fn request(&mut self, request: &RawRequest) -> Option<RawResponse> {
        self.request_by(Caller::Admin, request)
    }

    /// Does a request; nothing where it is never answered.
    pub fn request_by(&mut self, caller: Caller<'_>, request: &RawRequest) -> Option<RawResponse> {
        self.respond(caller, request.clone())
    }

    fn respond(&mut self, caller: Caller<'_>, request: RawRequest) -> Option<RawResponse> {
        self.requests
            .push((request.method.clone(), request.path.clone()));
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        match Self::answer_of(fault) {
            Some(answer) => answer,
            None if fault == Fault::AnswerLost => {
                let _ = self.apply(caller, request);
                None
            }
            None => Some(self.apply(caller, request)),
        }
    }

    /// What is answered instead, if anything is.
    fn answer_of(fault: Fault) -> Option<Option<RawResponse>> {
        match fault {
            Fault::None | Fault::AnswerLost => None,
            Fault::Status(code) | Fault::StreamError(code) => {
                Some(Some(answer::status(code, "", "by fault", None)))
            }
            Fault::Busy(seconds) => {
                let mut response = answer::status(429, "TooManyRequests", "by fault", None);
                response.retry_after = Some(seconds.to_string());
                Some(Some(response))
            }
            Fault::NoWorkspace => Some(Some(answer::no_such_workspace())),
            Fault::Lost | Fault::Stalled => Some(None),
        }
    }

    fn apply(&mut self, caller: Caller<'_>, request: RawRequest) -> RawResponse {
        self.try_apply(caller, request)
            .unwrap_or_else(|refusal| refusal)
    }

    fn try_apply(
        &mut self,
        caller: Caller<'_>,
        request: RawRequest,
    ) -> Result<RawResponse, RawResponse> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let address = Address::parse(path).ok_or_else(answer::no_such_page)?;
        let wanted = if request.method == Method::GET && address.name.is_empty() {
            Wanted::parse(query)
        } else {
            Wanted::default()
        };
        self.rights
            .check(caller, &request.method, &address, wanted.watch)?;
        self.check_kind(&address)?;
        let query = Query::parse(query);
        let body = || request.body.unwrap_or(Value::Null);
        match (request.method.as_str(), address.name.is_empty()) {
            ("POST", true) if address.kind.is_review() => self.review(&address, body()),
            ("GET", true) if wanted.watch => Ok(self.drained(&address, &wanted)),
            ("GET", true) if !address.kind.is_review() => self.list(&address, &wanted),
            ("GET", false) => self
                .known(&address)
                .map(|object| answer::object(200, object)),
            ("POST", true) => self.create(&address, query, body()),
            ("PUT", false) => self.update(&address, query, body()),
            ("DELETE", false) => self.remove(&address),
            _ => Err(answer::status(
                405,
                "MethodNotAllowed",
                "not modelled",
                None,
            )),
        }
    }

    /// Removes what was owned by SyncTargets that are all gone.
    fn collect(&mut self) {
        let uids = self.objects.values().map(|it| text(&it["metadata"]["uid"]));
        let there: BTreeSet<_> = uids.collect();
        let gone =
            |owner: &Value| owner["kind"] == names::KIND && !there.contains(text(&owner["uid"]));
        let is_orphan = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| !owners.is_empty() && owners.iter().all(gone))
        };
        let orphans = self.objects.iter().filter(|(_, object)| is_orphan(object));
        let orphans: Vec<_> = orphans.map(|(path, _)| path.clone()).collect();
        for path in orphans {
            self.remove_one(&path);
        }
    }

    fn check_kind(&self, address: &Address<'_>) -> Result<(), RawResponse> {
        if address.kind == Kind::SyncTarget && self.schema.is_none() {
            return Err(answer::no_such_page());
        }
        Ok(())
    }

    fn known(&self, address: &Address<'_>) -> Result<&Value, RawResponse> {
        let object = self.objects.get(&address.path());
        let object = object.map(|object| &**object);
        object.ok_or_else(|| answer::not_found(address))
    }

    const fn bump(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }
}

fn uid(revision: u64) -> Value {
    format!("uid-{revision}").into()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
