//! A model of an API server: resourceVersions, validation, strictness, rights, faults.
//!
//! It knows Leases, SyncTargets and namespaces, who comes with which token and may do what, and answers about them as a real one does: the
//! cases in `tests/kcp` are run on it and on kcp. It makes no I/O and reads no clock: the
//! simulation calls it, and a scripted server is a shell over it.

mod address;
mod answer;
mod lease;
mod review;
mod rights;
mod schema;
mod write;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

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
pub use self::rights::Caller;
use self::rights::Rights;
use self::schema::Schema;

/// The server's state.
#[derive(Debug, Clone)]
pub struct Model {
    objects: BTreeMap<String, Value>,
    namespaces: BTreeSet<String>,
    /// What the SyncTarget's definition has; nothing where there is none.
    schema: Option<Schema>,
    rights: Rights,
    /// Whose each token is.
    tokens: BTreeMap<String, Value>,
    revision: u64,
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
    /// It is not done, and never answered.
    Lost,
    /// It is done, and never answered.
    AnswerLost,
}

// === impl Model ===

impl Default for Model {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            namespaces: BTreeSet::from(["default".to_owned()]),
            schema: None,
            rights: Rights::default(),
            tokens: BTreeMap::new(),
            revision: 0,
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

    /// Changes or removes the SyncTarget's definition.
    pub fn define(&mut self, dialect: Option<Dialect>) {
        self.schema = dialect.map(Schema::of);
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
        self.objects.insert(path.to_owned(), object);
    }

    /// Removes an object, and what only it owned.
    pub fn delete(&mut self, path: &str) -> Option<Value> {
        let removed = self.objects.remove(path)?;
        self.bump();
        self.collect();
        Some(removed)
    }

    /// An object as it is.
    #[must_use]
    pub fn object(&self, path: &str) -> Option<&Value> {
        self.objects.get(path)
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
        let response = self.request(&verb.request(objects))?;
        Some(response.reply())
    }

    /// Does an admin's request; nothing where it is never answered.
    pub fn request(&mut self, request: &RawRequest) -> Option<RawResponse> {
        self.request_by(Caller::Admin, request)
    }

    /// Does a request; nothing where it is never answered.
    pub fn request_by(&mut self, caller: Caller<'_>, request: &RawRequest) -> Option<RawResponse> {
        self.requests
            .push((request.method.clone(), request.path.clone()));
        match self.faults.pop_front().unwrap_or(Fault::None) {
            Fault::None => Some(self.apply(caller, request)),
            Fault::Status(code) => Some(answer::status(code, "", "by fault", None)),
            Fault::Busy(seconds) => {
                let mut response = answer::status(429, "TooManyRequests", "by fault", None);
                response.retry_after = Some(seconds.to_string());
                Some(response)
            }
            Fault::Lost => None,
            Fault::AnswerLost => {
                let _ = self.apply(caller, request);
                None
            }
        }
    }

    fn apply(&mut self, caller: Caller<'_>, request: &RawRequest) -> RawResponse {
        self.try_apply(caller, request)
            .unwrap_or_else(|refusal| refusal)
    }

    fn try_apply(
        &mut self,
        caller: Caller<'_>,
        request: &RawRequest,
    ) -> Result<RawResponse, RawResponse> {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let address = Address::parse(path).ok_or_else(answer::no_such_page)?;
        self.rights.check(caller, &request.method, &address)?;
        if address.kind == Kind::SyncTarget && self.schema.is_none() {
            return Err(answer::no_such_page());
        }
        let query = Query::parse(query);
        let body = || request.body.clone().unwrap_or(Value::Null);
        match (request.method.as_str(), address.name.is_empty()) {
            ("POST", true) if address.kind.is_review() => self.review(&address, body()),
            ("GET", true) if !address.kind.is_review() => Ok(self.list(&address)),
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

    fn list(&self, address: &Address<'_>) -> RawResponse {
        let prefix = format!("{}/", address.path());
        let objects = self.objects.range(prefix.clone()..);
        let objects = objects.take_while(|(path, _)| path.starts_with(&prefix));
        let items: Vec<_> = objects.map(|(_, object)| object).collect();
        let list = json!({
            "apiVersion": address.kind.api_version(),
            "kind": format!("{}List", address.kind.name()),
            "metadata": { "resourceVersion": self.revision.to_string() },
            "items": items,
        });
        answer::object(200, &list)
    }

    /// Removes what was owned by SyncTargets that are all gone.
    fn collect(&mut self) {
        let uids = |objects: &BTreeMap<String, Value>| -> BTreeSet<String> {
            let uids = objects.values().map(|it| text(&it["metadata"]["uid"]));
            uids.map(str::to_owned).collect()
        };
        let there = uids(&self.objects);
        self.objects.retain(|_, object| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            let gone = |owner: &Value| {
                owner["kind"] == names::KIND && !there.contains(text(&owner["uid"]))
            };
            owners.is_none_or(|owners| owners.is_empty() || !owners.iter().all(gone))
        });
    }

    fn known(&self, address: &Address<'_>) -> Result<&Value, RawResponse> {
        let object = self.objects.get(&address.path());
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
