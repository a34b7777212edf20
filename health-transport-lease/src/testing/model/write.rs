//! How the server takes a write.

use serde_json::Value;
use serde_json::json;

use super::Model;
use super::address::Address;
use super::address::Kind;
use super::address::Query;
use super::answer;
use super::lease;
use super::text;
use super::uid;
use crate::RawResponse;

// === impl Model ===

impl Model {
    pub(super) fn create(
        &mut self,
        address: &Address<'_>,
        query: Query,
        body: Value,
    ) -> Result<RawResponse, RawResponse> {
        let mut object = self.decode(address.kind, query, body)?;
        self.check_namespace(address)?;
        let sent = &object["metadata"]["namespace"];
        if sent
            .as_str()
            .is_some_and(|it| !it.is_empty() && it != address.namespace)
        {
            let message = "the namespace of the provided object does not match the namespace \
                           sent on the request";
            return Err(answer::status(400, "BadRequest", message, None));
        }
        if address.kind == Kind::SyncTarget {
            remove(&mut object, "status");
        }
        let name = text(&object["metadata"]["name"]).to_owned();
        let address = address.named(&name);
        address.check_name()?;
        self.validate(&address, &object)?;
        // What is no number is taken for none.
        if text(&object["metadata"]["resourceVersion"])
            .parse::<u64>()
            .is_ok_and(|it| it > 0)
        {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(answer::status(500, "", message, None));
        }
        if self.objects.contains_key(&address.path()) {
            return Err(answer::already_exists(&address));
        }
        Ok(self.insert(&address, query, object))
    }

    /// Puts a new object in.
    fn insert(&mut self, address: &Address<'_>, query: Query, mut object: Value) -> RawResponse {
        let metadata = &mut object["metadata"];
        if !address.namespace.is_empty() {
            metadata["namespace"] = address.namespace.into();
        }
        metadata["uid"] = uid(self.revision + 1);
        if query.dry_run {
            remove(&mut object["metadata"], "resourceVersion");
        } else {
            self.put(&address.path(), object.clone());
            object = Value::clone(&self.objects[&address.path()]);
        }
        answer::object(201, &object)
    }

    pub(super) fn update(
        &mut self,
        address: &Address<'_>,
        query: Query,
        body: Value,
    ) -> Result<RawResponse, RawResponse> {
        let sent = self.decode(address.kind, query, body)?;
        address.check_same_name(&sent)?;
        let Some(current) = self.objects.get(&address.path()) else {
            self.check_namespace(address)?;
            return self.update_missing(address, query, sent);
        };
        answer::check_preconditions(address, current, &sent)?;
        let object = merged(address, current, sent);
        self.validate(address, &object)?;
        if query.dry_run || object == **current {
            return Ok(answer::object(200, &object));
        }
        self.put(&address.path(), object);
        Ok(answer::object(200, &self.objects[&address.path()]))
    }

    /// A Lease is created by its update, whatever resourceVersion is sent along, unless a uid is;
    /// a SyncTarget is not.
    fn update_missing(
        &mut self,
        address: &Address<'_>,
        query: Query,
        sent: Value,
    ) -> Result<RawResponse, RawResponse> {
        match address.kind {
            Kind::SubjectAccessReview | Kind::SyncTarget | Kind::TokenReview => {
                Err(answer::not_found(address))
            }
            Kind::Lease => {
                let nothing = json!({ "metadata": { "uid": "" } });
                answer::check_uid(address, &nothing, &sent)?;
                self.validate(address, &sent)?;
                Ok(self.insert(address, query, sent))
            }
        }
    }

    pub(super) fn remove(&mut self, address: &Address<'_>) -> Result<RawResponse, RawResponse> {
        let removed = self.delete(&address.path());
        let removed = removed.ok_or_else(|| answer::not_found(address))?;
        let mut details = address.details();
        details["uid"] = removed["metadata"]["uid"].clone();
        let body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details,
        });
        Ok(answer::object(200, &body))
    }

    fn check_namespace(&self, address: &Address<'_>) -> Result<(), RawResponse> {
        let known = address.kind == Kind::SyncTarget || self.namespaces.contains(address.namespace);
        if known {
            Ok(())
        } else {
            Err(answer::no_such_namespace(address.namespace))
        }
    }

    /// The object as the server understands it: what is null or unknown is dropped, unless
    /// strictness forbids it.
    fn decode(&self, kind: Kind, query: Query, body: Value) -> Result<Value, RawResponse> {
        let mut object = body;
        let decoded = match (kind, &self.schema) {
            (Kind::Lease, _) => lease::decode(&mut object),
            (Kind::SyncTarget, Some(schema)) => schema.decode(&mut object),
            (Kind::SyncTarget, None) => return Err(answer::no_such_page()),
            (Kind::SubjectAccessReview | Kind::TokenReview, _) => Ok(Vec::new()),
        };
        let unknown = decoded.map_err(|what| answer::undecodable(kind, &what))?;
        if query.strict && !unknown.is_empty() {
            let unknown = unknown.iter().map(|path| format!("unknown field {path:?}"));
            let unknown: Vec<_> = unknown.collect();
            let what = format!("strict decoding error: {}", unknown.join(", "));
            return Err(answer::undecodable(kind, &what));
        }
        Ok(object)
    }

    fn validate(&self, address: &Address<'_>, object: &Value) -> Result<(), RawResponse> {
        let wrong = match (address.kind, &self.schema) {
            (Kind::Lease, _) => lease::validate(object),
            (Kind::SyncTarget, Some(schema)) => schema.validate(object),
            (Kind::SyncTarget, None) => return Err(answer::no_such_page()),
            (Kind::SubjectAccessReview | Kind::TokenReview, _) => Vec::new(),
        };
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(answer::invalid(address, address.kind.name(), &wrong))
        }
    }
}

/// What a write makes of an object: its status is written by itself, and nothing else with it.
fn merged(address: &Address<'_>, current: &Value, mut sent: Value) -> Value {
    let (mut object, status) = if address.status {
        (current.clone(), sent.get_mut("status").map(Value::take))
    } else {
        (sent, current.get("status").cloned())
    };
    if address.kind == Kind::SyncTarget {
        match status {
            Some(status) => object["status"] = status,
            None => remove(&mut object, "status"),
        }
    }
    for key in ["uid", "resourceVersion", "namespace"] {
        if let Some(value) = current["metadata"].get(key) {
            object["metadata"][key] = value.clone();
        }
    }
    object
}

fn remove(value: &mut Value, key: &str) {
    if let Some(fields) = value.as_object_mut() {
        fields.remove(key);
    }
}
