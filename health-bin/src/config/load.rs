//! From a file and the environment to a configuration.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ConfigError;
use super::collect;
use super::collect::Found;
use super::environment;
use super::problem::Problem;
use super::problem::Problems;
use super::tree;
use super::tree::Content;
use super::tree::Mark;
use super::tree::Node;
use super::tree::Parsed;
use super::tree::Tree;

/// The process's environment, handed in.
pub(crate) type Environment = BTreeMap<String, String>;

/// The text of a configuration, and the file that it is from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Source<'a> {
    pub(crate) file: Option<&'a str>,
    pub(crate) text: &'a str,
}

/// Which variables of the environment a program reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Variables {
    /// Their names begin with it.
    pub(crate) prefix: &'static str,
    /// Those whose names begin with one of these belong to another program.
    pub(crate) foreign: &'static [&'static str],
}

/// A configuration that was read, with what is wrong so far: what cannot be read is as if it were
/// not there.
#[derive(Debug)]
pub(crate) struct Draft<C> {
    config: C,
    warnings: Vec<String>,
    written: Tree,
    /// What of it could be read.
    readable: Tree,
    found: Found,
}

/// A configuration that is right.
#[derive(Debug)]
pub(crate) struct Loaded<C> {
    pub(crate) config: C,
    /// A line each.
    pub(crate) warnings: Vec<String>,
    /// Where each key was given, for what turns out to be wrong later.
    pub(crate) written: Tree,
}

/// Nobody reads more lines than this at once.
const PROBLEMS_MAX: usize = 100;

/// Reads a configuration and puts the environment over it.
///
/// Unknown variables are warned about and never refused, since Kubernetes injects some for every
/// Service.
pub(crate) fn load<C: Default + Serialize + DeserializeOwned>(
    source: Source<'_>,
    environment: &Environment,
    variables: Variables,
) -> Draft<C> {
    let Parsed {
        tree: mut written,
        problems,
        is_yaml,
    } = tree::parse(source.file, source.text);
    let mut found = Found::default();
    found.problems = problems;
    let warnings = match serde_json::to_value(C::default()) {
        Ok(defaults) => apply(&mut written, &defaults, environment, variables),
        Err(error) => {
            found.problems.push(Problem::new("", error.to_string()));
            Vec::new()
        }
    };
    let mut readable = written.clone();
    let config = collect::read(&mut readable, &mut found);
    // What a file that is no YAML would have said nobody knows.
    found.gave_up |= !is_yaml;
    Draft {
        config,
        warnings,
        written,
        readable,
        found,
    }
}

fn apply(
    written: &mut Tree,
    defaults: &Value,
    environment: &Environment,
    variables: Variables,
) -> Vec<String> {
    let Variables { prefix, foreign } = variables;
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
        let value = Node {
            mark: Mark::Variable(name.clone()),
            content: Content::from(environment::parse(text, like)),
        };
        written.set(path, &value);
    }
    warnings
}

// === impl Draft ===

impl<C> Draft<C> {
    /// The configuration, as far as it could be read; nothing where too much is wrong with it to
    /// find more.
    pub(crate) const fn config(&mut self) -> Option<&mut C> {
        match self.found.gave_up {
            true => None,
            false => Some(&mut self.config),
        }
    }

    /// Tells everything that is wrong, together with the `contradictions` that its configuration
    /// has.
    pub(crate) fn finish(self, contradictions: Problems) -> Result<Loaded<C>, ConfigError> {
        let mut problems = Vec::new();
        for mut problem in contradictions.0 {
            problem.key = self.readable.original(&problem.key);
            if !self.found.explains(&problem) {
                problems.push(problem);
            }
        }
        problems.splice(0..0, self.found.problems);
        if problems.is_empty() {
            return Ok(Loaded {
                config: self.config,
                warnings: self.warnings,
                written: self.written,
            });
        }
        let mut error = self.written.locate(ConfigError(problems));
        let more = error.0.len().saturating_sub(PROBLEMS_MAX);
        error.0.truncate(PROBLEMS_MAX);
        if more > 0 {
            let what = format!("{more} more problems are not shown");
            error.0.push(Problem::new("", what));
        }
        Err(error)
    }
}

#[cfg(any(test, fuzzing))]
impl<C> Draft<C> {
    /// Tells everything that is wrong, together with what `validate` finds.
    pub(crate) fn check(
        mut self,
        validate: impl FnOnce(&mut C) -> Result<(), ConfigError>,
    ) -> Result<Loaded<C>, ConfigError> {
        let mut problems = Problems::default();
        if let Some(config) = self.config() {
            problems.take(validate(config));
        }
        self.finish(problems)
    }
}

// === impl Tree ===

impl Tree {
    /// Says of each problem where its key was given, and puts them in the order of the file.
    pub(crate) fn locate(&self, mut error: ConfigError) -> ConfigError {
        for problem in &mut error.0 {
            if problem.place.is_none() {
                problem.place = self.place(&problem.key);
            }
        }
        error
            .0
            .sort_by(|a, b| (a.place.is_none(), &a.place).cmp(&(b.place.is_none(), &b.place)));
        error
    }
}
