//! What the fuzz targets reach of the program. Each takes what came from outside, and panics where a
//! promise is broken.

pub use crate::agent::fuzz_push as push;
pub use crate::config::fuzz_kubeconfig as kubeconfig;
pub use crate::hub::fuzz_tokens as tokens;

use crate::config;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::HubConfig;

/// Reads a configuration as the agent's and as the hub's, with `variable` in the environment.
pub fn configuration(text: &str, variable: (&str, &str)) {
    let environment = Environment::from([(variable.0.to_owned(), variable.1.to_owned())]);
    let agent = config::load(text, &environment, "SYNCER_HEALTH", &["SYNCER_HEALTH_HUB_"]);
    if let Some((agent, _)) = told::<(AgentConfig, _)>(agent) {
        told(agent.validate(None));
    }
    let hub = config::load(text, &environment, "SYNCER_HEALTH_HUB", &[]);
    if let Some((hub, _)) = told::<(HubConfig, _)>(hub) {
        told(hub.validate(None));
    }
}

/// An error names at least one problem.
fn told<T>(result: Result<T, ConfigError>) -> Option<T> {
    result
        .inspect_err(|error| assert!(!error.0.is_empty(), "a problem without a word"))
        .ok()
}
