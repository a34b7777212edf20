//! The agent: checks, probes, metrics and heartbeats, wired together.

#[cfg(feature = "hub")]
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use health_checks::Monitor;
use health_checks::MonitorConfig;
#[cfg(feature = "hub")]
use health_core::ComponentName;
use health_core::Probe;
use health_core::ProbeRules;
use health_heartbeat::Heartbeater;
use health_heartbeat::HeartbeaterConfig;
use health_heartbeat::Requirement;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::bearer::BearerToken;
use crate::config::AgentConfig;
use crate::config::LogConfig;
use crate::config::Problems;
use crate::config::RequireConfig;
#[cfg(feature = "grpc")]
use crate::grpc::Server;
use crate::http;
use crate::process::ProcessSample;
use crate::reload::Reload;
use crate::systemd::Look;
use crate::telemetry::Exporter;

mod components;

#[cfg(feature = "grpc")]
mod grpc;

mod heartbeat;

mod identity;

mod metrics;

mod push;

#[cfg(fuzzing)]
pub use push::fuzz as fuzz_push;

mod quick;

mod report;

mod routes;

mod state;

mod transitions;

mod transports;

use components::Components;
pub(crate) use identity::identity;
#[cfg(test)]
pub(crate) use report::Report;
use state::AgentState;

/// What an agent is started with.
#[derive(Debug)]
pub(crate) struct AgentSetup {
    pub(crate) config: AgentConfig,
    /// The value of the environment's `KUBECONFIG`.
    pub(crate) kubeconfig_variable: Option<String>,
    pub(crate) identity: health_heartbeat::Identity,
    pub(crate) exporter: Exporter,
    pub(crate) process: watch::Receiver<ProcessSample>,
    /// Decides all jitter.
    pub(crate) seed: u64,
}

/// A running agent.
#[derive(Debug)]
pub(crate) struct Agent {
    state: Arc<AgentState>,
    components: Components,
    servers: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    drain_delay: Duration,
    #[cfg(feature = "hub")]
    address: SocketAddr,
}

/// Connections at once: probes and scrapes need few, and each costs memory.
const CONNECTIONS_MAX: usize = 256;

/// How long the goodbyes may take together.
const RELEASE_MAX: Duration = Duration::from_secs(11);

/// Finds what is wrong with the files that the configuration names, and with what a start makes of
/// them. Nobody is called.
pub(crate) async fn check(
    config: &AgentConfig,
    kubeconfig_variable: Option<&str>,
    problems: &mut Problems,
) {
    let push = BearerToken::read("push.tokenFile", &config.push.token_file, Instant::now());
    problems.take(push);
    transports::check(config, kubeconfig_variable, problems).await;
}

// === impl Agent ===

impl Agent {
    /// Starts an agent on the current runtime, the pulse runtime.
    pub(crate) async fn start(setup: AgentSetup) -> anyhow::Result<Self> {
        let AgentSetup {
            config,
            kubeconfig_variable,
            identity,
            exporter,
            process,
            seed,
        } = setup;
        let bind = config.server.bind;
        let listener = TcpListener::bind(bind)
            .await
            .with_context(|| format!("server.bind: cannot listen on {bind}"))?;
        let address = listener.local_addr()?;
        #[cfg(feature = "grpc")]
        let grpc = Server::bind("server.grpcBind", config.server.grpc_bind).await?;
        let rules = ProbeRules {
            ready_when_degraded: config.probes.ready_when_degraded,
        };
        let monitor = Monitor::spawn(
            MonitorConfig::default()
                .with_probe_rules(rules)
                .with_seed(seed),
        );
        // It ends with the monitor.
        tokio::spawn(transitions::log(monitor.transitions()).in_current_span());
        components::register_runtime(&monitor)?;
        let mut components = Components::new(monitor.clone());
        components.apply(&config.checks)?;
        let source: Arc<dyn health_core::HealthSource> = Arc::new(monitor.clone());
        let report = report::Source::new(monitor.clone(), components.sync_engine(), process);
        let transports = transports::build(transports::Parts {
            config: &config,
            kubeconfig_variable: kubeconfig_variable.as_deref(),
            identity: &identity,
            seed,
            report: &report,
            changes: monitor.changes(),
        })
        .await?;
        let transports::Transports {
            setups,
            tunnel,
            lease_held,
        } = transports;
        let heartbeater = (!setups.is_empty()).then(|| {
            let require = match config.heartbeat.require {
                RequireConfig::Any => Requirement::Any,
                RequireConfig::All => Requirement::All,
            };
            let config = HeartbeaterConfig {
                identity,
                requirement: require,
                seed,
                source,
                changes: monitor.changes(),
            };
            Heartbeater::spawn(&config, setups)
        });
        match &heartbeater {
            Some(heartbeater) => heartbeat::register(&monitor, heartbeater)?,
            None => tracing::info!(
                "no heartbeats are sent: neither heartbeat.websocket.url nor a cluster is given"
            ),
        }
        if let Some(tunnel) = &tunnel {
            components::register_connection(&monitor, tunnel.clone())?;
        }
        let state = Arc::new(AgentState {
            report,
            monitor,
            heartbeater,
            rules,
            lease_held,
            tunnel,
            shutting_down: watch::Sender::new(false),
            exporter,
        });
        let (stop, stopped) = watch::channel(false);
        let mut servers = Vec::new();
        let pushed = if config.push.enabled {
            let path = &config.push.token_file;
            let token = BearerToken::read("push.tokenFile", path, Instant::now())?;
            push::router(components.pushed(), token)
        } else {
            axum::Router::new()
        };
        let router = routes::router(Arc::clone(&state), pushed);
        let limits = http::Limits {
            connections: CONNECTIONS_MAX,
            answers: http::Answers::Small,
        };
        let service = quick::front(Arc::clone(&state), router);
        #[cfg(feature = "grpc")]
        servers.extend(grpc.map(|it| grpc::serve(it, &state, stopped.clone())));
        servers.push(tokio::spawn(http::serve(
            listener, service, limits, stopped,
        )));
        tracing::info!(%address, version = crate::VERSION, "the agent answers");
        Ok(Self {
            state,
            components,
            servers,
            stop,
            drain_delay: config.server.drain_delay.0,
            #[cfg(feature = "hub")]
            address,
        })
    }

    /// How it is, for a service manager.
    pub(crate) fn look(&self) -> impl Fn(Instant) -> Look + Send + 'static {
        let state = Arc::clone(&self.state);
        move |now| Look {
            lives: state.probe(Probe::Liveness, &[], now).holds,
            status: state.status(now),
        }
    }

    /// For how long readiness fails before anything else ends.
    pub(crate) const fn drain_delay(&self) -> Duration {
        self.drain_delay
    }

    /// Ends the agent: readiness fails first, for `drain_delay`; then the Lease is released, the
    /// tunnel says goodbye, checks end and the server stops, each within a bound.
    pub(crate) async fn stop(self, drain_delay: Duration) {
        self.state.shutting_down.send_replace(true);
        tokio::time::sleep(drain_delay).await;
        if let Some(heartbeater) = &self.state.heartbeater
            && tokio::time::timeout(RELEASE_MAX, heartbeater.release())
                .await
                .is_err()
        {
            tracing::warn!("the goodbyes did not end in time");
        }
        self.state.monitor.shutdown().await;
        self.stop.send_replace(true);
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::warn!(%error, "a server ended badly");
            }
        }
        tracing::info!("the agent has ended");
    }
}

/// Components, the log's level and the drain delay are taken while it runs.
impl Reload for Agent {
    type Config = AgentConfig;

    fn log(config: &AgentConfig) -> LogConfig {
        config.log.clone()
    }

    fn take(&mut self, running: &mut AgentConfig, new: &AgentConfig) -> anyhow::Result<()> {
        self.components.apply(&new.checks)?;
        self.state
            .report
            .set_sync_engine(self.components.sync_engine());
        running.take(new);
        self.drain_delay = running.server.drain_delay.0;
        Ok(())
    }
}

/// What the demo needs besides.
#[cfg(feature = "hub")]
impl Agent {
    /// Where it answers.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its monitor, to register more with.
    pub(crate) fn monitor(&self) -> &Monitor {
        &self.state.monitor
    }

    /// Marks a component's numbers as the report's.
    pub(crate) fn set_sync_engine(&self, component: ComponentName) {
        self.state.report.set_sync_engine(Some(component));
    }
}
