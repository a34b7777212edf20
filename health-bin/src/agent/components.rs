//! From the configuration to registered checks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::Schedule;
use health_checks::checks::ConnectionCheck;
use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use health_checks::checks::PrometheusCheck;
use health_checks::checks::PrometheusConfig;
use health_checks::checks::RuntimeCheck;
use health_checks::checks::RuntimeConfig;
use health_checks::checks::SyncLimits;
use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::ConnectionState;
use health_core::Criticality;
use health_core::Scope;
use tokio::sync::watch;

use crate::config::AgentConfig;
use crate::config::ComponentConfig;

/// How often the program's own components are looked at: it costs next to nothing.
const OWN_INTERVAL: Duration = Duration::from_secs(5);
const OWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Registers `runtime` and what is configured, and says whose numbers are the report's.
pub(super) fn register(
    config: &AgentConfig,
    monitor: &Monitor,
) -> anyhow::Result<Option<ComponentName>> {
    let schedule = Schedule::new(OWN_INTERVAL, OWN_TIMEOUT);
    let spec = ComponentSpec::new("runtime".parse()?)
        .with_scopes(&[Scope::Liveness])
        .with_stale_after(schedule.stale_after());
    monitor.register(
        spec,
        schedule,
        Arc::new(RuntimeCheck::spawn(RuntimeConfig::default())),
    )?;
    let mut engine = None;
    for component in &config.checks.components {
        let name: ComponentName = component.name.parse()?;
        let checker = checker(component)
            .with_context(|| format!("checks.components: {name} cannot be checked"))?;
        let (interval, timeout) = component.pace(&config.checks);
        let spec = component.spec(name.clone(), &config.checks);
        monitor.register(spec, Schedule::new(interval, timeout), checker)?;
        if component.is_sync_engine() {
            engine = Some(name);
        }
    }
    Ok(engine)
}

/// Registers the tunnel's connection; it is shown and never counted, since the component
/// `heartbeat` already says what its loss means.
pub(super) fn register_connection(
    monitor: &Monitor,
    mut tunnel: watch::Receiver<ConnectionState>,
) -> anyhow::Result<()> {
    let name: ComponentName = "connection".parse()?;
    let schedule = Schedule::new(OWN_INTERVAL, OWN_TIMEOUT);
    let spec = ComponentSpec::new(name.clone())
        .with_criticality(Criticality::Informational)
        .with_scopes(&[])
        .with_stale_after(schedule.stale_after());
    let check = Arc::new(ConnectionCheck::new(tunnel.clone()));
    monitor.register(spec, schedule, check)?;
    // What is known is not left to be found out.
    let monitor = monitor.clone();
    tokio::spawn(async move {
        while tunnel.changed().await.is_ok() {
            monitor.refresh(&name);
        }
    });
    Ok(())
}

fn checker(component: &ComponentConfig) -> anyhow::Result<Arc<dyn HealthChecker>> {
    let target = |url: &str, token: &Option<String>, ca: &Option<String>| {
        let mut target = HttpTarget::new(url)?;
        target.bearer_token_file = token.as_ref().map(PathBuf::from);
        target.ca_file = ca.as_ref().map(PathBuf::from);
        anyhow::Ok(target)
    };
    if let Some(http) = &component.http {
        let mut target = target(&http.url, &http.token_file, &http.ca_file)?;
        target.insecure = http.insecure;
        let mut config = HttpConfig::new(target);
        config.latency_seconds = http.latency_seconds.into();
        return Ok(Arc::new(HttpCheck::new(config)?));
    }
    if let Some(scrape) = &component.prometheus {
        let target = target(&scrape.url, &scrape.token_file, &scrape.ca_file)?;
        let mut config = PrometheusConfig::new(target);
        config.limits = SyncLimits {
            queue_depth: scrape.queue_depth.into(),
            error_rate: scrape.error_rate.into(),
            latency_seconds: scrape.latency_seconds.into(),
        };
        return Ok(Arc::new(PrometheusCheck::new(config)?));
    }
    anyhow::bail!("it has no kind")
}
