//! The command line.

mod help;

mod status;

use std::ffi::OsString;
use std::path::Path;
use std::path::PathBuf;

use clap::Args;
use clap::CommandFactory;
use clap::FromArgMatches;
use clap::Parser;
use clap::Subcommand;
use clap_complete::Shell;

#[cfg(feature = "hub")]
use crate::config::ConfigDuration;
use crate::gates;
use crate::gates::Gates;
use crate::http::Url;
use crate::status::AGENT_URL;

pub(crate) use status::OutputFormat;
pub(crate) use status::StatusArgs;

/// Tells a control plane, within seconds and without false alarms, whether the agent on every
/// member cluster is alive and healthy.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, max_term_width = 100, after_help = help::TOP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agent beside a syncer: checks, probes, metrics and heartbeats.
    ///
    /// It checks the syncer from outside (HTTP, TCP, a program, its Prometheus metrics),
    /// answers /livez, /readyz, /startupz, /report and /metrics on server.bind, and sends
    /// heartbeats by the tunnel to a hub, as a Lease, or by both. SIGHUP, and a change of the
    /// file, have it read its configuration again.
    #[command(verbatim_doc_comment, after_help = help::RUN)]
    Run(ServeArgs),
    /// Run the hub: accept tunnels, find the silent.
    ///
    /// Agents dial in on server.bind. People and monitors look on ops.bind: the page at /,
    /// /fleet, /events, /metrics. With a control plane it reads Leases too, and writes on
    /// each SyncTarget whether its agent lives.
    #[cfg(feature = "hub")]
    #[command(verbatim_doc_comment, after_help = help::HUB)]
    Hub(ServeArgs),
    /// Run a hub and some agents in one process on loopback, and print where to look.
    ///
    /// No cluster is touched. Each agent has a simulated sync engine whose queue and errors
    /// rise and fall within a minute.
    #[cfg(feature = "hub")]
    #[command(verbatim_doc_comment, after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Ask a running agent's probe: exit code 0 if it holds, 1 if not or if nothing answers.
    ///
    /// For exec probes in images without a shell. It prints what the probe stands on, a line
    /// for each component, and answers within 10 s. A hub has livez and readyz too.
    #[command(verbatim_doc_comment, after_help = help::PROBE)]
    Probe(ProbeArgs),
    /// Show how an agent or a hub's fleet is.
    ///
    /// It finds out by itself which of the two answers. Of an agent it shows the verdict, the
    /// components (the sickest first) and the transports; of a hub the agents, the silent
    /// first. AGE is how long ago a component was checked, FAILURES how often it has failed
    /// in a row. REASON is why an agent is silent, or else what ails it.
    #[command(verbatim_doc_comment, after_help = help::STATUS)]
    Status(StatusArgs),
    /// Look at the configuration.
    ///
    /// `default` prints a file with every key, what it means and what may stand there; `check`
    /// tells every mistake at once, and reads and tries the files that are named, as a start does;
    /// it calls nobody.
    #[command(verbatim_doc_comment, after_help = help::CONFIG)]
    Config(ConfigArgs),
    /// Print what is applied to a control plane before an agent runs, or the agent itself.
    ///
    /// The definition of SyncTarget, where there is none, the least rights of an agent or a
    /// hub of a configuration, and the agent as a workload, for kubectl apply.
    #[cfg(feature = "transport-lease")]
    #[command(verbatim_doc_comment, after_help = help::MANIFESTS)]
    Manifests(ManifestsArgs),
    /// Print what a shell needs to complete this program's command line.
    ///
    /// Write it where your shell looks for it, and commands, options and their values are
    /// completed from the next session on.
    #[command(verbatim_doc_comment, after_help = help::COMPLETIONS)]
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Switch what is not settled yet.
    #[arg(long, value_name = "NAME=BOOL,...", default_value_t, long_help = gates::HELP)]
    #[arg(hide_default_value = true)]
    pub(crate) feature_gates: Gates,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The configuration file; without one, defaults and environment variables.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[cfg(feature = "hub")]
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How many agents to run.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) agents: u32,
    /// How long to run, for example 30s; without it, until Ctrl-C.
    #[arg(long, value_parser = parse_duration)]
    pub(crate) duration: Option<ConfigDuration>,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Which probe.
    #[arg(value_parser = ["livez", "readyz", "startupz"])]
    pub(crate) probe: String,
    /// Where the agent answers: its server.bind.
    #[arg(long, default_value = AGENT_URL)]
    pub(crate) url: Url,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// Which shell.
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Check a configuration as `run` (or `hub`) would at its start: exit code 0 or 2.
    Check(CheckTarget),
    /// Print the annotated default configuration.
    Default(DefaultTarget),
    /// Print the JSON Schema of the configuration, by which an editor completes and checks it.
    Schema(SchemaTarget),
}

#[cfg(feature = "transport-lease")]
#[derive(Debug, Args)]
pub(crate) struct ManifestsArgs {
    #[command(subcommand)]
    pub(crate) what: Manifests,
}

#[cfg(feature = "transport-lease")]
#[derive(Debug, Subcommand)]
pub(crate) enum Manifests {
    /// The definition of SyncTarget, for a server that has none.
    Crd,
    /// The least rights of the agent of this configuration, and who has them if that is said.
    Rbac(RightsArgs),
    /// The agent of this configuration as a Deployment, with a Secret by reference for each folder
    /// that the configuration names files in.
    Agent(AgentManifestsArgs),
    /// The least rights of the hub of this configuration, in each workspace that it watches, and
    /// for the Lease by which hubs lead in turn.
    #[cfg(feature = "hub")]
    Hub(RightsArgs),
}

#[cfg(feature = "transport-lease")]
#[derive(Debug, Args)]
pub(crate) struct RightsArgs {
    /// The configuration file; without one, defaults and environment variables.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print the bindings too, which give the rights to this ServiceAccount; may be repeated.
    #[arg(long, value_name = "NAMESPACE:NAME", value_parser = parse_service_account)]
    pub(crate) service_account: Vec<(String, String)>,
    /// Print the bindings too, which give the rights to this user, and on kcp the right to come into
    /// the workspace; may be repeated.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Vec<String>,
}

#[cfg(feature = "transport-lease")]
#[derive(Debug, Args)]
pub(crate) struct AgentManifestsArgs {
    /// The configuration file, which goes into a ConfigMap as it is.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// The namespace of the objects.
    #[arg(long, default_value = "syncer-health")]
    pub(crate) namespace: String,
    /// The image that the container runs.
    #[arg(long, default_value = concat!("syncer-health:", env!("CARGO_PKG_VERSION")))]
    pub(crate) image: String,
}

#[derive(Debug, Args)]
pub(crate) struct CheckTarget {
    /// The hub's configuration instead of the agent's.
    #[cfg(feature = "hub")]
    #[arg(long)]
    pub(crate) hub: bool,
    /// The configuration file; without one, the environment variables alone.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same, as `run` and `hub` take it.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DefaultTarget {
    /// The hub's configuration instead of the agent's.
    #[cfg(feature = "hub")]
    #[arg(long)]
    pub(crate) hub: bool,
}

#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SchemaTarget {
    /// Of the hub's configuration instead of the agent's.
    #[cfg(feature = "hub")]
    #[arg(long)]
    pub(crate) hub: bool,
    /// Of what an agent answers to /report.
    #[arg(long)]
    pub(crate) report: bool,
}

/// The name by which the program is called.
pub(crate) const PROGRAM: &str = "syncer-health";

// === impl CheckTarget ===

impl CheckTarget {
    pub(crate) fn file(&self) -> Option<&Path> {
        self.file.as_deref().or(self.config.as_deref())
    }
}

/// Reads the arguments of this process; what they cannot mean, and `--help`, end it.
pub(crate) fn parse() -> Cli {
    let matches = command().get_matches_from(readable(std::env::args_os()));
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// The arguments as a target of the empty workspace, `-/NAME`, is not taken for a flag.
fn readable(args: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut readable: Vec<OsString> = Vec::new();
    for mut arg in args {
        let is_searched = readable.last().is_some_and(|before| before == "--search");
        if arg.as_encoded_bytes().starts_with(b"-/") && !is_searched {
            // So `status -o name` writes it.
            let target = std::mem::replace(&mut arg, "agent/".into());
            arg.push(target);
        }
        readable.push(arg);
    }
    readable
}

/// The command line, with its commands in groups.
pub(crate) fn command() -> clap::Command {
    // Only what is built has `help` among its commands.
    let mut built = Cli::command();
    built.build();
    let template = template(&built);
    Cli::command()
        .help_template(template)
        .mut_subcommands(|command| match about(&command) {
            Some(about) => command.about(about),
            None => command,
        })
}

/// What a command is for, without the full stop that it has in its documentation.
fn about(command: &clap::Command) -> Option<String> {
    let about = command.get_about()?.to_string();
    Some(about.trim_end_matches('.').to_owned())
}

/// The top level's help. The commands and what they are for are the ones that there are; clap itself
/// knows one group only.
fn template(command: &clap::Command) -> String {
    let shown = |name: &str| {
        let found = command
            .get_subcommands()
            .find(|one| one.get_name() == name)?;
        let about = about(found).unwrap_or_default();
        Some(format!("  {name:<13}{about}\n"))
    };
    let mut template = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (group, names) in help::GROUPS {
        let lines: String = names.iter().filter_map(|name| shown(name)).collect();
        template.push_str(&format!("\n{group}:\n{lines}"));
    }
    template + "\nOptions:\n{options}{after-help}"
}

/// As `kubectl create rolebinding --serviceaccount` takes it.
#[cfg(feature = "transport-lease")]
fn parse_service_account(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        Some(_) | None => Err("write it as NAMESPACE:NAME, like default:edge-1".to_owned()),
    }
}

#[cfg(feature = "hub")]
fn parse_duration(text: &str) -> Result<ConfigDuration, String> {
    humantime::parse_duration(text)
        .map(ConfigDuration)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_of_the_empty_workspace_is_no_flag() {
        type Named = (Option<String>, Option<String>);
        let named = |args: &[&str]| -> Result<Named, String> {
            let args = args.iter().map(OsString::from);
            let matches = command().try_get_matches_from(readable(args));
            let matches = matches.map_err(|error| error.to_string())?;
            let command = Cli::from_arg_matches(&matches).unwrap().command;
            let Command::Status(status) = command else {
                panic!("{command:?}");
            };
            Ok((status.agent.map(|id| id.to_string()), status.search))
        };
        let (agent, search) = (Some("-/edge-1".to_owned()), None);
        let status = "syncer-health status";
        let words = |rest: &str| named(&format!("{status} {rest}").split(' ').collect::<Vec<_>>());
        assert_eq!(words("-/edge-1 -w"), Ok((agent.clone(), search.clone())));
        assert_eq!(words("-o yaml -- -/edge-1"), Ok((agent, search)));
        assert_eq!(
            words("root:org/a"),
            Ok((Some("root:org/a".to_owned()), None))
        );
        assert!(words("--wach").is_err_and(|error| error.contains("--watch")));
        assert!(words("--search -/edge").is_err());
    }

    #[test]
    fn the_command_line_is_one_that_clap_accepts() {
        command().debug_assert();
    }

    #[test]
    fn each_command_stands_in_one_group() {
        let mut command = Cli::command();
        command.build();
        for name in command.get_subcommands().map(clap::Command::get_name) {
            let groups = help::GROUPS.iter().flat_map(|(_, names)| *names);
            assert_eq!(groups.filter(|one| **one == name).count(), 1, "{name}");
        }
        let help = self::command().render_help().to_string();
        let (_, look) = help.split_once("\nLook:\n").expect("a group");
        assert!(
            look.starts_with("  status       Show how an agent"),
            "{help}"
        );
        assert!(help.contains("\n  -V, --version"), "{help}");
    }

    #[test]
    fn each_command_has_examples_that_parse_and_says_its_exit_codes() {
        let command = command();
        let mut commands: Vec<&clap::Command> = command.get_subcommands().collect();
        commands.push(&command);
        for command in commands {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{name} has no examples"));
            assert!(help.contains("Exit codes: 0"), "{name}: {help}");
            let long = command.get_long_about().map(ToString::to_string);
            let says_more = long.is_some_and(|long| long.lines().count() > 2);
            assert!(
                says_more || name == PROGRAM,
                "{name} says in no line what it is for"
            );
            let examples: Vec<_> = help.lines().filter_map(example).collect();
            assert!(examples.len() >= 2, "{name}: {help}");
            for example in examples {
                let parsed = Cli::try_parse_from(&example);
                let feature = cfg!(feature = "hub")
                    || !example
                        .iter()
                        .any(|word| word.contains("hub") || word == "demo");
                assert!(
                    parsed.is_ok() || !feature,
                    "{name}: {example:?}: {parsed:?}"
                );
            }
        }
    }

    /// The words of an example, up to where the shell or a comment begins.
    fn example(line: &str) -> Option<Vec<String>> {
        let rest = line.strip_prefix("  ")?;
        rest.starts_with(PROGRAM).then_some(())?;
        let words = rest.split("   ").next()?.split(' ');
        let ours = words.take_while(|word| !["|", ">"].contains(word));
        Some(ours.map(str::to_owned).collect())
    }
}
