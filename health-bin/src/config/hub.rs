//! The hub's configuration.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use health_heartbeat::FleetTerms;
#[cfg(feature = "transport-lease")]
use health_transport_lease::InvalidConfig;
#[cfg(feature = "transport-lease")]
use health_transport_lease::LeaseConfig;
#[cfg(feature = "transport-lease")]
use health_transport_lease::watch::WatchConfig;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigDuration;
use super::ConfigError;
use super::LogConfig;
#[cfg(feature = "transport-lease")]
use super::Problem;
use super::Problems;
use super::grpc;

/// The configuration of `syncer-health hub`. `config default --hub` prints it with its meanings.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubConfig {
    /// Where agents dial in.
    pub(crate) server: HubServerConfig,
    /// The fleet, its page and its metrics.
    pub(crate) ops: OpsConfig,
    /// Who may dial in.
    pub(crate) auth: AuthConfig,
    /// The API server that is watched and written to.
    pub(crate) cluster: HubClusterConfig,
    /// What is logged, to stderr.
    pub(crate) log: LogConfig,
    /// How long the hub waits for an agent.
    pub(crate) heartbeat: HubHeartbeatConfig,
    /// How much is taken.
    pub(crate) limits: LimitsConfig,
}

/// Where agents dial in.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubServerConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "super::address")]
    pub(crate) bind: SocketAddr,
    /// TLS; without it, it is plain HTTP.
    pub(crate) tls: HubTlsConfig,
}

/// The files of TLS.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubTlsConfig {
    /// PEM with the certificate; together with `keyFile`. Read again when it changes.
    pub(crate) cert_file: String,
    /// PEM with the key; together with `certFile`.
    pub(crate) key_file: String,
    /// PEM with the authorities whose client certificates are believed; a certificate's common name
    /// reads `WORKSPACE/NAME`.
    pub(crate) client_ca_file: String,
}

/// Who may look at the fleet.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct OpsConfig {
    /// The address to listen on.
    #[serde(deserialize_with = "super::address")]
    pub(crate) bind: SocketAddr,
    /// The address where gRPC health (`grpc.health.v1`) is answered, as `0.0.0.0:8084`; it asks for
    /// no token. Empty: nowhere.
    #[serde(with = "super::grpc")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub(crate) grpc_bind: Option<SocketAddr>,
    /// The file with the token that is asked for. Empty: none, and only loopback may be bound,
    /// unless `insecure`.
    pub(crate) token_file: String,
    /// Whether another address than loopback may be bound without a token.
    pub(crate) insecure: bool,
}

/// Who may dial in.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct AuthConfig {
    /// A YAML file with a line `"WORKSPACE/NAME": token` for each target. A token that is taken out
    /// of it ends the tunnel that it opened. Empty: there are no tokens.
    pub(crate) token_file: String,
    /// Whether the API server is asked whose token it is and what that user may do. It needs
    /// `cluster.enabled`.
    pub(crate) token_review: bool,
    /// Whether anybody may come in without a credential, also from elsewhere.
    pub(crate) anonymous: bool,
}

/// The API server.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubClusterConfig {
    /// Whether a cluster is watched.
    pub(crate) enabled: bool,
    /// The file that says which API server, and who asks. Empty: the environment's `KUBECONFIG`.
    pub(crate) kubeconfig: String,
    /// The context of the kubeconfig. Empty: its current one.
    pub(crate) context: String,
    /// Whether it is the cluster that this pod runs in.
    pub(crate) in_cluster: bool,
    /// The namespace of the agents' Leases.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub(crate) namespace: String,
    /// The kcp workspaces that are watched, as `root:org:edge`. Empty: the kubeconfig's own.
    #[cfg_attr(test, schemars(inner(regex(pattern = r"^[^/ ]+$"))))]
    pub(crate) workspaces: Vec<String>,
    /// Whether `HeartbeatHealthy` is written on the SyncTargets.
    pub(crate) write_conditions: bool,
    /// Of several hubs with the same Lease one is active.
    pub(crate) leader_lease: LeaderLeaseConfig,
}

/// Which hub is active.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LeaderLeaseConfig {
    /// Whether a Lease decides which hub is active.
    pub(crate) enabled: bool,
    /// Its name.
    pub(crate) name: String,
}

/// How long the hub waits.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubHeartbeatConfig {
    /// The shortest timeout that an agent may declare; a shorter one is made this.
    pub(crate) timeout_min: ConfigDuration,
    /// The longest timeout that an agent may declare; a longer one is made this.
    pub(crate) timeout_max: ConfigDuration,
    /// After so much silence an agent is Lost that is known by its SyncTarget's heartbeat time
    /// only.
    pub(crate) sync_target_timeout: ConfigDuration,
}

/// How much is taken.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// Tunnels at once; no more than the process may open files, less those that the hub needs
    /// itself.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub(crate) connections: usize,
    /// The largest message, in bytes.
    #[cfg_attr(test, schemars(range(min = 65536)))]
    pub(crate) message_bytes: usize,
    /// From the connection to the accepted tunnel, with TLS and HTTP in between.
    pub(crate) handshake_timeout: ConfigDuration,
}

// === impl HubConfig ===

impl HubConfig {
    /// Takes over what a running hub can take of `new`: the log's level. All else waits for the next
    /// start.
    pub(crate) fn take(&mut self, new: &Self) {
        self.log.level.clone_from(&new.log.level);
    }

    /// Finds every value that is wrong; no file is opened.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        self.validate_auth(&mut problems);
        problems.check_apart(
            "ops.bind",
            self.ops.bind,
            &[("server.bind", self.server.bind)],
        );
        let others = [
            ("server.bind", self.server.bind),
            ("ops.bind", self.ops.bind),
        ];
        grpc::validate("ops.grpcBind", self.ops.grpc_bind, &others, &mut problems);
        self.validate_cluster(&mut problems);
        self.validate_limits(&mut problems);
        problems.finish()
    }

    /// Whether somebody who shows no credentials may come in, as whom he says he is.
    pub(crate) fn lets_anybody_in(&self) -> bool {
        self.auth.anonymous || (self.server.bind.ip().is_loopback() && !self.asks_who_they_are())
    }

    fn asks_who_they_are(&self) -> bool {
        !self.auth.token_file.is_empty()
            || !self.server.tls.client_ca_file.is_empty()
            || self.auth.token_review
    }

    fn validate_auth(&self, problems: &mut Problems) {
        if !self.asks_who_they_are() && !self.lets_anybody_in() {
            problems.add(
                "auth",
                format!(
                    "nobody is asked who they are, and server.bind is {}; set auth.tokenFile or \
                     server.tls.clientCaFile, bind to loopback, or set auth.anonymous: true",
                    self.server.bind
                ),
            );
        }
        if self.auth.token_review && !self.cluster.enabled {
            problems.add("auth.tokenReview", "needs cluster.enabled");
        }
        if !self.ops.bind.ip().is_loopback() && self.ops.token_file.is_empty() && !self.ops.insecure
        {
            problems.add(
                "ops.bind",
                format!(
                    "is {} without ops.tokenFile; bind to loopback, set ops.tokenFile, or set \
                     ops.insecure: true",
                    self.ops.bind
                ),
            );
        }
    }

    fn validate_cluster(&self, problems: &mut Problems) {
        let cluster = &self.cluster;
        if !cluster.enabled {
            if cluster.leader_lease.enabled {
                problems.add("cluster.leaderLease.enabled", "needs cluster.enabled");
            }
            return;
        }
        if cfg!(not(feature = "transport-lease")) {
            problems.add("cluster", "this build has no transport-lease");
            return;
        }
        #[cfg(feature = "transport-lease")]
        self.validate_leases(problems);
        let mut known = BTreeSet::new();
        for (number, workspace) in cluster.workspaces.iter().enumerate() {
            let key = format!("cluster.workspaces[{number}]");
            if workspace.is_empty() || workspace.contains(['/', ' ']) {
                let what = format!("{workspace:?} is no workspace; write it as root:org:edge");
                problems.add(key, what);
            } else if !known.insert(workspace) {
                problems.add(key, format!("{workspace:?} is there twice"));
            }
        }
    }

    /// Where the agents' Leases are, and this hub's own.
    #[cfg(feature = "transport-lease")]
    fn validate_leases(&self, problems: &mut Problems) {
        let (namespace, leader) = (&self.cluster.namespace, &self.cluster.leader_lease);
        let wrong = |section| move |error: InvalidConfig| Problem::below(section, error.key, error);
        problems.take(WatchConfig::new(namespace).map_err(wrong("cluster")));
        if leader.enabled && leader.name.is_empty() {
            problems.add("cluster.leaderLease.name", "is empty, the Lease needs one");
        } else if leader.enabled {
            // Its namespace is the one above.
            let named = LeaseConfig::new("default", &leader.name, "");
            problems.take(named.map_err(wrong("cluster.leaderLease")));
        }
    }

    fn validate_limits(&self, problems: &mut Problems) {
        let heartbeat = &self.heartbeat;
        if heartbeat.timeout_min.0.is_zero() || heartbeat.timeout_min.0 > heartbeat.timeout_max.0 {
            problems.add(
                "heartbeat.timeoutMin",
                "must be longer than 0 and not longer than heartbeat.timeoutMax",
            );
        }
        if heartbeat.sync_target_timeout.0 < heartbeat.timeout_min.0 {
            let what = "must not be shorter than heartbeat.timeoutMin";
            problems.add("heartbeat.syncTargetTimeout", what);
        }
        let limits = &self.limits;
        if limits.connections == 0 {
            problems.add("limits.connections", "is 0, at least 1 is allowed");
        }
        if limits.message_bytes < MESSAGE_BYTES_MIN {
            let what = format!(
                "is {}, at least {MESSAGE_BYTES_MIN} is allowed: a report needs room",
                limits.message_bytes
            );
            problems.add("limits.messageBytes", what);
        }
        if limits.handshake_timeout.0.is_zero() {
            problems.add("limits.handshakeTimeout", "is 0, it must be longer");
        }
    }

    /// What the fleet allows.
    pub(crate) fn fleet_terms(&self) -> FleetTerms {
        FleetTerms {
            timeout_min: self.heartbeat.timeout_min.0,
            timeout_max: self.heartbeat.timeout_max.0,
            timeout_synctarget: self.heartbeat.sync_target_timeout.0,
            ..FleetTerms::default()
        }
    }
}

/// A report of 32 KiB in its envelope must fit.
const MESSAGE_BYTES_MIN: usize = 64 * 1024;

// === impl the sections ===

impl Default for HubServerConfig {
    fn default() -> Self {
        Self {
            bind: ([0, 0, 0, 0], 8082).into(),
            tls: HubTlsConfig::default(),
        }
    }
}

impl Default for HubClusterConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            kubeconfig: String::new(),
            context: String::new(),
            in_cluster: false,
            namespace: "default".to_owned(),
            workspaces: Vec::new(),
            write_conditions: true,
            leader_lease: LeaderLeaseConfig::default(),
        }
    }
}

impl Default for LeaderLeaseConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            name: "syncer-health-hub".to_owned(),
        }
    }
}

impl Default for OpsConfig {
    fn default() -> Self {
        Self {
            bind: ([127, 0, 0, 1], 8083).into(),
            grpc_bind: None,
            token_file: String::new(),
            insecure: false,
        }
    }
}

impl Default for HubHeartbeatConfig {
    fn default() -> Self {
        Self {
            timeout_min: ConfigDuration::secs(3),
            timeout_max: ConfigDuration::secs(600),
            sync_target_timeout: ConfigDuration::secs(60),
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            connections: 10_000,
            message_bytes: 1024 * 1024,
            handshake_timeout: ConfigDuration::secs(10),
        }
    }
}
