//! From a file and the environment to a configuration.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ConfigError;
use super::environment;

/// The process's environment, handed in.
pub(crate) type Environment = BTreeMap<String, String>;

/// Reads the configuration `text` and puts the environment over it.
///
/// `prefix` begins the variables' names; those that also begin with one of `foreign` belong to
/// another program. Unknown variables are warned about and never refused, since Kubernetes injects
/// some for every Service.
pub(crate) fn load<C: Default + Serialize + DeserializeOwned>(
    text: &str,
    environment: &Environment,
    prefix: &str,
    foreign: &[&str],
) -> Result<(C, Vec<String>), ConfigError> {
    let mut value = parse(text)?;
    let warnings = apply(&mut value, &defaults::<C>()?, environment, prefix, foreign);
    let config = serde_path_to_error::deserialize(value).map_err(|error| explain(&error))?;
    Ok((config, warnings))
}

fn parse(text: &str) -> Result<Value, ConfigError> {
    if text
        .lines()
        .all(|line| line.trim().is_empty() || line.trim_start().starts_with('#'))
    {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let value: Value = serde_saphyr::from_str(text)
        .map_err(|error| ConfigError::one("", format!("this is not YAML: {error}")))?;
    if value.is_object() {
        return Ok(value);
    }
    Err(ConfigError::one(
        "",
        "the file must hold keys and values, as `config default` prints",
    ))
}

fn defaults<C: Default + Serialize>() -> Result<Value, ConfigError> {
    serde_json::to_value(C::default()).map_err(|error| ConfigError::one("", error.to_string()))
}

fn apply(
    value: &mut Value,
    defaults: &Value,
    environment: &Environment,
    prefix: &str,
    foreign: &[&str],
) -> Vec<String> {
    let known = environment::variables(defaults, prefix);
    let mut warnings = Vec::new();
    let own = environment.iter().filter(|(name, _)| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('_'))
            && !foreign.iter().any(|foreign| name.starts_with(foreign))
    });
    for (name, text) in own {
        let Some((path, _)) = known.iter().find(|(_, variable)| variable == name) else {
            warnings.push(format!(
                "environment variable {name} names no key and is ignored"
            ));
            continue;
        };
        let like = path.iter().try_fold(defaults, |place, key| place.get(key));
        environment::set(value, path, environment::parse(text, like));
    }
    warnings
}

/// serde's message with the key's whole path, and the nearest known key for an unknown one.
fn explain(error: &serde_path_to_error::Error<serde_json::Error>) -> ConfigError {
    let path = error.path().to_string();
    let message = error.inner().to_string();
    if let Some((unknown, known)) = unknown_field(&message) {
        // serde names the map or the field in the path, depending on where it noticed.
        let parent = path
            .strip_suffix(unknown)
            .unwrap_or(&path)
            .trim_matches('.');
        let key = if parent.is_empty() {
            unknown.to_owned()
        } else {
            format!("{parent}.{unknown}")
        };
        let nearest = known
            .iter()
            .map(|candidate| (strsim::damerau_levenshtein(unknown, candidate), *candidate))
            .min()
            .filter(|(distance, candidate)| *distance <= candidate.len().max(unknown.len()) / 2);
        let hint = match nearest {
            Some((_, nearest)) => format!("did you mean {nearest:?}?"),
            None => format!("known here: {}", known.join(", ")),
        };
        return ConfigError::one(key, format!("unknown key; {hint}"));
    }
    ConfigError::one(if path == "." { "" } else { &path }, message)
}

/// The name and the known names out of serde's message about an unknown field.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix("unknown field `")?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((unknown, known))
}
