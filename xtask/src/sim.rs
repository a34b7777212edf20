//! Subcommand: cargo xtask sim

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

/// Which seeds to simulate.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many, from 0 on.
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// One of them, with its whole log.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Save what the hub of that seed recorded, to be replayed.
    #[arg(long, value_name = "FILE", requires = "seed")]
    save: Option<PathBuf>,
    /// Show what the flight in a file came to, as it was saved from `/flight` of a hub.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "seed"])]
    replay: Option<PathBuf>,
    /// One agent of it, with what came in and what was due.
    #[arg(long, value_name = "WORKSPACE/NAME", requires = "replay")]
    agent: Option<String>,
}

impl Args {
    /// As many as without arguments.
    pub(crate) const fn for_ci() -> Self {
        Self {
            seeds: 10_000,
            seed: None,
            save: None,
            replay: None,
            agent: None,
        }
    }
}

/// The ignored test of `health-bin/tests/simulation`, which knows from the environment what to do.
const TEST: [&str; 5] = ["--ignored", "--nocapture", "--quiet", "--exact", "sim"];

/// What every flight begins with.
const FLIGHT: &[u8; 10] = b"{\"flight\":";

/// What a world runs through. Most of what it calls besides is taken as `cargo xtask test` built it,
/// which saves the minutes of building all of that once more.
const OPTIMISED: [&str; 5] = [
    "health-core",
    "health-heartbeat",
    "health-transport-lease",
    "health-transport-ws",
    "simulation",
];

/// Runs the simulation optimised but with all checks of a debug build, and prints what it saw.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    if let Some(file) = &args.replay {
        check(file)?;
    }
    // The test runs in another folder.
    let absolute = |file: &Option<PathBuf>| file.as_ref().map(std::path::absolute).transpose();
    let variables = [
        ("SEEDS", Some(args.seeds.to_string().into())),
        ("SEED", args.seed.map(|seed| seed.to_string().into())),
        ("SAVE", absolute(&args.save)?.map(PathBuf::into_os_string)),
        (
            "REPLAY",
            absolute(&args.replay)?.map(PathBuf::into_os_string),
        ),
        ("AGENT", args.agent.clone().map(OsString::from)),
    ];
    let variables = variables.into_iter().filter_map(|(name, value)| {
        let name = format!("SYNCER_HEALTH_SIM_{name}");
        Some(sh.push_env(name, value?))
    });
    let _variables: Vec<_> = variables.collect();
    let optimised = OPTIMISED.map(|package| format!("profile.dev.package.{package}.opt-level=3"));
    let optimised = optimised.iter().flat_map(|value| ["--config", value]);
    let target = ["--workspace", "--all-features", "--test", "simulation"];
    let test = cmd!(
        sh,
        "cargo test {optimised...} --locked {target...} -- {TEST...}"
    );
    Ok(test.run()?)
}

/// A flight that is kept, and what it came to for one of its agents.
const KEPT: &str = "health-heartbeat/src/fleet/flight/tests/flight.jsonl";
const KEPT_AGENT: &str = "root:org:edge/edge-1";

/// Types what the runbook says of a saved flight, and looks at what it shows.
pub(crate) fn replay_once(sh: &Shell) -> anyhow::Result<()> {
    let xtask = std::env::current_exe()?;
    let shown = cmd!(sh, "{xtask} sim --replay {KEPT} --agent {KEPT_AGENT}").read()?;
    let verdicts = shown.matches(&format!(" => {KEPT_AGENT} ")).count();
    println!("{KEPT_AGENT}: {verdicts} verdicts in {KEPT}");
    anyhow::ensure!(verdicts > 0 && shown.contains("\nbefore: "), "{shown}");
    Ok(())
}

/// Whether a file begins as a flight does, before anything is built for it.
fn check(file: &Path) -> anyhow::Result<()> {
    let mut first = [0; FLIGHT.len()];
    let opened = File::open(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let read = opened.take(first.len() as u64).read(&mut first);
    read.with_context(|| format!("{} cannot be read", file.display()))?;
    anyhow::ensure!(
        first == *FLIGHT,
        "{} is no flight: save one with `curl -o FILE http://HUB/flight`",
        file.display()
    );
    Ok(())
}
