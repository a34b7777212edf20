//! What stands on a SyncTarget.

use std::fmt;

use serde_json::Value;

use crate::names;
use crate::synctarget::ConditionStatus;
use crate::synctarget::Severity;
use crate::verdict::WishKind;
use crate::watch::ConditionSight;

/// What the condition `HeartbeatHealthy` of a SyncTarget says to machines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is not there.
    Absent,
    /// What this project would write, whoever wrote it.
    Known(WishKind),
    /// Something that this project never writes, as people read it.
    Foreign(String),
}

/// What is shown of a foreign condition is cut to this many bytes: it goes into one line of a log.
const SHOWN_MAX: usize = 128;

// === impl Standing ===

impl Standing {
    /// What stands on this SyncTarget; of several conditions of the type the first counts.
    #[must_use]
    pub fn of(target: &Value) -> Self {
        let Some(condition) = entry(target) else {
            return Self::Absent;
        };
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        Self::judge(text("status"), text("severity"), text("reason"))
    }

    /// The same, as a watch saw it.
    #[must_use]
    pub fn seen(condition: Option<&ConditionSight>) -> Self {
        let Some(condition) = condition else {
            return Self::Absent;
        };
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let status = condition.status.map_or("", ConditionStatus::as_str);
        Self::judge(status, &text(&condition.severity), &text(&condition.reason))
    }

    fn judge(status: &str, severity: &str, reason: &str) -> Self {
        let same = |kind: &WishKind| {
            status == kind.status().as_str()
                && severity == kind.severity().map_or("", Severity::as_str)
                && reason == kind.reason()
        };
        WishKind::ALL.into_iter().find(same).map_or_else(
            || {
                let mut shown = format!("{status} ({reason})");
                shown.truncate(shown.floor_char_boundary(SHOWN_MAX));
                Self::Foreign(shown)
            },
            Self::Known,
        )
    }

    /// What this project would have written, if it is that.
    #[must_use]
    pub const fn known(&self) -> Option<WishKind> {
        match self {
            Self::Known(kind) => Some(*kind),
            Self::Absent | Self::Foreign(_) => None,
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none"),
            Self::Known(kind) => write!(f, "{} ({})", kind.status().as_str(), kind.reason()),
            Self::Foreign(shown) => f.write_str(shown),
        }
    }
}

/// The message that stands there.
pub(super) fn message(target: &Value) -> Option<&str> {
    entry(target)?["message"].as_str()
}

fn entry(target: &Value) -> Option<&Value> {
    let conditions = target["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|entry| entry["type"].as_str() == Some(names::HEARTBEAT_HEALTHY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_stands_there_is_told_apart() {
        let ours = |status: &str, severity: Value, reason: &str| {
            json!({"type": "HeartbeatHealthy", "status": status, "severity": severity,
                "reason": reason})
        };
        let known = Standing::Known;
        let foreign = |shown: &str| Standing::Foreign(shown.to_owned());
        for (condition, expected) in [
            (
                ours("True", Value::Null, "HeartbeatReceived"),
                known(WishKind::Alive),
            ),
            (
                ours("False", json!("Warning"), "HeartbeatTimeout"),
                known(WishKind::Lost),
            ),
            (
                ours("False", json!("Info"), "SyncerLeft"),
                known(WishKind::Left),
            ),
            (
                ours("False", json!("Error"), "HeartbeatTimeout"),
                foreign("False (HeartbeatTimeout)"),
            ),
            (
                ours("False", json!("Warning"), "ErrorHeartbeat"),
                foreign("False (ErrorHeartbeat)"),
            ),
            (
                ours("Unknown", Value::Null, "HeartbeatReceived"),
                foreign("Unknown (HeartbeatReceived)"),
            ),
            (json!({"type": "HeartbeatHealthy"}), foreign(" ()")),
            (json!({"type": "Ready", "status": "True"}), Standing::Absent),
            (json!(7), Standing::Absent),
        ] {
            let target = json!({"status": {"conditions": [{"type": 1}, condition]}});
            assert_eq!(Standing::of(&target), expected, "{condition}");
        }
        for target in [
            Value::Null,
            json!({}),
            json!({"status": {"conditions": {}}}),
        ] {
            assert_eq!(Standing::of(&target), Standing::Absent);
        }
        let long = ours(&"ä".repeat(1000), Value::Null, "");
        let target = json!({"status": {"conditions": [long]}});
        assert!(Standing::of(&target).to_string().len() <= SHOWN_MAX);
    }
}
