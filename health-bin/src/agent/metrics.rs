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

#[cfg(test)]
mod tests {
    use health_checks::Monitor;
    use health_checks::MonitorConfig;
    use health_core::ComponentName;
    use health_core::ComponentSpec;
    use health_core::Outcome;
    use health_core::ProbeRules;
    use tokio::sync::watch;

    use super::super::report;
    use super::*;
    use crate::process::ProcessSample;
    use crate::telemetry::Exporter;

    /// The kubelet's prober left the series of each pod that was gone.
    #[tokio::test]
    async fn pitfall_46_the_series_of_a_removed_component_go() {
        let state = state("engine");
        let (stays, engine) = (register(&state, "stays"), register(&state, "engine"));
        let outcome = || Outcome::degraded("Slow", "").with_metric("queueDepth", 7.0);
        stays.report(outcome());
        engine.report(outcome());
        let now = Instant::now();
        let before = render(&state, now);
        assert!(before.contains("\nsyncer_queue_depth 7\n"), "{before}");
        let series_of = |text: &str, name: &str| {
            let label = format!("{{component=\"{name}\"}}");
            text.matches(&label).count()
        };
        let all = series_of(&before, "stays");
        assert!(all >= 4, "{before}");
        assert_eq!(series_of(&before, "engine"), all);

        assert!(engine.remove());
        let after = render(&state, now);
        assert!(!after.contains("engine"), "{after}");
        assert!(!after.contains("syncer_queue_depth"), "{after}");
        assert_eq!(series_of(&after, "stays"), all);

        // One of the same name begins anew: it has a status, and nothing of what was.
        let again = register(&state, "engine");
        let pending = render(&state, now);
        let status = "syncer_health_component_status{component=\"engine\"} 0\n";
        assert!(pending.contains(status), "{pending}");
        assert!(!pending.contains("syncer_queue_depth"), "{pending}");
        again.report(Outcome::healthy());
        assert_eq!(series_of(&render(&state, now), "engine"), all);
    }

    /// However many come and go, `/metrics` is as long as those that are there make it.
    #[tokio::test]
    async fn pitfall_46_components_that_come_and_go_leave_nothing() {
        let state = state("engine");
        let now = Instant::now();
        let before = render(&state, now).lines().count();
        for number in 0..1000 {
            let reporter = register(&state, &format!("job-{number}"));
            reporter.report(Outcome::unhealthy("Broken", ""));
            assert!(reporter.remove());
        }
        assert_eq!(render(&state, now).lines().count(), before);
    }

    /// A number that nobody has said lately is no number of now.
    #[tokio::test]
    async fn pitfall_2_the_numbers_of_a_sync_engine_that_went_silent_go() {
        let state = state("engine");
        let spec = ComponentSpec::new("engine".parse().unwrap());
        let spec = spec.with_stale_after(std::time::Duration::from_millis(50));
        let engine = state.monitor.register_reported(spec).unwrap();
        let mut changes = state.monitor.changes();
        engine.report(Outcome::healthy().with_metric("queueDepth", 7.0));
        let is_stale = || {
            let health = state.monitor.component("engine", Instant::now());
            health.is_some_and(|health| health.reason.as_str() == "Stale")
        };
        changes.wait_for(|_| is_stale()).await.unwrap();
        let text = render(&state, Instant::now());
        assert!(!text.contains("syncer_queue_depth"), "{text}");
        let stats = state.report.sync_stats(Instant::now());
        assert_eq!(stats.queue_depth, None);
    }

    fn register(state: &AgentState, name: &str) -> health_checks::Reporter {
        let name: ComponentName = name.parse().unwrap();
        let spec = ComponentSpec::new(name);
        state.monitor.register_reported(spec).unwrap()
    }

    /// An agent without transports whose sync engine has that name.
    fn state(sync_engine: &str) -> AgentState {
        let (recorder, exporter) = Exporter::detached(&[]).unwrap();
        let spawn = || Monitor::spawn(MonitorConfig::default());
        let monitor = metrics::with_local_recorder(&recorder, spawn);
        let (_, process) = watch::channel(ProcessSample::default());
        let sync_engine = sync_engine.parse().unwrap();
        AgentState {
            report: report::Source::new(monitor.clone(), Some(sync_engine), process),
            monitor,
            heartbeater: None,
            rules: ProbeRules::default(),
            lease_held: None,
            tunnel: None,
            shutting_down: watch::Sender::new(false),
            exporter,
        }
    }
}
