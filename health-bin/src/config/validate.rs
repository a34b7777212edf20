//! What is wrong with an agent's configuration: everything at once.

use health_core::ComponentName;
use health_core::ComponentSpec;
#[cfg(feature = "transport-lease")]
use health_transport_lease::LeaseConfig;
#[cfg(feature = "transport-lease")]
use health_transport_lease::check_name;

use super::ConfigError;
#[cfg(feature = "transport-lease")]
use super::Problem;
use super::Problems;
use super::agent::AgentConfig;
use super::agent::ChecksConfig;
use super::agent::ComponentConfig;
use super::grpc;
use super::kinds::Made;

/// The components that the program registers by itself.
const RESERVED: [&str; 3] = ["heartbeat", "connection", "runtime"];

// === impl AgentConfig ===

impl AgentConfig {
    /// Finds every value that is wrong; no file is opened.
    ///
    /// `kubeconfig_variable` is the value of the environment's `KUBECONFIG`.
    pub(crate) fn validate(&self, kubeconfig_variable: Option<&str>) -> Result<(), ConfigError> {
        let mut problems = Problems::default();
        if let Err(error) = self.heartbeat_config() {
            for what in error.0 {
                // Each begins with the key that it is about.
                let (key, what) = what.split_once(' ').unwrap_or(("", &what));
                problems.add(format!("heartbeat.{key}"), what);
            }
        }
        let others = [("server.bind", self.server.bind)];
        grpc::validate(
            "server.grpcBind",
            self.server.grpc_bind,
            &others,
            &mut problems,
        );
        self.validate_push(&mut problems);
        self.validate_names(kubeconfig_variable, &mut problems);
        self.validate_components(&mut problems);
        self.validate_websocket(&mut problems);
        self.validate_cluster(&mut problems);
        if let Err(error) = self.sync_target_heartbeat() {
            for what in error.0 {
                problems.add("syncTargetStatus.heartbeatInterval", what);
            }
        }
        #[cfg(feature = "transport-lease")]
        self.validate_lease(kubeconfig_variable, &mut problems);
        problems.finish()
    }

    #[cfg(feature = "transport-lease")]
    fn validate_lease(&self, kubeconfig_variable: Option<&str>, problems: &mut Problems) {
        if let Err(error) = self.sync_target_status_config() {
            let wrong = Problem::below("syncTargetStatus", error.key, error);
            problems.0.push(wrong);
        }
        if !self.has_cluster(kubeconfig_variable) {
            return;
        }
        let (lease, target) = (&self.heartbeat.lease, &self.sync_target.name);
        if target.is_empty() {
            return;
        }
        let is_used = self.sync_target_status.enabled || (lease.enabled && lease.name.is_empty());
        let named = check_name(target).map_err(|error| Problem::below("syncTarget", "name", error));
        let is_wrong = is_used && problems.take(named).is_none();
        if lease.enabled {
            // A Lease that is named after the SyncTarget is not to be mended too.
            let target = if is_wrong { "any" } else { target };
            for error in LeaseConfig::check(&lease.namespace, &lease.name, target) {
                let wrong = Problem::below("heartbeat.lease", error.key, error);
                problems.0.push(wrong);
            }
        }
    }

    fn validate_push(&self, problems: &mut Problems) {
        let (push, bind) = (&self.push, self.server.bind);
        if push.token_file.is_empty() && push.enabled && !bind.ip().is_loopback() {
            let what = format!(
                "is empty, and server.bind is {bind}: anybody could report; set it, or bind to \
                 loopback"
            );
            problems.add("push.tokenFile", what);
        }
        let pushed = self
            .checks
            .components
            .iter()
            .any(|component| component.push.is_some());
        if pushed && !push.enabled {
            problems.add(
                "push.enabled",
                "is false, but a component waits for pushed results",
            );
        }
    }

    /// Whether heartbeats are sent to anybody.
    pub(super) fn beats(&self, kubeconfig_variable: Option<&str>) -> bool {
        !self.heartbeat.websocket.url.is_empty() || self.has_cluster(kubeconfig_variable)
    }

    fn validate_names(&self, kubeconfig_variable: Option<&str>, problems: &mut Problems) {
        if self.beats(kubeconfig_variable) && self.sync_target.name.is_empty() {
            problems.add(
                "syncTarget.name",
                "is empty, but heartbeats are sent for it; set it to the SyncTarget's name",
            );
        }
    }

    fn validate_components(&self, problems: &mut Problems) {
        let mut names = std::collections::BTreeSet::new();
        for (number, component) in self.checks.components.iter().enumerate() {
            let key = format!("checks.components[{number}]");
            if let Err(error) = component.name.parse::<ComponentName>() {
                problems.add(format!("{key}.name"), error.to_string());
            }
            if RESERVED.contains(&component.name.as_str()) {
                let what = format!("{:?} is registered by the program itself", component.name);
                problems.add(format!("{key}.name"), what);
            } else if !names.insert(&component.name) {
                problems.add(
                    format!("{key}.name"),
                    format!("{:?} is there twice", component.name),
                );
            }
            component.validate(&key, &self.checks, problems);
        }
        let engines = self
            .checks
            .components
            .iter()
            .filter(|component| component.is_sync_engine());
        if engines.count() > 1 {
            problems.add(
                "checks.components",
                "at most one component may have syncEngine: true",
            );
        }
    }

    fn validate_websocket(&self, problems: &mut Problems) {
        let websocket = &self.heartbeat.websocket;
        if websocket.url.is_empty() {
            return;
        }
        if cfg!(not(feature = "transport-ws")) {
            problems.add("heartbeat.websocket.url", "this build has no transport-ws");
            return;
        }
        let [cert, key] = [&websocket.cert_file, &websocket.key_file];
        match (cert.is_empty(), key.is_empty()) {
            (false, true) => problems.add("heartbeat.websocket.certFile", "give its keyFile too"),
            (true, false) => problems.add("heartbeat.websocket.keyFile", "give its certFile too"),
            (true, true) | (false, false) => {}
        }
        if !cert.is_empty() && websocket.url.starts_with("ws://") {
            let what = "is shown over TLS only: begin the url with wss://";
            problems.add("heartbeat.websocket.certFile", what);
        }
    }

    fn validate_cluster(&self, problems: &mut Problems) {
        let cluster = &self.cluster;
        let is_given = !cluster.kubeconfig.is_empty() || cluster.in_cluster;
        if cfg!(not(feature = "transport-lease")) && cluster.enabled && is_given {
            problems.add("cluster", "this build has no transport-lease");
        }
    }
}

// === impl ComponentConfig ===

impl ComponentConfig {
    fn validate(&self, key: &str, checks: &ChecksConfig, problems: &mut Problems) {
        match self.make(key) {
            Ok(Made::Check(_)) => {}
            Ok(Made::Pushed(push)) => {
                let name = self.name.parse().map(ComponentSpec::new);
                if let Some(Err(error)) = name.ok().map(|spec| push.spec(spec)) {
                    problems.add(format!("{key}.push.ttl"), error.to_string());
                }
                for (name, given) in [("interval", self.interval), ("timeout", self.timeout)] {
                    if given.is_some() {
                        let what = "has no effect on a pushed component; its push.ttl counts";
                        problems.add(format!("{key}.{name}"), what);
                    }
                }
            }
            Err(problem) => problems.0.push(problem),
        }
        self.validate_trends(key, checks, problems);
        let (interval, timeout) = self.pace(checks);
        if interval.is_zero() {
            problems.add(format!("{key}.interval"), "is 0, it must be longer");
        }
        if timeout.is_zero() {
            problems.add(format!("{key}.timeout"), "is 0, it must be longer");
        }
        for (name, threshold) in [
            ("failureThreshold", self.failure_threshold),
            ("successThreshold", self.success_threshold),
        ] {
            if threshold == Some(0) {
                problems.add(format!("{key}.{name}"), "is 0, at least 1 is allowed");
            }
        }
    }
}
