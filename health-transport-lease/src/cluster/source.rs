//! What a cluster's client was made from, and whether that has changed since.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::hash::Hash;
use std::hash::Hasher;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::config::Kubeconfig;
use tokio::sync::Mutex;

use super::Access;
use super::ClusterConfig;
use super::ClusterError;

/// What a client was made from, so that it can be made again.
pub(super) struct Source {
    pub(super) config: ClusterConfig,
    pub(super) kubeconfig_env: Option<OsString>,
    pub(super) timeout: Duration,
    /// Nothing where a connection may be silent.
    pub(super) read_timeout: Option<Duration>,
    /// The server's URL, which is the same for good.
    pub(super) server: Arc<str>,
    /// The files as they were last read; locked while they are.
    pub(super) files: Arc<Mutex<Files>>,
}

/// Files, and what stood in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    /// Of the contents: they are secrets, and not kept twice.
    print: u64,
}

// === impl Source ===

impl Source {
    /// Makes the client again if the files are other ones than `seen`; nothing if they are not.
    pub(super) async fn make_again(
        &self,
        seen: &mut Files,
    ) -> Option<Result<Access, ClusterError>> {
        let now = Files::read(seen.paths.clone());
        if now == *seen {
            return None;
        }
        // What cannot be used is told once, and tried again when it has changed again.
        *seen = now;
        let env = self.kubeconfig_env.as_deref();
        let made = self.config.make(env, self.timeout, self.read_timeout);
        match made.await {
            Ok(Some((access, server, files))) if server == self.server => {
                *seen = files;
                Some(Ok(access))
            }
            Ok(Some((_, server, _))) => Some(Err(self.wrong(format!(
                "names the server {server} now, no longer {}: restart the agent to follow it",
                self.server
            )))),
            Ok(None) => Some(Err(self.wrong("no cluster is given any more".to_owned()))),
            Err(error) => Some(Err(error)),
        }
    }
}

impl Source {
    const fn wrong(&self, message: String) -> ClusterError {
        ClusterError::new(self.config.source_key(), message)
    }
}

// === impl Files ===

impl Files {
    pub(super) fn read(paths: Vec<PathBuf>) -> Self {
        let mut hasher = DefaultHasher::new();
        for path in &paths {
            // One that cannot be read is another one than one that can.
            std::fs::read(path).ok().hash(&mut hasher);
        }
        let print = hasher.finish();
        Self { paths, print }
    }
}

/// The files that a kubeconfig names: authorities, certificates, keys, tokens.
pub(super) fn named_files(kubeconfig: &Kubeconfig) -> Vec<PathBuf> {
    let clusters = kubeconfig.clusters.iter();
    let authorities = clusters
        .filter_map(|named| named.cluster.as_ref())
        .map(|cluster| &cluster.certificate_authority);
    let users = kubeconfig.auth_infos.iter();
    let credentials = users
        .filter_map(|named| named.auth_info.as_ref())
        .flat_map(|user| [&user.token_file, &user.client_certificate, &user.client_key]);
    let files = authorities.chain(credentials).flatten();
    files.map(PathBuf::from).collect()
}

/// By what the server of a context is verified, as an operator would look for it.
pub(super) fn trusted(kubeconfig: &Kubeconfig, context: &str, path: &Path) -> String {
    let current = kubeconfig.current_context.as_deref().unwrap_or_default();
    let name = if context.is_empty() { current } else { context };
    let contexts = kubeconfig.contexts.iter();
    let context = contexts
        .filter(|named| named.name == name)
        .find_map(|named| named.context.as_ref());
    let mut clusters = kubeconfig.clusters.iter();
    let cluster = context
        .and_then(|context| clusters.find(|named| named.name == context.cluster))
        .and_then(|named| named.cluster.as_ref());
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let data = cluster.and_then(|cluster| given(&cluster.certificate_authority_data));
    let file = cluster.and_then(|cluster| given(&cluster.certificate_authority));
    match (data, file) {
        (Some(_), _) => format!("certificate-authority-data of {}", path.display()),
        (None, Some(file)) => format!("certificate-authority {file}"),
        (None, None) => "the system's authorities".to_owned(),
    }
}
