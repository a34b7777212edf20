//! What is watched, and how the server is asked about it.

use std::fmt;
use std::time::Duration;

use http::Method;

use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::http_form::RawRequest;
use crate::label::target_label;
use crate::names;

/// One kind of object in one workspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Watched {
    /// The Leases of a namespace that name a SyncTarget by their label.
    Leases {
        /// The namespace.
        namespace: String,
    },
    /// The SyncTargets, which are in no namespace.
    SyncTargets,
}

// === impl Watched ===

impl Watched {
    /// One page of all of them, from the server's newest state.
    ///
    /// No resourceVersion is asked for: what a cache had once would be taken for a change when it
    /// is seen after what is newer.
    pub(super) fn page(&self, limit: usize, next: Option<&str>) -> RawRequest {
        let mut path = format!("{}?limit={limit}", self.path());
        if let Some(selector) = self.selector() {
            path = format!("{path}&labelSelector={selector}");
        }
        if let Some(next) = next {
            path = format!("{path}&continue={}", encoded(next));
        }
        get(path)
    }

    /// Their changes since that resourceVersion.
    pub(super) fn changes(&self, version: &str, stream: Duration) -> RawRequest {
        let mut path = format!(
            "{}?watch=true&allowWatchBookmarks=true&resourceVersion={}&timeoutSeconds={}",
            self.path(),
            encoded(version),
            stream.as_secs()
        );
        if let Some(selector) = self.selector() {
            path = format!("{path}&labelSelector={selector}");
        }
        get(path)
    }

    /// Those Leases that name this target; or the target itself.
    pub(super) fn of_target(&self, target: &str, limit: usize) -> RawRequest {
        match self {
            Self::Leases { .. } => {
                let (label, _) = target_label(target);
                let selector = encoded(&format!("{}={label}", names::SYNC_TARGET));
                get(format!(
                    "{}?limit={limit}&labelSelector={selector}",
                    self.path()
                ))
            }
            Self::SyncTargets => get(format!("{}/{}", self.path(), encoded(target))),
        }
    }

    fn path(&self) -> String {
        match self {
            Self::Leases { namespace } => {
                format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
            }
            Self::SyncTargets => {
                format!(
                    "/apis/{}/{}/{}",
                    names::GROUP,
                    names::VERSION,
                    names::PLURAL
                )
            }
        }
    }

    fn selector(&self) -> Option<String> {
        match self {
            Self::Leases { .. } => Some(encoded(names::SYNC_TARGET)),
            Self::SyncTargets => None,
        }
    }

    /// The same error, saying what could not be done and what would help.
    pub(super) fn explain(&self, operation: &str, error: ApiError) -> ApiError {
        let said = &error.message;
        let help = match (error.kind, self) {
            (ErrorKind::Forbidden, _) => format!("forbidden: {said}: grant {}", self.rights()),
            (ErrorKind::ResourceMissing, Self::SyncTargets) => format!(
                "the server has none there: {said}; \
                 install the CRD (run: syncer-health manifests crd), or check the workspace"
            ),
            (ErrorKind::ResourceMissing, Self::Leases { .. }) => format!(
                "the server has none there: {said}; check the server's URL and the workspace"
            ),
            (
                ErrorKind::AlreadyExists
                | ErrorKind::Conflict
                | ErrorKind::Connection
                | ErrorKind::Expired
                | ErrorKind::Invalid
                | ErrorKind::NamespaceMissing
                | ErrorKind::NotFound
                | ErrorKind::Server
                | ErrorKind::Timeout
                | ErrorKind::TooLarge
                | ErrorKind::TooMany
                | ErrorKind::Unauthorized,
                _,
            ) => said.clone(),
        };
        ApiError {
            message: format!("cannot {operation} {self}: {help}"),
            ..error
        }
    }

    /// What a hub needs.
    const fn rights(&self) -> &'static str {
        match self {
            Self::Leases { .. } => "list and watch on leases.coordination.k8s.io",
            Self::SyncTargets => "get, list and watch on synctargets.workload.kcp.io",
        }
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leases { namespace } => write!(f, "the Leases in namespace {namespace:?}"),
            Self::SyncTargets => f.write_str("the SyncTargets"),
        }
    }
}

const fn get(path: String) -> RawRequest {
    RawRequest {
        method: Method::GET,
        path,
        body: None,
    }
}

/// The text as a part of a URL: what is not unreserved there is written by its bytes.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_a_server_reads_them() {
        let leases = Watched::Leases {
            namespace: "default".to_owned(),
        };
        let all = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
        let label = "labelSelector=syncer-health%2Fsync-target";
        for (request, path) in [
            (leases.page(2, None), format!("{all}?limit=2&{label}")),
            (
                leases.page(2, Some("a+/=&b")),
                format!("{all}?limit=2&{label}&continue=a%2B%2F%3D%26b"),
            ),
            (
                leases.changes("7", Duration::from_secs(30)),
                format!(
                    "{all}?watch=true&allowWatchBookmarks=true&resourceVersion=7\
                     &timeoutSeconds=30&{label}"
                ),
            ),
            (
                leases.of_target("edge-1", 2),
                format!("{all}?limit=2&{label}%3Dedge-1"),
            ),
            (
                Watched::SyncTargets.of_target("../x", 2),
                "/apis/workload.kcp.io/v1alpha1/synctargets/..%2Fx".to_owned(),
            ),
        ] {
            assert_eq!(request.path, path);
        }
    }
}
