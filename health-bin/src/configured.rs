//! From the files that people give to configurations: read, checked, and read again.

use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::config;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Draft;
use crate::config::Environment;
#[cfg(feature = "hub")]
use crate::config::HubConfig;
use crate::config::Loaded;
use crate::config::Source;
use crate::config::Tree;
use crate::config::Variables;
use crate::reload;

/// A file that was read; without a name nothing was given.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    name: Option<String>,
    pub(crate) text: String,
}

/// Reads a file, if one is given.
pub(crate) fn read(path: Option<&Path>) -> Result<ConfigFile, ConfigError> {
    let Some(path) = path else {
        return Ok(ConfigFile::default());
    };
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::one("--config", format!("cannot read {path:?}: {error}")))?;
    Ok(ConfigFile {
        name: Some(path.display().to_string()),
        text,
    })
}

/// What an agent is configured by, with every file that it names opened.
pub(crate) fn agent(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<AgentConfig>, ConfigError> {
    let draft = draft(&read(path)?, environment, config::AGENT_VARIABLES);
    draft.check(|agent: &mut AgentConfig| {
        agent.surround(environment);
        agent.validate(environment.get("KUBECONFIG").map(String::as_str))
    })
}

/// The same of a hub.
#[cfg(feature = "hub")]
pub(crate) fn hub(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<HubConfig>, ConfigError> {
    let draft = draft(&read(path)?, environment, config::HUB_VARIABLES);
    draft.check(|hub: &mut HubConfig| {
        hub.validate(environment.get("KUBECONFIG").map(String::as_str))
    })
}

/// What can be read, whether or not it works on this machine.
#[cfg(feature = "transport-lease")]
pub(crate) fn unchecked<C: Default + Serialize + DeserializeOwned>(
    file: &ConfigFile,
    environment: &Environment,
    variables: Variables,
) -> Result<C, ConfigError> {
    let loaded = draft(file, environment, variables).check(|_| Ok(()))?;
    Ok(loaded.config)
}

/// As at the start, whenever it is asked for.
pub(crate) fn agent_source(
    file: Option<PathBuf>,
    environment: Environment,
) -> reload::Source<AgentConfig> {
    reload::Source::new(file.clone(), move || {
        agent(file.as_deref(), &environment).map(|loaded| loaded.config)
    })
}

/// The same of a hub.
#[cfg(feature = "hub")]
pub(crate) fn hub_source(
    file: Option<PathBuf>,
    environment: Environment,
) -> reload::Source<HubConfig> {
    reload::Source::new(file.clone(), move || {
        hub(file.as_deref(), &environment).map(|loaded| loaded.config)
    })
}

/// What turns out to be wrong with the configuration only when it is used has a place too.
pub(crate) fn placed(error: anyhow::Error, written: &Tree) -> anyhow::Error {
    match error.downcast::<ConfigError>() {
        Ok(error) => written.locate(error).into(),
        Err(error) => error,
    }
}

fn draft<C: Default + Serialize + DeserializeOwned>(
    file: &ConfigFile,
    environment: &Environment,
    variables: Variables,
) -> Draft<C> {
    let source = Source {
        file: file.name.as_deref(),
        text: &file.text,
    };
    config::load(source, environment, variables)
}
