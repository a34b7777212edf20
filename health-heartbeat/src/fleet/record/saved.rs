//! An agent's record as a flight keeps it.

use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;
use smallvec::SmallVec;
use thin_vec::ThinVec;

use super::Look;
use super::Record;
use super::Silence;
use crate::AgentId;
use crate::Channel;
use crate::FleetReason;
use crate::FleetVerdict;
use crate::fleet::instance::INSTANCES_MAX;
use crate::fleet::instance::Instance;
use crate::fleet::instance::SavedInstance;
use crate::fleet::moment::Moment;

/// An agent's record in a saved flight.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::fleet) struct SavedRecord {
    workspace: String,
    name: String,
    verdict: FleetVerdict,
    reason: FleetReason,
    since_nanos: Moment,
    /// By channel, as [`Channel::ALL`](crate::Channel::ALL).
    last_evidence_nanos: [Option<Moment>; 3],
    basis_nanos: Moment,
    left_at_nanos: Option<Moment>,
    confirm: Look,
    heartbeats: u32,
    interval_ms: u32,
    allowance_ms: u32,
    skew_ms: i32,
    tunnels: u16,
    known: u8,
    plain: bool,
    held: bool,
    instances: Vec<SavedInstance>,
}

// === impl Record ===

impl Record {
    /// The same without its earlier transitions and what its instances say of their components:
    /// they decide nothing.
    pub(in crate::fleet) fn bare(&self) -> Self {
        Self {
            id: Arc::clone(&self.id),
            instances: self.instances.iter().map(Instance::bare).collect(),
            earlier: ThinVec::new(),
            silence: self.silence.clone(),
            ..*self
        }
    }
}

impl From<SavedRecord> for Record {
    fn from(saved: SavedRecord) -> Self {
        let instances = saved.instances.into_iter().take(INSTANCES_MAX);
        let instances: SmallVec<_> = instances.map(Instance::from).collect();
        let [last_frame, last_renewal, last_status] = saved.last_evidence_nanos;
        let silence = Silence {
            left_at: saved.left_at_nanos,
            look: saved.confirm,
            held: saved.held,
        };
        Self {
            id: Arc::new(AgentId {
                workspace: saved.workspace,
                name: saved.name,
            }),
            instances,
            earlier: ThinVec::new(),
            last_frame,
            last_renewal,
            last_status,
            basis: saved.basis_nanos,
            since: saved.since_nanos,
            silence: silence.kept(),
            heartbeats: saved.heartbeats,
            interval_ms: saved.interval_ms,
            allowance_ms: saved.allowance_ms,
            skew_ms: saved.skew_ms,
            tunnels: saved.tunnels,
            known: saved.known,
            verdict: saved.verdict,
            reason: saved.reason,
            plain: saved.plain,
        }
    }
}

// === impl SavedRecord ===

impl From<&Record> for SavedRecord {
    fn from(record: &Record) -> Self {
        let Silence {
            left_at,
            look,
            held,
        } = record.silence();
        Self {
            workspace: record.id.workspace.clone(),
            name: record.id.name.clone(),
            verdict: record.verdict,
            reason: record.reason,
            since_nanos: record.since,
            last_evidence_nanos: Channel::ALL.map(|channel| record.last_evidence(channel)),
            basis_nanos: record.basis,
            left_at_nanos: left_at,
            confirm: look,
            heartbeats: record.heartbeats,
            interval_ms: record.interval_ms,
            allowance_ms: record.allowance_ms,
            skew_ms: record.skew_ms,
            tunnels: record.tunnels,
            known: record.known,
            plain: record.plain,
            held,
            instances: record.instances.iter().map(SavedInstance::from).collect(),
        }
    }
}
