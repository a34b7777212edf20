//! Subcommand: cargo xtask deny

use xshell::Shell;
use xshell::cmd;

use crate::cache_dir;

/// The version that `deny.toml` was written for.
const VERSION: &str = "0.20.2";

/// Checks what is in the tree: bans, licences and sources. Advisories need a database from
/// elsewhere and are not asked for.
pub(crate) fn run(sh: &Shell) -> anyhow::Result<()> {
    let tools = cache_dir()?.join("tools");
    let deny = tools.join("bin/cargo-deny");
    if !deny.exists() {
        println!("installing cargo-deny {VERSION}; only the first run pays");
        cmd!(
            sh,
            "cargo install cargo-deny --quiet --debug --locked --version {VERSION} --root {tools}"
        )
        .run()?;
    }
    cmd!(sh, "{deny} --all-features check bans licenses sources").run()?;
    Ok(())
}
