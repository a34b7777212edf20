//! What is wrong with a configuration, and where it was said.

use std::fmt;

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

    /// Notes that a file which the configuration names cannot be opened.
    pub(crate) fn check_file(&mut self, key: &str, path: &str) {
        if let Err(error) = open(path) {
            self.add(key, error);
        }
    }

    /// Notes that a file of the environment's `KUBECONFIG` cannot be opened.
    pub(crate) fn check_kubeconfigs(&mut self, paths: &str) {
        for path in paths.split(':').filter(|path| !path.is_empty()) {
            if let Err(error) = open(path) {
                self.0.push(Problem {
                    place: Some(Place::Variable("KUBECONFIG".to_owned())),
                    ..Problem::new("cluster.kubeconfig", error)
                });
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

fn open(path: &str) -> Result<(), String> {
    let opened = std::fs::File::open(path).and_then(|file| {
        if file.metadata()?.is_dir() {
            return Err(std::io::Error::other("it is a directory"));
        }
        Ok(())
    });
    opened.map_err(|error| format!("cannot read the file {path:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
