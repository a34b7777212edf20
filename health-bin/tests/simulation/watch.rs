//! What a watch of the Leases tells the hub.

use std::time::Duration;

use health_heartbeat::Change;
use health_heartbeat::HolderIdentity;
use health_heartbeat::LeaseSight;
use serde_json::Value;

/// A Lease as a watch tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WatchEvent {
    pub(crate) target: usize,
    /// Whether there is one.
    pub(crate) exists: bool,
    /// The object's resourceVersion; of what is not there any more, nothing.
    pub(crate) revision: u64,
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
        let revision = lease.map(|it| &it["metadata"]["resourceVersion"]);
        let revision = revision.and_then(Value::as_str);
        Self {
            target,
            exists: lease.is_some(),
            revision: revision.and_then(|it| it.parse().ok()).unwrap_or_default(),
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

    /// What is new about it, to whoever saw that before; nothing where nothing counts. What a watch
    /// tells after it was stalled is older than what a live look has seen.
    pub(crate) fn change(&self, seen: Option<&Self>) -> Option<Change> {
        let Some(seen) = seen else {
            return self.exists.then_some(Change::First);
        };
        if self.exists && self.revision < seen.revision {
            None
        } else if self.is_sign_after(seen) {
            Some(Change::Renewed)
        } else {
            let released = seen.holder.is_some() && self.holder.is_none() && self.exists;
            released.then_some(Change::Released)
        }
    }

    /// What it says, as the fleet takes it.
    pub(crate) fn sight(&self, duration: Duration) -> LeaseSight<'_> {
        LeaseSight {
            holder: self.holder.as_ref(),
            duration: Some(duration),
            sequence: Some(self.sequence),
            ..LeaseSight::default()
        }
    }
}
