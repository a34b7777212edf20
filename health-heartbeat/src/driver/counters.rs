//! The counters of one transport, with their handles held.

use metrics::Counter;
use metrics::Unit;

use crate::EventKind;
use crate::TransportName;

/// The counters of one transport.
pub(super) struct Counters {
    success: Counter,
    failure: Counter,
    missed: Counter,
}

impl Counters {
    pub(super) fn of(transport: TransportName) -> Self {
        metrics::describe_counter!(
            "syncer_heartbeat_total",
            Unit::Count,
            "Heartbeat attempts by transport and result."
        );
        metrics::describe_counter!(
            "syncer_heartbeat_missed_total",
            Unit::Count,
            "Intervals that ended without an acknowledged heartbeat."
        );
        let total = |status| metrics::counter!("syncer_heartbeat_total", "transport" => transport.0, "status" => status);
        Self {
            success: total("success"),
            failure: total("failure"),
            missed: metrics::counter!("syncer_heartbeat_missed_total", "transport" => transport.0),
        }
    }

    pub(super) fn count(&self, event: &EventKind) {
        match event {
            EventKind::Acknowledged { .. } => self.success.increment(1),
            EventKind::AttemptFailed { .. } => self.failure.increment(1),
            EventKind::Missed { .. } => self.missed.increment(1),
            EventKind::Sent { .. }
            | EventKind::Failed { .. }
            | EventKind::Recovered { .. }
            | EventKind::StoodBy { .. }
            | EventKind::TookOver
            | EventKind::IntervalChanged { .. }
            | EventKind::Paused { .. }
            | EventKind::Released { .. } => {}
        }
    }
}
