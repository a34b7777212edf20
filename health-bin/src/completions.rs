//! `completions`: what a shell needs to complete our command line.

use std::process::ExitCode;

use anyhow::Context;

use crate::cli;
use crate::cli::CompletionsArgs;
use crate::cli::PROGRAM;
use crate::run::say;

/// For bash, clap_complete 4.6 writes a hyphen in the program's name in two ways, one where a command
/// is found and the other where its options are, so nothing behind a command would complete
/// (clap-rs/clap#6421). Made one, it does; where both are the same, nothing is replaced.
const HYPHEN_WRONG: &str = "syncer__subcmd__health";
const HYPHEN_RIGHT: &str = "syncer__health";

/// Prints the shell's script.
pub(crate) fn run(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), PROGRAM, &mut script);
    let script = String::from_utf8(script).context("the script is no text")?;
    let script = script.replace(HYPHEN_WRONG, HYPHEN_RIGHT);
    say(&mut std::io::stdout(), script.trim_end());
    Ok(ExitCode::SUCCESS)
}
