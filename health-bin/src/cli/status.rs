//! The arguments of `status`.

use std::path::PathBuf;

use clap::Args;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use clap::builder::PossibleValuesParser;
use health_heartbeat::AgentId;
use health_heartbeat::FleetVerdict;

use super::help;
use crate::http::Url;
use crate::status::AGENTS_MAX;
use crate::target;

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// One agent of a hub, with its transitions and its report; `-` is the empty workspace.
    #[arg(
        value_name = "WORKSPACE/NAME",
        value_parser = parse_agent,
        conflicts_with_all = ["verdict", "workspace", "search", "limit"],
    )]
    pub(crate) agent: Option<AgentId>,
    /// Where the agent or the hub answers [default: http://127.0.0.1:8081; where agents are chosen,
    /// the hub's http://127.0.0.1:8083].
    #[arg(long)]
    pub(crate) url: Option<Url>,
    /// The form of the answer.
    #[arg(short, long, value_enum, value_name = "FORM", default_value_t = OutputFormat::Table)]
    pub(crate) output: OutputFormat,
    /// Go on: draw the table anew on a terminal, append what changed elsewhere.
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// The file with the bearer token that the hub asks for (its ops.tokenFile).
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Send the token to another machine over plain HTTP, where others can read it.
    #[arg(long, requires = "token_file")]
    pub(crate) allow_plaintext: bool,
    /// Only agents with these verdicts, separated by commas.
    #[arg(
        long,
        value_delimiter = ',',
        ignore_case = true,
        value_parser = verdicts(),
        help_heading = help::CHOOSING,
    )]
    pub(crate) verdict: Vec<String>,
    /// Only agents of this workspace; may be repeated, `-` is the empty one.
    #[arg(long, help_heading = help::CHOOSING)]
    pub(crate) workspace: Vec<String>,
    /// Only agents whose WORKSPACE/NAME contains this.
    #[arg(long, value_name = "TEXT", help_heading = help::CHOOSING)]
    pub(crate) search: Option<String>,
    /// At most so many agents.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=i64::from(AGENTS_MAX)),
        help_heading = help::CHOOSING,
    )]
    pub(crate) limit: Option<u16>,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    Table,
    /// What was answered.
    Json,
    /// The same as YAML.
    Yaml,
    /// A name a line, for pipes.
    Name,
}

/// The verdicts, by the names that the hub gives them.
fn verdicts() -> PossibleValuesParser {
    let names = FleetVerdict::ALL.into_iter();
    PossibleValuesParser::new(names.map(|verdict| PossibleValue::new(verdict.as_str())))
}

/// Reads a target, also as `-o name` writes it.
fn parse_agent(text: &str) -> Result<AgentId, String> {
    let bare = text.strip_prefix("agent/").and_then(target::parse_target);
    bare.or_else(|| target::parse_target(text))
        .ok_or_else(|| format!("write it as {}", target::EXPECTED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_named_as_the_names_are_printed() {
        for (text, id) in [
            ("root:org/edge-1", Some("root:org/edge-1")),
            ("agent/root:org/edge-1", Some("root:org/edge-1")),
            ("agent/-/edge-1", Some("-/edge-1")),
            ("agent/edge-1", Some("agent/edge-1")),
            ("edge-1", None),
            ("component/a/b", None),
        ] {
            let found = parse_agent(text).ok().map(|id| id.to_string());
            assert_eq!(found.as_deref(), id, "{text}");
        }
    }
}
