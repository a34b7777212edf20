//! Which cluster to talk to. It is never guessed.

use std::ffi::OsStr;
use std::fmt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use http::Uri;
use http::uri::Scheme;
use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use tokio::sync::Mutex;

mod error;

mod source;

pub use error::ClusterError;
pub use error::ClusterKey;
use source::Files;
use source::Source;

/// Where the cluster and the credentials for it are found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterConfig {
    /// A kubeconfig file; empty: what the variable `KUBECONFIG` names, or nothing.
    pub kubeconfig: String,
    /// A context of the kubeconfig; empty: its current one.
    pub context: String,
    /// Whether to use the service account of the pod that this process runs in. Beside a member
    /// cluster that is the *member's* API, not the control plane's.
    pub in_cluster: bool,
    /// A KCP workspace, whose path is appended to the server's URL; empty: the URL as it is.
    pub workspace: String,
}

/// A cluster that can be called.
///
/// A cheap handle. What its files say is read again after a failed connection and after refused
/// credentials, so that a rotated authority, certificate or token is found by itself; what cannot
/// be used keeps the last good.
#[derive(Clone)]
pub struct Cluster {
    access: Arc<RwLock<Access>>,
    server: Arc<str>,
    /// Nothing where the client is a caller's.
    source: Option<Arc<Source>>,
}

/// By what the server is called and verified.
#[derive(Clone)]
struct Access {
    client: Client,
    /// Nothing where that is not known.
    trusts: Option<Arc<str>>,
}

/// What a configuration names.
struct Loaded {
    config: Config,
    files: Vec<PathBuf>,
    trusts: String,
}

/// The path under which KCP serves a workspace.
const CLUSTERS: &str = "/clusters/";

// === impl ClusterConfig ===

impl ClusterConfig {
    /// A client for the configured cluster, or nothing where none is configured.
    ///
    /// `kubeconfig_env` is the value of the variable `KUBECONFIG`. No step of a call on a
    /// connection takes longer than `timeout`; each call has a deadline of its own besides.
    /// The process must have installed a rustls provider, and a tokio runtime must be running.
    ///
    /// # Errors
    ///
    /// If keys contradict each other, a file cannot be read, or the kubeconfig is not complete.
    ///
    /// # Cancel safety
    ///
    /// Nothing is kept when the future is dropped. Reading the files is not bounded in time.
    pub async fn connect(
        &self,
        kubeconfig_env: Option<&OsStr>,
        timeout: Duration,
    ) -> Result<Option<Cluster>, ClusterError> {
        self.connect_with(kubeconfig_env, timeout, Some(timeout))
            .await
    }

    /// The same for streams, which may be silent for as long as there is nothing to say: reading
    /// on a connection takes as long as it takes, and each call, and each stream, is bounded by
    /// whoever reads it.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As of [`connect`](Self::connect).
    pub async fn connect_for_watches(
        &self,
        kubeconfig_env: Option<&OsStr>,
        timeout: Duration,
    ) -> Result<Option<Cluster>, ClusterError> {
        self.connect_with(kubeconfig_env, timeout, None).await
    }

    /// Makes all that [`connect`](Self::connect) makes, and drops it; says whether a cluster is
    /// configured. Nobody is called, and no program is run for the credentials that the kubeconfig
    /// wants from one.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    ///
    /// # Cancel safety
    ///
    /// As of [`connect`](Self::connect).
    pub async fn check(&self, kubeconfig_env: Option<&OsStr>) -> Result<bool, ClusterError> {
        let Some(mut loaded) = self.load(kubeconfig_env).await? else {
            return Ok(false);
        };
        loaded.config.auth_info.exec = None;
        loaded.config.auth_info.auth_provider = None;
        self.client(loaded)?;
        Ok(true)
    }

    async fn connect_with(
        &self,
        kubeconfig_env: Option<&OsStr>,
        timeout: Duration,
        read_timeout: Option<Duration>,
    ) -> Result<Option<Cluster>, ClusterError> {
        let made = self.make(kubeconfig_env, timeout, read_timeout).await?;
        let Some((access, server, files)) = made else {
            return Ok(None);
        };
        let source = Source {
            config: self.clone(),
            kubeconfig_env: kubeconfig_env.map(OsStr::to_owned),
            timeout,
            read_timeout,
            server: Arc::clone(&server),
            files: Arc::new(Mutex::new(files)),
        };
        Ok(Some(Cluster {
            access: Arc::new(RwLock::new(access)),
            server,
            source: Some(Arc::new(source)),
        }))
    }

    /// A client, the server's URL, and the files that the client was made from.
    async fn make(
        &self,
        kubeconfig_env: Option<&OsStr>,
        timeout: Duration,
        read_timeout: Option<Duration>,
    ) -> Result<Option<(Access, Arc<str>, Files)>, ClusterError> {
        let Some(first) = self.load(kubeconfig_env).await? else {
            return Ok(None);
        };
        // Read between two loads: what changes meanwhile is in the second, or differs later.
        let files = Files::read(first.files);
        let Some(mut loaded) = self.load(kubeconfig_env).await? else {
            return Ok(None);
        };
        loaded.config.connect_timeout = Some(timeout);
        loaded.config.read_timeout = read_timeout;
        loaded.config.write_timeout = Some(timeout);
        let (access, server) = self.client(loaded)?;
        Ok(Some((access, server, files)))
    }

    /// A client, and the server's URL.
    fn client(&self, loaded: Loaded) -> Result<(Access, Arc<str>), ClusterError> {
        let mut config = loaded.config;
        config.cluster_url = self.address(&config.cluster_url)?;
        // Otherwise the time that a connection was idle counts against the next answer.
        config.reset_reader_on_write = true;
        if config.cluster_url.scheme() == Some(&Scheme::HTTP) {
            // Otherwise the system's authorities are read, and kept for as long as the client.
            config.root_cert.get_or_insert_default();
        }
        // Retries are decisions, and decided elsewhere.
        config.default_retry = false;
        let server = shown(&config.cluster_url);
        let client = Client::try_from(config).map_err(|error| {
            let message = format!("cannot make a client for {server}");
            ClusterError::new(self.source_key(), message).with_source(error)
        })?;
        let access = Access {
            client,
            trusts: Some(loaded.trusts.into()),
        };
        Ok((access, server.into()))
    }

    /// The key of what says where the cluster is.
    const fn source_key(&self) -> ClusterKey {
        if self.in_cluster {
            ClusterKey::InCluster
        } else if self.kubeconfig.is_empty() {
            ClusterKey::Variable
        } else {
            ClusterKey::Kubeconfig
        }
    }

    async fn load(&self, env: Option<&OsStr>) -> Result<Option<Loaded>, ClusterError> {
        if self.in_cluster {
            return self.load_in_cluster().map(Some);
        }
        let paths = self.paths(env);
        if paths.is_empty() {
            return if self.context.is_empty() {
                Ok(None)
            } else {
                let message = format!(
                    "is {:?}, but there is no kubeconfig; set cluster.kubeconfig or the variable \
                     KUBECONFIG",
                    self.context
                );
                Err(ClusterError::new(ClusterKey::Context, message))
            };
        }
        let mut merged = Kubeconfig::default();
        for path in &paths {
            merged = Kubeconfig::read_from(path)
                .and_then(|next| merged.merge(next))
                .map_err(|error| ClusterError::unreadable(self.source_key(), path, error))?;
        }
        let options = KubeConfigOptions {
            context: Some(self.context.clone()).filter(|context| !context.is_empty()),
            ..KubeConfigOptions::default()
        };
        let trusts = source::trusted(&merged, &self.context, &paths[0]);
        let mut files = source::named_files(&merged);
        let config = Config::from_custom_kubeconfig(merged, &options).await;
        let config = config.map_err(|error| {
            ClusterError::unusable(self.source_key(), &self.context, &paths[0], error)
        })?;
        if config.root_cert.as_ref().is_some_and(Vec::is_empty) {
            let message = format!(
                "{:?}: its certificate-authority holds no certificate, expected PEM",
                paths[0]
            );
            return Err(ClusterError::new(self.source_key(), message));
        }
        files.extend(paths);
        Ok(Some(Loaded {
            config,
            files,
            trusts,
        }))
    }

    fn load_in_cluster(&self) -> Result<Loaded, ClusterError> {
        let wrong = |message: &str| ClusterError::new(ClusterKey::InCluster, message.to_owned());
        if !self.kubeconfig.is_empty() || !self.context.is_empty() {
            return Err(wrong(
                "cannot be used with cluster.kubeconfig and cluster.context",
            ));
        }
        if !self.workspace.is_empty() {
            return Err(wrong(
                "cannot be used with a workspace: the cluster that this pod runs in is the member, \
                 and no kcp; give a kubeconfig of kcp",
            ));
        }
        let config = Config::incluster().map_err(|error| {
            wrong("is true, but this is not a pod with a service account").with_source(error)
        })?;
        let token = config.auth_info.token_file.as_ref().map(PathBuf::from);
        let authority = config.root_cert_file.clone();
        Ok(Loaded {
            config,
            files: token.into_iter().chain(authority).collect(),
            trusts: "the service account's ca.crt".to_owned(),
        })
    }

    fn paths(&self, env: Option<&OsStr>) -> Vec<PathBuf> {
        if !self.kubeconfig.is_empty() {
            return vec![Path::new(&self.kubeconfig).to_owned()];
        }
        let env = env.unwrap_or_default();
        std::env::split_paths(env)
            .filter(|path| !path.as_os_str().is_empty())
            .collect()
    }

    /// The URL with the workspace's path.
    fn address(&self, server: &Uri) -> Result<Uri, ClusterError> {
        let path = server.path().trim_end_matches('/');
        if self.workspace.is_empty() {
            return Ok(server.clone());
        }
        let there = path.find(CLUSTERS).map(|at| &path[at + CLUSTERS.len()..]);
        match there {
            Some(there) if there == self.workspace => return Ok(server.clone()),
            Some(there) => {
                let message = format!(
                    "is {:?}, but the server's URL {} names {there:?}; set cluster.context to one \
                     without {CLUSTERS}, or the workspace to that one",
                    self.workspace,
                    shown(server)
                );
                return Err(ClusterError::new(ClusterKey::Workspace, message));
            }
            None => {}
        }
        let mut parts = server.clone().into_parts();
        let joined = format!("{path}{CLUSTERS}{}", self.workspace);
        let invalid = |_| {
            let message = format!(
                "{:?} is no workspace; write it as root:org:edge",
                self.workspace
            );
            ClusterError::new(ClusterKey::Workspace, message)
        };
        if self.workspace.contains(['/', '?', '#']) {
            return Err(invalid(()));
        }
        parts.path_and_query = Some(joined.parse().map_err(|_| invalid(()))?);
        Uri::from_parts(parts).map_err(|_| invalid(()))
    }
}

/// The URL without user information and query.
fn shown(server: &Uri) -> String {
    let scheme = server.scheme_str().unwrap_or("http");
    let port = server
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    let host = server.host().unwrap_or_default();
    let path = server.path().trim_end_matches('/');
    format!("{scheme}://{host}{port}{path}")
}

// === impl Cluster ===

impl Cluster {
    /// A cluster behind a client of the caller's; `server` is its URL, as errors show it.
    ///
    /// The client must not retry by itself: retries inside a deadline are the machines' decision.
    #[must_use]
    pub fn new(client: Client, server: impl Into<Arc<str>>) -> Self {
        let access = Access {
            client,
            trusts: None,
        };
        Self {
            access: Arc::new(RwLock::new(access)),
            server: server.into(),
            source: None,
        }
    }

    /// The client, by what its files said when they were last read.
    #[must_use]
    pub fn client(&self) -> Client {
        self.access().client
    }

    /// By what the server is verified, where that is known.
    pub(crate) fn trusts(&self) -> Option<Arc<str>> {
        self.access().trusts
    }

    /// Reads the files again, and makes the client anew if they have changed.
    ///
    /// # Cancel safety
    ///
    /// The reading goes on when the future is dropped; there is never a second one beside it.
    pub(crate) async fn refresh(&self) {
        let Some(source) = self.source.clone() else {
            return;
        };
        let Ok(mut seen) = Arc::clone(&source.files).try_lock_owned() else {
            return;
        };
        let (access, server) = (Arc::clone(&self.access), Arc::clone(&self.server));
        let runtime = tokio::runtime::Handle::current();
        let read = tokio::task::spawn_blocking(move || {
            match runtime.block_on(source.make_again(&mut seen)) {
                None => {}
                Some(Ok(made)) => {
                    *access.write().unwrap_or_else(PoisonError::into_inner) = made;
                    tracing::info!(%server, "the credentials' files have changed: they are used");
                }
                Some(Err(error)) => {
                    let error = crate::exchange::chain(&error);
                    tracing::warn!(%server, "the credentials stay as they are: {error}");
                }
            }
        });
        // A panic leaves the last good.
        let _ = read.await;
    }

    fn access(&self) -> Access {
        let access = self.access.read();
        access.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The server's URL, without secrets.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.server).finish()
    }
}

#[cfg(test)]
mod tests;
