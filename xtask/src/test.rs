//! Subcommand: cargo xtask test

use xshell::Shell;
use xshell::cmd;

/// All tests that need nothing but Rust and a C compiler, doc tests among them.
pub(crate) fn run(sh: &Shell) -> anyhow::Result<()> {
    cmd!(sh, "cargo test --workspace --all-features --locked").run()?;
    Ok(())
}
