//! The one place where what the fleet knows of an agent becomes JSON.
//!
//! An agent is copied under the fleet's lock and written outside of it.

use std::collections::BTreeMap;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;
use health_heartbeat::AgentId;
use health_heartbeat::AgentView;
use health_heartbeat::Channel;
use health_heartbeat::FleetReason;
use health_heartbeat::FleetVerdict;
use health_heartbeat::InstanceView;
use health_heartbeat::wire::DecidingPayload;
use serde::Serialize;
use serde_json::value::RawValue;

use super::stream::Transition;
use crate::clock::WallClock;
use crate::hub::fleet::Report;

/// An agent, copied.
#[derive(Debug)]
pub(super) struct AgentCopy {
    pub(super) id: AgentId,
    verdict: FleetVerdict,
    reason: FleetReason,
    since: Instant,
    is_held: bool,
    last_evidence: [Option<Instant>; Channel::ALL.len()],
    heartbeats: u64,
    skew_ms: Option<i32>,
    /// The instance that was heard last.
    carried: Option<InstanceCopy>,
}

/// An agent with all that is known of it, copied.
#[derive(Debug)]
pub(super) struct AgentDetailCopy {
    agent: AgentCopy,
    report: Option<Report>,
    allowance: Duration,
    tunnels: u32,
    instances: Vec<InstanceCopy>,
    /// The oldest first.
    transitions: Vec<health_heartbeat::Transition>,
}

#[derive(Debug)]
struct InstanceCopy {
    slot: String,
    incarnation: String,
    sequence: u64,
    status: Option<HealthStatus>,
    deciding: Vec<DecidingPayload>,
    seen: Instant,
    left: bool,
}

/// An agent in a list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentSummary<'a> {
    workspace: &'a str,
    name: &'a str,
    verdict: &'static str,
    reason: &'static str,
    since: String,
    held: bool,
    status: Option<HealthStatus>,
    slot: Option<&'a str>,
    incarnation: Option<&'a str>,
    sequence: Option<u64>,
    heartbeats: u64,
    skew_seconds: Option<f64>,
    last_evidence: BTreeMap<&'static str, EvidenceShown>,
    deciding: Option<&'a [DecidingPayload]>,
}

/// An agent by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentDetail<'a> {
    #[serde(flatten)]
    summary: AgentSummary<'a>,
    timeout_seconds: f64,
    tunnels: u32,
    instances: Vec<InstanceShown<'a>>,
    report: Option<&'a RawValue>,
    /// How long ago the report came: its own ages are as of then.
    report_age_seconds: Option<f64>,
    transitions: Vec<TransitionShown>,
    /// Ages are this minus the other times: of one clock.
    now: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstanceShown<'a> {
    slot: &'a str,
    incarnation: &'a str,
    sequence: u64,
    status: Option<HealthStatus>,
    seen: String,
    left: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EvidenceShown {
    at: String,
    age_seconds: f64,
}

#[derive(Debug, Serialize)]
struct TransitionShown {
    at: String,
    verdict: &'static str,
    reason: &'static str,
}

/// A transition as it stands in the stream.
#[derive(Debug, Serialize)]
struct StreamedTransition<'a> {
    at: String,
    workspace: &'a str,
    name: &'a str,
    from: Option<&'static str>,
    verdict: &'static str,
    reason: &'static str,
}

/// A workspace as it is written in paths, queries and answers.
pub(super) fn workspace(id: &AgentId) -> &str {
    match id.workspace.as_str() {
        "" => NO_WORKSPACE,
        workspace => workspace,
    }
}

/// The agent that a path names.
pub(super) fn named(workspace: String, name: String) -> AgentId {
    let workspace = match workspace.as_str() {
        NO_WORKSPACE => String::new(),
        _ => workspace,
    };
    AgentId { workspace, name }
}

/// A transition as JSON, on one line.
pub(super) fn transition(transition: &Transition, wall: &WallClock) -> String {
    let shown = StreamedTransition {
        at: wall.show(transition.at),
        workspace: workspace(&transition.agent),
        name: &transition.agent.name,
        from: transition.from.map(FleetVerdict::as_str),
        verdict: transition.verdict.as_str(),
        reason: transition.reason.as_str(),
    };
    // Strings have a form in JSON.
    serde_json::to_string(&shown).unwrap_or_default()
}

/// How an empty workspace is written.
const NO_WORKSPACE: &str = "-";

// === impl AgentCopy ===

impl AgentCopy {
    pub(super) fn of(view: AgentView<'_>) -> Self {
        Self {
            id: view.id().clone(),
            verdict: view.verdict(),
            reason: view.reason(),
            since: view.since(),
            is_held: view.is_held(),
            last_evidence: Channel::ALL.map(|channel| view.last_evidence(channel)),
            heartbeats: view.heartbeats(),
            skew_ms: view.skew_ms(),
            carried: view.carried().map(InstanceCopy::of),
        }
    }

    pub(super) fn summary(&self, wall: &WallClock) -> AgentSummary<'_> {
        let carried = self.carried.as_ref();
        let evidence = Channel::ALL.into_iter().zip(self.last_evidence);
        let last_evidence = evidence.filter_map(|(channel, at)| {
            let at = at?;
            let age = wall.instant().saturating_duration_since(at);
            let shown = EvidenceShown {
                at: wall.show(at),
                age_seconds: age.as_secs_f64(),
            };
            Some((channel.as_str(), shown))
        });
        AgentSummary {
            workspace: workspace(&self.id),
            name: &self.id.name,
            verdict: self.verdict.as_str(),
            reason: self.reason.as_str(),
            since: wall.show(self.since),
            held: self.is_held,
            status: carried.and_then(|carried| carried.status),
            slot: carried.map(|carried| carried.slot.as_str()),
            incarnation: carried.map(|carried| carried.incarnation.as_str()),
            sequence: carried.map(|carried| carried.sequence),
            heartbeats: self.heartbeats,
            skew_seconds: self.skew_ms.map(|skew| f64::from(skew) / 1e3),
            last_evidence: last_evidence.collect(),
            deciding: carried.map(|carried| carried.deciding.as_slice()),
        }
    }
}

// === impl AgentDetailCopy ===

impl AgentDetailCopy {
    pub(super) fn of(view: AgentView<'_>, report: Option<Report>) -> Self {
        Self {
            agent: AgentCopy::of(view),
            report,
            allowance: view.allowance(),
            tunnels: view.tunnels(),
            instances: view.instances().map(InstanceCopy::of).collect(),
            transitions: view.transitions().collect(),
        }
    }

    pub(super) fn detail(&self, wall: &WallClock) -> AgentDetail<'_> {
        let transitions = self.transitions.iter();
        let transitions = transitions.map(|one| TransitionShown {
            at: wall.show(one.at),
            verdict: one.verdict.as_str(),
            reason: one.reason.as_str(),
        });
        let instances = self.instances.iter().map(|one| one.shown(wall));
        AgentDetail {
            summary: self.agent.summary(wall),
            timeout_seconds: self.allowance.as_secs_f64(),
            tunnels: self.tunnels,
            instances: instances.collect(),
            report: self.report.as_ref().map(|report| &*report.text),
            report_age_seconds: self.report.as_ref().map(|report| {
                let age = wall.instant().saturating_duration_since(report.at);
                age.as_secs_f64()
            }),
            transitions: transitions.collect(),
            now: wall.show(wall.instant()),
        }
    }
}

// === impl InstanceCopy ===

impl InstanceCopy {
    fn of(view: InstanceView<'_>) -> Self {
        Self {
            slot: view.slot.to_owned(),
            incarnation: view.incarnation.to_owned(),
            sequence: view.sequence,
            status: view.status,
            deciding: view.deciding.to_vec(),
            seen: view.seen,
            left: view.left,
        }
    }

    fn shown(&self, wall: &WallClock) -> InstanceShown<'_> {
        InstanceShown {
            slot: &self.slot,
            incarnation: &self.incarnation,
            sequence: self.sequence,
            status: self.status,
            seen: wall.show(self.seen),
            left: self.left,
        }
    }
}

// === impl Transition ===

impl Transition {
    /// A change that the fleet tells of an agent.
    pub(in crate::hub) fn of(
        view: AgentView<'_>,
        from: FleetVerdict,
        verdict: FleetVerdict,
        reason: FleetReason,
    ) -> Self {
        // Another may have followed already, so the time is looked for.
        let told = view
            .transitions()
            .filter(|one| (one.verdict, one.reason) == (verdict, reason));
        Self {
            at: told.last().map_or_else(|| view.since(), |one| one.at),
            agent: view.id().clone(),
            from: Some(from),
            verdict,
            reason,
        }
    }
}
