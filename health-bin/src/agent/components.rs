//! From the configuration to registered checks, also when it changes.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use health_checks::Monitor;
use health_checks::Registration;
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
use health_core::Trends;
use tokio::sync::watch;

use super::push::Reporters;
use crate::config::ChecksConfig;
use crate::config::ComponentConfig;
use crate::config::ConfigError;
use crate::config::Made;

/// How often the program's own components are looked at: it costs next to nothing.
const OWN_INTERVAL: Duration = Duration::from_secs(5);
const OWN_TIMEOUT: Duration = Duration::from_secs(2);

/// The configured components, as they are registered.
#[derive(Debug)]
pub(super) struct Components {
    monitor: Monitor,
    registered: BTreeMap<ComponentName, Registered>,
    pushed: Reporters,
}

#[derive(Debug)]
struct Registered {
    as_configured: Configured,
    held: Held,
}

/// All that the configuration says of one component.
#[derive(Debug, Clone, PartialEq)]
struct Configured {
    component: ComponentConfig,
    pace: (Duration, Duration),
    scopes: Vec<Scope>,
}

#[derive(Debug)]
enum Held {
    Check(Registration),
    Pushed(Reporter),
}

/// A component that was made, and is not registered yet.
struct Prepared {
    as_configured: Configured,
    spec: ComponentSpec,
    trends: Trends,
    made: Made,
}

/// Registers `runtime`, which every agent has.
pub(super) fn register_runtime(monitor: &Monitor) -> anyhow::Result<()> {
    let schedule = Schedule::new(OWN_INTERVAL, OWN_TIMEOUT);
    let spec = ComponentSpec::new("runtime".parse()?)
        .with_scopes(&[Scope::Liveness])
        .with_stale_after(schedule.stale_after());
    let check = Arc::new(RuntimeCheck::spawn(RuntimeConfig::default()));
    monitor.register(spec, schedule, check)?;
    Ok(())
}

// === impl Components ===

impl Components {
    pub(super) fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            registered: BTreeMap::new(),
            pushed: Reporters::default(),
        }
    }

    /// Those that wait for pushed results.
    pub(super) fn pushed(&self) -> Reporters {
        Arc::clone(&self.pushed)
    }

    /// Registers what is configured now and was not, removes what no longer is, and leaves alone
    /// what is as it was: all of it, or nothing where something cannot be made.
    pub(super) fn apply(&mut self, checks: &ChecksConfig) -> anyhow::Result<()> {
        let (mut prepared, mut wanted) = (Vec::new(), BTreeSet::new());
        for (number, component) in checks.components.iter().enumerate() {
            let name: ComponentName = component.name.parse()?;
            let as_configured = Configured::of(component, checks);
            let known = self.registered.get(&name);
            if known.is_none_or(|known| known.as_configured != as_configured) {
                let key = format!("checks.components[{number}]");
                prepared.push(Prepared::new(as_configured, name.clone(), checks, &key)?);
            }
            wanted.insert(name);
        }
        let replaced = prepared.iter().map(|it| &it.spec.name);
        let gone = self
            .registered
            .keys()
            .filter(|name| !wanted.contains(*name));
        let ends: Vec<_> = replaced.chain(gone).cloned().collect();
        for name in ends {
            if let Some(registered) = self.registered.remove(&name) {
                registered.held.remove();
            }
        }
        for prepared in prepared {
            let name = prepared.spec.name.clone();
            let registered = prepared.register(&self.monitor)?;
            self.registered.insert(name, registered);
        }
        let pushed = self
            .registered
            .iter()
            .filter_map(|(name, it)| match &it.held {
                Held::Pushed(reporter) => Some((name.clone(), reporter.clone())),
                Held::Check(_) => None,
            });
        *self.pushed.lock().unwrap_or_else(PoisonError::into_inner) = pushed.collect();
        Ok(())
    }

    /// The one whose numbers are the report's.
    pub(super) fn sync_engine(&self) -> Option<ComponentName> {
        let mut all = self.registered.iter();
        let engine = all.find(|(_, it)| it.as_configured.component.is_sync_engine());
        engine.map(|(name, _)| name.clone())
    }
}

// === impl Configured ===

impl Configured {
    fn of(component: &ComponentConfig, checks: &ChecksConfig) -> Self {
        Self {
            component: component.clone(),
            pace: component.pace(checks),
            scopes: checks.default_probes.clone(),
        }
    }
}

// === impl Prepared ===

impl Prepared {
    fn new(
        as_configured: Configured,
        name: ComponentName,
        checks: &ChecksConfig,
        key: &str,
    ) -> anyhow::Result<Self> {
        let component = &as_configured.component;
        let wrong = |problem| ConfigError(vec![problem]);
        let made = component.make(key).map_err(wrong)?;
        let mut spec = component.spec(name, checks);
        if let Made::Pushed(push) = &made {
            // The TTL, unless the component says otherwise.
            let stale_after = spec.stale_after;
            spec = push.spec(spec)?.with_stale_after(stale_after);
        }
        Ok(Self {
            spec,
            trends: component.trends(key).map_err(wrong)?,
            made,
            as_configured,
        })
    }

    fn register(self, monitor: &Monitor) -> anyhow::Result<Registered> {
        let Self {
            as_configured,
            spec,
            trends,
            made,
        } = self;
        let held = match made {
            Made::Check(mut checker) => {
                if !trends.is_empty() {
                    checker = Arc::new(TrendedCheck::new(checker, trends));
                }
                let (interval, timeout) = as_configured.pace;
                let schedule = Schedule::new(interval, timeout);
                Held::Check(monitor.register(spec, schedule, checker)?)
            }
            Made::Pushed(_) => Held::Pushed(monitor.register_reported(spec)?.with_trends(trends)),
        };
        Ok(Registered {
            as_configured,
            held,
        })
    }
}

// === impl Held ===

impl Held {
    fn remove(self) {
        match self {
            Self::Check(registration) => registration.remove(),
            Self::Pushed(reporter) => reporter.remove(),
        };
    }
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
