//! The hub: accepts tunnels, finds the silent, and answers who lives.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use health_heartbeat::FleetVerdict;
use health_heartbeat::FlightLimits;
use health_heartbeat::Identity;
use health_transport_ws::CloseReason;
use health_transport_ws::TunnelEvent;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bearer::BearerToken;
use crate::config::HubConfig;
use crate::config::LogConfig;
use crate::config::Problems;
use crate::gates::Gate;
use crate::gates::Gates;
#[cfg(feature = "grpc")]
use crate::grpc::Server;
use crate::http;
use crate::process;
use crate::process::ProcessSample;
use crate::reload::Reload;
use crate::reload::Source;
use crate::reload::until_end;
use crate::run::rand_seed;
use crate::signals::Signals;
use crate::systemd::Look;
use crate::systemd::Manager;
use crate::telemetry;
use crate::telemetry::Exporter;

mod files;

mod tls;

#[cfg(fuzzing)]
pub use tls::fuzz as fuzz_certificate;

mod auth;

#[cfg(fuzzing)]
pub use auth::fuzz as fuzz_tokens;

mod pressure;

mod door;

mod seldom;

mod refused;

mod rivals;

mod registry;

mod endpoint;

mod lookout;

mod fleet;

mod ops;

#[cfg(fuzzing)]
pub use ops::fuzz as fuzz_ops_request;

#[cfg(feature = "grpc")]
mod grpc;

mod plane;

#[cfg_attr(not(feature = "transport-lease"), path = "hub/no_cluster.rs")]
mod cluster;

use auth::Auth;
use door::Door;
use files::Places;
pub(crate) use fleet::CLOCK_SKEW_SECONDS;
use fleet::SharedFleet;
use pressure::Pressure;
use refused::Refused;
use registry::Registry;
use tls::ServerTls;

/// A running hub.
#[derive(Debug)]
pub(crate) struct Hub {
    state: Arc<HubState>,
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<()>>,
    cluster: Option<cluster::Running>,
    server_address: SocketAddr,
    ops_address: SocketAddr,
    limit: usize,
}

/// What a hub is made of.
#[derive(Debug)]
pub(crate) struct HubSetup {
    pub(crate) config: HubConfig,
    /// The value of the environment's `KUBECONFIG`.
    pub(crate) kubeconfig_variable: Option<String>,
    /// Who it is among the hubs that share a Lease.
    pub(crate) identity: Identity,
    pub(crate) gates: Gates,
}

/// What the hub's answers are made from.
#[derive(Debug)]
struct HubState {
    fleet: Arc<SharedFleet>,
    auth: Auth,
    tls: Option<ServerTls>,
    refused: Refused,
    ops: ops::OpsState,
    ops_token: BearerToken,
    /// Somebody wants the files of all of these looked at now.
    look_again: Notify,
    events: mpsc::Sender<TunnelEvent>,
    connections: AtomicU64,
    /// One place for each tunnel.
    places: Arc<Semaphore>,
    registry: Arc<Registry>,
    pressure: Mutex<Pressure>,
    message_bytes: usize,
    seed: u64,
    stop: watch::Receiver<bool>,
    /// Whether this hub leads; a standby takes no tunnels.
    leads: watch::Receiver<bool>,
    exporter: Exporter,
    process: watch::Receiver<ProcessSample>,
}

/// People and monitors need few connections.
const OPS_CONNECTIONS_MAX: usize = 256;

/// How long tunnels may take to say goodbye when the hub ends.
const STOP_MAX: Duration = Duration::from_secs(3);

/// Runs a hub until a signal ends it.
pub(crate) async fn run(
    setup: HubSetup,
    source: Source<HubConfig>,
    manager: Manager,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::install()?;
    let exporter = Exporter::install(&[telemetry::CLOCK_SKEWS])?;
    setup.gates.tell();
    let mut hub = Hub::start(&setup, exporter, process::spawn_sampler()).await?;
    manager.ready(hub.look());
    until_end(&mut hub, setup.config, source, &mut signals, &manager).await;
    manager.stopping("ending: agents are told when to come back");
    tracing::info!("ending: agents are told when to come back; a second signal aborts");
    tokio::select! {
        () = hub.stop() => Ok(ExitCode::SUCCESS),
        () = signals.end() => anyhow::bail!("aborted by a second signal"),
    }
}

/// The log's level is taken while it runs; certificates and tokens are, whenever their files change.
impl Reload for Hub {
    type Config = HubConfig;

    fn log(config: &HubConfig) -> LogConfig {
        config.log.clone()
    }

    fn take(&mut self, running: &mut HubConfig, new: &HubConfig) -> anyhow::Result<()> {
        running.take(new);
        Ok(())
    }

    fn look_again(&self) {
        self.state.look_again.notify_one();
    }
}

/// Finds what is wrong with the files that the configuration names, and with what a start makes of
/// them. Nobody is called.
pub(crate) async fn check(
    config: &HubConfig,
    kubeconfig_variable: Option<&str>,
    problems: &mut Problems,
) {
    let now = Instant::now();
    problems.take(Auth::check(config, now));
    problems.take(ServerTls::read(&config.server.tls, now));
    let ops = BearerToken::read("ops.tokenFile", &config.ops.token_file, now);
    problems.take(ops);
    cluster::check(config, kubeconfig_variable, problems).await;
}

// === impl Hub ===

impl Hub {
    /// Starts a hub on the current runtime.
    pub(crate) async fn start(
        setup: &HubSetup,
        exporter: Exporter,
        process: watch::Receiver<ProcessSample>,
    ) -> anyhow::Result<Self> {
        let now = Instant::now();
        let config = &setup.config;
        let seed = rand_seed();
        let place = cluster::Place {
            config,
            kubeconfig_variable: setup.kubeconfig_variable.as_deref(),
            identity: &setup.identity,
            seed,
        };
        let workspaces = cluster::Workspaces::connect(&place).await?;
        let asked = workspaces.as_ref().filter(|_| config.auth.token_review);
        let reviewer = asked.map(cluster::Workspaces::reviewer);
        let auth = Auth::read(config, reviewer, now)?;
        let tls = ServerTls::read(&config.server.tls, now)?;
        let connections = Places::find(config.limits.connections);
        let ops_token = BearerToken::read("ops.tokenFile", &config.ops.token_file, now)?;
        let (server, server_address) = listen("server.bind", config.server.bind).await?;
        let (ops, ops_address) = listen("ops.bind", config.ops.bind).await?;
        #[cfg(feature = "grpc")]
        let grpc = Server::bind("ops.grpcBind", config.ops.grpc_bind).await?;
        let ops_state = ops::OpsState::new(config, Instant::now());
        let registry = Arc::<Registry>::default();
        let stream = Arc::clone(&ops_state.stream);
        let is_recorded = setup.gates.is_open(Gate::FlightRecorder);
        let recorder = is_recorded.then(FlightLimits::default);
        let fleet = SharedFleet::new(
            config.fleet_terms(),
            recorder,
            stream,
            Arc::clone(&registry),
        );
        let (cluster, leads) = match workspaces {
            Some(workspaces) => {
                let (running, leads) = workspaces.run(&place, &fleet).await?;
                (Some(running), leads)
            }
            None => (None, watch::channel(true).1),
        };
        let (events, heard) = mpsc::channel(fleet::EVENTS_MAX);
        tokio::spawn(Arc::clone(&fleet).run(heard, leads.clone()));
        let (stop, stopped) = watch::channel(false);
        let state = Arc::new(HubState {
            fleet,
            auth,
            tls: tls.clone(),
            refused: Refused::new(),
            ops: ops_state,
            ops_token,
            look_again: Notify::new(),
            events,
            connections: AtomicU64::new(0),
            places: Arc::new(Semaphore::new(connections.tunnels)),
            registry,
            pressure: Mutex::new(Pressure::new(seed, now)),
            message_bytes: config.limits.message_bytes,
            seed,
            stop: stopped.clone(),
            leads,
            exporter,
            process,
        });
        state.follow_tokens();
        tokio::spawn(Arc::clone(&state).follow_lead());
        tokio::spawn(lookout::run(Arc::clone(&state)));
        let door = Door {
            tls,
            router: endpoint::router(Arc::clone(&state)),
            handshake: config.limits.handshake_timeout.0,
            places: connections.half_open,
        };
        let people = http::Limits {
            connections: OPS_CONNECTIONS_MAX,
            answers: http::Answers::Large,
        };
        let answers = ops::router(Arc::clone(&state));
        ops::start(&state);
        let mut servers = vec![tokio::spawn(door.serve(server, stopped.clone()))];
        #[cfg(feature = "grpc")]
        servers.extend(grpc.map(|it| grpc::serve(it, &state, stopped.clone())));
        servers.push(tokio::spawn(http::serve(
            ops,
            answers.into(),
            people,
            stopped,
        )));
        tracing::info!(
            tunnels = %server_address,
            ops = %ops_address,
            version = crate::VERSION,
            "the hub answers"
        );
        Ok(Self {
            state,
            stop,
            servers,
            cluster,
            server_address,
            ops_address,
            limit: connections.tunnels,
        })
    }

    /// Where agents dial in.
    pub(crate) const fn server_address(&self) -> SocketAddr {
        self.server_address
    }

    /// Where people look.
    pub(crate) const fn ops_address(&self) -> SocketAddr {
        self.ops_address
    }

    /// How it is, for a service manager.
    fn look(&self) -> impl Fn(Instant) -> Look + Send + 'static {
        let state = Arc::clone(&self.state);
        move |now| Look {
            lives: state.stalled(now).is_none(),
            status: state.status(),
        }
    }

    /// Ends the hub: agents are told when to come back, each server ends within a bound.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.state.drain();
        // Every tunnel has a place until its end; with all of them free none is left.
        let all = u32::try_from(self.limit).unwrap_or(u32::MAX);
        let tunnels_end = self.state.places.acquire_many(all);
        if tokio::time::timeout(STOP_MAX, tunnels_end).await.is_err() {
            tracing::warn!("some tunnels did not end in time");
        }
        for server in self.servers {
            if let Err(error) = server.await {
                tracing::warn!(%error, "a server ended badly");
            }
        }
        if let Some(cluster) = self.cluster {
            cluster.stop().await;
        }
        tracing::info!("the hub has ended");
    }
}

// === impl HubState ===

impl HubState {
    fn pressure(&self) -> MutexGuard<'_, Pressure> {
        self.pressure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line for people.
    fn status(&self) -> String {
        if !*self.leads.borrow() {
            return "standing by: another hub leads".to_owned();
        }
        let inner = self.fleet.lock();
        let counts = FleetVerdict::ALL
            .map(|verdict| format!("{} {verdict}", inner.fleet.count(verdict)))
            .join(", ");
        let doubt = if inner.fleet.doubts() {
            "; in doubt"
        } else {
            ""
        };
        format!("agents: {counts}; {} tunnels{doubt}", inner.tunnels())
    }

    /// For how long its loop has made no progress, if that is longer than it may: then it is not
    /// live.
    fn stalled(&self, now: Instant) -> Option<Duration> {
        self.fleet.pulse().stalled(now)
    }

    /// Why agents are to go elsewhere, if they are: then it is not ready.
    fn turns_away(&self) -> Option<&'static str> {
        if *self.stop.borrow() {
            return Some("ShuttingDown");
        }
        (!*self.leads.borrow()).then_some("Standby")
    }

    /// Expects the agents that tokens name, and no others for their sake, as often as the file of
    /// the tokens changed; and ends the tunnels that came in by what is no token any more.
    fn follow_tokens(&self) {
        self.auth.follow(|tokens, changes| {
            self.fleet.expect(changes);
            for connection in self.registry.revoked(|mark| tokens.holds(mark)) {
                let agent = self.fleet.lock().owner(connection);
                tracing::info!(
                    agent,
                    "the token that it showed is not in auth.tokenFile any more: its tunnel is \
                     closed"
                );
                let reason = CloseReason::Other(endpoint::TOKEN_GONE.to_owned());
                self.registry.close(connection, reason, None);
            }
        });
    }

    /// Sends the tunnels to whichever hub leads, once this one does not any more.
    async fn follow_lead(self: Arc<Self>) {
        let mut leads = self.leads.clone();
        while leads.wait_for(|leads| *leads).await.is_ok()
            && leads.wait_for(|leads| !leads).await.is_ok()
        {
            tracing::warn!("this hub does not lead any more: its tunnels are sent away");
            self.drain();
        }
    }

    /// Tells each agent to come back at a time of its own.
    fn drain(&self) {
        let tunnels = self.registry.handles();
        let mut pressure = self.pressure();
        for (tunnel, away) in tunnels.iter().zip(pressure.drain(tunnels.len())) {
            tunnel.close(closing(), Some(away));
        }
    }
}

/// Why tunnels are closed when the hub ends.
fn closing() -> CloseReason {
    CloseReason::ShuttingDown
}

async fn listen(key: &str, bind: SocketAddr) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(bind)
        .await
        .with_context(|| format!("{key}: cannot listen on {bind}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
