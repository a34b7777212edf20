//! What the server takes as a Lease.

use jiff::Timestamp;
use serde_json::Value;

use super::answer::Wrong;
use super::text;
use crate::record::object;

const TEXTS: [&str; 1] = ["holderIdentity"];
/// Those of a feature that is off by default: known, and dropped.
const SWITCHED_OFF: [&str; 2] = ["preferredHolder", "strategy"];
const NUMBERS: [&str; 2] = ["leaseDurationSeconds", "leaseTransitions"];
const TIMES: [&str; 2] = ["acquireTime", "renewTime"];

/// Drops what is null or unknown, and says what was unknown.
pub(super) fn decode(lease: &mut Value) -> Result<Vec<String>, String> {
    if !lease.is_object() {
        return Err("it is no object".to_owned());
    }
    for key in ["labels", "annotations"] {
        let texts = &lease["metadata"][key];
        let is_texts = |it: &Value| {
            let map = it.as_object();
            map.is_some_and(|map| map.values().all(Value::is_string))
        };
        if !texts.is_null() && !is_texts(texts) {
            return Err(format!("json: metadata.{key} is no map of texts"));
        }
    }
    let spec = &mut lease["spec"];
    if !spec.is_null() && !spec.is_object() {
        return Err("json: cannot unmarshal it into Go struct field Lease.spec".to_owned());
    }
    let spec = object(spec);
    let mut unknown = Vec::new();
    spec.retain(|key, value| {
        let known = TEXTS
            .iter()
            .chain(&NUMBERS)
            .chain(&TIMES)
            .any(|it| it == key);
        if !known && !SWITCHED_OFF.contains(&&**key) {
            unknown.push(format!("spec.{key}"));
        }
        known && !value.is_null()
    });
    for (key, value) in spec {
        decode_field(key, value)?;
    }
    Ok(unknown)
}

/// What is wrong with a Lease that was decoded.
pub(super) fn validate(lease: &Value) -> Vec<Wrong> {
    let spec = &lease["spec"];
    let mut wrong = Vec::new();
    for (key, least, what) in [
        ("leaseDurationSeconds", 1, "must be greater than 0"),
        ("leaseTransitions", 0, "must be greater than or equal to 0"),
    ] {
        let number = spec[key].as_i64().filter(|number| *number < least);
        wrong
            .extend(number.map(|it| Wrong::invalid(&format!("spec.{key}"), &it.to_string(), what)));
    }
    let owners = lease["metadata"]["ownerReferences"].as_array();
    if owners
        .into_iter()
        .flatten()
        .any(|it| text(&it["uid"]).is_empty())
    {
        let (field, what) = ("metadata.ownerReferences.uid", "must not be empty");
        wrong.push(Wrong::invalid(field, "\"\"", what));
    }
    wrong
}

fn decode_field(key: &str, value: &mut Value) -> Result<(), String> {
    let misfit = |of: &str| {
        Err(format!(
            "json: cannot unmarshal it into Go struct field LeaseSpec.spec.{key} of type {of}"
        ))
    };
    if NUMBERS.contains(&key) {
        let number = value.as_i64().map(i32::try_from);
        return if matches!(number, Some(Ok(_))) {
            Ok(())
        } else {
            misfit("int32")
        };
    }
    let Some(text) = value.as_str() else {
        return misfit("string");
    };
    if TIMES.contains(&key) {
        let Some(time) = micro_time(text) else {
            return Err(format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05.000000Z07:00\": cannot parse it"
            ));
        };
        *value = format!("{time:.6}").into();
    }
    Ok(())
}

/// A MicroTime has six fraction digits, no more and no less.
fn micro_time(text: &str) -> Option<Timestamp> {
    let (_, fraction) = text.split_once('.')?;
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    text.parse().ok().filter(|_| digits == 6)
}
