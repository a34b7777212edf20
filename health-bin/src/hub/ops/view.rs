//! The one place where what the fleet knows of an agent becomes JSON.
//!
//! An agent is copied under the fleet's lock and written outside of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use health_core::HealthStatus;
use health_heartbeat::AgentId;
use health_heartbeat::AgentView;
use health_heartbeat::Channel;
use health_heartbeat::FleetVerdict;
use health_heartbeat::wire::DecidingPayload;
use health_heartbeat::wire::HeartbeatPayload;
use serde::Serialize;
use serde_json::value::RawValue;

use super::stream::Transition;
use crate::clock::WallClock;

/// An agent, copied.
#[derive(Debug)]
pub(super) struct AgentCopy {
    pub(super) id: AgentId,
    verdict: FleetVerdict,
    reason: &'static str,
    since: Instant,
    last_evidence: [Option<Instant>; Channel::ALL.len()],
    heartbeats: u64,
    carried: Option<HeartbeatPayload>,
}

/// An agent with all that is known of it, copied.
#[derive(Debug)]
pub(super) struct AgentDetailCopy {
    pub(super) agent: AgentCopy,
    pub(super) report: Option<Arc<RawValue>>,
    /// The oldest first.
    transitions: Vec<(Instant, FleetVerdict, &'static str)>,
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
    status: Option<HealthStatus>,
    slot: Option<&'a str>,
    incarnation: Option<&'a str>,
    sequence: Option<u64>,
    heartbeats: u64,
    last_evidence: BTreeMap<&'static str, EvidenceShown>,
    deciding: Option<&'a [DecidingPayload]>,
}

/// An agent by itself.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AgentDetail<'a> {
    #[serde(flatten)]
    summary: AgentSummary<'a>,
    report: Option<&'a RawValue>,
    transitions: Vec<TransitionShown>,
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
        reason: transition.reason,
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
            last_evidence: Channel::ALL.map(|channel| view.last_evidence(channel)),
            heartbeats: view.heartbeats(),
            carried: view.carried().cloned(),
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
            reason: self.reason,
            since: wall.show(self.since),
            status: carried.map(|carried| carried.status),
            slot: carried.map(|carried| carried.slot.as_str()),
            incarnation: carried.map(|carried| carried.incarnation.as_str()),
            sequence: carried.map(|carried| carried.sequence),
            heartbeats: self.heartbeats,
            last_evidence: last_evidence.collect(),
            deciding: carried.map(|carried| carried.deciding.as_slice()),
        }
    }
}

// === impl AgentDetailCopy ===

impl AgentDetailCopy {
    pub(super) fn of(view: AgentView<'_>, report: Option<Arc<RawValue>>) -> Self {
        Self {
            agent: AgentCopy::of(view),
            report,
            transitions: view.transitions().collect(),
        }
    }

    pub(super) fn detail(&self, wall: &WallClock) -> AgentDetail<'_> {
        let transitions = self.transitions.iter();
        let shown = transitions.map(|(at, verdict, reason)| TransitionShown {
            at: wall.show(*at),
            verdict: verdict.as_str(),
            reason,
        });
        AgentDetail {
            summary: self.agent.summary(wall),
            report: self.report.as_deref(),
            transitions: shown.collect(),
        }
    }
}

// === impl Transition ===

impl Transition {
    /// The transition of an agent to a verdict that it has given just now.
    pub(in crate::hub) fn of(
        view: AgentView<'_>,
        verdict: FleetVerdict,
        reason: &'static str,
    ) -> Self {
        let mut before = FleetVerdict::Pending;
        let mut found = None;
        for (at, next, why) in view.transitions() {
            if (next, why) == (verdict, reason) {
                found = Some((at, before));
            }
            before = next;
        }
        let (at, from) = found.unzip();
        Self {
            at: at.unwrap_or_else(|| view.since()),
            agent: view.id().clone(),
            from,
            verdict,
            reason,
        }
    }
}
