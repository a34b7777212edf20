//! What is logged: a level, and others for parts of the program.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;
use serde::de;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// The least severe that is logged: one level, and others for parts of the program, as in
    /// `info,health_transport_ws=debug`. A part is a module of a crate.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::log_filter"))]
    pub(crate) level: LogFilter,
    /// How a line looks.
    pub(crate) format: LogFormat,
}

/// The least severe that is logged: of all, and of parts of the program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LogFilter {
    pub(crate) level: LogLevel,
    /// A part has its own level, and a part of it another one.
    pub(crate) parts: Vec<(String, LogLevel)>,
}

/// The least severe that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

// === impl LogFilter ===

impl LogFilter {
    fn parse<E: de::Error>(text: &str) -> Result<Self, E> {
        let mut all = None;
        let mut parts = Vec::new();
        for piece in text.split(',').map(str::trim) {
            if let Some((part, of)) = piece.split_once('=') {
                // A crate is named as it is in the code, or as it is published.
                let part = part.trim().replace('-', "_");
                if !is_module(&part) {
                    let what = format!(
                        "{piece:?} names no module; write it like health_transport_ws=debug"
                    );
                    return Err(E::custom(what));
                }
                parts.push((part, LogLevel::parse(of.trim())?));
            } else if all.replace(LogLevel::parse(piece)?).is_some() {
                let what = format!(
                    "{text:?} has two levels for all; give one, and others for parts, like \
                     info,health_transport_ws=debug"
                );
                return Err(E::custom(what));
            }
        }
        let level = all.unwrap_or_default();
        Ok(Self { level, parts })
    }
}

impl LogLevel {
    fn parse<E: de::Error>(word: &str) -> Result<Self, E> {
        let word: StrDeserializer<'_, E> = word.into_deserializer();
        Self::deserialize(word)
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

fn is_module(path: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    !path.is_empty() && path.chars().all(is_part)
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.level.as_str())?;
        for (part, level) in &self.parts {
            write!(f, ",{part}={}", level.as_str())?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
    }
}

impl Serialize for LogFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_a_level_and_others_for_parts() {
        for (text, shown) in [
            ("warn", "warn"),
            ("info,health_bin=debug", "info,health_bin=debug"),
            (
                "kube_client::client=trace , error",
                "error,kube_client::client=trace",
            ),
            (
                "health-transport-ws=debug",
                "info,health_transport_ws=debug",
            ),
        ] {
            let filter: LogFilter = parse(text).unwrap();
            assert_eq!(filter.to_string(), shown);
            assert_eq!(parse(shown).unwrap(), filter, "{shown}");
        }
    }

    #[test]
    fn what_is_no_filter_says_what_one_is() {
        for (text, part) in [
            ("info,health_bin=debgu", "debgu"),
            ("info,debug", "two levels for all"),
            ("info,=debug", "names no module"),
            ("info,health bin=debug", "names no module"),
            ("info,", "unknown variant ``"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    fn parse(text: &str) -> Result<LogFilter, de::value::Error> {
        LogFilter::parse(text)
    }
}
