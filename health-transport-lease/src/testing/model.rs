//! A model of an API server: resourceVersions, validation, strictness, faults.
//!
//! It knows Leases, SyncTargets and namespaces, and answers about them as Kubernetes 1.36 does.
//! It makes no I/O and reads no clock: the simulation calls it, and a scripted server is a shell
//! over it.

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

/// The server's state.
#[derive(Debug, Clone)]
pub struct Model {
    objects: BTreeMap<String, Value>,
    namespaces: BTreeSet<String>,
    /// The status fields that the SyncTarget's definition has; nothing where there is none.
    schema: Option<Vec<&'static str>>,
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

const CONDITION_FIELDS: [&str; 6] = [
    "type",
    "status",
    "severity",
    "lastTransitionTime",
    "reason",
    "message",
];

// === impl Model ===

impl Default for Model {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            namespaces: BTreeSet::from(["default".to_owned()]),
            schema: None,
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
        self.schema = dialect.map(|dialect| {
            let fields = [
                Some("conditions"),
                Some(dialect.heartbeat_field()),
                dialect.identity_field(),
            ];
            fields.into_iter().flatten().collect()
        });
    }

    /// Makes a SyncTarget, with a uid of its own; one of that name is replaced.
    pub fn create_target(&mut self, name: &str) {
        let revision = self.bump();
        let object = json!({
            "apiVersion": format!("{}/{}", names::GROUP, names::VERSION),
            "kind": names::KIND,
            "metadata": {
                "name": name,
                "uid": format!("uid-{revision}"),
                "resourceVersion": revision.to_string(),
            },
            "spec": {},
        });
        self.objects.insert(target_path(name), object);
    }

    /// Makes or changes an object behind everybody's back, as another writer does.
    pub fn put(&mut self, path: &str, mut object: Value) {
        let revision = self.bump();
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        self.objects.insert(path.to_owned(), object);
    }

    /// Removes an object.
    pub fn delete(&mut self, path: &str) -> Option<Value> {
        self.objects.remove(path)
    }

    /// An object as it is.
    #[must_use]
    pub fn object(&self, path: &str) -> Option<&Value> {
        self.objects.get(path)
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

    /// Does a request; nothing where it is never answered.
    pub fn request(&mut self, request: &RawRequest) -> Option<RawResponse> {
        self.requests
            .push((request.method.clone(), request.path.clone()));
        match self.faults.pop_front().unwrap_or(Fault::None) {
            Fault::None => Some(self.apply(request)),
            Fault::Status(code) => Some(status(code, "", "by fault", None)),
            Fault::Busy(seconds) => {
                let mut response = status(429, "TooManyRequests", "by fault", None);
                response.retry_after = Some(seconds.to_string());
                Some(response)
            }
            Fault::Lost => None,
            Fault::AnswerLost => {
                let _ = self.apply(request);
                None
            }
        }
    }

    fn apply(&mut self, request: &RawRequest) -> RawResponse {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let body = request.body.clone().unwrap_or(Value::Null);
        let of_target = path.starts_with(&target_path(""));
        if of_target && self.schema.is_none() {
            return RawResponse {
                status: 404,
                retry_after: None,
                body: b"404 page not found\n".to_vec(),
            };
        }
        if request.method == Method::GET {
            return match self.objects.get(path) {
                Some(object) => answer(200, object),
                None => not_found(path),
            };
        }
        if request.method == Method::POST {
            return self.create(path, body);
        }
        match path.strip_suffix("/status") {
            Some(path) if of_target => self.put_status(path, query, &body),
            _ => self.update(path, body),
        }
    }

    fn create(&mut self, path: &str, mut body: Value) -> RawResponse {
        let namespace = path.split('/').nth(5).unwrap_or_default().to_owned();
        if !self.namespaces.contains(&namespace) {
            let message = format!("namespaces {namespace:?} not found");
            return status(404, "NotFound", &message, Some(("namespaces", &namespace)));
        }
        if let Err(refusal) = validate_lease(&body) {
            return refusal;
        }
        let name = body["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let path = format!("{path}/{name}");
        if self.objects.contains_key(&path) {
            let message = format!("leases.coordination.k8s.io {name:?} already exists");
            return status(409, "AlreadyExists", &message, Some(("leases", &name)));
        }
        let revision = self.bump();
        body["metadata"]["uid"] = format!("uid-{revision}").into();
        body["metadata"]["resourceVersion"] = revision.to_string().into();
        self.objects.insert(path, body.clone());
        answer(201, &body)
    }

    fn update(&mut self, path: &str, mut body: Value) -> RawResponse {
        let Some(current) = self.objects.get(path) else {
            return not_found(path);
        };
        if let Err(refusal) = validate_lease(&body) {
            return refusal;
        }
        if let Some(refusal) = conflict(current, &body) {
            return refusal;
        }
        let revision = self.bump();
        body["metadata"]["resourceVersion"] = revision.to_string().into();
        self.objects.insert(path.to_owned(), body.clone());
        answer(200, &body)
    }

    fn put_status(&mut self, path: &str, query: &str, body: &Value) -> RawResponse {
        let unknown = self.unknown_field(&body["status"]);
        if query.contains("fieldValidation=Strict")
            && let Some(field) = &unknown
        {
            let message = format!("strict decoding error: unknown field \"status.{field}\"");
            return status(400, "BadRequest", &message, None);
        }
        let Some(current) = self.objects.get(path) else {
            return not_found(path);
        };
        if let Some(refusal) = conflict(current, body) {
            return refusal;
        }
        let mut object = current.clone();
        object["status"] = self.pruned(&body["status"]);
        if !query.contains("dryRun=All") {
            let revision = self.bump();
            object["metadata"]["resourceVersion"] = revision.to_string().into();
            self.objects.insert(path.to_owned(), object.clone());
        }
        answer(200, &object)
    }

    fn fields(&self) -> &[&'static str] {
        self.schema.as_deref().unwrap_or_default()
    }

    fn unknown_field(&self, status: &Value) -> Option<String> {
        let known = |field: &&String| self.fields().contains(&field.as_str());
        let mut fields = status.as_object()?.keys();
        let unknown = fields.find(|field| !known(field)).cloned();
        unknown.or_else(|| {
            let conditions = status["conditions"].as_array()?;
            let mut fields = conditions.iter().filter_map(Value::as_object).flatten();
            let field = fields.find(|(field, _)| !CONDITION_FIELDS.contains(&field.as_str()))?;
            Some(format!("conditions[0].{}", field.0))
        })
    }

    /// Without strictness what the definition lacks is dropped.
    fn pruned(&self, status: &Value) -> Value {
        let mut status = status.clone();
        if let Some(fields) = status.as_object_mut() {
            fields.retain(|field, _| self.fields().contains(&field.as_str()));
        }
        status
    }

    const fn bump(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }
}

fn target_path(name: &str) -> String {
    let (group, version, plural) = (names::GROUP, names::VERSION, names::PLURAL);
    format!("/apis/{group}/{version}/{plural}/{name}")
}

fn conflict(current: &Value, body: &Value) -> Option<RawResponse> {
    let differs = |key: &str, sent: &Value| {
        !sent.is_null() && sent != "" && *sent != current["metadata"][key]
    };
    let sent = &body["metadata"];
    (differs("resourceVersion", &sent["resourceVersion"]) || differs("uid", &sent["uid"])).then(
        || {
            let message = "the object has been modified; please apply your changes to the latest \
                           version and try again";
            status(409, "Conflict", message, None)
        },
    )
}

fn validate_lease(body: &Value) -> Result<(), RawResponse> {
    let spec = &body["spec"];
    for key in ["renewTime", "acquireTime"] {
        let time = &spec[key];
        if !time.is_null() && !time.as_str().is_some_and(is_micro_time) {
            let message = format!("spec.{key}: cannot parse {time} as MicroTime");
            return Err(status(400, "BadRequest", &message, None));
        }
    }
    let duration = &spec["leaseDurationSeconds"];
    if !duration.is_null() && duration.as_i64().is_none_or(|seconds| seconds <= 0) {
        let message = "spec.leaseDurationSeconds: Invalid value: must be greater than 0";
        return Err(status(422, "Invalid", message, None));
    }
    let transitions = &spec["leaseTransitions"];
    if transitions.as_i64().is_some_and(|count| count < 0) {
        let message = "spec.leaseTransitions: Invalid value: must be greater than or equal to 0";
        return Err(status(422, "Invalid", message, None));
    }
    Ok(())
}

fn is_micro_time(text: &str) -> bool {
    let fraction = text.split_once('.').map(|(_, fraction)| fraction);
    let digits = fraction.map(|it| it.bytes().take_while(u8::is_ascii_digit).count());
    digits == Some(6) && text.parse::<jiff::Timestamp>().is_ok()
}

fn not_found(path: &str) -> RawResponse {
    let mut parts = path.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let resource = parts.next().unwrap_or_default();
    let message = format!("{resource} {name:?} not found");
    status(404, "NotFound", &message, Some((resource, name)))
}

fn status(code: u16, reason: &str, message: &str, about: Option<(&str, &str)>) -> RawResponse {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure",
        "reason": reason, "message": message, "code": code,
    });
    if let Some((kind, name)) = about {
        body["details"] = json!({ "kind": kind, "name": name });
    }
    answer(code, &body)
}

fn answer(status: u16, body: &Value) -> RawResponse {
    RawResponse {
        status,
        retry_after: None,
        body: body.to_string().into_bytes(),
    }
}
