//! The workshop: `cargo xtask --help` lists what it does.
//!
//! It orchestrates: what needs tokio or kube is a test that it runs.

#![expect(clippy::print_stdout, reason = "the workshop talks to people")]

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use clap::Subcommand;
use xshell::Shell;

mod alerts;

mod apiserver;

mod bench;

mod browser;

mod ci;

mod coverage;

mod deny;

mod features;

mod fuzz;

mod go;

mod image;

mod integration;

mod kcp;

mod layers;

mod plugins;

mod publish;

mod sim;

mod soak;

mod test;

mod tidy;

mod tool;

mod units;

/// Build, test and prove the project.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run all tests that need nothing but Rust and a C compiler.
    Test,
    /// Run everything that CI runs: the tests and all the rest.
    Ci(ci::Args),
    /// Run the suites on a real kcp, a real API server, with real Go peers and monitoring plugins.
    Integration(integration::Args),
    /// Start or stop a kcp on loopback.
    Kcp(kcp::Args),
    /// Simulate agents, a hub and an API server under many seeds, or one seed with its log.
    Sim(sim::Args),
    /// Run a hub and agents as processes under faults for minutes: nothing may grow.
    Soak(soak::Args),
    /// Open the hub's page in a real browser, with real agents behind it.
    Browser(browser::Args),
    /// Try the alert rules and the dashboards on what the program really answers; needs promtool.
    Alerts(alerts::Args),
    /// Check the systemd units; needs systemd-analyze.
    Units(units::Args),
    /// Measure what the project promises to cost, and compare.
    Bench(bench::Args),
    /// Feed what comes from outside with hostile bytes, guided by coverage; needs a C++ compiler.
    Fuzz(fuzz::Args),
    /// Print which share of the lines the tests reach; fails where it is too small.
    Coverage(coverage::Args),
    /// Check that crates depend on lower layers only, and on nothing that is banned.
    Layers,
    /// Check what is in the tree with cargo-deny: bans, licences, sources.
    Deny,
    /// Pack each crate as for the registry and build it from that; nothing is uploaded.
    Publish,
    /// Build and test the program with each set of transports, and each crate alone.
    Features,
    /// Check what no tool checks: file lengths, module docs, ignored tests, the Dockerfile.
    Tidy,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let sh = Shell::new()?;
    sh.change_dir(project_root()?);
    match cli.task {
        Task::Test => test::run(&sh),
        Task::Ci(args) => ci::run(&sh, &args),
        Task::Integration(args) => integration::run(&sh, &args),
        Task::Kcp(args) => kcp::run(&sh, args),
        Task::Sim(args) => sim::run(&sh, &args),
        Task::Soak(args) => soak::run(&sh, &args),
        Task::Browser(args) => browser::run(&sh, &args),
        Task::Alerts(args) => alerts::run(&sh, &args),
        Task::Units(args) => units::run(&sh, &args),
        Task::Bench(args) => bench::run(&sh, &args),
        Task::Fuzz(args) => fuzz::run(&sh, &args),
        Task::Coverage(args) => coverage::run(&sh, &args),
        Task::Layers => layers::run(&sh),
        Task::Deny => deny::run(&sh),
        Task::Publish => publish::run(&sh),
        Task::Features => features::run(&sh),
        Task::Tidy => tidy::run(&sh),
    }
}

/// The workspace's folder.
fn project_root() -> anyhow::Result<PathBuf> {
    // Cargo tells the runner too: a target folder that two clones share keeps the other's path.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = PathBuf::from(here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()));
    here.parent()
        .map(PathBuf::from)
        .context("xtask lives in the workspace")
}

/// Where what was built from elsewhere is kept between runs, outside the repository.
fn cache_dir() -> anyhow::Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache
        .context("neither XDG_CACHE_HOME nor HOME is set")?
        .join("syncer-health"))
}
