//! The command line.

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

#[cfg(feature = "hub")]
use crate::config::ConfigDuration;

/// Tells a control plane, within seconds and without false alarms, whether the agent on every
/// member cluster is alive and healthy.
#[derive(Debug, Parser)]
#[command(name = "syncer-health", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agent beside a syncer: checks, probes, metrics and heartbeats.
    Run(RunArgs),
    /// Run the hub: accept tunnels, find the silent.
    #[cfg(feature = "hub")]
    Hub(RunArgs),
    /// Run a hub and some agents in one process on loopback, and print where to look.
    #[cfg(feature = "hub")]
    Demo(DemoArgs),
    /// Ask a running agent's probe: exit code 0 if it holds, 1 if not or if nothing answers.
    Probe(ProbeArgs),
    /// Look at the configuration.
    Config(ConfigArgs),
    /// Print what is applied to a control plane before an agent runs.
    #[cfg(feature = "transport-lease")]
    Manifests(ManifestsArgs),
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
    /// Where the agent answers.
    #[arg(long, default_value = "http://127.0.0.1:8081")]
    pub(crate) url: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigAction {
    /// Check a configuration as `run` (or `hub`) would at its start: exit code 0 or 2.
    Check(ConfigTarget),
    /// Print the annotated default configuration.
    Default(ConfigTarget),
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
    /// The least rights of the agent of this configuration; bind them to its user.
    Rbac(RunArgs),
    /// The least rights of the hub of this configuration, in each workspace that it watches, and
    /// for the Lease by which hubs lead in turn.
    #[cfg(feature = "hub")]
    Hub(RunArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConfigTarget {
    /// The hub's configuration instead of the agent's.
    #[cfg(feature = "hub")]
    #[arg(long)]
    pub(crate) hub: bool,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[cfg(feature = "hub")]
fn parse_duration(text: &str) -> Result<ConfigDuration, String> {
    humantime::parse_duration(text)
        .map(ConfigDuration)
        .map_err(|error| error.to_string())
}
