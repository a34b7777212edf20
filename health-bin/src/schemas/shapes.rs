//! Schemas of what has none by itself, and what is changed about those that have one.

use std::borrow::Cow;

use health_core::Criticality;
use health_core::HealthStatus;
use health_core::Scope;
use schemars::JsonSchema;
use schemars::Schema;
use schemars::SchemaGenerator;
use schemars::json_schema;
use serde_json::Value;
use serde_json::json;

use crate::config::ConfigDuration;
use crate::config::KINDS;
use crate::config::LogLevel;

impl JsonSchema for ConfigDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": DURATION, "examples": ["10s", "1m 30s", "250ms"] })
    }
}

/// What a duration looks like: each unit in all its spellings.
pub(super) const DURATION: &str = "^(0|([0-9]+([.][0-9]+)? ?(nanos|nsec|ns|usec|us|µs|millis|msec|\
    ms|seconds|second|secs|sec|s|minutes|minute|mins|min|m|hours|hour|hrs|hr|h|days|day|d|weeks|\
    week|wks|wk|w|months|month|M|years|year|yrs|yr|y) ?)+)$";

pub(crate) fn status(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": HealthStatus::ALL.map(HealthStatus::as_str) })
}

pub(crate) fn criticality(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": Criticality::ALL.map(Criticality::as_str) })
}

pub(crate) fn scopes(_: &mut SchemaGenerator) -> Schema {
    let chosen = Scope::ALL.into_iter().filter(|scope| *scope != Scope::All);
    let names: Vec<_> = chosen.map(Scope::as_str).collect();
    json_schema!({ "type": "array", "items": { "type": "string", "enum": names } })
}

/// An editor offers the levels, and takes a filter.
pub(crate) fn log_filter(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            generator.subschema_for::<LogLevel>(),
            { "type": "string", "pattern": FILTER, "examples": ["info,health_transport_ws=debug"] },
        ],
    })
}

/// What a filter looks like: pieces, of which each is a level or one of a part.
const FILTER: &str = "^ *([A-Za-z0-9_:-]+ *= *)?(error|warn|info|debug|trace) *\
    (, *([A-Za-z0-9_:-]+ *= *)?(error|warn|info|debug|trace) *)*$";

/// A component has exactly one of the kinds.
pub(crate) fn one_kind(schema: &mut Schema) {
    let kinds = KINDS.split(", ").map(|kind| json!({ "required": [kind] }));
    schema.insert("oneOf".to_owned(), kinds.collect());
}

/// Whoever wants to leave something out leaves its key out: nobody is offered null.
pub(super) fn never_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    if object.get("default") == Some(&Value::Null) {
        object.remove("default");
    }
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
        choices.retain(|choice| *choice != json!({ "type": "null" }));
        if let [Value::Object(only)] = choices.as_slice() {
            let only = only.clone();
            object.remove("anyOf");
            object.extend(only);
        }
    }
}

/// A description is a text that its reader's window breaks into lines.
pub(super) fn flowing(schema: &mut Schema) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}
