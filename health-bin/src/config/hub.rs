//! The hub's configuration.

use std::net::SocketAddr;

use health_heartbeat::FleetTerms;
use serde::Deserialize;
use serde::Serialize;

use super::ConfigDuration;
use super::ConfigError;
use super::Problems;
use super::agent::LogConfig;

/// The configuration of `syncer-health hub`. `config default --hub` prints it with its meanings.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubConfig {
    pub(crate) server: HubServerConfig,
    pub(crate) ops: OpsConfig,
    pub(crate) auth: AuthConfig,
    pub(crate) log: LogConfig,
    pub(crate) heartbeat: HubHeartbeatConfig,
    pub(crate) limits: LimitsConfig,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubServerConfig {
    pub(crate) bind: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct OpsConfig {
    pub(crate) bind: SocketAddr,
    pub(crate) token_file: String,
    pub(crate) insecure: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct AuthConfig {
    pub(crate) token_file: String,
    pub(crate) anonymous: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct HubHeartbeatConfig {
    pub(crate) timeout_min: ConfigDuration,
    pub(crate) timeout_max: ConfigDuration,
}

#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    pub(crate) connections: usize,
    pub(crate) message_bytes: usize,
    pub(crate) handshake_timeout: ConfigDuration,
}

// === impl HubConfig ===

impl HubConfig {
    /// Finds everything that is wrong, and opens every file that is named.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        let files = [
            ("auth", &self.auth.token_file),
            ("ops", &self.ops.token_file),
        ];
        for (section, path) in files.into_iter().filter(|(_, path)| !path.is_empty()) {
            problems.check_file(&format!("{section}.tokenFile"), path);
        }
        if !self.server.bind.ip().is_loopback()
            && self.auth.token_file.is_empty()
            && !self.auth.anonymous
        {
            problems.add(
                "auth",
                format!(
                    "nobody is asked who they are, and server.bind is {}; set auth.tokenFile, \
                     bind to loopback, or set auth.anonymous: true",
                    self.server.bind
                ),
            );
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
        let heartbeat = &self.heartbeat;
        if heartbeat.timeout_min.0.is_zero() || heartbeat.timeout_min.0 > heartbeat.timeout_max.0 {
            problems.add(
                "heartbeat.timeoutMin",
                "must be longer than 0 and not longer than heartbeat.timeoutMax",
            );
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
        problems.finish()
    }

    /// What the fleet allows.
    pub(crate) fn fleet_terms(&self) -> FleetTerms {
        FleetTerms {
            timeout_min: self.heartbeat.timeout_min.0,
            timeout_max: self.heartbeat.timeout_max.0,
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
        }
    }
}

impl Default for OpsConfig {
    fn default() -> Self {
        Self {
            bind: ([127, 0, 0, 1], 8083).into(),
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
