//! The one wire form of a heartbeat and of its acknowledgement: JSON, camelCase, units in names.
//!
//! Unknown fields are tolerated, so that agents and hubs of different versions go together.
//! Bytes from the network are never trusted: durations are bounded, texts are cut.

use std::time::Duration;

use health_core::DECIDING_MAX;
use health_core::HealthStatus;
use serde::Deserialize;
use serde::Serialize;

use crate::Heartbeat;
use crate::Sequence;

/// A heartbeat as it travels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatPayload {
    /// The agent's place.
    pub slot: String,
    /// The agent's start.
    pub incarnation: String,
    /// The heartbeat's number.
    pub sequence: u64,
    /// When to expect the next one, in seconds.
    pub interval_seconds: f64,
    /// After how much silence to give this agent up, in seconds.
    pub timeout_seconds: f64,
    /// How healthy the agent says it is.
    pub status: HealthStatus,
    /// How old the newest result behind that is, in seconds.
    #[serde(default)]
    pub report_age_seconds: f64,
    /// Who decided the status; at most eight travel.
    #[serde(default)]
    pub deciding: Vec<DecidingPayload>,
}

/// A deciding component as it travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DecidingPayload {
    /// Its name.
    pub component: String,
    /// Its status, as it was counted.
    pub status: HealthStatus,
    /// Why, for machines.
    #[serde(default)]
    pub reason: String,
    /// Why, for people.
    #[serde(default)]
    pub message: String,
}

/// An acknowledgement as it travels. A peer that knows nothing of heartbeats sends none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AcknowledgementPayload {
    /// The heartbeat that is acknowledged.
    pub sequence: Option<u64>,
    /// The interval to beat at from now on, in seconds.
    pub interval_seconds: Option<f64>,
    /// Do not beat again before that many seconds have passed.
    pub retry_after_seconds: Option<f64>,
}

/// The longest duration that is believed: what is longer is cut to it.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest text that is believed, in bytes.
const TEXT_MAX: usize = 1024;

/// Seconds from the network as a duration; nothing for what is negative or no number.
#[must_use]
pub fn duration(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    // In whole nanoseconds, of which there are few enough; a fleet does this twice a heartbeat.
    let nanos = seconds.min(DURATION_MAX.as_secs_f64()) * 1e9 + 0.5;
    Some(Duration::from_nanos(nanos as u64))
}

// === impl HeartbeatPayload ===

impl HeartbeatPayload {
    /// Cuts what is longer than it may be.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        cut(&mut self.slot);
        cut(&mut self.incarnation);
        self.deciding.truncate(DECIDING_MAX);
        for deciding in &mut self.deciding {
            cut(&mut deciding.component);
            cut(&mut deciding.reason);
            cut(&mut deciding.message);
        }
        self
    }

    /// The heartbeat's number.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        Sequence(self.sequence)
    }
}

impl From<&Heartbeat> for HeartbeatPayload {
    fn from(heartbeat: &Heartbeat) -> Self {
        let verdict = &heartbeat.carried.verdict;
        let deciding = verdict.deciding.iter().map(|deciding| DecidingPayload {
            component: deciding.component.to_string(),
            status: deciding.status,
            reason: deciding.reason.to_string(),
            message: deciding.message.clone(),
        });
        Self {
            slot: heartbeat.identity.slot.to_string(),
            incarnation: heartbeat.identity.incarnation.to_string(),
            sequence: heartbeat.sequence.0,
            interval_seconds: heartbeat.interval.as_secs_f64(),
            timeout_seconds: heartbeat.timeout.as_secs_f64(),
            status: verdict.status,
            report_age_seconds: heartbeat.carried.age.as_secs_f64(),
            deciding: deciding.collect(),
        }
    }
}

fn cut(text: &mut String) {
    let end = text.floor_char_boundary(TEXT_MAX);
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &str = r#"{"slot":"pod-1","incarnation":"7f","sequence":42,"intervalSeconds":10.0,"timeoutSeconds":30.0,"status":"Degraded","reportAgeSeconds":1.2,"deciding":[{"component":"sync-engine","status":"Degraded","reason":"QueueDepthHigh","message":"1200 waiting"}]}"#;

    #[test]
    fn a_heartbeat_is_written_as_it_was_read() {
        let payload: HeartbeatPayload = serde_json::from_str(WIRE).unwrap();
        assert_eq!(serde_json::to_string(&payload).unwrap(), WIRE);
    }

    #[test]
    fn unknown_fields_and_missing_optional_ones_are_tolerated() {
        let text = r#"{"slot":"a","incarnation":"b","sequence":1,"intervalSeconds":10,
            "timeoutSeconds":30,"status":"Healthy","new":{"field":true}}"#;
        let payload: HeartbeatPayload = serde_json::from_str(text).unwrap();
        assert!(payload.deciding.is_empty());
        let empty: AcknowledgementPayload = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, AcknowledgementPayload::default());
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let mut payload: HeartbeatPayload = serde_json::from_str(WIRE).unwrap();
        payload.slot = "ä".repeat(5000);
        payload.deciding = vec![payload.deciding[0].clone(); 100];
        let bounded = payload.bounded();
        assert!(bounded.slot.len() <= TEXT_MAX);
        assert_eq!(bounded.deciding.len(), DECIDING_MAX);
    }

    #[test]
    fn durations_from_the_network_are_bounded() {
        assert_eq!(duration(1.5), Some(Duration::from_millis(1500)));
        assert_eq!(duration(0.1), Some(Duration::from_millis(100)));
        assert_eq!(
            duration(29.999_999_999),
            Some(Duration::from_secs(30) - Duration::from_nanos(1))
        );
        assert_eq!(duration(0.0), Some(Duration::ZERO));
        assert_eq!(duration(1e300), Some(DURATION_MAX));
        for bad in [-1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(duration(bad), None);
        }
    }
}
