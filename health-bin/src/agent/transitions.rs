//! What changed: one log line for each transition, and `/transitions`.

use std::sync::Arc;

use health_checks::reasons::CONNECTING;
use health_core::HealthStatus;
use health_core::Transition;
use health_core::reasons;
use serde_json::Value;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::clock::WallClock;

/// Logs transitions until the monitor has ended.
pub(super) async fn log(mut transitions: Receiver<Arc<Transition>>) {
    loop {
        match transitions.recv().await {
            Ok(transition) if begins_well(&transition) => {}
            Ok(transition) => tell(&transition),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "more components changed than the log could follow");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

/// The newest transitions, the newest first; of one component if `component` names it.
pub(super) fn render(
    history: &[Arc<Transition>],
    component: Option<&str>,
    wall: &WallClock,
) -> Value {
    let wanted = |it: &&Arc<Transition>| component.is_none_or(|name| it.component.as_str() == name);
    let shown = history.iter().rev().filter(wanted).map(|it| {
        json!({
            "component": it.component.as_str(),
            "from": it.from,
            "fromReason": it.from_reason.as_str(),
            "to": it.to,
            "reason": it.reason.as_str(),
            "message": it.message,
            "at": wall.show(it.at),
        })
    });
    json!({ "transitions": shown.collect::<Vec<_>>() })
}

/// That a component begins as it should is nothing to tell: Pending and then Healthy, or a
/// connection whose first attempt is under way.
fn begins_well(transition: &Transition) -> bool {
    let begins = transition.from_reason == reasons::PENDING;
    begins && (transition.to == HealthStatus::Healthy || transition.reason.as_str() == CONNECTING)
}

fn tell(transition: &Transition) {
    let Transition {
        component,
        to,
        reason,
        message,
        ..
    } = transition;
    match to {
        HealthStatus::Healthy => tracing::info!("component {component} is {to}"),
        HealthStatus::Degraded | HealthStatus::Unhealthy | HealthStatus::Unknown => {
            tracing::warn!(%reason, "component {component} is {to}: {message}");
        }
    }
}
