//! Subcommand: cargo xtask fuzz

use std::path::PathBuf;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

use crate::cache_dir;

/// What to fuzz, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The target, a file of fuzz/fuzz_targets. Default: all of them, one after the other.
    target: Option<String>,
    /// How long each is fuzzed.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How long those that are not named in the design are fuzzed, when all are.
    #[arg(long, hide = true)]
    rest_seconds: Option<u32>,
    /// Where the inputs' randomness begins. Default: elsewhere each time.
    #[arg(long)]
    seed: Option<u32>,
}

/// The version whose command line this file knows.
const VERSION: &str = "0.13.2";

/// The targets that the design names: the tunnel's frames, the configuration, the Lease, and another
/// process's metrics.
const LONG: [&str; 4] = ["tunnel_frames", "config", "lease_object", "prometheus"];

/// What each call of the tool is told.
const COMMON: [&str; 4] = ["--fuzz-dir", "fuzz", "--sanitizer", "none"];

/// Longer inputs find nothing that shorter ones do not.
const BYTES_MAX: &str = "16384";

/// One input that takes so many seconds is a finding.
const TIMEOUT: &str = "10";

/// What one input may need, in MiB; so is a bomb.
const MEMORY: &str = "1024";

impl Args {
    /// Half a minute for each of the four, and enough for the others to run their seeds and around
    /// them: three minutes. Always from the same seed, so that what fails is most likely the
    /// change's fault, and its author's to find; new ground is for whoever has an hour.
    pub(crate) const fn for_ci() -> Self {
        Self {
            target: None,
            seconds: 30,
            rest_seconds: Some(5),
            seed: Some(1),
        }
    }
}

/// Fuzzes, and fails with the input that broke a promise.
///
/// Coverage needs no nightly compiler: it is made by flags of LLVM. Address sanitizing does, and
/// would find little in crates without unsafe code.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let fuzz = sh.current_dir().join("fuzz");
    let known = targets(sh)?;
    let chosen = match &args.target {
        Some(target) => {
            let list = known.join(", ");
            anyhow::ensure!(known.contains(target), "{target:?} is none of {list}");
            vec![target.clone()]
        }
        None => known,
    };
    cmd!(sh, "cargo fmt --manifest-path fuzz/Cargo.toml --check").run()?;
    let tool = build(sh)?;
    let _target_dir = sh.push_env("CARGO_TARGET_DIR", target_dir(sh));
    for target in &chosen {
        let is_long = args.target.is_some() || LONG.contains(&target.as_str());
        let seconds = match args.rest_seconds {
            Some(rest) if !is_long => rest,
            Some(_) | None => args.seconds,
        };
        println!("\n--- fuzz {target}: {seconds} s");
        let (corpus, seeds) = (
            fuzz.join("corpus").join(target),
            fuzz.join("seeds").join(target),
        );
        sh.create_dir(&corpus)?;
        let mut limits = vec![
            format!("-max_total_time={seconds}"),
            format!("-max_len={BYTES_MAX}"),
            format!("-timeout={TIMEOUT}"),
            format!("-rss_limit_mb={MEMORY}"),
            "-print_final_stats=1".to_owned(),
            "-verbosity=0".to_owned(),
        ];
        limits.extend(args.seed.map(|seed| format!("-seed={seed}")));
        cmd!(
            sh,
            "{tool} run {COMMON...} {target} {corpus} {seeds} -- {limits...}"
        )
        .run()
        .with_context(|| {
            format!(
                "{target} found something: `cargo fuzz tmin --fuzz-dir fuzz --sanitizer none \
                     {target} fuzz/artifacts/{target}/FILE` makes it small; then it becomes a test"
            )
        })?;
    }
    Ok(())
}

/// Builds all targets, and gives the tool that runs them.
pub(crate) fn build(sh: &Shell) -> anyhow::Result<PathBuf> {
    let tool = install(sh)?;
    let _target_dir = sh.push_env("CARGO_TARGET_DIR", target_dir(sh));
    cmd!(sh, "{tool} build {COMMON...}").run()?;
    Ok(tool)
}

/// One folder for all that is built, which `cargo clean` knows.
fn target_dir(sh: &Shell) -> PathBuf {
    sh.current_dir().join("target/fuzz")
}

/// The targets, by the names of their files.
fn targets(sh: &Shell) -> anyhow::Result<Vec<String>> {
    let files = sh.read_dir("fuzz/fuzz_targets")?;
    let name = |file: &PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// The pinned cargo-fuzz, from the cache.
fn install(sh: &Shell) -> anyhow::Result<PathBuf> {
    let tools = cache_dir()?.join("tools");
    let tool = tools.join("bin/cargo-fuzz");
    if !tool.exists() {
        println!("installing cargo-fuzz {VERSION}; only the first run pays");
        cmd!(
            sh,
            "cargo install cargo-fuzz --quiet --debug --locked --version {VERSION} --root {tools}"
        )
        .run()?;
    }
    Ok(tool)
}
