//! What the server says.

use serde_json::Value;
use serde_json::json;

use super::address::Address;
use super::address::Kind;
use super::text;
use crate::RawResponse;

/// One thing that is wrong with an object.
#[derive(Debug)]
pub(super) struct Wrong {
    field: String,
    reason: &'static str,
    message: String,
}

pub(super) fn object(code: u16, body: &Value) -> RawResponse {
    RawResponse {
        status: code,
        retry_after: None,
        body: serde_json::to_vec(body).expect("a value can be written"),
    }
}

pub(super) fn status(
    code: u16,
    reason: &str,
    message: &str,
    details: Option<Value>,
) -> RawResponse {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code,
    });
    if !reason.is_empty() {
        body["reason"] = reason.into();
    }
    if let Some(details) = details {
        body["details"] = details;
    }
    object(code, &body)
}

/// The answer of kcp below a workspace that is not there.
pub(super) fn no_such_workspace() -> RawResponse {
    let details = json!({ "name": "root:a", "group": "tenancy.kcp.io", "kind": "workspaces" });
    let message = "workspaces.tenancy.kcp.io \"root:a\" not found";
    status(404, "NotFound", message, Some(details))
}

/// The answer about a kind of object that is not there: no JSON at all.
pub(super) fn no_such_page() -> RawResponse {
    RawResponse {
        status: 404,
        retry_after: None,
        body: b"404 page not found\n".to_vec(),
    }
}

pub(super) fn no_such_namespace(name: &str) -> RawResponse {
    let details = json!({ "name": name, "kind": "namespaces" });
    let message = format!("namespaces {name:?} not found");
    status(404, "NotFound", &message, Some(details))
}

pub(super) fn not_found(address: &Address<'_>) -> RawResponse {
    let message = format!("{} {:?} not found", address.kind.resource(), address.name);
    status(404, "NotFound", &message, Some(address.details()))
}

pub(super) fn already_exists(address: &Address<'_>) -> RawResponse {
    let message = format!(
        "{} {:?} already exists",
        address.kind.resource(),
        address.name
    );
    status(409, "AlreadyExists", &message, Some(address.details()))
}

pub(super) fn undecodable(kind: Kind, what: &str) -> RawResponse {
    let (name, version) = (kind.name(), kind.version());
    let message = format!("{name} in version {version:?} cannot be handled as a {name}: {what}");
    status(400, "BadRequest", &message, None)
}

pub(super) fn invalid(address: &Address<'_>, kind: &str, wrong: &[Wrong]) -> RawResponse {
    let said: Vec<_> = wrong.iter().map(Wrong::said).collect();
    let said = match &*said {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    };
    let (group, name) = (address.kind.group(), address.name);
    let message = format!("{kind}.{group} {name:?} is invalid: {said}");
    let mut details = address.details();
    details["kind"] = kind.into();
    details["causes"] = wrong.iter().map(Wrong::cause).collect();
    status(422, "Invalid", &message, Some(details))
}

/// Whether the write is about the object that is there, as it is there.
pub(super) fn check_preconditions(
    address: &Address<'_>,
    current: &Value,
    sent: &Value,
) -> Result<(), RawResponse> {
    check_uid(address, current, sent)?;
    let version = text(&sent["metadata"]["resourceVersion"]);
    if matches!(version, "" | "0") {
        let what = "must be specified for an update";
        let wrong = Wrong::invalid("metadata.resourceVersion", "0", what);
        return Err(invalid(address, address.kind.plural(), &[wrong]));
    }
    if version.parse::<u64>().is_err() {
        let message = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        return Err(status(500, "", &message, None));
    }
    if version == text(&current["metadata"]["resourceVersion"]) {
        return Ok(());
    }
    let why = "the object has been modified; please apply your changes to the latest version and \
               try again";
    Err(conflict(address, why))
}

pub(super) fn check_uid(
    address: &Address<'_>,
    current: &Value,
    sent: &Value,
) -> Result<(), RawResponse> {
    let uid = text(&sent["metadata"]["uid"]);
    let there = text(&current["metadata"]["uid"]);
    if uid.is_empty() || uid == there {
        return Ok(());
    }
    let why =
        format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {there}");
    Err(conflict(address, &why))
}

fn conflict(address: &Address<'_>, why: &str) -> RawResponse {
    let (resource, name) = (address.kind.resource(), address.name);
    let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
    status(409, "Conflict", &message, Some(address.details()))
}

// === impl Wrong ===

impl Wrong {
    pub(super) fn invalid(field: &str, value: &str, what: &str) -> Self {
        Self {
            field: field.to_owned(),
            reason: "FieldValueInvalid",
            message: format!("Invalid value: {value}: {what}"),
        }
    }

    pub(super) fn required(field: &str, what: &str) -> Self {
        Self {
            field: field.to_owned(),
            reason: "FieldValueRequired",
            message: format!("Required value{what}"),
        }
    }

    /// A value that is not of the `wanted` type.
    pub(super) fn of_type(field: &str, value: &Value, wanted: &str) -> Self {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "boolean".to_owned(),
            Value::Number(number) if number.is_f64() => "number".to_owned(),
            Value::Number(_) => "integer".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
            Value::String(text) => text.clone(),
        };
        let name = field.rsplit('.').next().unwrap_or(field);
        Self {
            field: field.to_owned(),
            reason: "FieldValueTypeInvalid",
            message: format!(
                "Invalid value: {found:?}: {name} in body must be of type {wanted}: {found:?}"
            ),
        }
    }

    fn said(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }

    fn cause(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}
