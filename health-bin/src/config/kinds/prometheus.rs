//! The kind `prometheus`.

use std::path::PathBuf;

use health_checks::checks::Families;
use health_checks::checks::HttpTarget;
use health_checks::checks::PrometheusCheck;
use health_checks::checks::PrometheusConfig;
use health_checks::checks::SyncLimits;
use serde::Deserialize;
use serde::Serialize;

use super::Credentials;
use super::PairedConfig;
use super::set_checked;

/// Reads the metrics of another process.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PrometheusKind {
    /// Where the metrics are.
    #[cfg_attr(test, schemars(regex(pattern = r"^https?://")))]
    pub(crate) url: String,
    /// The file with the bearer token that is sent.
    pub(crate) token_file: Option<PathBuf>,
    /// PEM with the authorities that are believed. Without it: those of the system.
    pub(crate) ca_file: Option<PathBuf>,
    /// PEM with the client's certificate; together with `keyFile`.
    pub(crate) cert_file: Option<PathBuf>,
    /// PEM with the client's key; together with `certFile`.
    pub(crate) key_file: Option<PathBuf>,
    /// Whether any certificate is believed.
    #[serde(default)]
    pub(crate) insecure: bool,
    /// Whether its numbers are the report's `syncRate` and so on; of one component at most.
    #[serde(default)]
    pub(crate) sync_engine: bool,
    /// Other families than those of controller-runtime.
    #[serde(default)]
    pub(crate) families: FamiliesConfig,
    /// How long the queue may be.
    pub(crate) queue_depth: Option<PairedConfig>,
    /// The share of attempts that may fail, 0 to 1.
    pub(crate) error_rate: Option<PairedConfig>,
    /// How long a sync may take.
    pub(crate) latency_seconds: Option<PairedConfig>,
}

/// Other families than those of controller-runtime.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct FamiliesConfig {
    /// The queue's depth.
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Za-z_:][A-Za-z0-9_:]*$")))]
    pub(crate) queue_depth: Option<String>,
    /// A counter of all attempts.
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Za-z_:][A-Za-z0-9_:]*$")))]
    pub(crate) attempts: Option<String>,
    /// A counter of failed attempts.
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Za-z_:][A-Za-z0-9_:]*$")))]
    pub(crate) errors: Option<String>,
    /// A histogram of how long an attempt took, in seconds.
    #[cfg_attr(test, schemars(regex(pattern = r"^[A-Za-z_:][A-Za-z0-9_:]*$")))]
    pub(crate) latency: Option<String>,
}

// === impl PrometheusKind ===

impl PrometheusKind {
    pub(super) fn make(&self) -> anyhow::Result<PrometheusCheck> {
        let mut target = HttpTarget::new(&self.url)?;
        self.credentials().give(&mut target)?;
        target.insecure = self.insecure;
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
        self.families.put(&mut config.families)?;
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

// === impl FamiliesConfig ===

impl FamiliesConfig {
    fn put(&self, families: &mut Families) -> anyhow::Result<()> {
        for (key, given, family) in [
            ("queueDepth", &self.queue_depth, &mut families.queue_depth),
            ("attempts", &self.attempts, &mut families.attempts),
            ("errors", &self.errors, &mut families.errors),
            ("latency", &self.latency, &mut families.latency),
        ] {
            let Some(given) = given else {
                continue;
            };
            let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
            let is_name = given.chars().all(part)
                && given.chars().next().is_some_and(|c| !c.is_ascii_digit());
            anyhow::ensure!(
                is_name,
                "families.{key}: {given:?} cannot be a metric's name; give a family such as {family}"
            );
            family.clone_from(given);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_families_are_taken_by_name_and_only_by_name() {
        let text =
            "{ url: http://a/metrics, families: { queueDepth: my_depth, latency: my:seconds } }";
        let kind: PrometheusKind = serde_saphyr::from_str(text).unwrap();
        let mut families = Families::default();
        kind.families.put(&mut families).unwrap();
        assert_eq!(families.queue_depth, "my_depth");
        assert_eq!(families.latency, "my:seconds");
        assert_eq!(families.attempts, Families::default().attempts);
        for wrong in ["", "9lives", "depth{name=\"a\"}"] {
            let config = FamiliesConfig {
                queue_depth: Some(wrong.to_owned()),
                ..FamiliesConfig::default()
            };
            let error = config.put(&mut families).unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "families.queueDepth: {wrong:?} cannot be a metric's name; give a family such \
                     as my_depth"
                )
            );
        }
    }
}
