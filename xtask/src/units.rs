//! Subcommand: cargo xtask units

use xshell::Shell;
use xshell::cmd;

use crate::project_root;
use crate::tool::Tool;

/// Whether it may be left out.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Whether a machine without systemd-analyze is an error instead of a skip.
    #[arg(skip)]
    must_run: bool,
}

impl Args {
    /// CI never skips.
    pub(crate) const fn for_ci() -> Self {
        Self { must_run: true }
    }
}

const ANALYZE: Tool = Tool {
    name: "systemd-analyze",
    packages: &["systemd"],
};

/// Where the units take the program to be.
const INSTALLED: &str = "/usr/bin/syncer-health";

/// The most that a unit may be exposed, in tenths: systemd calls up to 20 well protected.
const EXPOSURE_MAX: &str = "20";

/// Has systemd read the units, and judge how much each is exposed.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let Some(analyze) = ANALYZE.find(sh) else {
        anyhow::ensure!(
            !args.must_run,
            "units: this machine has no systemd-analyze, and CI never skips"
        );
        println!("units: skipped, this machine has no systemd-analyze and it cannot be installed");
        return Ok(());
    };
    let root = project_root()?;
    let folder = root.join("target/units");
    sh.remove_path(&folder)?;
    sh.create_dir(&folder)?;
    let mut units = 0;
    for unit in sh.read_dir("deploy/systemd")? {
        let text = sh.read_file(&unit)?;
        anyhow::ensure!(
            text.contains(INSTALLED),
            "units: {} does not start {INSTALLED}",
            unit.display()
        );
        // A program that is there, wherever the real one will be installed.
        let there = text.replace(INSTALLED, "/bin/true");
        let copy = folder.join(unit.file_name().unwrap_or_default());
        sh.write_file(&copy, there)?;
        let options = ["--man=no", "--recursive-errors=no"];
        cmd!(sh, "{analyze} verify {options...} {copy}").run()?;
        let options = ["--offline=true", "--no-pager"];
        cmd!(
            sh,
            "{analyze} security {options...} --threshold={EXPOSURE_MAX} {copy}"
        )
        .ignore_stdout()
        .run()?;
        units += 1;
    }
    anyhow::ensure!(units > 0, "units: there is none in deploy/systemd");
    println!("units: {units} are right");
    Ok(())
}
