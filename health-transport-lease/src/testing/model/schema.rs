//! What the server takes as a SyncTarget, by its definition.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use super::answer::Wrong;
use crate::synctarget::Dialect;

/// The SyncTarget's definition, as far as it says something of spec and status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema(Dialect);

const SPEC: [&str; 3] = ["cells", "unschedulable", "evictAfter"];
const CONDITION: [&str; 6] = [
    "type",
    "status",
    "severity",
    "lastTransitionTime",
    "reason",
    "message",
];
const REQUIRED: [&str; 3] = ["lastTransitionTime", "status", "type"];

// === impl Schema ===

impl Schema {
    pub(super) const fn of(dialect: Dialect) -> Self {
        Self(dialect)
    }

    /// Drops what is null or unknown, and says what was unknown.
    pub(super) fn decode(self, target: &mut Value) -> Result<Vec<String>, String> {
        let Some(fields) = target.as_object_mut() else {
            return Err("it is no object".to_owned());
        };
        let mut unknown = Vec::new();
        if let Some(Value::Object(spec)) = fields.get_mut("spec") {
            prune(spec, "spec", &SPEC, &mut unknown);
        }
        if let Some(Value::Object(status)) = fields.get_mut("status") {
            let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
            for (number, condition) in conditions.into_iter().flatten().enumerate() {
                let path = format!("status.conditions[{number}]");
                if let Value::Object(condition) = condition {
                    prune(condition, &path, &CONDITION, &mut unknown);
                }
            }
            let known: Vec<_> = self.status_fields().collect();
            prune(status, "status", &known, &mut unknown);
        }
        fields.retain(|_, value| !value.is_null());
        Ok(unknown)
    }

    /// What is wrong with a SyncTarget that was decoded.
    pub(super) fn validate(self, target: &Value) -> Vec<Wrong> {
        let mut wrong = Vec::new();
        let Some(status) = target.get("status") else {
            return wrong;
        };
        let Some(status) = status.as_object() else {
            return vec![Wrong::of_type("status", status, "object")];
        };
        let time = self.0.heartbeat_field();
        check_time(status.get(time), &format!("status.{time}"), &mut wrong);
        if let Some(field) = self.0.identity_field() {
            check_text(status.get(field), &format!("status.{field}"), &mut wrong);
        }
        match status.get("conditions") {
            None => {}
            Some(Value::Array(conditions)) => {
                for (number, condition) in conditions.iter().enumerate() {
                    let path = format!("status.conditions[{number}]");
                    check_condition(condition, &path, &mut wrong);
                }
            }
            Some(other) => wrong.push(Wrong::of_type("status.conditions", other, "array")),
        }
        wrong
    }

    fn status_fields(self) -> impl Iterator<Item = &'static str> {
        let own = [Some(self.0.heartbeat_field()), self.0.identity_field()];
        own.into_iter().flatten().chain(["conditions"])
    }
}

fn prune(fields: &mut Map<String, Value>, path: &str, known: &[&str], unknown: &mut Vec<String>) {
    fields.retain(|key, value| {
        let known = known.contains(&&**key);
        if !known {
            unknown.push(format!("{path}.{key}"));
        }
        known && !value.is_null()
    });
}

fn check_condition(condition: &Value, path: &str, wrong: &mut Vec<Wrong>) {
    let Some(fields) = condition.as_object() else {
        wrong.push(Wrong::of_type(path, condition, "object"));
        return;
    };
    for key in REQUIRED.iter().filter(|key| !fields.contains_key(**key)) {
        wrong.push(Wrong::required(&format!("{path}.{key}"), ""));
    }
    for (key, value) in fields {
        let path = format!("{path}.{key}");
        if key == "lastTransitionTime" {
            check_time(Some(value), &path, wrong);
        } else {
            check_text(Some(value), &path, wrong);
        }
    }
}

fn check_time(value: Option<&Value>, path: &str, wrong: &mut Vec<Wrong>) {
    let is_time = |it: &Value| {
        it.as_str()
            .is_some_and(|it| it.parse::<Timestamp>().is_ok())
    };
    let misfit = value.filter(|it| !is_time(it));
    wrong.extend(misfit.map(|it| Wrong::of_type(path, it, "date-time")));
}

fn check_text(value: Option<&Value>, path: &str, wrong: &mut Vec<Wrong>) {
    let misfit = value.filter(|it| !it.is_string());
    wrong.extend(misfit.map(|it| Wrong::of_type(path, it, "string")));
}
