//! The agent's configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::Criticality;
use health_core::Scope;
use health_core::Thresholds;
use health_heartbeat::HeartbeatConfig;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigDuration;
use super::Environment;
use super::kinds::DiskKind;
use super::kinds::ExecKind;
use super::kinds::FileKind;
use super::kinds::HttpKind;
use super::kinds::KubernetesApiKind;
use super::kinds::PrometheusKind;
use super::kinds::PushKind;
use super::kinds::ResourcesKind;
use super::kinds::Surroundings;
use super::kinds::TcpKind;
use super::trends::TrendSection;

/// The configuration of `syncer-health run`. `config default` prints it with its meanings.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct AgentConfig {
    pub(crate) sync_target: SyncTargetConfig,
    pub(crate) identity: String,
    pub(crate) server: ServerConfig,
    pub(crate) log: LogConfig,
    pub(crate) probes: ProbesConfig,
    pub(crate) push: PushSection,
    pub(crate) cluster: ClusterConfig,
    pub(crate) checks: ChecksConfig,
    pub(crate) heartbeat: HeartbeatSection,
    pub(crate) sync_target_status: SyncTargetStatusConfig,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SyncTargetConfig {
    pub(crate) name: String,
    pub(crate) workspace: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    #[serde(deserialize_with = "super::address")]
    pub(crate) bind: SocketAddr,
    pub(crate) drain_delay: ConfigDuration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    pub(crate) level: LogLevel,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ProbesConfig {
    pub(crate) ready_when_degraded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PushSection {
    pub(crate) enabled: bool,
    pub(crate) token_file: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ClusterConfig {
    pub(crate) enabled: bool,
    pub(crate) kubeconfig: String,
    pub(crate) context: String,
    pub(crate) in_cluster: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ChecksConfig {
    pub(crate) interval: ConfigDuration,
    pub(crate) timeout: ConfigDuration,
    pub(crate) default_probes: Vec<Scope>,
    pub(crate) components: Vec<ComponentConfig>,
}

/// One component: a name, exactly one kind, and the common keys.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ComponentConfig {
    pub(crate) name: String,
    pub(crate) http: Option<HttpKind>,
    pub(crate) tcp: Option<TcpKind>,
    pub(crate) exec: Option<ExecKind>,
    pub(crate) prometheus: Option<PrometheusKind>,
    pub(crate) kubernetes_api: Option<KubernetesApiKind>,
    pub(crate) disk: Option<DiskKind>,
    pub(crate) file: Option<FileKind>,
    pub(crate) resources: Option<ResourcesKind>,
    pub(crate) push: Option<PushKind>,
    pub(crate) interval: Option<ConfigDuration>,
    pub(crate) timeout: Option<ConfigDuration>,
    pub(crate) stale_after: Option<ConfigDuration>,
    pub(crate) failure_threshold: Option<u32>,
    pub(crate) success_threshold: Option<u32>,
    #[serde(default)]
    pub(crate) criticality: Criticality,
    pub(crate) probes: Option<Vec<Scope>>,
    /// By the number's name, as the check reports it.
    #[serde(default)]
    pub(crate) trends: BTreeMap<String, TrendSection>,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HeartbeatSection {
    pub(crate) interval: ConfigDuration,
    pub(crate) timeout: ConfigDuration,
    pub(crate) failure_threshold: u32,
    pub(crate) interval_min: ConfigDuration,
    pub(crate) interval_max: ConfigDuration,
    pub(crate) require: RequireConfig,
    pub(crate) websocket: WebsocketConfig,
    pub(crate) lease: LeaseSection,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub(crate) enum RequireConfig {
    #[default]
    Any,
    All,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct WebsocketConfig {
    pub(crate) url: String,
    pub(crate) token_file: String,
    pub(crate) ca_file: String,
    pub(crate) allow_plaintext: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LeaseSection {
    pub(crate) enabled: bool,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SyncTargetStatusConfig {
    pub(crate) enabled: bool,
    pub(crate) min_interval: ConfigDuration,
    pub(crate) heartbeat_interval: ConfigDuration,
    pub(crate) heartbeat_field: String,
}

// === impl AgentConfig ===

impl AgentConfig {
    /// How often to beat over the tunnel and the Lease.
    pub(crate) fn heartbeat_config(
        &self,
    ) -> Result<HeartbeatConfig, health_heartbeat::InvalidHeartbeatConfig> {
        let section = &self.heartbeat;
        HeartbeatConfig::new(
            section.interval.0,
            section.timeout.0,
            section.failure_threshold,
        )?
        .with_interval_bounds(section.interval_min.0, section.interval_max.0)
    }

    /// How often the SyncTarget's status beats; three of its intervals are its timeout.
    pub(crate) fn sync_target_heartbeat(
        &self,
    ) -> Result<HeartbeatConfig, health_heartbeat::InvalidHeartbeatConfig> {
        let interval = self.sync_target_status.heartbeat_interval.0;
        HeartbeatConfig::new(interval, interval * 3, self.heartbeat.failure_threshold)
    }

    /// How the SyncTarget's status is written.
    #[cfg(feature = "transport-lease")]
    pub(crate) fn sync_target_status_config(
        &self,
    ) -> Result<health_transport_lease::SyncTargetConfig, health_transport_lease::InvalidConfig>
    {
        let status = &self.sync_target_status;
        let field = status.heartbeat_field.parse().map_err(
            |error: health_transport_lease::UnknownField| health_transport_lease::InvalidConfig {
                key: "heartbeatField",
                value: status.heartbeat_field.clone(),
                allowed: error.to_string(),
            },
        )?;
        health_transport_lease::SyncTargetConfig::new(
            status.min_interval.0,
            status.heartbeat_interval.0,
            field,
        )
    }

    /// Tells the components what the environment says about API servers.
    pub(crate) fn surround(&mut self, environment: &Environment) {
        for component in &mut self.checks.components {
            if let Some(kind) = &mut component.kubernetes_api {
                kind.surroundings = Surroundings::from(environment);
            }
        }
    }

    /// Whether a cluster is given at all: a kubeconfig, here or in the environment, or the pod's own.
    pub(crate) fn has_cluster(&self, kubeconfig_variable: Option<&str>) -> bool {
        let cluster = &self.cluster;
        let given = !cluster.kubeconfig.is_empty()
            || cluster.in_cluster
            || kubeconfig_variable.is_some_and(|value| !value.is_empty());
        cluster.enabled && given
    }
}

// === impl the sections ===

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            bind: ([0, 0, 0, 0], 8081).into(),
            drain_delay: ConfigDuration::secs(3),
        }
    }
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            kubeconfig: String::new(),
            context: String::new(),
            in_cluster: false,
        }
    }
}

impl Default for ChecksConfig {
    fn default() -> Self {
        Self {
            interval: ConfigDuration::secs(30),
            timeout: ConfigDuration::secs(5),
            default_probes: vec![Scope::Readiness, Scope::Startup],
            components: Vec::new(),
        }
    }
}

impl Default for HeartbeatSection {
    fn default() -> Self {
        Self {
            interval: ConfigDuration::secs(10),
            timeout: ConfigDuration::secs(30),
            failure_threshold: 3,
            interval_min: ConfigDuration::secs(1),
            interval_max: ConfigDuration::secs(60),
            require: RequireConfig::default(),
            websocket: WebsocketConfig::default(),
            lease: LeaseSection::default(),
        }
    }
}

impl Default for LeaseSection {
    fn default() -> Self {
        Self {
            enabled: true,
            namespace: "default".to_owned(),
            name: String::new(),
        }
    }
}

impl Default for SyncTargetStatusConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            min_interval: ConfigDuration::secs(5),
            heartbeat_interval: ConfigDuration::secs(20),
            heartbeat_field: "auto".to_owned(),
        }
    }
}

// === impl ComponentConfig ===

impl ComponentConfig {
    /// Its interval and its timeout.
    pub(crate) fn pace(&self, checks: &ChecksConfig) -> (Duration, Duration) {
        let pick = |own: Option<ConfigDuration>, common: ConfigDuration| own.unwrap_or(common).0;
        (
            pick(self.interval, checks.interval),
            pick(self.timeout, checks.timeout),
        )
    }

    /// What it is registered with.
    pub(crate) fn spec(&self, name: ComponentName, checks: &ChecksConfig) -> ComponentSpec {
        let (interval, timeout) = self.pace(checks);
        let allowance = self
            .push
            .as_ref()
            .map_or(interval * 2 + timeout, |push| push.ttl.0);
        let stale_after = self.stale_after.map_or(allowance, |own| own.0);
        ComponentSpec::new(name)
            .with_criticality(self.criticality)
            .with_scopes(self.probes.as_deref().unwrap_or(&checks.default_probes))
            .with_thresholds(Thresholds {
                failure: self.failure_threshold.unwrap_or(1),
                success: self.success_threshold.unwrap_or(1),
            })
            .with_stale_after(stale_after)
    }

    /// Whether its numbers are the report's `syncRate` and so on.
    pub(crate) fn is_sync_engine(&self) -> bool {
        self.prometheus
            .as_ref()
            .is_some_and(|prometheus| prometheus.sync_engine)
    }
}
