//! The hub's side of the API server: what it watches, what it writes, whom it asks, who leads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::AgentView;
use health_heartbeat::Identity;
use health_transport_lease::Access;
use health_transport_lease::AccessConfig;
use health_transport_lease::AccessReviewer;
use health_transport_lease::Cluster;
use health_transport_lease::ClusterConfig;
use health_transport_lease::ClusterError;
use health_transport_lease::Leader;
use health_transport_lease::LeaderConfig;
use health_transport_lease::LeaseConfig;
use health_transport_lease::VerdictConfig;
use health_transport_lease::VerdictWriter;
use health_transport_lease::watch::LiveReader;
use health_transport_lease::watch::Seen;
use health_transport_lease::watch::Sighting;
use health_transport_lease::watch::WatchConfig;
use health_transport_lease::watch::Watcher;
use secrecy::ExposeSecret;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::auth::Review;
use super::auth::Reviewer;
use super::fleet::SharedFleet;
use super::plane::ControlPlane;
use crate::config::ConfigError;
use crate::config::HubClusterConfig;
use crate::config::HubConfig;
use crate::config::Problem;
use crate::config::Problems;

mod evidence;

mod looker;

mod wish;

use evidence::Shown;
use looker::Looker;
use wish::Now;

/// The workspaces that a hub serves.
#[derive(Debug)]
pub(super) struct Workspaces {
    by_name: BTreeMap<String, Arc<Workspace>>,
}

/// What runs beside them; dropping it ends all of it.
#[derive(Debug)]
pub(super) struct Running {
    workspaces: Arc<Workspaces>,
    leader: Option<Leader>,
    _tasks: JoinSet<()>,
}

/// One workspace.
#[derive(Debug)]
struct Workspace {
    cluster: Cluster,
    /// For what may be silent for long.
    streams: Cluster,
    shown: Mutex<Shown>,
    looker: Looker,
    writer: Option<VerdictWriter>,
    reviewer: AccessReviewer,
}

/// Where the API server is, and who this hub is there.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) config: &'a HubConfig,
    pub(super) kubeconfig_variable: Option<&'a str>,
    pub(super) identity: &'a Identity,
    pub(super) seed: u64,
}

/// For one call, and for a connection to be made.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Seen and not taken yet, of one workspace; beyond that its watches wait.
const SIGHTINGS_MAX: usize = 1024;

/// Finds what is wrong with the files that say where each workspace is. Nobody is called.
pub(super) async fn check(
    config: &HubConfig,
    kubeconfig_variable: Option<&str>,
    problems: &mut Problems,
) {
    let config = &config.cluster;
    let variable = kubeconfig_variable.map(OsStr::new);
    for name in names(config).filter(|_| config.enabled) {
        let checked = cluster_config(config, name).check(variable).await;
        let checked = checked.map_err(|error| unusable(config, name, error));
        problems.take(checked.and_then(|is_given| is_given.then_some(()).ok_or_else(none_given)));
    }
}

// === impl Workspaces ===

impl Workspaces {
    /// Connects to each workspace; nothing where no cluster is asked for.
    pub(super) async fn connect(place: &Place<'_>) -> anyhow::Result<Option<Arc<Self>>> {
        let config = &place.config.cluster;
        if !config.enabled {
            return Ok(None);
        }
        let mut by_name = BTreeMap::new();
        for name in names(config) {
            let workspace = Workspace::connect(place, name).await?;
            by_name.insert(name.to_owned(), Arc::new(workspace));
        }
        Ok(Some(Arc::new(Self { by_name })))
    }

    /// Asks the workspace's server about tokens.
    pub(super) fn reviewer(self: &Arc<Self>) -> Reviewer {
        let workspaces = Arc::clone(self);
        Reviewer::new(move |token, id| {
            let workspaces = Arc::clone(&workspaces);
            Box::pin(async move {
                let Some(workspace) = workspaces.of(&id) else {
                    let why = format!("this hub does not serve the workspace {:?}", id.workspace);
                    return Review::Forbidden { why };
                };
                let access = workspace.reviewer.review(token.expose_secret(), &id.name);
                match access.await {
                    Access::Allowed { user } => Review::Allowed { user },
                    Access::Unauthenticated => Review::Unauthenticated,
                    Access::Forbidden { why, .. } => Review::Forbidden { why },
                    Access::Unavailable { error, .. } => Review::Unavailable { why: error },
                }
            })
        })
    }

    /// Begins to watch, to look and to write; who leads is told by the receiver that comes back.
    pub(super) async fn run(
        self: Arc<Self>,
        place: &Place<'_>,
        fleet: &Arc<SharedFleet>,
    ) -> anyhow::Result<(Running, watch::Receiver<bool>)> {
        let config = &place.config.cluster;
        fleet.set_plane(Arc::clone(&self) as Arc<dyn ControlPlane>);
        let mut tasks = JoinSet::new();
        let watched = WatchConfig::new(&config.namespace)?;
        for (number, workspace) in self.by_name.values().enumerate() {
            let (sender, seen) = mpsc::channel(SIGHTINGS_MAX);
            let seed = place.seed.wrapping_add(number as u64);
            let watcher = Watcher::spawn(&workspace.streams, &watched, seed, &sender);
            let (one, other) = (Arc::clone(workspace), Arc::clone(workspace));
            tasks.spawn(listen(one, Arc::clone(fleet), watcher, seen));
            tasks.spawn(Looker::run(other, Arc::clone(fleet)));
        }
        let (leads, leading) = watch::channel(!config.leader_lease.enabled);
        let leader = if config.leader_lease.enabled {
            let leader = elect(place).await?;
            let mut leadership = leader.leadership();
            tasks.spawn(async move {
                loop {
                    leads.send_replace(leadership.borrow_and_update().leads());
                    if leadership.changed().await.is_err() {
                        return;
                    }
                }
            });
            Some(leader)
        } else {
            self.lead(true);
            tasks.spawn(async move { leads.closed().await });
            None
        };
        let running = Running {
            workspaces: self,
            leader,
            _tasks: tasks,
        };
        Ok((running, leading))
    }

    fn of(&self, id: &AgentId) -> Option<&Arc<Workspace>> {
        self.by_name.get(&id.workspace)
    }
}

impl ControlPlane for Workspaces {
    fn judged(&self, agent: AgentView<'_>) {
        let writer = self.of(agent.id()).and_then(|it| it.writer.as_ref());
        if let Some(writer) = writer {
            writer.tell(&agent.id().name, wish::wish(agent, Now::read()));
        }
    }

    fn look(&self, agent: AgentKey, id: &AgentId, _by: Instant) {
        if let Some(workspace) = self.of(id) {
            workspace.looker.want(agent, &id.name);
        }
    }

    fn lead(&self, leads: bool) {
        let writers = self.by_name.values().filter_map(|it| it.writer.as_ref());
        for writer in writers {
            writer.set_active(leads);
        }
    }

    fn forgotten(&self, id: &AgentId) {
        if let Some(writer) = self.of(id).and_then(|it| it.writer.as_ref()) {
            writer.forget(&id.name);
        }
    }
}

// === impl Running ===

impl Running {
    /// Writes no more, and lets another hub lead.
    pub(super) async fn stop(self) {
        self.workspaces.lead(false);
        if let Some(leader) = &self.leader {
            leader.release().await;
        }
    }
}

// === impl Workspace ===

impl Workspace {
    async fn connect(place: &Place<'_>, name: &str) -> anyhow::Result<Self> {
        let config = &place.config.cluster;
        let (cluster, streams) = (
            connect(place, name, false).await?,
            connect(place, name, true).await?,
        );
        let watched = WatchConfig::new(&config.namespace)?;
        let writer = config
            .write_conditions
            .then(|| VerdictWriter::spawn(cluster.clone(), VerdictConfig::default(), place.seed));
        Ok(Self {
            shown: Mutex::new(Shown::new(name.to_owned())),
            looker: Looker::new(LiveReader::new(cluster.clone(), watched), Instant::now()),
            reviewer: AccessReviewer::new(cluster.clone(), AccessConfig::default(), place.seed),
            writer,
            cluster,
            streams,
        })
    }

    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the writer has to know of its targets beside the verdicts.
    fn tell_writer(&self, sighting: &Sighting) {
        let Some(writer) = &self.writer else {
            return;
        };
        match &sighting.what {
            Seen::Target { target, sight } => writer.seen(target, sight),
            Seen::TargetGone { target } => writer.forget(target),
            Seen::Lease { .. }
            | Seen::LeaseGone { .. }
            | Seen::Synced
            | Seen::Stalled { .. }
            | Seen::Broken { .. }
            | Seen::Recovered
            | Seen::TooMany { .. } => {}
        }
    }
}

/// Hands in what a workspace's watches see.
async fn listen(
    workspace: Arc<Workspace>,
    fleet: Arc<SharedFleet>,
    _watcher: Watcher,
    mut seen: mpsc::Receiver<Sighting>,
) {
    while let Some(sighting) = seen.recv().await {
        log(&workspace, &sighting);
        workspace.tell_writer(&sighting);
        let wall = SystemTime::now() - sighting.at.elapsed();
        fleet.with(|fleet| workspace.shown().saw(&sighting, wall, fleet));
    }
}

fn log(workspace: &Workspace, sighting: &Sighting) {
    let (server, of) = (workspace.cluster.server(), &sighting.of);
    match &sighting.what {
        Seen::Synced => tracing::info!(server, ?of, "the watch has read all there is"),
        Seen::Stalled { since } => tracing::warn!(
            server,
            ?of,
            silent = ?since.elapsed(),
            "the watch has stalled; nobody is convicted by its silence"
        ),
        Seen::Broken { error } => tracing::warn!(server, %error, "the watch is broken"),
        Seen::Recovered => tracing::info!(server, ?of, "the watch goes on"),
        Seen::TooMany { kept } => tracing::warn!(
            server,
            ?of,
            kept,
            "there are more objects than are kept; divide the fleet by workspaces"
        ),
        Seen::Lease { .. }
        | Seen::LeaseGone { .. }
        | Seen::Target { .. }
        | Seen::TargetGone { .. } => {}
    }
}

async fn elect(place: &Place<'_>) -> anyhow::Result<Leader> {
    let config = &place.config.cluster;
    let lease = LeaseConfig::new(&config.namespace, &config.leader_lease.name, "")?;
    let lease = LeaderConfig::new(lease, LeaderConfig::DURATION)?;
    let cluster = connect(place, "", false).await?;
    Ok(Leader::spawn(cluster, &lease, place.identity, place.seed))
}

async fn connect(place: &Place<'_>, workspace: &str, streams: bool) -> anyhow::Result<Cluster> {
    let config = &place.config.cluster;
    let cluster = cluster_config(config, workspace);
    let variable = place.kubeconfig_variable.map(OsStr::new);
    let connected = if streams {
        cluster.connect_for_watches(variable, CALL_TIMEOUT).await
    } else {
        cluster.connect(variable, CALL_TIMEOUT).await
    };
    let connected = connected.map_err(|error| unusable(config, workspace, error))?;
    Ok(connected.ok_or_else(none_given)?)
}

/// The workspaces that are served; without a list it is the kubeconfig's own.
fn names(config: &HubClusterConfig) -> impl Iterator<Item = &str> {
    let own = config.workspaces.is_empty().then_some("");
    own.into_iter()
        .chain(config.workspaces.iter().map(String::as_str))
}

fn cluster_config(config: &HubClusterConfig, workspace: &str) -> ClusterConfig {
    ClusterConfig {
        kubeconfig: config.kubeconfig.clone(),
        context: config.context.clone(),
        in_cluster: config.in_cluster,
        workspace: workspace.to_owned(),
    }
}

fn unusable(config: &HubClusterConfig, workspace: &str, error: ClusterError) -> ConfigError {
    let number = config.workspaces.iter().position(|it| it == workspace);
    let key = format!("cluster.workspaces[{}]", number.unwrap_or_default());
    Problem::of_cluster(error, &key).into()
}

fn none_given() -> ConfigError {
    let what = "is true, but no cluster is given; set cluster.kubeconfig, KUBECONFIG, or \
                cluster.inCluster";
    ConfigError::one("cluster.enabled", what)
}
