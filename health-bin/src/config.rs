//! Configuration: the file, the environment, and what is right.

use std::fmt;

mod agent;

mod duration;

mod environment;

#[cfg(feature = "hub")]
mod hub;

mod kinds;

mod kubeconfig;

#[cfg(fuzzing)]
pub use kubeconfig::fuzz as fuzz_kubeconfig;

mod load;

mod trends;

mod validate;

pub(crate) use agent::AgentConfig;
pub(crate) use agent::LogConfig;
pub(crate) use agent::LogFormat;
pub(crate) use agent::LogLevel;
pub(crate) use agent::RequireConfig;
pub(crate) use duration::ConfigDuration;
#[cfg(feature = "hub")]
pub(crate) use hub::HubConfig;
#[cfg(feature = "hub")]
pub(crate) use hub::HubTlsConfig;
pub(crate) use kinds::Made;
pub(crate) use load::Environment;
pub(crate) use load::load;

/// The annotated default configuration of the agent.
pub(crate) const AGENT_DEFAULT: &str = include_str!("config/agent.default.yaml");

/// The annotated default configuration of the hub.
#[cfg(feature = "hub")]
pub(crate) const HUB_DEFAULT: &str = include_str!("config/hub.default.yaml");

/// Indicates a configuration that cannot be used: every problem that was found, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError(pub(crate) Vec<Problem>);

/// One thing that is wrong: which key, what is wrong with it, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    pub(crate) what: String,
}

/// Collects problems, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

// === impl ConfigError ===

impl ConfigError {
    pub(crate) fn one(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self(vec![Problem {
            key: key.into(),
            what: what.into(),
        }])
    }

    /// That something which `key` names cannot be used, with the whole chain of causes.
    #[cfg(any(feature = "transport-ws", feature = "transport-lease"))]
    pub(crate) fn caused(key: &str, error: impl Into<anyhow::Error>) -> Self {
        Self::one(key, format!("{:#}", error.into()))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            match problem.key.as_str() {
                "" => write!(f, "configuration: {}", problem.what)?,
                key => write!(f, "configuration: {key}: {}", problem.what)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

// === impl Problems ===

impl Problems {
    pub(crate) fn add(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem {
            key: key.into(),
            what: what.into(),
        });
    }

    /// Notes that a file which the configuration names cannot be opened.
    pub(crate) fn check_file(&mut self, key: &str, path: &str) {
        if let Err(error) = std::fs::File::open(path).and_then(|file| {
            if file.metadata()?.is_dir() {
                return Err(std::io::Error::other("it is a directory"));
            }
            Ok(())
        }) {
            self.add(key, format!("cannot read the file {path:?}: {error}"));
        }
    }

    pub(crate) fn finish(self) -> Result<(), ConfigError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ConfigError(self.0))
        }
    }
}

#[cfg(test)]
mod tests;
