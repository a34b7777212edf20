//! What was seen of a workspace's objects, as evidence for the fleet.

use std::collections::BTreeMap;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::AgentId;
use health_heartbeat::Change;
use health_heartbeat::Channel;
use health_heartbeat::Confirmation;
use health_heartbeat::Evidence;
use health_heartbeat::Fleet;
use health_transport_lease::watch::LeaseChange;
use health_transport_lease::watch::LeaseMark;
use health_transport_lease::watch::LeaseSight;
use health_transport_lease::watch::Seen;
use health_transport_lease::watch::Sighting;
use health_transport_lease::watch::TargetChange;
use health_transport_lease::watch::TargetMark;
use health_transport_lease::watch::TargetSight;
use health_transport_lease::watch::Watched;

/// What one workspace has shown so far.
#[derive(Debug)]
pub(super) struct Shown {
    workspace: String,
    /// Whether all Leases that there were at the hub's start were told.
    leases_synced: bool,
    /// What a live look is compared with; bounded by what the watch keeps.
    targets: BTreeMap<String, Marks>,
}

/// How a target's objects stood when they were seen last.
#[derive(Debug, Default)]
struct Marks {
    leases: BTreeMap<String, LeaseMark>,
    target: Option<TargetMark>,
}

/// What a live look found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) leases: Vec<LeaseSight>,
    pub(super) target: Option<TargetSight>,
}

// === impl Shown ===

impl Shown {
    pub(super) const fn new(workspace: String) -> Self {
        Self {
            workspace,
            leases_synced: false,
            targets: BTreeMap::new(),
        }
    }

    pub(super) fn id(&self, target: &str) -> AgentId {
        AgentId {
            workspace: self.workspace.clone(),
            name: target.to_owned(),
        }
    }

    /// Hands in what a watch saw. `wall` is the wall-clock time of its `at`.
    pub(super) fn saw(&mut self, sighting: &Sighting, wall: SystemTime, fleet: &mut Fleet) {
        let at = sighting.at;
        match &sighting.what {
            Seen::Lease { target, lease } => self.saw_lease(target, lease, at, wall, fleet),
            Seen::LeaseGone { target, name } => {
                let marks = self.targets.get_mut(target);
                let none_left = marks.is_none_or(|marks| {
                    marks.leases.remove(name);
                    marks.leases.is_empty()
                });
                if none_left {
                    self.gone(target, Channel::Lease, fleet);
                }
            }
            Seen::Target { target, sight } => self.saw_target(target, sight, at, fleet),
            Seen::TargetGone { target } => {
                if let Some(marks) = self.targets.get_mut(target) {
                    marks.target = None;
                }
                self.gone(target, Channel::SyncTarget, fleet);
            }
            Seen::Synced => match sighting.of {
                Watched::Leases { .. } => self.leases_synced = true,
                Watched::SyncTargets => {}
            },
            Seen::Stalled { .. } | Seen::Broken { .. } | Seen::Recovered | Seen::TooMany { .. } => {
            }
        }
    }

    /// Hands in what a live look found, and says what came of it.
    pub(super) fn looked(
        &mut self,
        target: &str,
        found: Found,
        now: Instant,
        wall: SystemTime,
        fleet: &mut Fleet,
    ) -> Confirmation {
        for mut lease in found.leases {
            let before = self.targets.get(target);
            let before = before.and_then(|marks| marks.leases.get(&lease.name));
            if let Some(before) = before {
                lease.change = before.change_to(lease.mark);
            }
            self.saw_lease(target, &lease, now, wall, fleet);
        }
        if let Some(mut sight) = found.target {
            let before = self.targets.get(target).and_then(|marks| marks.target);
            if let Some(before) = before {
                sight.change = before.change_to(sight.mark);
            }
            self.saw_target(target, &sight, now, fleet);
        }
        Confirmation::Silent
    }

    fn saw_lease(
        &mut self,
        target: &str,
        lease: &LeaseSight,
        at: Instant,
        wall: SystemTime,
        fleet: &mut Fleet,
    ) {
        let marks = self.targets.entry(target.to_owned()).or_default();
        marks.leases.insert(lease.name.clone(), lease.mark);
        let change = match lease.change {
            // What was not there when the hub began was made by somebody who lives.
            LeaseChange::First if self.leases_synced && lease.holder.is_some() => Change::Renewed,
            LeaseChange::First => Change::First,
            LeaseChange::Renewed => Change::Renewed,
            LeaseChange::Released => Change::Released,
            LeaseChange::Other => return,
        };
        let skew_ms = lease.renewed_at.map(|renewed| ahead_ms(renewed, wall));
        let sight = health_heartbeat::LeaseSight {
            holder: lease.holder.as_ref(),
            duration: lease.duration,
            status: lease.status,
            sequence: lease.sequence.map(|sequence| sequence.0),
            skew_ms: skew_ms.filter(|_| change == Change::Renewed),
        };
        if let Some(agent) = fleet.admit(self.id(target), at) {
            let lease = sight;
            fleet.evidence(agent, Evidence::Lease { change, lease }, at);
        }
    }

    fn saw_target(&mut self, target: &str, sight: &TargetSight, at: Instant, fleet: &mut Fleet) {
        let marks = self.targets.entry(target.to_owned()).or_default();
        marks.target = Some(sight.mark);
        let change = match sight.change {
            TargetChange::First => Change::First,
            TargetChange::HeartbeatChanged => Change::Renewed,
            TargetChange::Other => return,
        };
        if let Some(agent) = fleet.admit(self.id(target), at) {
            fleet.evidence(agent, Evidence::SyncTarget { change }, at);
        }
    }

    fn gone(&mut self, target: &str, channel: Channel, fleet: &mut Fleet) {
        let nothing_left = |marks: &Marks| marks.leases.is_empty() && marks.target.is_none();
        if self.targets.get(target).is_some_and(nothing_left) {
            self.targets.remove(target);
        }
        if let Some(agent) = fleet.find(&self.id(target)) {
            fleet.gone(agent, channel);
        }
    }
}

/// How far a clock is ahead that showed `theirs` when ours showed `ours`.
fn ahead_ms(theirs: SystemTime, ours: SystemTime) -> i64 {
    let millis = |of: std::time::Duration| i64::try_from(of.as_millis()).unwrap_or(i64::MAX);
    match theirs.duration_since(ours) {
        Ok(ahead) => millis(ahead),
        Err(behind) => -millis(behind.duration()),
    }
}
