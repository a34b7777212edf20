//! Which keys two configurations differ in.

use serde::Serialize;
use serde_json::Value;

/// The paths of the keys whose values differ, in order; of a list the list itself.
pub(crate) fn differences<C: Serialize>(one: &C, other: &C) -> Vec<String> {
    // What can be read can be written.
    let [one, other] = [one, other].map(|it| serde_json::to_value(it).unwrap_or_default());
    let mut found = Vec::new();
    compare("", &one, &other, &mut found);
    found.sort();
    found
}

fn compare(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    let (Value::Object(ones), Value::Object(others)) = (one, other) else {
        if one != other {
            found.push(path.to_owned());
        }
        return;
    };
    let keys = ones.keys();
    let more = others.keys().filter(|key| !ones.contains_key(*key));
    for key in keys.chain(more) {
        let at = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let of = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
        compare(&at, &of(ones), &of(others), found);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_difference_is_named_by_its_path() {
        let old = json!({"log": {"level": "info"}, "list": [1, 2], "same": {"a": 1}, "gone": 1});
        let new = json!({"log": {"level": "debug"}, "list": [1, 3], "same": {"a": 1}, "new": 1});
        let expected = ["gone", "list", "log.level", "new"];
        assert_eq!(differences(&old, &new), expected);
        assert!(differences(&old, &old).is_empty());
    }
}
