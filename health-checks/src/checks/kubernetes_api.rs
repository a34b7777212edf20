//! `kubernetesApi`: whether a Kubernetes API server is ready.

use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use health_core::Outcome;
use health_core::Paired;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::HttpTarget;
use crate::checks::InvalidTarget;
use crate::checks::Material;
use crate::checks::dial::unbracketed;
use crate::checks::fetch::Answer;
use crate::checks::fetch::FetchError;
use crate::checks::fetch::Fetcher;

mod endpoint;

mod judge;

use endpoint::Endpoint;
use endpoint::Memory;
use judge::judge;

/// Which API server a [`KubernetesApiCheck`] asks.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KubernetesApiConfig {
    /// The server, as a kubeconfig names it: the check asks `/readyz` below it.
    pub target: HttpTarget,
    /// From how long an answer, in seconds, on it is Degraded or Unhealthy. Default: Degraded from
    /// 2 on, which is how long the API server itself lets its store take, and no other limit.
    pub latency_seconds: Paired,
}

/// Whether a Kubernetes API server is ready.
///
/// It asks `/readyz` below the target's URL, and `/healthz` where that is 404, as on old servers.
/// A path of the URL is kept, since some servers stand behind one: KCP answers below each of its
/// workspaces, and says 404 below one that does not exist. The answer is the server's in any case,
/// not that of a workspace.
///
/// | answer | status | reason |
/// | --- | --- | --- |
/// | 200 with the body `ok` | Healthy, or what the latency says | `LatencyHigh` |
/// | 200 with another body, as a login page | Unhealthy | `UnexpectedBody` |
/// | 5xx that lists failing checks | Unhealthy | `ApiServerNotReady`, the message names them |
/// | another 5xx | Unhealthy | `ServerError` |
/// | 401, 403: it is there, but we are not let in | Unhealthy | `Unauthorized`, `Forbidden` |
/// | 404, also at `/healthz` | Unhealthy | `NotFound` |
/// | 429: it works, but turns requests away | Degraded | `TooManyRequests` |
/// | none, a redirect, another status | Unhealthy | those of [`HttpCheck`](crate::checks::HttpCheck) |
///
/// ```
/// use std::path::Path;
/// use health_checks::checks::HttpTarget;
/// use health_checks::checks::KubernetesApiCheck;
/// use health_checks::checks::KubernetesApiConfig;
///
/// let target = HttpTarget::new("https://kcp.example:6443/clusters/root:org")?;
/// let mut config = KubernetesApiConfig::new(target);
/// config.latency_seconds.unhealthy = Some(10.0);
/// let check = KubernetesApiCheck::new(config)?;
///
/// // The environment's KUBERNETES_SERVICE_HOST and _PORT, in a pod.
/// let own = KubernetesApiConfig::in_cluster("fd00::1", 443, Path::new(
///     KubernetesApiConfig::SERVICE_ACCOUNT,
/// ))?;
/// assert_eq!(own.target.shown(), "https://[fd00::1]:443/");
/// # Ok::<(), health_checks::checks::InvalidTarget>(())
/// ```
#[derive(Debug)]
pub struct KubernetesApiCheck {
    latency_seconds: Paired,
    fetcher: Fetcher,
    memory: Mutex<Memory>,
}

/// So much of a body is read: many times what a server with all its checks failing says.
const BODY_MAX: usize = 64 * 1024;

/// Judges an answer.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(status: u16, body: &[u8]) {
    let Ok(status) = http::StatusCode::from_u16(status) else {
        return;
    };
    let answer = Answer {
        status,
        location: None,
        body: body.to_vec().into(),
        is_whole: true,
        latency: std::time::Duration::from_millis(1),
    };
    let outcome = judge(&answer, Paired::default());
    assert!(!outcome.message.contains(char::is_control), "{outcome:?}");
}

// === impl KubernetesApiConfig ===

impl KubernetesApiConfig {
    /// Where a pod finds its service account.
    pub const SERVICE_ACCOUNT: &'static str = "/var/run/secrets/kubernetes.io/serviceaccount";

    /// Asks `target`, with the default limits.
    #[must_use]
    pub const fn new(target: HttpTarget) -> Self {
        Self {
            target,
            latency_seconds: Paired {
                degraded: Some(2.0),
                unhealthy: None,
            },
        }
    }

    /// Asks the API server of the cluster that a pod runs in, with the files `token` and `ca.crt`
    /// of the folder `service_account`. They are read when the check is made.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] if `host` is neither a name nor an address.
    pub fn in_cluster(
        host: &str,
        port: u16,
        service_account: &Path,
    ) -> Result<Self, InvalidTarget> {
        let host = match host.parse::<Ipv6Addr>() {
            Ok(address) => format!("[{address}]"),
            Err(_) => host.to_owned(),
        };
        let mut target = HttpTarget::new(&format!("https://{host}:{port}/"))?;
        if target.host() != unbracketed(&host) {
            return Err(InvalidTarget::Host);
        }
        target.bearer_token = Some(Material::File(service_account.join("token")));
        target.ca = Some(Material::File(service_account.join("ca.crt")));
        Ok(Self::new(target))
    }
}

// === impl KubernetesApiCheck ===

impl KubernetesApiCheck {
    /// A check as `config` says. Reads the files that it names.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] if the target cannot be asked, or a file cannot be read.
    pub fn new(config: KubernetesApiConfig) -> Result<Self, InvalidTarget> {
        Ok(Self {
            latency_seconds: config.latency_seconds,
            fetcher: Fetcher::new(config.target)?,
            memory: Mutex::default(),
        })
    }

    /// The last answer, and who gave it.
    async fn ask(&self, cx: CheckContext) -> Result<(Endpoint, Answer), (Endpoint, FetchError)> {
        let mut endpoint = self.remembered(|memory| memory.first());
        loop {
            let answer = self.fetcher.fetch_below(endpoint.path(), BODY_MAX, cx);
            let answer = answer.await.map_err(|error| (endpoint, error))?;
            match self.remembered(|memory| memory.answered(endpoint, answer.status)) {
                Some(other) => endpoint = other,
                None => return Ok((endpoint, answer)),
            }
        }
    }

    fn remembered<T>(&self, of: impl FnOnce(&mut Memory) -> T) -> T {
        of(&mut self.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait::async_trait]
impl HealthChecker for KubernetesApiCheck {
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError> {
        let (endpoint, mut outcome) = match self.ask(cx).await {
            Ok((endpoint, answer)) => (endpoint, judge(&answer, self.latency_seconds)),
            Err((endpoint, FetchError::Failed(failure))) => (endpoint, failure.into()),
            Err((_, FetchError::NotAsked(error))) => return Err(error),
        };
        if !outcome.message.is_empty() {
            let shown = self.fetcher.target().shown_below(endpoint.path());
            outcome.message = format!("{shown}: {}", outcome.message);
        }
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests;
