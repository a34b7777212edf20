//! The payloads of `status` and `close`.

use serde::Deserialize;
use serde::Serialize;
use serde_json::value::RawValue;

/// A `status` message's payload, kept as the text that it is: a hub has one of each agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusPayload {
    /// What the status is of, as `synctargets.workload.kcp.io/edge-1`.
    pub resource_id: String,
    /// The status.
    pub status: Box<RawValue>,
    /// Its conditions, where they are sent apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Box<RawValue>>,
}

/// A `close` message's payload, and that of a refused handshake. A Wave 4 peer sends none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClosePayload {
    /// Do not come back before that many seconds have passed.
    pub retry_after_seconds: Option<f64>,
}
