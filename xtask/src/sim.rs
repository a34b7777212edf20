//! Subcommand: cargo xtask sim

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
}

impl Args {
    /// As many as without arguments.
    pub(crate) const fn for_ci() -> Self {
        Self {
            seeds: 10_000,
            seed: None,
        }
    }
}

/// The ignored test of `health-bin/tests/simulation`, which knows from the environment what to do.
const TEST: [&str; 5] = ["--ignored", "--nocapture", "--quiet", "--exact", "sim"];

/// Runs the simulation as a release build, and prints what it saw.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let _which = match args.seed {
        Some(seed) => sh.push_env("SYNCER_HEALTH_SIM_SEED", seed.to_string()),
        None => sh.push_env("SYNCER_HEALTH_SIM_SEEDS", args.seeds.to_string()),
    };
    let target = ["-p", "health-bin", "--test", "simulation"];
    let test = cmd!(sh, "cargo test --release --locked {target...} -- {TEST...}");
    Ok(test.run()?)
}
