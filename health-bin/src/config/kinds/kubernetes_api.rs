//! Which API server a component of the kind `kubernetesApi` asks, and as whom.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use health_checks::checks::HttpTarget;
use health_checks::checks::KubernetesApiCheck;
use health_checks::checks::KubernetesApiConfig;
use serde::Deserialize;
use serde::Serialize;

use super::PairedConfig;
use super::credentials::Credentials;
use super::set_checked;
use crate::config::Environment;
use crate::config::kubeconfig::Kubeconfig;

/// Asks a Kubernetes API server whether it is ready.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct KubernetesApiKind {
    /// The API server. Empty: as `kubeconfig` or `inCluster` say; without either the cluster that
    /// this pod runs in, or else the environment's `KUBECONFIG`.
    #[cfg_attr(test, schemars(regex(pattern = r"^$|^https?://")))]
    pub(crate) url: String,
    /// The file with the bearer token that is sent.
    pub(crate) token_file: Option<PathBuf>,
    /// PEM with the authorities that are believed. Without it: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM with the client's certificate; together with `keyFile`.
    pub(crate) cert_file: Option<PathBuf>,
    /// PEM with the client's key; together with `certFile`.
    pub(crate) key_file: Option<PathBuf>,
    /// The file that says which API server, and who asks.
    pub(crate) kubeconfig: String,
    /// The context of the kubeconfig. Empty: its current one.
    pub(crate) context: String,
    /// Whether it is the API server of the cluster that this pod runs in.
    pub(crate) in_cluster: bool,
    /// How long the answer may take.
    pub(crate) latency_seconds: Option<PairedConfig>,
    /// What the environment says, for where nothing is given.
    #[serde(skip)]
    pub(crate) surroundings: Surroundings,
}

/// What the environment says about API servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Surroundings {
    /// `KUBERNETES_SERVICE_HOST`.
    host: String,
    /// `KUBERNETES_SERVICE_PORT`.
    port: String,
    /// `KUBECONFIG`.
    kubeconfig: String,
}

/// Where the API server is found.
#[derive(Debug, PartialEq, Eq)]
enum Place<'a> {
    Url(&'a str),
    /// One file, or several as the variable `KUBECONFIG` names them.
    Kubeconfig(Vec<PathBuf>),
    InCluster {
        host: &'a str,
        port: u16,
    },
}

// === impl KubernetesApiKind ===

impl KubernetesApiKind {
    pub(super) fn make(&self) -> anyhow::Result<KubernetesApiCheck> {
        let credentials = Credentials {
            token_file: self.token_file.as_ref(),
            ca_file: self.ca_file.as_ref(),
            cert_file: self.cert_file.as_ref(),
            key_file: self.key_file.as_ref(),
        };
        let mut config = match self.place()? {
            Place::Url(url) => KubernetesApiConfig::new(HttpTarget::new(url).context("url")?),
            Place::Kubeconfig(paths) => {
                let kubeconfig = Kubeconfig::read(&paths)?;
                let chosen = kubeconfig.context(&self.context)?;
                let mut target = chosen.target()?;
                if !credentials.name_somebody() {
                    chosen.identify(&mut target)?;
                }
                KubernetesApiConfig::new(target)
            }
            Place::InCluster { host, port } => {
                let service_account = Path::new(KubernetesApiConfig::SERVICE_ACCOUNT);
                KubernetesApiConfig::in_cluster(host, port, service_account)
                    .context("KUBERNETES_SERVICE_HOST")?
            }
        };
        credentials.give(&mut config.target)?;
        let limits = &mut config.latency_seconds;
        set_checked(limits, self.latency_seconds, "latencySeconds")?;
        Ok(KubernetesApiCheck::new(config)?)
    }

    fn place(&self) -> anyhow::Result<Place<'_>> {
        let given = [
            !self.url.is_empty(),
            !self.kubeconfig.is_empty(),
            self.in_cluster,
        ];
        let count = given.into_iter().filter(|given| *given).count();
        anyhow::ensure!(
            count < 2,
            "url, kubeconfig and inCluster contradict each other; give one of them"
        );
        let has_context = !self.context.is_empty();
        anyhow::ensure!(
            !has_context || (self.url.is_empty() && !self.in_cluster),
            "context: it belongs to a kubeconfig; leave it out, or give kubeconfig"
        );
        let around = &self.surroundings;
        if !self.url.is_empty() {
            Ok(Place::Url(&self.url))
        } else if !self.kubeconfig.is_empty() {
            Ok(Place::Kubeconfig(vec![PathBuf::from(&self.kubeconfig)]))
        } else if self.in_cluster || !(around.host.is_empty() || has_context) {
            around.in_cluster()
        } else if !around.kubeconfig.is_empty() {
            let paths = std::env::split_paths(&around.kubeconfig);
            let paths = paths.filter(|path| !path.as_os_str().is_empty());
            Ok(Place::Kubeconfig(paths.collect()))
        } else {
            anyhow::bail!(
                "no API server is given: give url, kubeconfig or inCluster: true (this is no pod, \
                 and the environment has no KUBECONFIG)"
            )
        }
    }
}

// === impl Surroundings ===

impl Surroundings {
    fn in_cluster(&self) -> anyhow::Result<Place<'_>> {
        anyhow::ensure!(
            !self.host.is_empty(),
            "inCluster: this is no pod, since the environment has no KUBERNETES_SERVICE_HOST; \
             give url or kubeconfig"
        );
        let port = self.port.parse();
        let port = port.ok().filter(|port| *port > 0).with_context(|| {
            let port = &self.port;
            format!("KUBERNETES_SERVICE_PORT of the environment is {port:?}, it must be a port")
        })?;
        let host = &self.host;
        Ok(Place::InCluster { host, port })
    }
}

impl From<&Environment> for Surroundings {
    fn from(environment: &Environment) -> Self {
        let variable = |name: &str| environment.get(name).cloned().unwrap_or_default();
        Self {
            host: variable("KUBERNETES_SERVICE_HOST"),
            port: variable("KUBERNETES_SERVICE_PORT"),
            kubeconfig: variable("KUBECONFIG"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_asked_and_without_one_the_environment_says_which() {
        let url = "https://x";
        for (text, pod, kubeconfig, expected) in [
            ("{ url: 'https://x' }", true, true, Ok(Place::Url(url))),
            ("{ kubeconfig: /a }", true, true, Ok(files(&["/a"]))),
            (
                "{ kubeconfig: /a, context: b }",
                true,
                false,
                Ok(files(&["/a"])),
            ),
            ("{ inCluster: true }", true, true, Ok(IN_CLUSTER)),
            ("{}", true, true, Ok(IN_CLUSTER)),
            ("{}", false, true, Ok(files(&["/one", "/two"]))),
            ("{ context: b }", true, true, Ok(files(&["/one", "/two"]))),
            ("{}", false, false, Err("no API server is given: give url")),
            ("{ context: b }", true, false, Err("no API server is given")),
            (
                "{ inCluster: true }",
                false,
                true,
                Err("inCluster: this is no pod"),
            ),
            (
                "{ url: x, context: b }",
                false,
                false,
                Err("context: it belongs"),
            ),
            (
                "{ inCluster: true, context: b }",
                true,
                true,
                Err("context: it"),
            ),
            (
                "{ url: x, kubeconfig: /a }",
                false,
                false,
                Err("contradict"),
            ),
            (
                "{ url: x, inCluster: true }",
                true,
                false,
                Err("contradict"),
            ),
        ] {
            let kind = kind(text, pod, kubeconfig);
            let case = format!("{text} {pod} {kubeconfig}");
            match (kind.place(), expected) {
                (Ok(place), Ok(expected)) => assert_eq!(place, expected, "{case}"),
                (Err(error), Err(expected)) => {
                    assert!(error.to_string().contains(expected), "{case}: {error}");
                }
                (place, _) => panic!("{case}: {place:?}"),
            }
        }
    }

    #[test]
    fn a_port_that_is_none_is_told() {
        for port in ["", "0", "tcp://10.0.0.1:443", "70000"] {
            let mut kind = kind("{}", true, false);
            kind.surroundings.port = port.to_owned();
            let error = kind.place().unwrap_err().to_string();
            assert!(error.contains("KUBERNETES_SERVICE_PORT"), "{error}");
        }
    }

    #[test]
    fn a_pod_without_its_service_account_says_which_file_is_missing() {
        let error = format!("{:#}", kind("{}", true, false).make().unwrap_err());
        let file = Path::new(KubernetesApiConfig::SERVICE_ACCOUNT).join("ca.crt");
        assert!(error.contains(&format!("{file:?}")), "{error}");
    }

    const IN_CLUSTER: Place<'_> = Place::InCluster {
        host: "fd00::1",
        port: 443,
    };

    fn files(paths: &[&str]) -> Place<'static> {
        Place::Kubeconfig(paths.iter().map(PathBuf::from).collect())
    }

    fn kind(text: &str, pod: bool, kubeconfig: bool) -> KubernetesApiKind {
        let mut environment = Environment::new();
        if pod {
            for (name, value) in [("HOST", "fd00::1"), ("PORT", "443")] {
                let name = format!("KUBERNETES_SERVICE_{name}");
                environment.insert(name, value.to_owned());
            }
        }
        if kubeconfig {
            environment.insert("KUBECONFIG".to_owned(), "/one::/two".to_owned());
        }
        let mut kind: KubernetesApiKind = serde_saphyr::from_str(text).unwrap();
        kind.surroundings = Surroundings::from(&environment);
        kind
    }
}
