//! What the fuzz targets reach of the program. Each takes what came from outside, and panics where a
//! promise is broken.

pub use crate::agent::fuzz_push as push;
pub use crate::config::fuzz_kubeconfig as kubeconfig;
pub use crate::http::fuzz_url as url;
pub use crate::hub::fuzz_certificate as certificate;
pub use crate::hub::fuzz_ops_request as ops_request;
pub use crate::hub::fuzz_tokens as tokens;
pub use crate::status::fuzz_answers as status;
pub use crate::status::fuzz_events as events;

use crate::config;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::config::HubConfig;
use crate::config::Place;
use crate::config::Source;

/// Reads a configuration as the agent's and as the hub's, with `variable` in the environment.
pub fn configuration(text: &str, variable: (&str, &str)) {
    let environment = Environment::from([(variable.0.to_owned(), variable.1.to_owned())]);
    let source = Source {
        file: Some("fuzz.yaml"),
        text,
    };
    let agent = config::load::<AgentConfig>(source, &environment, config::AGENT_VARIABLES);
    told(agent.check(|agent| agent.validate(None)), text);
    let hub = config::load::<HubConfig>(source, &environment, config::HUB_VARIABLES);
    told(hub.check(|hub| hub.validate()), text);
}

/// An error names at least one problem, each in one line and with a place that there is.
fn told<T>(result: Result<T, ConfigError>, text: &str) {
    let Err(error) = result else { return };
    assert!(!error.0.is_empty(), "a problem without a word");
    assert_eq!(error.to_string().lines().count(), error.0.len(), "{error}");
    let lines = text.split(['\n', '\r']).count() as u64;
    for problem in &error.0 {
        if let Some(Place::File { line, column, .. }) = &problem.place {
            // What ends too early is missed in the line after the last.
            assert!((1..=lines + 1).contains(line) && *column > 0, "{problem}");
        }
    }
}
