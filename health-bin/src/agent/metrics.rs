//! `/metrics`: what was counted, and what is so now.
//!
//! State is written from the snapshots at each scrape, so stale is Unknown here too and nothing
//! stays of a component that is gone.

use std::time::Instant;

use health_core::HealthReport;
use health_core::Scope;
use health_heartbeat::TransportSnapshot;

use super::state::AgentState;
use crate::exposition::Exposition;
use crate::exposition::Kind;

/// The whole answer.
pub(super) fn render(state: &AgentState, now: Instant) -> String {
    let mut text = Exposition::default();
    text.family(
        "syncer_health_build_info",
        Kind::Gauge,
        "1, with the version as a label.",
    )
    .sample(&[("version", crate::VERSION)], 1.0);
    let status = state.monitor.verdict(Scope::All, now).status;
    text.family(
        "syncer_health_status",
        Kind::Gauge,
        "The whole: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.",
    )
    .sample(&[], f64::from(status.metric()));
    components(&state.monitor.report(now), now, &mut text);
    if let Some(heartbeater) = &state.heartbeater {
        heartbeats(&heartbeater.snapshot().transports, now, &mut text);
    }
    connections(state, now, &mut text);
    syncs(state, now, &mut text);
    state.report.process().write(&mut text);
    let mut answer = state.exporter.render();
    answer.push_str(&text.finish());
    answer
}

fn components(report: &HealthReport, now: Instant, text: &mut Exposition) {
    let components = &report.components;
    text.family(
        "syncer_health_component_status",
        Kind::Gauge,
        "A component: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.",
    );
    for health in components {
        text.sample(
            &[("component", health.name.as_str())],
            f64::from(health.status.metric()),
        );
    }
    text.family(
        "syncer_health_component_age_seconds",
        Kind::Gauge,
        "How long ago the component's last result came.",
    );
    for health in components {
        if let Some(age) = health.age(now) {
            text.sample(&[("component", health.name.as_str())], age.as_secs_f64());
        }
    }
    text.family(
        "syncer_health_component_consecutive_failures",
        Kind::Gauge,
        "Results in a row that were not healthy.",
    );
    for health in components {
        let failures = f64::from(health.consecutive_failures);
        text.sample(&[("component", health.name.as_str())], failures);
    }
    text.family(
        "syncer_health_component_check_duration_seconds",
        Kind::Gauge,
        "How long the component's last check took.",
    );
    for health in components
        .iter()
        .filter(|health| health.last_check.is_some())
    {
        text.sample(
            &[("component", health.name.as_str())],
            health.duration.as_secs_f64(),
        );
    }
}

fn heartbeats(transports: &[TransportSnapshot], now: Instant, text: &mut Exposition) {
    text.family(
        "syncer_heartbeat_consecutive_failures",
        Kind::Gauge,
        "Heartbeat attempts in a row that failed.",
    );
    for transport in transports {
        let failures = f64::from(transport.consecutive_failures);
        text.sample(&[("transport", transport.name.0)], failures);
    }
    text.family(
        "syncer_heartbeat_last_success_age_seconds",
        Kind::Gauge,
        "How long ago a heartbeat was last acknowledged.",
    );
    for transport in transports {
        if let Some(at) = transport.last_success {
            let age = now.saturating_duration_since(at);
            text.sample(&[("transport", transport.name.0)], age.as_secs_f64());
        }
    }
    text.family(
        "syncer_heartbeat_rtt_seconds",
        Kind::Gauge,
        "From the last acknowledged heartbeat to its answer.",
    );
    for transport in transports {
        if let Some(rtt) = transport.round_trip {
            text.sample(&[("transport", transport.name.0)], rtt.as_secs_f64());
        }
    }
}

fn connections(state: &AgentState, now: Instant, text: &mut Exposition) {
    if let Some(tunnel) = &state.tunnel {
        let connected = tunnel.borrow().is_connected();
        text.family(
            "syncer_tunnel_connected",
            Kind::Gauge,
            "1 while the tunnel stands.",
        )
        .sample(&[], f64::from(u8::from(connected)));
    }
    if let Some(held) = &state.lease_held {
        let held = (held.0)(now);
        text.family(
            "syncer_lease_held",
            Kind::Gauge,
            "1 while this agent holds the Lease.",
        )
        .sample(&[], f64::from(u8::from(held)));
    }
}

fn syncs(state: &AgentState, now: Instant, text: &mut Exposition) {
    let stats = state.report.sync_stats(now);
    let mut gauge = |name, help, value| text.single(name, Kind::Gauge, help, value);
    gauge("syncer_sync_rate", "Syncs a second.", stats.sync_rate);
    gauge(
        "syncer_sync_error_rate",
        "The share of attempts that failed.",
        stats.error_rate,
    );
    gauge(
        "syncer_queue_depth",
        "Items that wait to be synced.",
        stats.queue_depth,
    );
    gauge(
        "syncer_sync_latency_seconds",
        "How long a sync takes.",
        stats.latency_seconds,
    );
}
