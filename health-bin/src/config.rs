//! Configuration: the file, the environment, and what is right.

use std::fmt;
use std::net::SocketAddr;

use serde::Deserializer;
use serde::de::Visitor;

mod agent;

mod collect;

mod difference;

mod duration;

mod environment;

mod grpc;

#[cfg(feature = "hub")]
mod hub;

mod kinds;

mod kubeconfig;

#[cfg(fuzzing)]
pub use kubeconfig::fuzz as fuzz_kubeconfig;

mod load;

mod oddities;

mod log;

mod problem;

mod reader;

mod tree;

mod trends;

mod validate;

pub(crate) use agent::AgentConfig;
pub(crate) use agent::ChecksConfig;
pub(crate) use agent::ComponentConfig;
pub(crate) use agent::RequireConfig;
pub(crate) use difference::differences;
pub(crate) use duration::ConfigDuration;
#[cfg(all(test, feature = "hub", feature = "transport-lease"))]
pub(crate) use environment::variables;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use hub::HubClusterConfig;
#[cfg(feature = "hub")]
pub(crate) use hub::HubConfig;
#[cfg(feature = "hub")]
pub(crate) use hub::HubTlsConfig;
#[cfg(test)]
pub(crate) use kinds::KINDS;
pub(crate) use kinds::Made;
pub(crate) use load::Draft;
pub(crate) use load::Environment;
pub(crate) use load::Loaded;
pub(crate) use load::Source;
pub(crate) use load::Variables;
pub(crate) use load::load;
pub(crate) use log::LogConfig;
pub(crate) use log::LogFilter;
pub(crate) use log::LogFormat;
pub(crate) use log::LogLevel;
pub(crate) use problem::ConfigError;
#[cfg(fuzzing)]
pub(crate) use problem::Place;
pub(crate) use problem::Problem;
pub(crate) use problem::Problems;
pub(crate) use problem::read_file;
pub(crate) use tree::Tree;

/// The annotated default configuration of the agent.
pub(crate) const AGENT_DEFAULT: &str = include_str!("config/agent.default.yaml");

/// The annotated default configuration of the hub.
#[cfg(feature = "hub")]
pub(crate) const HUB_DEFAULT: &str = include_str!("config/hub.default.yaml");

/// The variables of the agent.
pub(crate) const AGENT_VARIABLES: Variables = Variables {
    prefix: "SYNCER_HEALTH",
    foreign: &["SYNCER_HEALTH_HUB_"],
};

/// The variables of the hub.
#[cfg(feature = "hub")]
pub(crate) const HUB_VARIABLES: Variables = Variables {
    prefix: "SYNCER_HEALTH_HUB",
    foreign: &[],
};

/// The one of `known` that `word` was most likely meant to be, if any is near.
fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let nearest = known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .min()?;
    let (distance, candidate) = nearest;
    (distance <= candidate.len().max(word.len()) / 2).then_some(candidate)
}

/// An address to listen on; its error says how one is written.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = text(deserializer, "an address, like 127.0.0.1:8081 or [::]:8081")?;
    text.parse().map_err(|_| {
        let what = format!("{text:?} is no address; write it like 127.0.0.1:8081 or [::]:8081");
        serde::de::Error::custom(what)
    })
}

/// A text; whoever gives something else is told what is `wanted`.
fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    wanted: &'static str,
) -> Result<String, D::Error> {
    struct Text(&'static str);
    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }
    }
    deserializer.deserialize_str(Text(wanted))
}

#[cfg(test)]
mod tests;
