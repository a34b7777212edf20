//! Subcommand: cargo xtask browser

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

use crate::project_root;
use crate::tool::Tool;

/// What is done with the browser.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Take the README's picture anew instead, into docs/fleet.png.
    #[arg(long)]
    picture: bool,
    /// Whether a machine without a browser is an error instead of a skip.
    #[arg(skip)]
    must_run: bool,
}

impl Args {
    /// CI never skips.
    pub(crate) const fn for_ci() -> Self {
        Self {
            picture: false,
            must_run: true,
        }
    }
}

/// The distribution's browser is used as it is: the suite downloads none.
const CHROMIUM: Tool = Tool {
    name: "chromium",
    packages: &["chromium", "fonts-dejavu-core"],
};

const NODE: Tool = Tool {
    name: "node",
    packages: &["nodejs"],
};

const NPM: Tool = Tool {
    name: "npm",
    packages: &["npm"],
};

/// A hub with ten thousand agents and a browser need minutes, not tens of them.
const MINUTES_MAX: &str = "10m";

/// Opens the hub's page in a real browser: everything runs on loopback, in `target/browser` are the
/// screenshots.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for tool in [CHROMIUM, NODE, NPM] {
        let Some(path) = tool.find(sh) else {
            let name = tool.name;
            anyhow::ensure!(
                !args.must_run,
                "browser: this machine has no {name}, and CI never skips"
            );
            println!("browser: skipped, this machine has no {name} and it cannot be installed");
            return Ok(());
        };
        found.push(path);
    }
    let chromium = found.swap_remove(0);
    cmd!(sh, "cargo build --locked -p health-bin").run()?;
    let root = project_root()?;
    let _program = sh.push_env("SYNCER_HEALTH_BIN", program(sh)?);
    let _chromium = sh.push_env("CHROMIUM_BIN", chromium);
    let _screenshots = sh.push_env("SCREENSHOTS", root.join("target/browser"));
    let _folder = sh.push_dir(root.join("xtask/browser"));
    cmd!(
        sh,
        "npm ci --no-audit --no-fund --ignore-scripts --loglevel error"
    )
    .run()?;
    let _picture = sh.push_env("PICTURE", root.join("docs/fleet.png"));
    let script = if args.picture {
        "picture.mjs"
    } else {
        "suite.mjs"
    };
    cmd!(sh, "timeout {MINUTES_MAX} node {script}").run()?;
    Ok(())
}

/// The program, wherever cargo builds it.
fn program(sh: &Shell) -> anyhow::Result<PathBuf> {
    let metadata = cmd!(sh, "cargo metadata --format-version 1 --no-deps --locked")
        .quiet()
        .read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata["target_directory"].as_str();
    let target = target.context("cargo tells no target folder")?;
    Ok(Path::new(target).join("debug/syncer-health"))
}
