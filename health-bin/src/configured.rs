//! From the files that people give to configurations: read, checked, and read again.
//!
//! `config check`, a start and a running program all read theirs here, so they agree.

use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::config;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Draft;
use crate::config::Environment;
#[cfg(feature = "hub")]
use crate::config::HubConfig;
use crate::config::Loaded;
use crate::config::Problems;
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

/// What is wrong with values by themselves, and what a start would stumble over that makes
/// something of them and of the files that they name.
#[derive(Debug, Default)]
struct Wrong {
    values: Problems,
    start: Problems,
}

// === impl Wrong ===

impl Wrong {
    fn all(mut self) -> Problems {
        self.values.take(self.start.finish());
        self.values
    }
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

/// What an agent is configured by: every value was looked at, and every file that it names was read
/// and tried as a start does it. A start that follows has nothing to add.
///
/// # Cancel safety
///
/// Nothing is left behind. Reading the files is not bounded in time.
pub(crate) async fn agent(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<AgentConfig>, ConfigError> {
    let mut draft = draft(&read(path)?, environment, config::AGENT_VARIABLES);
    let wrong = wrong_agent(&mut draft, environment).await;
    let mut loaded = draft.finish(wrong.all())?;
    let oddities = loaded.config.oddities(kubeconfig(environment));
    loaded.warnings.extend(oddities);
    Ok(loaded)
}

/// The same of a hub.
///
/// # Cancel safety
///
/// As of [`agent`].
#[cfg(feature = "hub")]
pub(crate) async fn hub(
    path: Option<&Path>,
    environment: &Environment,
) -> Result<Loaded<HubConfig>, ConfigError> {
    let mut draft = draft(&read(path)?, environment, config::HUB_VARIABLES);
    let wrong = wrong_hub(&mut draft, environment).await;
    draft.finish(wrong.all())
}

async fn wrong_agent(draft: &mut Draft<AgentConfig>, environment: &Environment) -> Wrong {
    let mut wrong = Wrong::default();
    if let Some(agent) = draft.config() {
        let kubeconfig = kubeconfig(environment);
        agent.surround(environment);
        wrong.values.take(agent.validate(kubeconfig));
        crate::agent::check(agent, kubeconfig, &mut wrong.start).await;
    }
    wrong
}

#[cfg(feature = "hub")]
async fn wrong_hub(draft: &mut Draft<HubConfig>, environment: &Environment) -> Wrong {
    let mut wrong = Wrong::default();
    if let Some(hub) = draft.config() {
        wrong.values.take(hub.validate());
        crate::hub::check(hub, kubeconfig(environment), &mut wrong.start).await;
    }
    wrong
}

fn kubeconfig(environment: &Environment) -> Option<&str> {
    environment.get("KUBECONFIG").map(String::as_str)
}

/// What can be read, whether or not it works on this machine.
#[cfg(feature = "transport-lease")]
pub(crate) fn unchecked<C: Default + Serialize + DeserializeOwned>(
    file: &ConfigFile,
    environment: &Environment,
    variables: Variables,
) -> Result<C, ConfigError> {
    let loaded = draft(file, environment, variables).finish(Problems::default())?;
    Ok(loaded.config)
}

/// As at the start, whenever it is asked for; but what only a start stumbles over is told and no
/// more.
pub(crate) fn agent_source(
    file: Option<PathBuf>,
    environment: Environment,
) -> reload::Source<AgentConfig> {
    reload::Source::new(file.clone(), move || {
        let text = read(file.as_deref())?;
        let mut draft = draft(&text, &environment, config::AGENT_VARIABLES);
        let wrong = Handle::current().block_on(wrong_agent(&mut draft, &environment));
        again(draft, wrong)
    })
}

/// The same of a hub.
#[cfg(feature = "hub")]
pub(crate) fn hub_source(
    file: Option<PathBuf>,
    environment: Environment,
) -> reload::Source<HubConfig> {
    reload::Source::new(file.clone(), move || {
        let text = read(file.as_deref())?;
        let mut draft = draft(&text, &environment, config::HUB_VARIABLES);
        let wrong = Handle::current().block_on(wrong_hub(&mut draft, &environment));
        again(draft, wrong)
    })
}

/// What runs has made it already and keeps the last good of each file: one that is being replaced is
/// no reason to refuse the rest.
fn again<C>(draft: Draft<C>, wrong: Wrong) -> Result<C, ConfigError> {
    let loaded = draft.finish(wrong.values)?;
    if let Err(wrong) = wrong.start.finish() {
        for line in loaded.written.locate(wrong).to_string().lines() {
            tracing::warn!("{line}");
        }
        tracing::warn!("a start would refuse that; what runs keeps what it has");
    }
    Ok(loaded.config)
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
