//! Keys as environment variables: a key's variable is its path in SCREAMING_SNAKE_CASE.

use serde_json::Value;

/// Every key that holds one value and not a list, as (path, variable). `defaults` is the default
/// configuration, so it names every key there is.
pub(crate) fn variables(defaults: &Value, prefix: &str) -> Vec<(Vec<String>, String)> {
    let mut found = Vec::new();
    walk(defaults, &mut Vec::new(), prefix, &mut found);
    found
}

fn walk(value: &Value, path: &mut Vec<String>, name: &str, found: &mut Vec<(Vec<String>, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                path.push(key.clone());
                walk(value, path, &format!("{name}_{}", screaming(key)), found);
                path.pop();
            }
        }
        Value::Array(_) => {}
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.push((path.clone(), name.to_owned()));
        }
    }
}

/// `failureThreshold` as `FAILURE_THRESHOLD`.
fn screaming(key: &str) -> String {
    let mut name = String::with_capacity(key.len() + 4);
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

/// The text of a variable as a value of the same kind as the default, so that a text of digits
/// stays a text where a text is wanted.
pub(super) fn parse(text: &str, like: Option<&Value>) -> Value {
    match like {
        Some(Value::Bool(_)) => text.parse().map_or_else(|_| text.into(), Value::Bool),
        Some(Value::Number(_)) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Some(Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) | None => {
            text.into()
        }
    }
}
