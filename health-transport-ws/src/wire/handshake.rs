//! The first message's payload.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

/// The first message's payload: who dials, and what it can do.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HandshakePayload {
    /// The SyncTarget's name.
    pub sync_target: String,
    /// The protocol's version.
    pub version: String,
    /// What the peer can do; a Go peer may send `null` for none.
    #[serde(deserialize_with = "null_is_empty")]
    pub capabilities: Vec<String>,
    /// A bearer token, as a Wave 4 peer may send it. It is read and never written: ours travels in
    /// the request's header only.
    #[serde(skip_serializing)]
    pub token: Option<SecretString>,
    /// Anything else.
    #[serde(
        deserialize_with = "null_is_empty",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub metadata: BTreeMap<String, String>,
}

// === impl HandshakePayload ===

impl HandshakePayload {
    /// Whether the peer has a capability.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|has| has == capability)
    }
}

/// Go writes a slice or a map that was never made as `null`.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(<Option<T>>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_s_null_slices_and_maps_are_empty() {
        let text = r#"{"syncTarget":"edge-1","version":"v1alpha1","capabilities":null,
            "metadata":null,"token":null,"new":1}"#;
        let payload: HandshakePayload = serde_json::from_str(text).unwrap();
        assert!(payload.capabilities.is_empty() && payload.metadata.is_empty());
        assert!(payload.token.is_none());
    }

    #[test]
    fn a_token_is_neither_shown_nor_written() {
        let payload: HandshakePayload = serde_json::from_str(r#"{"token":"s3cr3t"}"#).unwrap();
        assert!(payload.token.is_some());
        assert!(!format!("{payload:?}").contains("s3cr3t"));
        assert!(!serde_json::to_string(&payload).unwrap().contains("s3cr3t"));
    }
}
