//! The kinds of components, and the check that each becomes.

use std::collections::BTreeMap;
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
use health_checks::checks::ResourcesCheck;
use health_checks::checks::ResourcesConfig;
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

mod http;

mod kubernetes_api;

mod prometheus;

use credentials::Credentials;
pub(crate) use http::HttpKind;
pub(crate) use kubernetes_api::KubernetesApiKind;
pub(crate) use kubernetes_api::Surroundings;
pub(crate) use prometheus::PrometheusKind;

/// Every kind there is, as it is written.
pub(crate) const KINDS: &str =
    "http, tcp, exec, prometheus, kubernetesApi, disk, file, resources, push";

/// Connects to an address.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct TcpKind {
    /// `HOST:PORT`.
    pub(crate) address: String,
    /// How long connecting may take.
    pub(crate) latency_seconds: Option<PairedConfig>,
}

/// Runs a program that follows the monitoring-plugin convention.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExecKind {
    /// The program and its arguments.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) command: Vec<String>,
    /// Variables of its environment; nothing else is inherited but `PATH`.
    #[serde(default)]
    pub(crate) env: BTreeMap<String, String>,
    /// The folder that it runs in.
    pub(crate) working_dir: Option<PathBuf>,
}

/// Looks at how full a file system is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct DiskKind {
    /// A path on the file system.
    pub(crate) path: PathBuf,
    /// The share that is used, 0 to 1. Without it: Degraded from 0.85 on, Unhealthy from 0.95 on.
    pub(crate) used_ratio: Option<PairedConfig>,
    /// The bytes that are free; too few are worse.
    pub(crate) free_bytes: Option<PairedConfig>,
    /// The share of the inodes that is used, 0 to 1. Without it: as `usedRatio`.
    pub(crate) inodes_used_ratio: Option<PairedConfig>,
}

/// Looks at how old a file is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileKind {
    /// The file.
    pub(crate) path: PathBuf,
    /// How old it may be.
    pub(crate) age_seconds: Option<PairedConfig>,
}

/// Looks at what this process itself uses.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ResourcesKind {
    /// Memory as a share of the cgroup's or the host's limit, 0 to 1. Without it: Degraded from 0.8
    /// on, Unhealthy from 0.95 on.
    pub(crate) memory_ratio: Option<PairedConfig>,
    /// Processor time as a share of the limit, 0 to 1.
    pub(crate) cpu_ratio: Option<PairedConfig>,
    /// Open files as a share of the limit, 0 to 1. Without it: as `memoryRatio`.
    pub(crate) open_files_ratio: Option<PairedConfig>,
    /// Threads.
    pub(crate) threads: Option<PairedConfig>,
    /// Tasks of the asynchronous runtime.
    pub(crate) tasks: Option<PairedConfig>,
}

/// Waits for another process to report; its results are good for the TTL.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PushKind {
    /// How long a report is good.
    pub(crate) ttl: ConfigDuration,
}

/// A pair of thresholds, each optional. Where the pair is left out the check's own default holds,
/// which is to judge nothing where its key says no other.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    default,
    expecting = "thresholds, like { degraded: 10, unhealthy: 20 }"
)]
pub(crate) struct PairedConfig {
    /// From here on Degraded.
    pub(crate) degraded: Option<f64>,
    /// From here on Unhealthy.
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
            ("http", self.http.is_some()),
            ("tcp", self.tcp.is_some()),
            ("exec", self.exec.is_some()),
            ("prometheus", self.prometheus.is_some()),
            ("kubernetesApi", self.kubernetes_api.is_some()),
            ("disk", self.disk.is_some()),
            ("file", self.file.is_some()),
            ("resources", self.resources.is_some()),
            ("push", self.push.is_some()),
        ];
        let mut given = kinds
            .into_iter()
            .filter_map(|(kind, given)| given.then_some(kind));
        if let (Some(one), Some(other)) = (given.next(), given.next()) {
            let what = format!("is a kind beside {one}; give exactly one of: {KINDS}");
            return Err(Problem::new(format!("{key}.{other}"), what));
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
            let mut config = ExecConfig::new(kind.command.clone());
            config.env.clone_from(&kind.env);
            config.working_dir.clone_from(&kind.working_dir);
            return made(key, "exec", ExecCheck::new(config));
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
        let push = self.push.as_ref().ok_or_else(|| {
            let what = format!("has no kind; give exactly one of: {KINDS}");
            Problem::new(key, what)
        })?;
        Ok(Made::Pushed(PushConfig { ttl: push.ttl.0 }))
    }
}

// === impl the kinds ===

impl ResourcesKind {
    fn make(&self) -> anyhow::Result<ResourcesCheck> {
        let mut config = ResourcesConfig::default();
        set(&mut config.memory_ratio, self.memory_ratio);
        set(&mut config.cpu_ratio, self.cpu_ratio);
        set(&mut config.open_files_ratio, self.open_files_ratio);
        set(&mut config.threads, self.threads);
        set(&mut config.tasks, self.tasks);
        let check = ResourcesCheck::new(config)?;
        // A configuration that is only read has no runtime.
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
        Err(error) => Err(of_kind(
            &format!("{key}.{kind}"),
            format!("{:#}", error.into()),
        )),
    }
}

/// A problem of a kind; where its words begin with a key, that is the key.
fn of_kind(kind: &str, what: String) -> Problem {
    let is_key = |begin: &&str| {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        begin.starts_with(|c: char| c.is_ascii_lowercase()) && begin.chars().all(part)
    };
    match what.split_once(": ").filter(|(begin, _)| is_key(begin)) {
        Some((begin, what)) => Problem::new(format!("{kind}.{begin}"), what),
        None => Problem::new(kind, what),
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
