//! Subcommand: cargo xtask soak

use xshell::Shell;
use xshell::cmd;

/// How long, and which faults.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// For how long; memory that grows slowly needs hours to be seen.
    #[arg(long, value_name = "N", default_value_t = 2.0)]
    minutes: f64,
    /// The seed of the faults and of their order.
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
}

impl Args {
    /// CI looks for two minutes.
    pub(crate) const fn for_ci() -> Self {
        Self {
            minutes: 2.0,
            seed: 1,
        }
    }
}

/// Runs a hub and agents as processes under faults, and sees that nothing grows and nobody who lives
/// is convicted.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let _minutes = sh.push_env("SYNCER_HEALTH_SOAK_MINUTES", args.minutes.to_string());
    let _seed = sh.push_env("SYNCER_HEALTH_SOAK_SEED", args.seed.to_string());
    let test = cmd!(
        sh,
        "cargo test --locked -p health-bin --test integration soak --"
    );
    Ok(test.args(["--ignored", "--nocapture"]).run()?)
}
