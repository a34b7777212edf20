//! What is known of an agent, to look at.

use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;

use super::AgentId;
use super::AgentKey;
use super::Channel;
use super::FleetReason;
use super::FleetVerdict;
use super::instance::Instance;
use super::moment::Epoch;
use super::record::Record;
use crate::wire::DecidingPayload;

/// What is known of an agent, to look at.
#[derive(Debug, Clone, Copy)]
pub struct AgentView<'a> {
    pub(super) key: AgentKey,
    pub(super) record: &'a Record,
    pub(super) epoch: Epoch,
}

/// What is known of one of an agent's instances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceView<'a> {
    /// Its place.
    pub slot: &'a str,
    /// Its start.
    pub incarnation: &'a str,
    /// Its last heartbeat's number.
    pub sequence: u64,
    /// How healthy it says it is; nothing where it did not say.
    pub status: Option<HealthStatus>,
    /// Who decided that.
    pub deciding: &'a [DecidingPayload],
    /// How old the newest result behind that was when it was sent.
    pub report_age_seconds: f32,
    /// When it was heard last.
    pub seen: Instant,
    /// Whether it said goodbye.
    pub left: bool,
}

/// A change of an agent's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// When, by the hub's clock.
    pub at: Instant,
    /// To what.
    pub verdict: FleetVerdict,
    /// Why.
    pub reason: FleetReason,
}

// === impl AgentView ===

impl<'a> AgentView<'a> {
    /// Its number.
    #[must_use]
    pub const fn key(&self) -> AgentKey {
        self.key
    }

    /// Who it is.
    #[must_use]
    pub fn id(&self) -> &'a AgentId {
        &self.record.id
    }

    /// What the fleet thinks of it.
    #[must_use]
    pub const fn verdict(&self) -> FleetVerdict {
        self.record.verdict
    }

    /// Why.
    #[must_use]
    pub const fn reason(&self) -> FleetReason {
        self.record.reason
    }

    /// Since when the verdict stands.
    #[must_use]
    pub fn since(&self) -> Instant {
        self.epoch.instant(self.record.since)
    }

    /// The last evidence on a channel.
    #[must_use]
    pub fn last_evidence(&self, channel: Channel) -> Option<Instant> {
        let at = self.record.last_evidence(channel);
        at.map(|at| self.epoch.instant(at))
    }

    /// How much silence is allowed.
    #[must_use]
    pub const fn allowance(&self) -> Duration {
        self.record.allowance().duration()
    }

    /// How many heartbeats arrived, renewals of a Lease among them.
    #[must_use]
    pub const fn heartbeats(&self) -> u64 {
        self.record.heartbeats as u64
    }

    /// How many tunnels it has open.
    #[must_use]
    pub const fn tunnels(&self) -> u32 {
        self.record.tunnels as u32
    }

    /// How far its clock is ahead of the hub's, in milliseconds, by its last heartbeat.
    #[must_use]
    pub const fn skew_ms(&self) -> Option<i32> {
        self.record.skew_ms()
    }

    /// Whether its verdict waits, since many fell silent at once.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.record.is_held()
    }

    /// Its instances, in no particular order; a few at most.
    pub fn instances(&self) -> impl Iterator<Item = InstanceView<'a>> + use<'a> {
        let epoch = self.epoch;
        let view = move |instance| InstanceView::of(instance, epoch);
        self.record.instances.iter().map(view)
    }

    /// The instance that was heard last.
    #[must_use]
    pub fn carried(&self) -> Option<InstanceView<'a>> {
        let newest = self.record.instances.iter().max_by_key(|it| it.seen);
        newest.map(|instance| InstanceView::of(instance, self.epoch))
    }

    /// The recent transitions, oldest first.
    pub fn transitions(&self) -> impl Iterator<Item = Transition> + use<'a> {
        let epoch = self.epoch;
        self.record.changes().map(move |it| Transition {
            at: epoch.instant(it.at),
            verdict: it.verdict,
            reason: it.reason,
        })
    }
}

// === impl InstanceView ===

impl<'a> InstanceView<'a> {
    fn of(instance: &'a Instance, epoch: Epoch) -> Self {
        Self {
            slot: instance.slot(),
            incarnation: instance.incarnation(),
            sequence: instance.sequence,
            status: instance.status,
            deciding: instance.deciding(),
            report_age_seconds: instance.report_age_seconds(),
            seen: epoch.instant(instance.seen),
            left: instance.left,
        }
    }
}
