//! Subcommand: cargo xtask ci

use std::fs::File;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

use crate::alerts;
use crate::bench;
use crate::browser;
use crate::coverage;
use crate::deny;
use crate::features;
use crate::fuzz;
use crate::integration;
use crate::layers;
use crate::project_root;
use crate::publish;
use crate::sim;
use crate::soak;
use crate::test;
use crate::tidy;
use crate::units;

/// What of CI to run.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The tests have been run just now: run the rest.
    #[arg(long)]
    after_test: bool,
    /// Build what the steps take from folders of their own, and run none.
    #[arg(long, hide = true, conflicts_with = "after_test")]
    build_only: bool,
}

/// Where the program is put, and how large it may be.
const INSTALLED: &str = "target/installed";
const PROGRAM: &str = "target/installed/bin/syncer-health";
const PROGRAM_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// Exactly what CI runs, in the order of what fails fastest.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    if args.build_only {
        return build(sh);
    }
    let began = Instant::now();
    if !args.after_test {
        step("test", || test::run(sh))?;
    }
    let ahead = Background::start("ci --build-only")?;
    step("format", || Ok(cmd!(sh, "cargo fmt --all --check").run()?))?;
    step("tidy", || tidy::run(sh))?;
    step("layers", || layers::run(sh))?;
    step("clippy", || {
        let lint = cmd!(
            sh,
            "cargo clippy --workspace --all-targets --all-features --locked"
        );
        Ok(lint.args(["--", "-D", "warnings"]).run()?)
    })?;
    step("doc", || {
        let _flags = sh.push_env("RUSTDOCFLAGS", "-D warnings");
        let doc = cmd!(
            sh,
            "cargo doc --workspace --no-deps --all-features --locked"
        );
        Ok(doc.arg("--document-private-items").run()?)
    })?;
    step("deny", || deny::run(sh))?;
    step("features", || features::run(sh))?;
    step("publish", || publish::run(sh))?;
    step("sim", || sim::run(sh, &sim::Args::for_ci()))?;
    step("replay", || sim::replay_once(sh))?;
    step("demo", || demo(sh))?;
    step("browser", || browser::run(sh, &browser::Args::for_ci()))?;
    step("alerts", || alerts::run(sh, &alerts::Args::for_ci()))?;
    step("units", || units::run(sh, &units::Args::for_ci()))?;
    step("fuzz", || fuzz::run(sh, &fuzz::Args::for_ci()))?;
    step("coverage", || coverage::run(sh, &coverage::Args::for_ci()))?;
    step("built ahead", || ahead.wait())?;
    step("integration", || {
        integration::run(sh, &integration::Args::for_ci())
    })?;
    // What it prints is kept in the log; machines that run CI are too noisy to judge it.
    step("bench", || bench::run(sh, &bench::Args::for_ci()))?;
    step("soak", || soak::run(sh, &soak::Args::for_ci()))?;
    println!("ci: all green after {:.0?}", began.elapsed());
    Ok(())
}

/// Each in a folder of its own, so that none waits for another one's lock. A step that comes to what
/// is not built yet builds it, or waits for it, which then has the machine for itself.
fn build(sh: &Shell) -> anyhow::Result<()> {
    integration::run(sh, &integration::Args::build_for_ci())?;
    cmd!(sh, "cargo build --release --locked -p health-bin").run()?;
    fuzz::build(sh)?;
    coverage::build(sh)
}

/// The README's main job, as written there, for a few seconds; then the program is put where its name
/// finds it, and is as small as the design promises, which no noise can change.
fn demo(sh: &Shell) -> anyhow::Result<()> {
    let demo = "demo --duration 5s".split(' ');
    cmd!(
        sh,
        "cargo run --release --locked -p health-bin -- {demo...}"
    )
    .run()?;
    let place = ["--path", "health-bin", "--root", INSTALLED];
    cmd!(sh, "cargo install --locked --force {place...}").run()?;
    let bytes = std::fs::metadata(sh.current_dir().join(PROGRAM))?.len();
    println!("{PROGRAM} has {bytes} bytes");
    anyhow::ensure!(
        bytes <= PROGRAM_BYTES_MAX,
        "{PROGRAM} has {bytes} bytes, more than {PROGRAM_BYTES_MAX}: see what of it is new, or look \
         at the release profile in Cargo.toml"
    );
    Ok(())
}

/// A subcommand of ours that has only what the steps beside it leave idle: they wait for their clocks,
/// or have work for one core. Dropping it ends it.
struct Background {
    child: Child,
    log: PathBuf,
}

// === impl Background ===

impl Background {
    fn start(subcommand: &str) -> anyhow::Result<Self> {
        let folder = project_root()?.join("target");
        std::fs::create_dir_all(&folder)?;
        let log = folder.join("background.log");
        let file = File::create(&log)?;
        let child = Command::new("nice")
            .args(["-n", "19"])
            .arg(std::env::current_exe()?)
            .args(subcommand.split(' '))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .context("nice, which every system has, cannot be started")?;
        Ok(Self { child, log })
    }

    /// Waits for its end, and shows what it said.
    fn wait(mut self) -> anyhow::Result<()> {
        let status = self.child.wait()?;
        println!("{}", std::fs::read_to_string(&self.log)?);
        anyhow::ensure!(status.success(), "it ended with {status}, see above");
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            end(&self.child.id().to_string());
            let _ = self.child.wait();
        }
    }
}

/// Kills a process and all below it, any of which may have ended by itself meanwhile. Who is stopped
/// starts nobody while its children are looked for.
fn end(pid: &str) {
    signal("STOP", pid);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    for thread in threads.into_iter().flatten().flatten() {
        let children = std::fs::read_to_string(thread.path().join("children"));
        children
            .unwrap_or_default()
            .split_whitespace()
            .for_each(end);
    }
    signal("KILL", pid);
}

/// By a shell, since not every system has the program `kill`.
fn signal(signal: &str, pid: &str) {
    let kill = format!("kill -{signal} {pid}");
    let _ = Command::new("sh")
        .args(["-c", &kill])
        .stderr(Stdio::null())
        .status();
}

fn step(name: &str, run: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    println!("\n=== {name}");
    let began = Instant::now();
    run()?;
    println!("=== {name}: ok after {:.1?}", began.elapsed());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::BufRead;
    use std::io::BufReader;
    use std::io::Read;

    use super::*;

    #[test]
    fn who_is_ended_leaves_nobody() {
        let grandchild = "sh -c 'echo up; sleep 5; echo survived' & wait";
        let mut child = Command::new("sh")
            .args(["-c", &format!("sh -c \"{grandchild}\" & wait")])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "up\n");
        end(&child.id().to_string());
        child.wait().unwrap();
        // Ends when the last one that could write has ended.
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}
