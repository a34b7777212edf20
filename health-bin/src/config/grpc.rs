//! Where gRPC health is answered: an address, or nowhere.

use std::net::SocketAddr;

use serde::Deserializer;
use serde::Serializer;

use super::Problems;

/// Reads an address, or an empty text.
pub(super) fn deserialize<'de, D>(deserializer: D) -> Result<Option<SocketAddr>, D::Error>
where
    D: Deserializer<'de>,
{
    let wanted = "an address, like 0.0.0.0:8084, or \"\" for none";
    let text = super::text(deserializer, wanted)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let what = format!("{text:?} is no address; write it like 0.0.0.0:8084, or \"\" for none");
        serde::de::Error::custom(what)
    })
}

/// Writes what [`deserialize`] reads.
pub(super) fn serialize<S: Serializer>(
    bind: &Option<SocketAddr>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match bind {
        Some(bind) => serializer.collect_str(bind),
        None => serializer.serialize_str(""),
    }
}

/// Notes what is wrong with it beside the addresses of `others`, each with its key.
pub(super) fn validate(
    key: &str,
    bind: Option<SocketAddr>,
    others: &[(&str, SocketAddr)],
    problems: &mut Problems,
) {
    let Some(bind) = bind else {
        return;
    };
    if cfg!(not(feature = "grpc")) {
        problems.add(key, "this build has no grpc");
        return;
    }
    problems.check_apart(key, bind, others);
}
