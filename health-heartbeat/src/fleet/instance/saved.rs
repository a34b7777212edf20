//! An instance as a flight keeps it: what decides, and nothing of what it says of itself.

use health_core::HealthStatus;
use serde::Deserialize;
use serde::Serialize;
use thin_vec::ThinVec;

use super::Beat;
use super::Instance;
use crate::TunnelId;
use crate::fleet::moment::Moment;

/// An instance in a saved flight.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::fleet) struct SavedInstance {
    slot: String,
    incarnation: String,
    seen_nanos: Moment,
    tunnel: Option<u64>,
    sequence: u64,
    interval_ms: u32,
    allowance_ms: u32,
    status: Option<HealthStatus>,
    left: bool,
}

// === impl Instance ===

impl Instance {
    /// The same without what it says of its components: that can be long, and decides nothing.
    pub(in crate::fleet) fn bare(&self) -> Self {
        Self {
            holder: self.holder.clone(),
            deciding: ThinVec::new(),
            ..*self
        }
    }
}

impl From<SavedInstance> for Instance {
    fn from(saved: SavedInstance) -> Self {
        let beat = Beat::of(&saved.slot, &saved.incarnation, std::time::Duration::ZERO);
        let mut instance = Self::new(&beat, saved.seen_nanos);
        instance.set_tunnel(saved.tunnel.map(TunnelId));
        instance.sequence = saved.sequence;
        (instance.interval_ms, instance.allowance_ms) = (saved.interval_ms, saved.allowance_ms);
        (instance.status, instance.left) = (saved.status, saved.left);
        instance
    }
}

// === impl SavedInstance ===

impl From<&Instance> for SavedInstance {
    fn from(instance: &Instance) -> Self {
        Self {
            slot: instance.slot().to_owned(),
            incarnation: instance.incarnation().to_owned(),
            seen_nanos: instance.seen,
            tunnel: instance.tunnel().map(|tunnel| tunnel.0),
            sequence: instance.sequence,
            interval_ms: instance.interval_ms,
            allowance_ms: instance.allowance_ms,
            status: instance.status,
            left: instance.left,
        }
    }
}
