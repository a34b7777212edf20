//! Which Lease, and how the SyncTarget is written.

use std::time::Duration;

use crate::synctarget::HeartbeatField;

/// Which Lease an agent keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseConfig {
    namespace: String,
    name: String,
}

/// How an agent writes its SyncTarget's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SyncTargetConfig {
    /// At most one write in that time; at least 100 ms. Default: 5 s.
    pub min_interval: Duration,
    /// Without any change one write in that time; not shorter than `min_interval`. Default: 20 s.
    pub heartbeat_interval: Duration,
    /// The field of the heartbeat's time. Default: found by asking the server.
    pub heartbeat_field: HeartbeatField,
}

/// Indicates a configuration that cannot work; says which key, and what would be right. Permanent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value:?}, {allowed}")]
pub struct InvalidConfig {
    /// The key, below the transport's own.
    pub key: &'static str,
    /// What it is.
    pub value: String,
    /// What would be right.
    pub allowed: String,
}

/// A namespace's name is a DNS label, an object's a DNS subdomain.
const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

const MIN_INTERVAL_FLOOR: Duration = Duration::from_millis(100);

// === impl LeaseConfig ===

impl LeaseConfig {
    /// The Lease `name` in `namespace`; an empty name means `<target>-heartbeat`.
    ///
    /// # Errors
    ///
    /// The first that [`check`](Self::check) tells.
    pub fn new(namespace: &str, name: &str, target: &str) -> Result<Self, InvalidConfig> {
        match Self::check(namespace, name, target).into_iter().next() {
            Some(wrong) => Err(wrong),
            None => Ok(Self {
                namespace: namespace.to_owned(),
                name: lease_name(name, target),
            }),
        }
    }

    /// Everything for which [`new`](Self::new) refuses: a namespace or a name that Kubernetes would
    /// not take.
    #[must_use]
    pub fn check(namespace: &str, name: &str, target: &str) -> Vec<InvalidConfig> {
        let checked = [
            check_namespace(namespace),
            check_name(&lease_name(name, target)),
        ];
        checked.into_iter().filter_map(Result::err).collect()
    }

    /// The Lease's namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The Lease's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn lease_name(name: &str, target: &str) -> String {
    match name {
        "" => format!("{target}-heartbeat"),
        name => name.to_owned(),
    }
}

/// Refuses what no namespace may be called.
pub(crate) fn check_namespace(namespace: &str) -> Result<(), InvalidConfig> {
    if namespace.len() <= LABEL_MAX && is_label(namespace) {
        return Ok(());
    }
    Err(InvalidConfig {
        key: "namespace",
        value: namespace.to_owned(),
        allowed: format!("1 to {LABEL_MAX} of a-z, 0-9 and '-' are allowed"),
    })
}

/// Refuses what no object, and so no SyncTarget, may be called.
///
/// # Errors
///
/// If Kubernetes would not take the name.
pub fn check_name(name: &str) -> Result<(), InvalidConfig> {
    if is_subdomain(name) {
        return Ok(());
    }
    Err(InvalidConfig {
        key: "name",
        value: name.to_owned(),
        allowed: format!("1 to {SUBDOMAIN_MAX} of a-z, 0-9, '-' and '.' are allowed"),
    })
}

/// Whether an object may be called that.
pub(crate) fn is_subdomain(text: &str) -> bool {
    text.len() <= SUBDOMAIN_MAX && text.split('.').all(is_label)
}

fn is_label(text: &str) -> bool {
    let edge = |c: Option<&u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes
            .iter()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == b'-')
}

// === impl SyncTargetConfig ===

impl SyncTargetConfig {
    /// Checks the values together.
    ///
    /// # Errors
    ///
    /// If `min_interval` is shorter than 100 ms or longer than `heartbeat_interval`.
    pub fn new(
        min_interval: Duration,
        heartbeat_interval: Duration,
        heartbeat_field: HeartbeatField,
    ) -> Result<Self, InvalidConfig> {
        if min_interval < MIN_INTERVAL_FLOOR {
            return Err(InvalidConfig {
                key: "minInterval",
                value: format!("{min_interval:?}"),
                allowed: format!("at least {MIN_INTERVAL_FLOOR:?} is allowed"),
            });
        }
        if heartbeat_interval < min_interval {
            return Err(InvalidConfig {
                key: "heartbeatInterval",
                value: format!("{heartbeat_interval:?}"),
                allowed: format!("at least minInterval ({min_interval:?}) is allowed"),
            });
        }
        Ok(Self {
            min_interval,
            heartbeat_interval,
            heartbeat_field,
        })
    }
}

impl Default for SyncTargetConfig {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_secs(5),
            heartbeat_interval: Duration::from_secs(20),
            heartbeat_field: HeartbeatField::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// component-helpers d1f2e8e: a name that the server never takes is found before it is sent.
    #[test]
    fn pitfall_10_names_that_kubernetes_does_not_take_are_refused() {
        let long = "x".repeat(254);
        for (namespace, name, key) in [
            ("", "", Some("namespace")),
            ("Default", "", Some("namespace")),
            ("a.b", "", Some("namespace")),
            ("default", "UPPER", Some("name")),
            ("default", "a..b", Some("name")),
            ("default", "a/b", Some("name")),
            ("default", &long, Some("name")),
            ("default", "a.b-1", None),
            ("default", "", None),
        ] {
            let result = LeaseConfig::new(namespace, name, "edge-1");
            assert_eq!(
                result.err().map(|error| error.key),
                key,
                "{namespace} {name}"
            );
        }
        let config = LeaseConfig::new("default", "", "edge-1").unwrap();
        assert_eq!(config.name(), "edge-1-heartbeat");
        let both = LeaseConfig::check("Bad_NS", "Bad_Name", "");
        let keys: Vec<_> = both.iter().map(|error| error.key).collect();
        assert_eq!(keys, ["namespace", "name"]);
    }

    #[test]
    fn the_interval_without_change_is_not_shorter_than_the_shortest() {
        let secs = Duration::from_secs;
        let key = |min, heartbeat| {
            SyncTargetConfig::new(min, heartbeat, HeartbeatField::Auto)
                .err()
                .map(|error| error.key)
        };
        assert_eq!(key(secs(5), secs(20)), None);
        assert_eq!(key(secs(5), secs(5)), None);
        assert_eq!(key(secs(5), secs(4)), Some("heartbeatInterval"));
        assert_eq!(key(secs(0), secs(4)), Some("minInterval"));
    }
}
