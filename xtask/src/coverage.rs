//! Subcommand: cargo xtask coverage

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;
use xshell::Shell;
use xshell::cmd;

use crate::cache_dir;
use crate::project_root;

/// What to show beside the table.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Also list the lines of that crate which no test reaches.
    #[arg(long, value_name = "CRATE")]
    missed: Option<String>,
    /// Print only: too small a share is no error.
    #[arg(long)]
    lenient: bool,
}

impl Args {
    /// CI fails below the minimum.
    pub(crate) const fn for_ci() -> Self {
        Self {
            missed: None,
            lenient: false,
        }
    }
}

/// The lines of one file, by whether a test reached them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Lines {
    reached: usize,
    missed: Vec<u64>,
}

/// It reads the profiles of any recent rustc by itself; LLVM's own tools have to match rustc's.
const VERSION: &str = "0.37.5";

/// The share that must be reached, in percent: of a crate, and of all of them.
const CRATES_MIN: [(&str, f64); 2] = [("health-core", 90.0), ("health-checks", 90.0)];

const ALL_MIN: f64 = 85.0;

/// Longer than any test is silent.
const SILENCE_MAX_SECONDS: &str = "600";

/// Runs all tests and prints the share of lines that they reach, crate by crate. Its build is
/// apart from the others, in `target/coverage`.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let folder = folder()?;
    let time = ["--timeout", SILENCE_MAX_SECONDS];
    tarpaulin(sh, &folder, &time)?;
    let report = sh.read_file(folder.join("tarpaulin-report.json"))?;
    let files = files(&serde_json::from_str(&report)?, &project_root()?)?;
    if let Some(name) = &args.missed {
        for (file, lines) in files.iter().filter(|(file, _)| file.starts_with(name)) {
            if !lines.missed.is_empty() {
                println!("{}: {}", file.display(), ranges(&lines.missed));
            }
        }
    }
    let small = print(&files);
    if !args.lenient {
        anyhow::ensure!(small.is_empty(), "coverage:\n  {}", small.join("\n  "));
    }
    Ok(())
}

/// Builds what [`run`] runs.
pub(crate) fn build(sh: &Shell) -> anyhow::Result<()> {
    tarpaulin(sh, &folder()?, &["--no-run"])
}

fn folder() -> anyhow::Result<PathBuf> {
    Ok(project_root()?.join("target/coverage"))
}

/// Runs the tool with what is said besides.
fn tarpaulin(sh: &Shell, folder: &Path, besides: &[&str]) -> anyhow::Result<()> {
    let tool = install(sh)?;
    sh.create_dir(folder)?;
    let wrapper = wrapper(sh, folder)?;
    let _wrapper = sh.push_env("RUSTC_WRAPPER", wrapper);
    let build = ["--locked", "--skip-clean", "--all-features", "--workspace"];
    let scope = ["--exclude", "xtask", "--follow-exec"];
    let run = cmd!(
        sh,
        "{tool} tarpaulin --engine llvm {build...} {scope...} {besides...}
         --target-dir {folder} --out Json --output-dir {folder}"
    );
    let output = run.ignore_status().output()?;
    if !output.status.success() {
        // What the tests said is only worth reading where one failed.
        println!("{}", String::from_utf8_lossy(&output.stdout));
        anyhow::bail!("coverage: a test failed, or the build; see above");
    }
    Ok(())
}

/// The pinned cargo-tarpaulin, from the cache.
fn install(sh: &Shell) -> anyhow::Result<PathBuf> {
    let tools = cache_dir()?.join("tools");
    let tarpaulin = tools.join("bin/cargo-tarpaulin");
    if !tarpaulin.exists() {
        println!("installing cargo-tarpaulin {VERSION}; only the first run pays");
        cmd!(
            sh,
            "cargo install cargo-tarpaulin --quiet --locked --no-default-features --version {VERSION} --root {tools}"
        )
        .run()?;
    }
    Ok(tarpaulin)
}

/// Stands before rustc and takes the flags of coverage away from what comes from elsewhere, which is
/// not counted.
///
/// A plain `sh` may drop variables with a hyphen in their name, as cargo's
/// `CARGO_BIN_EXE_syncer-health`.
const WRAPPER: &str = r#"#!/usr/bin/env bash
rustc=$1
shift
if [ -z "$CARGO_PRIMARY_PACKAGE" ]; then
    for arg; do
        shift
        case $arg in
        -Cinstrument-coverage | -Cdebuginfo=2) ;;
        *) set -- "$@" "$arg" ;;
        esac
    done
fi
exec "$rustc" "$@"
"#;

fn wrapper(sh: &Shell, folder: &Path) -> anyhow::Result<PathBuf> {
    let file = folder.join("rustc.sh");
    // A build that is under way may be about to read it.
    if !sh.read_file(&file).is_ok_and(|text| text == WRAPPER) {
        sh.write_file(&file, WRAPPER)?;
        cmd!(sh, "chmod +x {file}").run()?;
    }
    Ok(file)
}

/// Reads the report: the files of our crates' sources, without tests.
fn files(report: &Value, root: &Path) -> anyhow::Result<BTreeMap<PathBuf, Lines>> {
    let mut files = BTreeMap::new();
    for file in report["files"].as_array().context("it lists files")? {
        let parts = file["path"].as_array().context("a file has a path")?;
        let path: PathBuf = parts.iter().filter_map(Value::as_str).collect();
        let Some(path) = path.strip_prefix(root).ok().filter(|path| is_source(path)) else {
            continue;
        };
        let mut lines = Lines::default();
        for trace in file["traces"].as_array().into_iter().flatten() {
            match (trace["stats"]["Line"].as_u64(), trace["line"].as_u64()) {
                (Some(0), Some(line)) => lines.missed.push(line),
                _ => lines.reached += 1,
            }
        }
        files.insert(path.to_owned(), lines);
    }
    anyhow::ensure!(!files.is_empty(), "the report names no file of ours");
    Ok(files)
}

/// Whether a file is what is shipped: tests reach themselves.
fn is_source(path: &Path) -> bool {
    let mut parts = path.iter().map(|part| part.to_string_lossy());
    parts.next().is_some_and(|name| name.starts_with("health-"))
        && parts.next().is_some_and(|folder| folder == "src")
        && parts.all(|part| part != "tests" && part != "tests.rs")
}

/// Prints the table, and gives what is too small.
fn print(files: &BTreeMap<PathBuf, Lines>) -> Vec<String> {
    let mut crates: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for (path, lines) in files {
        let name = path.iter().next().and_then(|name| name.to_str());
        for name in [name.unwrap_or_default(), "~ all"] {
            let [reached, total] = crates.entry(name).or_default();
            *reached += lines.reached;
            *total += lines.reached + lines.missed.len();
        }
    }
    let mut small = Vec::new();
    println!("| crate                  | reached | lines | share  | at least |");
    println!("| ---------------------- | ------- | ----- | ------ | -------- |");
    for (name, [reached, total]) in crates {
        let name = name.trim_start_matches("~ ");
        let share = percent(reached, total);
        let min = minimum(name);
        let shown = min.map_or_else(String::new, |min| format!("{min:.0} %"));
        println!("| {name:22} | {reached:7} | {total:5} | {share:4.1} % | {shown:8} |");
        if let Some(min) = min.filter(|min| share < *min) {
            small.push(format!(
                "{name}: {share:.1} %, at least {min:.0} % is wanted"
            ));
        }
    }
    small
}

fn minimum(name: &str) -> Option<f64> {
    let min = CRATES_MIN.iter().find(|(of, _)| *of == name);
    min.map(|(_, min)| *min)
        .or_else(|| (name == "all").then_some(ALL_MIN))
}

#[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
fn percent(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

/// `3, 5-7`.
fn ranges(lines: &[u64]) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for line in lines {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *line => *last = *line,
            _ => ranges.push((*line, *line)),
        }
    }
    let shown: Vec<_> = ranges
        .iter()
        .map(|(first, last)| match first == last {
            true => first.to_string(),
            false => format!("{first}-{last}"),
        })
        .collect();
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_shipped_counts() {
        let file = |path: &str| {
            let parts: Vec<_> = Path::new(path)
                .iter()
                .filter_map(|part| part.to_str())
                .collect();
            json!({
                "path": parts,
                "traces": [
                    { "line": 3, "stats": { "Line": 0 } },
                    { "line": 4, "stats": { "Line": 2 } },
                ],
            })
        };
        let counted = "/home/us/health-core/src/board.rs";
        let report = json!({ "files": [
            file(counted),
            file("/home/us/health-core/src/board/tests.rs"),
            file("/home/us/health-core/src/board/tests/more.rs"),
            file("/home/us/health-core/tests/all.rs"),
            file("/home/us/health-checks/benches/round.rs"),
            file("/home/us/xtask/src/main.rs"),
            file("/home/others/src/lib.rs"),
        ]});
        let files = files(&report, Path::new("/home/us")).unwrap();
        let lines = Lines {
            reached: 1,
            missed: vec![3],
        };
        assert_eq!(
            files,
            BTreeMap::from([("health-core/src/board.rs".into(), lines)])
        );
    }

    #[test]
    fn lines_in_a_row_are_a_range() {
        assert_eq!(ranges(&[3, 5, 6, 7, 9]), "3, 5-7, 9");
        assert_eq!(ranges(&[]), "");
    }
}
