//! What an agent or a hub answers, as far as tables show it.
//!
//! What is missing is absent and what is not known is passed over, so that programs of other versions
//! can be looked at; the whole answer is kept beside it, for `-o json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// An answer: as it came, and as it is understood.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) whole: Value,
    pub(super) known: Known,
}

/// Whose answer it is.
#[derive(Debug)]
pub(super) enum Known {
    /// An agent's, of `/report`.
    Report(Report),
    /// A hub's, of `/fleet`.
    Fleet(Fleet),
    /// A hub's, of one agent.
    Detail(Box<Detail>),
}

/// `/report`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Report {
    pub(super) version: Option<String>,
    pub(super) status: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) deciding: Vec<Deciding>,
    pub(super) components: BTreeMap<String, Component>,
    pub(super) heartbeat: Option<Heartbeats>,
    pub(super) uptime_seconds: Option<f64>,
    /// What a report lacks that a tunnel carried.
    pub(super) cut: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Deciding {
    pub(super) component: String,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Component {
    pub(super) status: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) message: Option<String>,
    pub(super) error: Option<String>,
    pub(super) age_seconds: Option<f64>,
    pub(super) consecutive_failures: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Heartbeats {
    pub(super) transports: BTreeMap<String, Transport>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Transport {
    pub(super) state: Option<String>,
    pub(super) age_seconds: Option<f64>,
    pub(super) rtt_seconds: Option<f64>,
    pub(super) missed: u64,
    pub(super) error: Option<String>,
}

/// `/fleet`, all its pages.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Fleet {
    pub(super) agents: Vec<Agent>,
    pub(super) matching: u64,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) doubt: bool,
    pub(super) now: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Agent {
    pub(super) workspace: String,
    pub(super) name: String,
    pub(super) verdict: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) since: Option<String>,
    pub(super) status: Option<String>,
    pub(super) last_evidence: BTreeMap<String, Evidence>,
    /// What it says of itself.
    pub(super) deciding: Option<Vec<Deciding>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Evidence {
    pub(super) age_seconds: Option<f64>,
}

/// `/fleet/WORKSPACE/NAME`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Detail {
    #[serde(flatten)]
    pub(super) agent: Agent,
    pub(super) now: Option<String>,
    /// Any peer's, so it may have any shape.
    pub(super) report: Option<Value>,
    pub(super) report_age_seconds: Option<f64>,
    /// The oldest first.
    pub(super) transitions: Vec<Transition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Transition {
    pub(super) at: Option<String>,
    pub(super) verdict: Option<String>,
    pub(super) reason: Option<String>,
}

// === impl Report ===

impl Report {
    /// The report as it is after `seconds` in which nothing more was heard: what it says was so long
    /// ago is so much longer ago.
    pub(super) fn aged(mut self, seconds: f64) -> Self {
        let ages = self.components.values_mut();
        let ages = ages.filter_map(|component| component.age_seconds.as_mut());
        for age in ages.chain(self.uptime_seconds.as_mut()) {
            *age += seconds;
        }
        self
    }

    /// Reads a report; nothing where this is another thing.
    pub(super) fn of(value: &Value) -> Option<Self> {
        value.get(COMPONENTS).filter(|value| value.is_object())?;
        Self::deserialize(value).ok()
    }
}

// === impl Fleet ===

impl Fleet {
    /// Reads a page of a fleet; nothing where this is another thing.
    pub(super) fn of(value: &Value) -> Option<Self> {
        value.get(AGENTS).filter(|value| value.is_array())?;
        Self::deserialize(value).ok()
    }
}

// === impl Detail ===

impl Detail {
    /// Reads an agent by itself; nothing where this is another thing.
    pub(super) fn of(value: &Value) -> Option<Self> {
        value.get(VERDICT).filter(|value| value.is_string())?;
        Self::deserialize(value).ok()
    }
}

/// By these fields answers are told apart from what something else answers.
const COMPONENTS: &str = "components";
pub(super) const AGENTS: &str = "agents";
const VERDICT: &str = "verdict";

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_told_apart_from_what_something_else_answers() {
        for other in [
            json!({}),
            json!([]),
            json!(null),
            json!("ok"),
            json!({"components": [], "agents": {}, "verdict": 1}),
            json!({"components": {"a": 1}, "agents": [1], "verdict": "Alive", "workspace": 1}),
        ] {
            assert!(Report::of(&other).is_none(), "{other}");
            assert!(Fleet::of(&other).is_none(), "{other}");
            assert!(Detail::of(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn what_other_versions_lack_or_add_is_no_reason_to_show_nothing() {
        let report = Report::of(&json!({
            "components": {"a": {"status": "Resting", "new": 1}, "b": {}},
            "status": null,
            "heartbeat": null,
            "new": {"x": 1},
        }));
        let report = report.unwrap();
        assert_eq!(report.components["a"].status.as_deref(), Some("Resting"));
        assert!(report.heartbeat.is_none());
        let detail = Detail::of(&json!({"verdict": "Alive", "new": 1, "report": "text"})).unwrap();
        assert_eq!(detail.agent.verdict.as_deref(), Some("Alive"));
        assert_eq!(detail.report, Some(json!("text")));
        assert!(Fleet::of(&json!({"agents": []})).unwrap().agents.is_empty());
    }
}
