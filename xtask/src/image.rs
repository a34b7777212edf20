//! What can be said of `deploy/Dockerfile` without an engine that builds it.

use std::path::Path;

use serde_json::Value;
use xshell::Shell;

/// Where it is.
const DOCKERFILE: &str = "deploy/Dockerfile";

/// The labels that registries and scanners show.
const LABELS: [&str; 5] = ["title", "description", "licenses", "version", "revision"];

/// A Dockerfile with what it is held to.
struct Image<'a> {
    /// Each instruction on one line, by its name and its rest.
    instructions: Vec<(String, String)>,
    /// The `.dockerignore`.
    ignore: &'a str,
    members: Vec<&'a str>,
    version: &'a str,
    /// The oldest Rust that builds it.
    rust: &'a str,
}

/// Says what is wrong with it.
pub(crate) fn check(sh: &Shell) -> anyhow::Result<Vec<String>> {
    let (text, ignore) = (sh.read_file(DOCKERFILE)?, sh.read_file(".dockerignore")?);
    let manifest = sh.read_file("Cargo.toml")?;
    let root = sh.current_dir();
    let image = Image::new(&text, &ignore, &manifest);
    Ok(image.problems(|path| root.join(path).exists()))
}

// === impl Image ===

impl<'a> Image<'a> {
    fn new(text: &str, ignore: &'a str, manifest: &'a str) -> Self {
        let lines = text.lines().map(str::trim_end);
        let lines = lines.filter(|line| !line.trim_start().starts_with('#'));
        let joined = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let instructions = joined.lines().filter_map(|line| {
            let (name, rest) = line.trim().split_once(' ')?;
            Some((name.to_uppercase(), rest.trim().to_owned()))
        });
        let (_, members) = manifest.split_once("members = [").unwrap_or_default();
        let (members, rest) = members.split_once(']').unwrap_or_default();
        let key = |key: &str| {
            let mut lines = rest.lines();
            let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            value.unwrap_or_default().trim_matches('"')
        };
        Self {
            instructions: instructions.collect(),
            ignore,
            members: members.split('"').skip(1).step_by(2).collect(),
            version: key("version"),
            rust: key("rust-version"),
        }
    }

    fn problems(&self, is_there: impl Fn(&str) -> bool) -> Vec<String> {
        let mut wrong = Vec::new();
        self.check_sources(is_there, &mut wrong);
        let rust = format!("rust:{}-", self.rust);
        if !self.all("FROM").any(|from| from.starts_with(&rust)) {
            wrong.push(format!(
                "does not build from {rust}, the workspace's rust-version"
            ));
        }
        self.check_last_stage(&mut wrong);
        for problem in &mut wrong {
            *problem = format!("{DOCKERFILE}: {problem}");
        }
        wrong
    }

    /// What is copied from the tree is there, is not ignored, and is the whole workspace.
    fn check_sources(&self, is_there: impl Fn(&str) -> bool, wrong: &mut Vec<String>) {
        let copies = self.all("COPY").filter(|rest| !rest.starts_with("--from"));
        let copied: Vec<_> = copies
            .flat_map(|rest| {
                let words: Vec<_> = rest.split_whitespace().collect();
                words[..words.len().saturating_sub(1)].to_vec()
            })
            .collect();
        for path in &copied {
            if !is_there(path) {
                wrong.push(format!("copies {path}, which is not there"));
            }
            if !self.is_sent(path) {
                wrong.push(format!("copies {path}, which .dockerignore keeps back"));
            }
        }
        if self.members.is_empty() {
            wrong.push("no member of the workspace was found".to_owned());
        }
        for member in &self.members {
            let manifest = format!("{member}/Cargo.toml");
            if !copied
                .iter()
                .any(|path| Path::new(member).starts_with(path) || *path == manifest)
            {
                wrong.push(format!("does not copy {member}, which cargo looks for"));
            }
        }
    }

    /// The last stage has the program and no shell, and is run by nobody in particular.
    fn check_last_stage(&self, wrong: &mut Vec<String>) {
        let begins = self
            .instructions
            .iter()
            .rposition(|(name, _)| name == "FROM");
        let last = Self {
            instructions: self.instructions[begins.unwrap_or_default()..].to_vec(),
            members: Vec::new(),
            ..*self
        };
        if last.only("FROM") != Some("scratch") {
            wrong.push("the last stage does not begin from scratch".to_owned());
        }
        if last.all("RUN").next().is_some() {
            wrong.push("the last stage runs something, and has no shell".to_owned());
        }
        let user = last.only("USER").unwrap_or_default();
        let ids = user.split(':').map(str::parse::<u32>);
        if ids.clone().any(|id| !id.is_ok_and(|id| id > 0)) {
            wrong.push(format!("USER is {user:?}, no number that is not root's"));
        }
        let program = exec(last.only("ENTRYPOINT").unwrap_or_default());
        let program = program.first().map(String::as_str).unwrap_or_default();
        let copied = last
            .all("COPY")
            .filter_map(|rest| rest.split_whitespace().last());
        if !program.ends_with("/syncer-health") || !copied.into_iter().any(|it| it == program) {
            wrong.push(format!(
                "ENTRYPOINT is {program:?}, not the program as copied"
            ));
        }
        let health = last.only("HEALTHCHECK").unwrap_or_default();
        let (_, health) = health.split_once("CMD ").unwrap_or_default();
        let health = exec(health);
        if health.get(..2) != Some(&[program.to_owned(), "probe".to_owned()]) {
            wrong.push(format!(
                "HEALTHCHECK is {health:?}, not the program's probe"
            ));
        }
        let labels = last.only("LABEL").unwrap_or_default();
        for label in LABELS {
            if !labels.contains(&format!("org.opencontainers.image.{label}=")) {
                wrong.push(format!("has no label org.opencontainers.image.{label}"));
            }
        }
        let version = format!("VERSION={}", self.version);
        if !last.all("ARG").any(|argument| argument == version) {
            wrong.push(format!(
                "has no ARG {version}, the version of the workspace"
            ));
        }
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let found = self.instructions.iter().filter(move |(it, _)| it == name);
        found.map(|(_, rest)| rest.as_str())
    }

    fn only(&self, name: &str) -> Option<&str> {
        let mut found = self.all(name);
        found.next().filter(|_| found.next().is_none())
    }

    /// Whether the engine gets it: everything is ignored but what a line excepts, as a whole or
    /// with everything that begins so.
    fn is_sent(&self, path: &str) -> bool {
        let mut lines = self.ignore.lines().filter(|line| !line.starts_with('#'));
        lines.next() == Some("*")
            && lines.any(|line| {
                let kept = line.strip_prefix('!').unwrap_or_default();
                match kept.strip_suffix('*') {
                    Some(begin) => path.starts_with(begin),
                    None => !kept.is_empty() && Path::new(path).starts_with(kept),
                }
            })
    }
}

/// The words of an instruction that no shell reads; none where one would have to.
fn exec(rest: &str) -> Vec<String> {
    let words = serde_json::from_str::<Value>(rest).unwrap_or_default();
    let words = words.as_array().cloned().unwrap_or_default();
    let words = words.iter().filter_map(Value::as_str);
    words.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../deploy/Dockerfile");
    const IGNORE: &str = include_str!("../../.dockerignore");
    const MANIFEST: &str = include_str!("../../Cargo.toml");

    #[test]
    fn the_dockerfile_is_right() {
        assert_eq!(problems(GOOD, IGNORE), Vec::<String>::new());
        let image = Image::new(GOOD, IGNORE, MANIFEST);
        let missing = image.problems(|path| path != "health-core");
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(missing[0].contains("health-core, which is not there"));
    }

    #[test]
    fn each_thing_that_is_wrong_is_told() {
        for (right, wrong, told) in [
            (
                "COPY health-bin health-bin\n",
                "",
                "does not copy health-bin",
            ),
            (
                "COPY health-bin health-bin\n",
                "COPY health-bin/src health-bin/src\n",
                "does not copy health-bin/tests/simulation",
            ),
            (
                "xtask/src xtask/src",
                "docs docs",
                "copies docs, which .dockerignore",
            ),
            ("FROM rust:", "FROM rust:9", "does not build from rust:"),
            ("FROM scratch", "FROM debian", "does not begin from scratch"),
            ("ENV PATH=/usr/local/bin", "RUN true", "runs something"),
            ("USER 65532:65532", "USER nobody", "USER is \"nobody\""),
            ("USER 65532:65532", "USER 0:65532", "USER is \"0:65532\""),
            ("USER 65532:65532\n", "", "USER is \"\""),
            (
                "ENTRYPOINT [\"/usr/local/bin/syncer-health\"]",
                "ENTRYPOINT /usr/local/bin/syncer-health",
                "ENTRYPOINT is \"\"",
            ),
            (
                "/syncer-health /usr/local/bin/syncer-health\n",
                "/syncer-health /bin/syncer-health\n",
                "not the program as copied",
            ),
            ("\"probe\", \"livez\"", "\"config\"", "HEALTHCHECK is"),
            (
                "image.licenses",
                "image.license",
                "no label org.opencontainers.image.licenses",
            ),
            ("ARG VERSION=", "ARG VERSION=9", "has no ARG VERSION="),
        ] {
            assert!(GOOD.contains(right), "{right}");
            let found = problems(&GOOD.replace(right, wrong), IGNORE);
            assert!(
                found.iter().any(|it| it.contains(told)),
                "{told}: {found:?}"
            );
        }
        let found = problems(GOOD, &IGNORE.replace("*\n", ""));
        assert!(
            found.iter().any(|it| it.contains("keeps back")),
            "{found:?}"
        );
    }

    fn problems(dockerfile: &str, ignore: &str) -> Vec<String> {
        Image::new(dockerfile, ignore, MANIFEST).problems(|_| true)
    }
}
