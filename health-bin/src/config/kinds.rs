//! The kinds of components, and the check that each becomes.

use std::path::PathBuf;
use std::sync::Arc;

use health_checks::HealthChecker;
use health_checks::PushConfig;
use health_checks::checks::DiskCheck;
use health_checks::checks::DiskConfig;
use health_checks::checks::ExecCheck;
use health_checks::checks::ExecConfig;
use health_checks::checks::FileCheck;
use health_checks::checks::FileConfig;
use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use health_checks::checks::PrometheusCheck;
use health_checks::checks::PrometheusConfig;
use health_checks::checks::ResourcesCheck;
use health_checks::checks::ResourcesConfig;
use health_checks::checks::SyncLimits;
use health_checks::checks::TcpCheck;
use health_checks::checks::TcpConfig;
use health_core::Paired;
use serde::Deserialize;
use serde::Serialize;
use tokio::runtime::Handle;

use super::ConfigDuration;
use super::Problem;
use super::agent::ComponentConfig;

mod credentials;

mod kubernetes_api;

use credentials::Credentials;
pub(crate) use kubernetes_api::KubernetesApiKind;
pub(crate) use kubernetes_api::Surroundings;

/// Every kind there is, as it is written.
const KINDS: &str = "http, tcp, exec, prometheus, kubernetesApi, disk, file, resources, push";

/// Asks a URL.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct HttpKind {
    pub(crate) url: String,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) insecure: bool,
    pub(crate) latency_seconds: Option<PairedConfig>,
}

/// Connects to an address.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TcpKind {
    pub(crate) address: String,
    pub(crate) latency_seconds: Option<PairedConfig>,
}

/// Runs a program that follows the monitoring-plugin convention.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExecKind {
    pub(crate) command: Vec<String>,
}

/// Reads the metrics of another process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PrometheusKind {
    pub(crate) url: String,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) cert_file: Option<PathBuf>,
    pub(crate) key_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) sync_engine: bool,
    pub(crate) queue_depth: Option<PairedConfig>,
    pub(crate) error_rate: Option<PairedConfig>,
    pub(crate) latency_seconds: Option<PairedConfig>,
}

/// Looks at how full a file system is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DiskKind {
    pub(crate) path: PathBuf,
    pub(crate) used_ratio: Option<PairedConfig>,
    pub(crate) free_bytes: Option<PairedConfig>,
    pub(crate) inodes_used_ratio: Option<PairedConfig>,
}

/// Looks at how old a file is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileKind {
    pub(crate) path: PathBuf,
    pub(crate) age_seconds: Option<PairedConfig>,
}

/// Looks at what this process itself uses.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResourcesKind {
    pub(crate) memory_ratio: Option<PairedConfig>,
    pub(crate) cpu_ratio: Option<PairedConfig>,
    pub(crate) open_files_ratio: Option<PairedConfig>,
    pub(crate) threads: Option<PairedConfig>,
    pub(crate) tasks: Option<PairedConfig>,
}

/// Waits for another process to report; its results are good for the TTL.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PushKind {
    pub(crate) ttl: ConfigDuration,
}

/// A pair of thresholds, each optional. Where the pair is left out the check's own default holds.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PairedConfig {
    pub(crate) degraded: Option<f64>,
    pub(crate) unhealthy: Option<f64>,
}

/// What a component becomes.
pub(crate) enum Made {
    /// A check that runs in the background.
    Check(Arc<dyn HealthChecker>),
    /// A component whose results another process pushes.
    Pushed(PushConfig),
}

// === impl ComponentConfig ===

impl ComponentConfig {
    /// Makes what it says, or tells which key below `key` is wrong.
    ///
    /// Makes no connection and starts nothing, so a configuration is checked by it too.
    pub(crate) fn make(&self, key: &str) -> Result<Made, Problem> {
        let kinds = [
            self.http.is_some(),
            self.tcp.is_some(),
            self.exec.is_some(),
            self.prometheus.is_some(),
            self.kubernetes_api.is_some(),
            self.disk.is_some(),
            self.file.is_some(),
            self.resources.is_some(),
            self.push.is_some(),
        ];
        let count = kinds.into_iter().filter(|given| *given).count();
        let miscounted = || Problem {
            key: key.to_owned(),
            what: format!("has {count} kinds; give exactly one of: {KINDS}"),
        };
        if count > 1 {
            return Err(miscounted());
        }
        if let Some(kind) = &self.http {
            return made(key, "http", kind.make());
        }
        if let Some(kind) = &self.tcp {
            let mut config = TcpConfig::new(kind.address.as_str());
            set(&mut config.latency_seconds, kind.latency_seconds);
            return made(key, "tcp", TcpCheck::new(config));
        }
        if let Some(kind) = &self.exec {
            return made(
                key,
                "exec",
                ExecCheck::new(ExecConfig::new(kind.command.clone())),
            );
        }
        if let Some(kind) = &self.prometheus {
            return made(key, "prometheus", kind.make());
        }
        if let Some(kind) = &self.kubernetes_api {
            return made(key, "kubernetesApi", kind.make());
        }
        if let Some(kind) = &self.disk {
            let mut config = DiskConfig::new(&kind.path);
            set(&mut config.used_ratio, kind.used_ratio);
            set(&mut config.free_bytes, kind.free_bytes);
            set(&mut config.inodes_used_ratio, kind.inodes_used_ratio);
            return made(key, "disk", DiskCheck::new(config));
        }
        if let Some(kind) = &self.file {
            let mut config = FileConfig::new(&kind.path);
            set(&mut config.age_seconds, kind.age_seconds);
            return made(key, "file", FileCheck::new(config));
        }
        if let Some(kind) = &self.resources {
            return made(key, "resources", kind.make());
        }
        let push = self.push.as_ref().ok_or_else(miscounted)?;
        Ok(Made::Pushed(PushConfig { ttl: push.ttl.0 }))
    }
}

// === impl the kinds ===

impl HttpKind {
    fn make(&self) -> anyhow::Result<HttpCheck> {
        let mut target = HttpTarget::new(&self.url)?;
        self.credentials().give(&mut target)?;
        target.insecure = self.insecure;
        let mut config = HttpConfig::new(target);
        set_checked(
            &mut config.latency_seconds,
            self.latency_seconds,
            "latencySeconds",
        )?;
        Ok(HttpCheck::new(config)?)
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            token_file: self.token_file.as_ref(),
            ca_file: self.ca_file.as_ref(),
            cert_file: self.cert_file.as_ref(),
            key_file: self.key_file.as_ref(),
        }
    }
}

impl PrometheusKind {
    fn make(&self) -> anyhow::Result<PrometheusCheck> {
        let mut target = HttpTarget::new(&self.url)?;
        self.credentials().give(&mut target)?;
        let mut limits = SyncLimits::default();
        set_checked(&mut limits.queue_depth, self.queue_depth, "queueDepth")?;
        set_checked(&mut limits.error_rate, self.error_rate, "errorRate")?;
        set_checked(
            &mut limits.latency_seconds,
            self.latency_seconds,
            "latencySeconds",
        )?;
        let mut config = PrometheusConfig::new(target);
        config.limits = limits;
        Ok(PrometheusCheck::new(config)?)
    }

    fn credentials(&self) -> Credentials<'_> {
        Credentials {
            token_file: self.token_file.as_ref(),
            ca_file: self.ca_file.as_ref(),
            cert_file: self.cert_file.as_ref(),
            key_file: self.key_file.as_ref(),
        }
    }
}

impl ResourcesKind {
    fn make(&self) -> anyhow::Result<ResourcesCheck> {
        let mut config = ResourcesConfig::default();
        set(&mut config.memory_ratio, self.memory_ratio);
        set(&mut config.cpu_ratio, self.cpu_ratio);
        set(&mut config.open_files_ratio, self.open_files_ratio);
        set(&mut config.threads, self.threads);
        set(&mut config.tasks, self.tasks);
        let check = ResourcesCheck::new(config)?;
        // A configuration that is only checked has no runtime.
        Ok(match Handle::try_current() {
            Ok(pulse) => check.with_runtime(pulse),
            Err(_) => check,
        })
    }
}

// === impl PairedConfig ===

impl From<PairedConfig> for Paired {
    fn from(config: PairedConfig) -> Self {
        Self {
            degraded: config.degraded,
            unhealthy: config.unhealthy,
        }
    }
}

fn made<C: HealthChecker>(
    key: &str,
    kind: &str,
    made: Result<C, impl Into<anyhow::Error>>,
) -> Result<Made, Problem> {
    match made {
        Ok(check) => Ok(Made::Check(Arc::new(check))),
        Err(error) => Err(Problem {
            key: format!("{key}.{kind}"),
            what: format!("{:#}", error.into()),
        }),
    }
}

fn set(limit: &mut Paired, given: Option<PairedConfig>) {
    if let Some(given) = given {
        *limit = given.into();
    }
}

fn set_checked(limit: &mut Paired, given: Option<PairedConfig>, key: &str) -> anyhow::Result<()> {
    set(limit, given);
    anyhow::ensure!(
        !limit.is_inverted(),
        "{key}: degraded is above unhealthy, it must not be"
    );
    Ok(())
}
