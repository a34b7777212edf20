//! What is wrong where no cluster can be called.

use std::error::Error;
use std::fmt;
use std::path::Path;

use kube::config::KubeconfigError;

/// Indicates a configuration by which no cluster can be called; names the key. Permanent.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {message}")]
#[non_exhaustive]
pub struct ClusterError {
    key: ClusterKey,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// What is to be mended where no cluster can be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClusterKey {
    /// [`crate::ClusterConfig::context`].
    Context,
    /// [`crate::ClusterConfig::in_cluster`].
    InCluster,
    /// [`crate::ClusterConfig::kubeconfig`].
    Kubeconfig,
    /// The environment's `KUBECONFIG`, where no other kubeconfig is given.
    Variable,
    /// [`crate::ClusterConfig::workspace`].
    Workspace,
}

// === impl ClusterError ===

impl ClusterError {
    pub(super) const fn new(key: ClusterKey, message: String) -> Self {
        Self {
            key,
            message,
            source: None,
        }
    }

    /// What is to be mended. Its message begins with it.
    #[must_use]
    pub const fn key(&self) -> ClusterKey {
        self.key
    }

    /// The kubeconfig that `key` gives cannot be read. What stands in it is not repeated, since it
    /// may be a secret.
    pub(super) fn unreadable(key: ClusterKey, path: &Path, error: KubeconfigError) -> Self {
        if let KubeconfigError::Parse(error) = error {
            let at = error.location().map_or_else(String::new, |at| {
                format!(" at line {}, column {}", at.line(), at.column())
            });
            let what = "it is not YAML, or a value is of the wrong kind";
            return Self::new(key, format!("{path:?} is no kubeconfig{at}: {what}"));
        }
        if let KubeconfigError::ReadConfig(error, _) = error {
            return Self::new(key, format!("cannot read the file {path:?}")).with_source(error);
        }
        Self::new(key, format!("cannot use {path:?}")).with_source(error)
    }

    /// The kubeconfig that `key` gives can be read, and its `context` cannot be used; an empty one
    /// is the current one.
    pub(super) fn unusable(
        key: ClusterKey,
        context: &str,
        path: &Path,
        error: KubeconfigError,
    ) -> Self {
        let shown = match (context, &error) {
            ("", KubeconfigError::CurrentContextNotSet) => {
                let what = "has no current-context; set cluster.context to one that it has";
                return Self::new(key, format!("{path:?} {what}"));
            }
            ("", _) => "its current context".to_owned(),
            (name, KubeconfigError::LoadContext(_)) => {
                let message =
                    format!("{path:?} has no context {name:?}; set it to one that it has");
                return Self::new(ClusterKey::Context, message);
            }
            (name, _) => format!("its context {name:?}"),
        };
        Self::new(key, format!("{path:?}: cannot use {shown}")).with_source(error)
    }

    pub(super) fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

// === impl ClusterKey ===

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Context => "context",
            Self::InCluster => "inCluster",
            Self::Kubeconfig => "kubeconfig",
            Self::Variable => "KUBECONFIG",
            Self::Workspace => "workspace",
        })
    }
}
