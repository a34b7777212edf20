//! What a watch of the Leases tells the hub.

use std::time::Duration;

use health_core::HealthStatus;
use health_heartbeat::HolderIdentity;
use health_heartbeat::wire::HeartbeatPayload;
use serde_json::Value;

/// A Lease as a watch tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchEvent {
    pub(crate) target: usize,
    pub(crate) holder: Option<HolderIdentity>,
    pub(crate) renewed: String,
    pub(crate) sequence: u64,
    pub(crate) duration: Duration,
}

// === impl WatchEvent ===

impl WatchEvent {
    pub(crate) fn of(target: usize, lease: Option<&Value>) -> Self {
        let spec = |key: &str| lease.map(|lease| &lease["spec"][key]);
        let text = |key: &str| spec(key).and_then(Value::as_str).unwrap_or_default();
        let seconds = spec("leaseDurationSeconds").and_then(Value::as_u64);
        let sequence = lease.map(|it| &it["metadata"]["annotations"]["syncer-health/sequence"]);
        let sequence = sequence.and_then(Value::as_str);
        Self {
            target,
            holder: Some(text("holderIdentity"))
                .filter(|it| !it.is_empty())
                .map(HolderIdentity::from),
            renewed: text("renewTime").to_owned(),
            sequence: sequence.and_then(|it| it.parse().ok()).unwrap_or_default(),
            duration: Duration::from_secs(seconds.unwrap_or_default()),
        }
    }

    /// Whether it tells of a living holder, to whoever saw that before.
    pub(crate) fn is_sign_after(&self, seen: &Self) -> bool {
        self.holder.is_some() && (&self.holder, &self.renewed) != (&seen.holder, &seen.renewed)
    }

    /// A Lease's renewal as the heartbeat that it is; it does not say when the next one comes.
    pub(crate) fn payload(&self) -> Option<HeartbeatPayload> {
        let holder = self.holder.as_ref()?;
        let incarnation = holder.as_str().rsplit_once('_').map_or("", |(_, it)| it);
        Some(HeartbeatPayload {
            slot: holder.slot().to_string(),
            incarnation: incarnation.to_owned(),
            sequence: self.sequence,
            interval_seconds: f64::NAN,
            timeout_seconds: self.duration.as_secs_f64(),
            status: HealthStatus::Healthy,
            report_age_seconds: 0.0,
            deciding: Vec::new(),
        })
    }
}
