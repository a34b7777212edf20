//! What is wrong with a configuration, and where it was said.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;

#[cfg(feature = "transport-lease")]
use health_transport_lease::ClusterError;
#[cfg(feature = "transport-lease")]
use health_transport_lease::ClusterKey;

/// Indicates a configuration that cannot be used: every problem that was found, a line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ConfigError(pub(crate) Vec<Problem>);

/// One thing that is wrong: where, which key, what is wrong with it, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// None until somebody has looked, and where there is nothing to look at.
    pub(crate) place: Option<Place>,
    /// Its path, as `checks.components[0].name`; empty for the whole.
    pub(crate) key: String,
    pub(crate) what: String,
}

/// Where something was said. What stands in the file comes first, from its top.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Lines and columns count from 1, columns in characters.
    File {
        file: String,
        line: u64,
        column: u64,
    },
    /// A variable of the environment.
    Variable(String),
}

/// Collects problems, so that all are told at once.
#[derive(Debug, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

// === impl ConfigError ===

impl ConfigError {
    pub(crate) fn one(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self(vec![Problem::new(key, what)])
    }

    /// That something which `key` names cannot be used, with the whole chain of causes.
    pub(crate) fn caused(key: &str, error: impl Into<anyhow::Error>) -> Self {
        Self::one(key, format!("{:#}", error.into()))
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(key: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            place: None,
            key: key.into(),
            what: what.into(),
        }
    }

    /// What a library says of its own `key`, which is part of `section` here and with which its
    /// words may begin.
    #[cfg(any(feature = "transport-ws", feature = "transport-lease"))]
    pub(crate) fn below(section: &str, key: &str, error: impl Into<anyhow::Error>) -> Self {
        let what = format!("{:#}", error.into());
        let rest = what.strip_prefix(key).unwrap_or(&what);
        Self::new(
            format!("{section}.{key}"),
            rest.trim_start_matches([':', ' ']),
        )
    }

    /// Why no cluster can be called; `workspace` is the key of the workspace.
    #[cfg(feature = "transport-lease")]
    pub(crate) fn of_cluster(error: ClusterError, workspace: &str) -> Self {
        let key = error.key();
        let name = key.to_string();
        let problem = Self::below("cluster", &name, error);
        match key {
            ClusterKey::Context | ClusterKey::InCluster | ClusterKey::Kubeconfig => problem,
            ClusterKey::Variable => Self {
                place: Some(Place::Variable(name)),
                key: "cluster.kubeconfig".to_owned(),
                ..problem
            },
            ClusterKey::Workspace => Self {
                key: workspace.to_owned(),
                ..problem
            },
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A problem is one line, whatever is in the file.
        let one_line = |text: &str| text.trim_end().replace(char::is_control, " ");
        match &self.place {
            Some(place) => place.fmt(f)?,
            // A flag of the command line is a place by itself.
            None if self.key.starts_with("--") => {
                return write!(f, "{}: {}", one_line(&self.key), one_line(&self.what));
            }
            None => f.write_str("configuration")?,
        }
        if !self.key.is_empty() {
            write!(f, ": {}", one_line(&self.key))?;
        }
        write!(f, ": {}", one_line(&self.what))
    }
}

// === impl Place ===

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

// === impl Problems ===

impl Problems {
    pub(crate) fn add(&mut self, key: impl Into<String>, what: impl Into<String>) {
        self.0.push(Problem::new(key, what));
    }

    /// What was made, or nothing and a note of what is wrong. Of a key that something was told of
    /// before no more is told: it may only follow from that.
    pub(crate) fn take<T>(&mut self, made: Result<T, impl Into<ConfigError>>) -> Option<T> {
        match made {
            Ok(made) => Some(made),
            Err(error) => {
                let told = |problem: &Problem| self.0.iter().any(|it| it.key == problem.key);
                let ConfigError(mut new) = error.into();
                new.retain(|problem| !told(problem));
                self.0.append(&mut new);
                None
            }
        }
    }

    /// Notes that `key` listens where one of `others` does, each with its key.
    pub(crate) fn check_apart(
        &mut self,
        key: &str,
        bind: SocketAddr,
        others: &[(&str, SocketAddr)],
    ) {
        for (other, address) in others {
            if bind.port() != 0 && bind == *address {
                self.add(
                    key,
                    format!("is {bind}, as {other} is; give it a port of its own"),
                );
            }
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

/// What stands in the file that `key` names.
pub(crate) fn read_file(key: &str, path: &Path) -> Result<Vec<u8>, ConfigError> {
    std::fs::read(path)
        .map_err(|error| ConfigError::one(key, format!("cannot read the file {path:?}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_key_that_was_told_no_more_is_told() {
        let wrong = |keys: &[&str]| {
            let problems = keys.iter().map(|key| Problem::new(*key, "is wrong"));
            Err::<(), _>(ConfigError(problems.collect()))
        };
        let mut problems = Problems::default();
        assert_eq!(problems.take(Ok::<_, ConfigError>(1)), Some(1));
        assert_eq!(problems.take(wrong(&["a", "a", "b"])), None);
        assert_eq!(problems.take(wrong(&["b", "a", "c"])), None);
        let keys: Vec<_> = problems.0.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["a", "a", "b", "c"]);
    }

    #[test]
    fn a_problem_is_one_line_that_begins_with_its_place() {
        let file = |line| {
            Some(Place::File {
                file: "a b.yaml".to_owned(),
                line,
                column: 3,
            })
        };
        let variable = Some(Place::Variable("NAME".to_owned()));
        for (place, key, what, line) in [
            (file(2), "a.b", "is wrong", "a b.yaml:2:3: a.b: is wrong"),
            (file(2), "", "is no YAML", "a b.yaml:2:3: is no YAML"),
            (variable, "a", "is x", "NAME: a: is x"),
            (None, "a\nb", "one\ntwo\r\n", "configuration: a b: one two"),
        ] {
            let problem = Problem {
                place,
                ..Problem::new(key, what)
            };
            assert_eq!(problem.to_string(), line);
        }
    }
}
