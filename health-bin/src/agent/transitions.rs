//! One log line for each component that changes its status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use health_checks::Monitor;
use health_core::ComponentHealth;
use health_core::ComponentName;
use health_core::HealthStatus;
use health_core::reasons;

/// Logs transitions until the task is ended. What comes and goes between two looks is not told.
pub(super) async fn log(monitor: Monitor) {
    let mut changes = monitor.changes();
    let mut known = BTreeMap::new();
    while changes.changed().await.is_ok() {
        let report = monitor.report(Instant::now());
        for health in changed(&mut known, &report.components) {
            tell(&health);
        }
    }
}

/// The components (by name) whose status is another one than in `known`, which is brought up to
/// date. That one begins as it should, Pending and then Healthy, is nothing to tell.
fn changed(
    known: &mut BTreeMap<ComponentName, HealthStatus>,
    components: &[Arc<ComponentHealth>],
) -> Vec<Arc<ComponentHealth>> {
    known.retain(|name, _| {
        components
            .binary_search_by(|health| health.name.cmp(name))
            .is_ok()
    });
    let is_told = |health: &&Arc<ComponentHealth>| {
        health.reason != reasons::PENDING
            && known
                .insert(health.name.clone(), health.status)
                .unwrap_or(HealthStatus::Healthy)
                != health.status
    };
    components.iter().filter(is_told).cloned().collect()
}

fn tell(health: &ComponentHealth) {
    let ComponentHealth {
        name,
        status,
        reason,
        message,
        ..
    } = health;
    match status {
        HealthStatus::Healthy => tracing::info!("component {name} is {status}"),
        HealthStatus::Degraded | HealthStatus::Unhealthy | HealthStatus::Unknown => {
            tracing::warn!(%reason, "component {name} is {status}: {message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use health_core::Board;
    use health_core::ComponentSpec;
    use health_core::Outcome;

    use super::*;

    #[test]
    fn each_transition_is_told_once() {
        let now = Instant::now();
        let mut board = Board::new(now);
        let name: ComponentName = "a".parse().unwrap();
        let id = board.register(ComponentSpec::new(name), now).unwrap();
        let mut known = BTreeMap::new();
        let mut told = Vec::new();
        let mut look = |board: &mut Board| {
            let found = changed(&mut known, &board.report(now).components);
            told.extend(found.iter().map(|health| health.status));
        };
        look(&mut board);
        for outcome in [
            Outcome::healthy(),
            Outcome::healthy(),
            Outcome::unhealthy("Refused", ""),
            Outcome::unhealthy("Timeout", ""),
            Outcome::healthy(),
        ] {
            board.record(id, outcome, Duration::ZERO, now);
            look(&mut board);
        }
        board.remove(id);
        look(&mut board);
        let expected = [HealthStatus::Unhealthy, HealthStatus::Healthy];
        assert_eq!(told, expected);
        assert!(known.is_empty());
    }
}
