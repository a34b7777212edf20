//! The files of `deploy/`.

use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;

/// A file or a folder of `deploy/`.
pub(super) fn file(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    root.join(path)
}

/// The objects in a file of `deploy/`.
pub(super) fn objects(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(file(path));
    parse(&text.unwrap_or_else(|error| panic!("{path}: {error}")))
}

/// The objects in a stream of YAML.
pub(super) fn parse(text: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text).expect("it is YAML");
    all.into_iter().filter(|object| !object.is_null()).collect()
}

/// The one object of a kind.
pub(super) fn only(objects: &[Value], kind: &str) -> Value {
    let mut found = objects.iter().filter(|object| object["kind"] == kind);
    let one = found.next().unwrap_or_else(|| panic!("there is no {kind}"));
    assert!(found.next().is_none(), "there is more than one {kind}");
    one.clone()
}
