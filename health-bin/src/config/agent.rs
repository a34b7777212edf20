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
use super::LogConfig;
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
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct AgentConfig {
    /// Which SyncTarget this agent beats for.
    pub(crate) sync_target: SyncTargetConfig,
    /// The stable name of this agent's place. Empty: the environment's `POD_UID`, else the host's
    /// name.
    pub(crate) identity: String,
    /// Where probes, report and metrics are answered.
    pub(crate) server: ServerConfig,
    /// What is logged, to stderr.
    pub(crate) log: LogConfig,
    /// When probes hold.
    pub(crate) probes: ProbesConfig,
    /// Whether other processes may report components of the kind `push`.
    pub(crate) push: PushSection,
    /// The API server of the Lease and of the SyncTarget.
    pub(crate) cluster: ClusterConfig,
    /// What is checked, and how often.
    pub(crate) checks: ChecksConfig,
    /// How the hub and the API server hear that this agent lives.
    pub(crate) heartbeat: HeartbeatSection,
    /// Heartbeat time and the condition `SyncerReady` on the SyncTarget.
    pub(crate) sync_target_status: SyncTargetStatusConfig,
}

/// Which SyncTarget.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SyncTargetConfig {
    /// Its name. It must be given where heartbeats are sent.
    pub(crate) name: String,
    /// The kcp workspace that it is in, as `root:org:edge`. Empty: the kubeconfig's own.
    pub(crate) workspace: String,
}

/// Where is answered.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ServerConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "super::address")]
    pub(crate) bind: SocketAddr,
    /// The address where gRPC health (`grpc.health.v1`) is answered, as `0.0.0.0:8084`. Empty:
    /// nowhere.
    #[serde(with = "super::grpc")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) grpc_bind: Option<SocketAddr>,
    /// For so long after SIGTERM readiness fails before work stops. `0s`: not at all.
    pub(crate) drain_delay: ConfigDuration,
}

/// When probes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ProbesConfig {
    /// Whether readiness lets Degraded pass, while nothing is Unknown or Unhealthy.
    pub(crate) ready_when_degraded: bool,
}

/// Who may report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct PushSection {
    /// Whether `PUT /components/NAME` is answered.
    pub(crate) enabled: bool,
    /// The file with the bearer token that is asked for. Only a server that is bound to loopback
    /// may do without: empty.
    pub(crate) token_file: String,
}

/// The API server.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ClusterConfig {
    /// Whether a cluster is used, where one is given.
    pub(crate) enabled: bool,
    /// The file that says which API server, and who asks. Empty: the environment's `KUBECONFIG`, or
    /// no cluster at all.
    pub(crate) kubeconfig: String,
    /// The context of the kubeconfig. Empty: its current one.
    pub(crate) context: String,
    /// Whether it is the cluster that this pod runs in. Not together with `syncTarget.workspace`.
    pub(crate) in_cluster: bool,
}

/// What is checked.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct ChecksConfig {
    /// From check to check, unless a component says otherwise.
    pub(crate) interval: ConfigDuration,
    /// How long a check may take, unless a component says otherwise.
    pub(crate) timeout: ConfigDuration,
    /// The probes that a component is part of, unless it says otherwise.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::scopes"))]
    pub(crate) default_probes: Vec<Scope>,
    /// What is checked.
    pub(crate) components: Vec<ComponentConfig>,
}

/// One component: a name, exactly one kind, and the common keys.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(test, schemars(transform = crate::schemas::one_kind))]
pub(crate) struct ComponentConfig {
    /// Its name, of which there is only one: 1 to 63 letters, digits, `-`, `_` or `.`.
    #[cfg_attr(
        test,
        schemars(regex(pattern = r"^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?$"))
    )]
    pub(crate) name: String,
    /// Asks a URL.
    pub(crate) http: Option<HttpKind>,
    /// Connects to an address.
    pub(crate) tcp: Option<TcpKind>,
    /// Runs a program that follows the monitoring-plugin convention.
    pub(crate) exec: Option<ExecKind>,
    /// Reads the metrics of another process.
    pub(crate) prometheus: Option<PrometheusKind>,
    /// Asks an API server whether it is ready.
    pub(crate) kubernetes_api: Option<KubernetesApiKind>,
    /// Looks at how full a file system is.
    pub(crate) disk: Option<DiskKind>,
    /// Looks at how old a file is.
    pub(crate) file: Option<FileKind>,
    /// Looks at what this process itself uses.
    pub(crate) resources: Option<ResourcesKind>,
    /// Waits for another process to report.
    pub(crate) push: Option<PushKind>,
    /// From check to check. Without it: `checks.interval`.
    pub(crate) interval: Option<ConfigDuration>,
    /// How long a check may take. Without it: `checks.timeout`.
    pub(crate) timeout: Option<ConfigDuration>,
    /// How long a good result is believed. Without it: twice the interval and the timeout, of
    /// `push` its TTL.
    pub(crate) stale_after: Option<ConfigDuration>,
    /// So many results in a row make it worse. Without it: 1.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) failure_threshold: Option<u32>,
    /// So many results in a row make it better. Without it: 1.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) success_threshold: Option<u32>,
    /// How much it counts: `critical` in full, `degrading` an Unhealthy as Degraded,
    /// `informational` not at all.
    #[serde(default)]
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::criticality"))]
    pub(crate) criticality: Criticality,
    /// The probes that it is part of. Without it: `checks.defaultProbes`.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::scopes"))]
    #[serde(default)]
    pub(crate) probes: Option<Vec<Scope>>,
    /// What its numbers mean by their own past, by their names as the report has them.
    #[serde(default)]
    pub(crate) trends: BTreeMap<String, TrendSection>,
}

/// How often this agent beats, and over what.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HeartbeatSection {
    /// From beat to beat; at least 100ms.
    pub(crate) interval: ConfigDuration,
    /// Silence that counts as failure; at least two intervals.
    pub(crate) timeout: ConfigDuration,
    /// So many missed beats in a row count as failure.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) failure_threshold: u32,
    /// A hub may move the interval down to this; that of this program does not move it.
    pub(crate) interval_min: ConfigDuration,
    /// A hub may move the interval up to this.
    pub(crate) interval_max: ConfigDuration,
    /// Whether one transport that works is enough, or each must work.
    pub(crate) require: RequireConfig,
    /// The tunnel to a hub.
    pub(crate) websocket: WebsocketConfig,
    /// The Lease.
    pub(crate) lease: LeaseSection,
}

/// Which transports must work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum RequireConfig {
    #[default]
    Any,
    All,
}

/// The tunnel to a hub.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct WebsocketConfig {
    /// Where the hub answers, as `wss://hub:8082/tunnel`. Empty: there is no tunnel.
    #[cfg_attr(test, schemars(regex(pattern = r"^$|^wss?://")))]
    pub(crate) url: String,
    /// The file with the bearer token, read again at each dial. Empty: none is sent.
    pub(crate) token_file: String,
    /// PEM with the authorities that are believed. Empty: those of the system.
    pub(crate) ca_file: String,
    /// PEM with the client's certificate, read again at each dial. Empty: none is shown.
    pub(crate) cert_file: String,
    /// PEM with the client's key; together with `certFile`.
    pub(crate) key_file: String,
    /// Whether the token may go over `ws://` to another host.
    pub(crate) allow_plaintext: bool,
}

/// The Lease.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LeaseSection {
    /// Whether a Lease is renewed, where a cluster is given.
    pub(crate) enabled: bool,
    /// The namespace that it is in.
    pub(crate) namespace: String,
    /// Its name. Empty: the SyncTarget's name followed by `-heartbeat`.
    pub(crate) name: String,
}

/// What is written on the SyncTarget.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct SyncTargetStatusConfig {
    /// Whether the SyncTarget's status is written, where a cluster is given.
    pub(crate) enabled: bool,
    /// At most one write in this time.
    pub(crate) min_interval: ConfigDuration,
    /// Without a change one write in this time.
    pub(crate) heartbeat_interval: ConfigDuration,
    /// The field that the heartbeat's time stands in. `auto`: the one that the server knows.
    #[cfg_attr(test, schemars(extend("enum" = ["auto", "lastSyncerHeartbeatTime", "lastHeartbeatTime", "lastHeartbeat"])))]
    pub(crate) heartbeat_field: String,
}

// === impl AgentConfig ===

impl AgentConfig {
    /// Takes over what a running agent can take of `new`: its checks, the log's level and the drain
    /// delay. All else waits for the next start.
    pub(crate) fn take(&mut self, new: &Self) {
        self.checks.clone_from(&new.checks);
        self.log.level.clone_from(&new.log.level);
        self.server.drain_delay = new.server.drain_delay;
    }

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
            grpc_bind: None,
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
