//! `/report`: how everything is, as JSON.

mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_checks::Monitor;
use health_checks::checks::SyncStats;
use health_checks::names;
use health_core::ComponentHealth;
use health_core::ComponentName;
use health_core::HealthReport;
#[cfg(feature = "transport-ws")]
use health_core::HealthSource;
use health_core::reasons;
use health_heartbeat::HeartbeatSnapshot;
use health_heartbeat::TransportSnapshot;
use serde_json::Value;
use tokio::sync::watch;

use crate::clock::WallClock;
use crate::process::ProcessSample;
use shape::Component;
use shape::Deciding;
use shape::Heartbeat;
pub(crate) use shape::Report;
use shape::Transport;

/// The version of the report's shape.
const API_VERSION: &str = "syncer-health/v1alpha1";

/// Makes reports; a cheap handle, which the tunnel has one of too.
#[derive(Debug, Clone)]
pub(super) struct Source {
    monitor: Monitor,
    sync_engine: Arc<Mutex<Option<ComponentName>>>,
    process: watch::Receiver<ProcessSample>,
    started: Instant,
}

// === impl Source ===

impl Source {
    pub(super) fn new(
        monitor: Monitor,
        sync_engine: Option<ComponentName>,
        process: watch::Receiver<ProcessSample>,
    ) -> Self {
        Self {
            monitor,
            sync_engine: Arc::new(Mutex::new(sync_engine)),
            process,
            started: Instant::now(),
        }
    }

    /// Marks the component whose numbers are the report's from now on.
    pub(super) fn set_sync_engine(&self, component: Option<ComponentName>) {
        *self
            .sync_engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = component;
    }

    /// The four numbers of the sync engine; absent where there is none, and while nobody has said
    /// them lately.
    pub(super) fn sync_stats(&self, now: Instant) -> SyncStats {
        let engine = self.sync_engine.lock();
        let engine = engine.unwrap_or_else(PoisonError::into_inner).clone();
        let known = engine.and_then(|name| self.monitor.component(name.as_str(), now));
        let Some(health) = known.filter(|health| health.reason != reasons::STALE) else {
            return SyncStats::default();
        };
        let number = |name: &str| health.metrics.get(name).copied();
        SyncStats {
            sync_rate: number(names::SYNC_RATE),
            error_rate: number(names::ERROR_RATE),
            queue_depth: number(names::QUEUE_DEPTH),
            latency_seconds: number(names::LATENCY_SECONDS),
        }
    }

    pub(super) fn process(&self) -> ProcessSample {
        *self.process.borrow()
    }

    /// The report that a tunnel carries: without the component `heartbeat`, since who hears it
    /// knows that better.
    #[cfg(feature = "transport-ws")]
    pub(super) fn carried(&self) -> Value {
        let wall = WallClock::now();
        let mut report = self.monitor.report(wall.instant());
        report
            .components
            .retain(|health| health.name.as_str() != names::HEARTBEAT);
        report.verdict = self.monitor.carried(wall.instant()).verdict;
        self.render(&report, None, &wall)
    }

    /// The whole report.
    pub(super) fn report(&self, heartbeat: Option<&HeartbeatSnapshot>) -> Value {
        let wall = WallClock::now();
        self.render(&self.monitor.report(wall.instant()), heartbeat, &wall)
    }

    fn render(
        &self,
        report: &HealthReport,
        heartbeat: Option<&HeartbeatSnapshot>,
        wall: &WallClock,
    ) -> Value {
        let now = wall.instant();
        let stats = self.sync_stats(now);
        let process = self.process();
        let last_success = heartbeat.and_then(HeartbeatSnapshot::last_success);
        let report = Report {
            api_version: API_VERSION,
            version: crate::VERSION,
            status: report.verdict.status,
            reason: report.verdict.reason.as_str(),
            rule: report.verdict.rule.as_str(),
            deciding: report.verdict.deciding.iter().map(deciding).collect(),
            components: components(report, wall),
            heartbeat: heartbeat.map(|snapshot| heartbeats(snapshot, wall)),
            last_heartbeat: last_success.map(|at| wall.show(at)),
            uptime_seconds: seconds(now.saturating_duration_since(self.started)),
            sync_rate: stats.sync_rate,
            error_rate: stats.error_rate,
            queue_depth: stats.queue_depth,
            latency_seconds: stats.latency_seconds,
            memory_bytes: process.memory_bytes,
            cpu_cores: process.cpu_cores,
            task_count: tokio::runtime::Handle::try_current()
                .map(|runtime| runtime.metrics().num_alive_tasks())
                .ok(),
            thread_count: process.threads,
        };
        serde_json::to_value(report).expect("all its keys are texts")
    }
}

fn components<'a>(report: &'a HealthReport, wall: &WallClock) -> BTreeMap<&'a str, Component<'a>> {
    let components = report.components.iter();
    components
        .map(|health| (health.name.as_str(), component(health, wall)))
        .collect()
}

fn component<'a>(health: &'a ComponentHealth, wall: &WallClock) -> Component<'a> {
    Component {
        status: health.status,
        reason: health.reason.as_str(),
        message: &health.message,
        error: health.error.as_deref(),
        last_check: health.last_check.map(|at| wall.show(at)),
        last_transition: wall.show(health.last_transition),
        age_seconds: health.age(wall.instant()).map(seconds),
        duration_seconds: health.duration.as_secs_f64(),
        consecutive_failures: health.consecutive_failures,
        criticality: health.criticality,
        metrics: &health.metrics,
    }
}

pub(super) fn deciding(deciding: &health_core::Deciding) -> Deciding<'_> {
    Deciding {
        component: deciding.component.as_str(),
        status: deciding.status,
        reason: deciding.reason.as_str(),
        message: &deciding.message,
    }
}

fn heartbeats<'a>(snapshot: &'a HeartbeatSnapshot, wall: &WallClock) -> Heartbeat<'a> {
    let transports = snapshot.transports.iter();
    Heartbeat {
        status: snapshot.outcome().status,
        transports: transports
            .map(|transport| (transport.name.to_string(), self::transport(transport, wall)))
            .collect(),
    }
}

fn transport<'a>(transport: &'a TransportSnapshot, wall: &WallClock) -> Transport<'a> {
    let age = |at| seconds(wall.instant().saturating_duration_since(at));
    Transport {
        state: transport.state.to_string(),
        sequence: transport.sequence.0,
        last_success: transport.last_success.map(|at| wall.show(at)),
        age_seconds: transport.last_success.map(age),
        consecutive_failures: transport.consecutive_failures,
        missed: transport.missed,
        rtt_seconds: transport.round_trip.map(|rtt| rtt.as_secs_f64()),
        error: transport.error.as_deref(),
    }
}

/// Seconds to the millisecond: nobody reads more of an age.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}
