//! Our condition, and how it joins those of others.

use health_core::Carried;
use health_core::HealthStatus;
use health_core::reasons;
use serde_json::Map;
use serde_json::Value;

use crate::names;
use crate::record::object;

/// A condition as this project writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its type.
    pub kind: &'static str,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// How bad it is; only where it does not hold.
    pub severity: Option<Severity>,
    /// Why, for machines.
    pub reason: String,
    /// Why, for people.
    pub message: String,
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

/// How bad it is that a condition does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// It is.
    Error,
    /// It may become so.
    Warning,
    /// It is meant to be so.
    Info,
}

/// What a condition's writing changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The status, and with it `lastTransitionTime`.
    Transition,
    /// Severity, reason or message.
    Wording,
    /// Nothing.
    Nothing,
}

/// A message is cut to this many bytes: it is written again with every heartbeat.
const MESSAGE_MAX: usize = 1024;

/// Writes `ours` into a list of conditions at `now` (RFC 3339).
///
/// Every other entry stays as it is and where it is, whatever is in it. What is no list becomes
/// one; of several entries of our type the first is kept.
pub fn merge(conditions: &mut Value, ours: &Condition, now: &str) -> Change {
    if !conditions.is_array() {
        *conditions = Value::Array(Vec::new());
    }
    let Some(list) = conditions.as_array_mut() else {
        return Change::Nothing;
    };
    let is_ours = |entry: &Value| entry["type"].as_str() == Some(ours.kind);
    let place = list.iter().position(is_ours).unwrap_or_else(|| {
        list.push(Value::Object(Map::new()));
        list.len() - 1
    });
    let mut index = 0;
    list.retain(|entry| {
        index += 1;
        index - 1 <= place || !is_ours(entry)
    });
    let entry = object(&mut list[place]);
    let before = entry.clone();
    let transition = entry.get("status").and_then(Value::as_str) != Some(ours.status.as_str());
    entry.insert("type".to_owned(), ours.kind.into());
    entry.insert("status".to_owned(), ours.status.as_str().into());
    match ours.severity {
        Some(severity) => entry.insert("severity".to_owned(), severity.as_str().into()),
        None => entry.remove("severity"),
    };
    entry.insert("reason".to_owned(), (&*ours.reason).into());
    entry.insert("message".to_owned(), (&*ours.message).into());
    if transition
        || entry
            .get("lastTransitionTime")
            .is_none_or(|at| !at.is_string())
    {
        entry.insert("lastTransitionTime".to_owned(), now.into());
    }
    match (transition, *entry == before) {
        (true, _) => Change::Transition,
        (false, false) => Change::Wording,
        (false, true) => Change::Nothing,
    }
}

// === impl Condition ===

impl Condition {
    /// The condition `SyncerReady` of an agent that is as its heartbeat says.
    #[must_use]
    pub fn syncer_ready(carried: &Carried) -> Self {
        let readiness = &carried.readiness;
        let (status, severity) = match (readiness.holds, readiness.verdict.status) {
            (true, _) => (ConditionStatus::True, None),
            (false, HealthStatus::Unknown) => (ConditionStatus::Unknown, None),
            (false, HealthStatus::Unhealthy) => (ConditionStatus::False, Some(Severity::Error)),
            (false, HealthStatus::Healthy | HealthStatus::Degraded) => {
                (ConditionStatus::False, Some(Severity::Warning))
            }
        };
        Self {
            kind: names::SYNCER_READY,
            status,
            severity,
            reason: readiness.verdict.reason.to_string(),
            message: cut(readiness.message()),
        }
    }

    /// The condition `SyncerReady` of an agent that leaves on purpose.
    #[must_use]
    pub fn shutting_down() -> Self {
        Self {
            kind: names::SYNCER_READY,
            status: ConditionStatus::False,
            severity: Some(Severity::Info),
            reason: names::SHUTTING_DOWN.to_owned(),
            message: "the agent is shutting down".to_owned(),
        }
    }

    /// Whether it says that there are no results yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.status == ConditionStatus::Unknown && self.reason == reasons::PENDING.as_str()
    }

    /// Whether this tells machines something else than `other`; messages may differ.
    #[must_use]
    pub fn is_transition_from(&self, other: &Self) -> bool {
        (self.status, self.severity, &self.reason) != (other.status, other.severity, &other.reason)
    }
}

fn cut(mut message: String) -> String {
    message.truncate(message.floor_char_boundary(MESSAGE_MAX));
    message
}

// === impl ConditionStatus ===

impl ConditionStatus {
    /// The name in the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }

    /// The name in metric labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

// === impl Severity ===

impl Severity {
    /// The name in the condition.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::Warning => "Warning",
            Self::Info => "Info",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::carried;
    use serde_json::json;

    const THEN: &str = "2026-01-01T00:00:00Z";
    const NOW: &str = "2026-01-02T00:00:00Z";

    #[test]
    fn every_status_has_its_condition() {
        for (status, holds, expected) in [
            (HealthStatus::Healthy, true, ("True", None)),
            (HealthStatus::Degraded, true, ("True", None)),
            (HealthStatus::Degraded, false, ("False", Some("Warning"))),
            (HealthStatus::Unhealthy, false, ("False", Some("Error"))),
            (HealthStatus::Unknown, false, ("Unknown", None)),
        ] {
            let condition = Condition::syncer_ready(&carried(status, holds));
            let found = (
                condition.status.as_str(),
                condition.severity.map(Severity::as_str),
            );
            assert_eq!(found, expected, "{status} {holds}");
        }
        let mut long = carried(HealthStatus::Unhealthy, false);
        long.readiness.verdict.deciding[0].message = "ä".repeat(5000);
        assert!(Condition::syncer_ready(&long).message.len() <= MESSAGE_MAX);
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let mut list = json!([]);
        let ours = condition(ConditionStatus::True, "Healthy");
        assert_eq!(merge(&mut list, &ours, THEN), Change::Transition);
        assert_eq!(merge(&mut list, &ours, NOW), Change::Nothing);
        let reworded = condition(ConditionStatus::True, "Slow");
        assert_eq!(merge(&mut list, &reworded, NOW), Change::Wording);
        assert_eq!(list[0]["lastTransitionTime"], THEN);
        let failed = condition(ConditionStatus::False, "Slow");
        assert_eq!(merge(&mut list, &failed, NOW), Change::Transition);
        assert_eq!(list[0]["lastTransitionTime"], NOW);
        assert_eq!(list[0]["severity"], "Error");
        let back = condition(ConditionStatus::Unknown, "Stale");
        assert_eq!(merge(&mut list, &back, NOW), Change::Transition);
        assert_eq!(list[0].get("severity"), None);
    }

    /// OCM #770: two writers on one list; each has its own condition.
    #[test]
    fn pitfall_15_the_conditions_of_others_survive_byte_for_byte() {
        let theirs = [
            json!({"type": "Ready", "status": "False", "odd": {"z": 1, "a": [null]}}),
            json!({"type": "HeartbeatHealthy", "status": "True", "lastTransitionTime": THEN}),
            json!("no object"),
            json!({"type": 7}),
        ];
        for place in 0..=theirs.len() {
            for with_ours in [false, true] {
                let mut list = theirs.to_vec();
                if with_ours {
                    let ours = json!({"type": "SyncerReady", "status": "True", "extra": 1});
                    list.insert(place, ours.clone());
                    list.push(ours);
                }
                let mut list = Value::Array(list);
                let ours = condition(ConditionStatus::False, "Broken");
                merge(&mut list, &ours, NOW);
                let after = list.as_array().unwrap();
                let is_ours = |entry: &&Value| entry["type"] == "SyncerReady";
                let others: Vec<_> = after.iter().filter(|it| !is_ours(it)).cloned().collect();
                assert_eq!(Value::Array(others).to_string(), json!(theirs).to_string());
                assert_eq!(after.iter().filter(is_ours).count(), 1);
                if with_ours {
                    assert_eq!(after[place]["extra"], 1);
                }
            }
        }
    }

    #[test]
    fn what_is_no_list_becomes_one() {
        for garbage in [Value::Null, json!({}), json!("x"), json!(1)] {
            let mut list = garbage;
            merge(&mut list, &condition(ConditionStatus::True, "Healthy"), NOW);
            assert_eq!(list.as_array().unwrap().len(), 1);
        }
    }

    fn condition(status: ConditionStatus, reason: &str) -> Condition {
        Condition {
            kind: names::SYNCER_READY,
            status,
            severity: (status == ConditionStatus::False).then_some(Severity::Error),
            reason: reason.to_owned(),
            message: String::new(),
        }
    }
}
