//! From the configuration to registered checks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use health_checks::Monitor;
use health_checks::Reporter;
use health_checks::Schedule;
use health_checks::checks::ConnectionCheck;
use health_checks::checks::RuntimeCheck;
use health_checks::checks::RuntimeConfig;
use health_checks::checks::TrendedCheck;
use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::ConnectionState;
use health_core::Criticality;
use health_core::Scope;
use tokio::sync::watch;

use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Made;

/// How often the program's own components are looked at: it costs next to nothing.
const OWN_INTERVAL: Duration = Duration::from_secs(5);
const OWN_TIMEOUT: Duration = Duration::from_secs(2);

/// What became of the configured components.
#[derive(Debug, Default)]
pub(super) struct Registered {
    /// The one whose numbers are the report's.
    pub(super) sync_engine: Option<ComponentName>,
    /// Those whose results other processes push.
    pub(super) pushed: BTreeMap<ComponentName, Reporter>,
}

/// Registers `runtime` and what is configured.
pub(super) fn register(config: &AgentConfig, monitor: &Monitor) -> anyhow::Result<Registered> {
    let schedule = Schedule::new(OWN_INTERVAL, OWN_TIMEOUT);
    let spec = ComponentSpec::new("runtime".parse()?)
        .with_scopes(&[Scope::Liveness])
        .with_stale_after(schedule.stale_after());
    monitor.register(
        spec,
        schedule,
        Arc::new(RuntimeCheck::spawn(RuntimeConfig::default())),
    )?;
    let mut registered = Registered::default();
    for (number, component) in config.checks.components.iter().enumerate() {
        let name: ComponentName = component.name.parse()?;
        let spec = component.spec(name.clone(), &config.checks);
        let key = format!("checks.components[{number}]");
        let wrong = |problem| ConfigError(vec![problem]);
        let trends = component.trends(&key).map_err(wrong)?;
        match component.make(&key).map_err(wrong)? {
            Made::Check(mut checker) => {
                if !trends.is_empty() {
                    checker = Arc::new(TrendedCheck::new(checker, trends));
                }
                let (interval, timeout) = component.pace(&config.checks);
                monitor.register(spec, Schedule::new(interval, timeout), checker)?;
            }
            Made::Pushed(push) => {
                // The TTL, unless the component says otherwise.
                let stale_after = spec.stale_after;
                let spec = push.spec(spec)?.with_stale_after(stale_after);
                let reporter = monitor.register_reported(spec)?;
                let reporter = reporter.with_trends(trends);
                registered.pushed.insert(name.clone(), reporter);
            }
        }
        if component.is_sync_engine() {
            registered.sync_engine = Some(name);
        }
    }
    Ok(registered)
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
