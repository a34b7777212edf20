//! Subcommand: cargo xtask tidy

use std::path::Path;
use std::path::PathBuf;

use xshell::Shell;
use xshell::cmd;

use crate::image;

/// A longer file is two things.
const LINES_MAX: usize = 600;

/// What an ignored test must say: who runs it.
const IGNORED: &str = "#[ignore = \"needs ";

/// Checks what no tool checks.
pub(crate) fn run(sh: &Shell) -> anyhow::Result<()> {
    let listed = cmd!(
        sh,
        "git ls-files --cached --others --exclude-standard -- *.rs"
    )
    .quiet()
    .read()?;
    let files: Vec<_> = listed
        .lines()
        .map(PathBuf::from)
        .filter(|path| path.exists())
        .collect();
    anyhow::ensure!(!files.is_empty(), "tidy: no Rust file was found");
    let mut wrong = image::check(sh)?;
    for path in &files {
        check(path, &sh.read_file(path)?, &mut wrong);
    }
    anyhow::ensure!(wrong.is_empty(), "tidy:\n  {}", wrong.join("\n  "));
    println!("tidy: {} files", files.len());
    Ok(())
}

fn check(path: &Path, text: &str, wrong: &mut Vec<String>) {
    let shown = path.display();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        wrong.push(format!(
            "{shown}: {lines} lines, at most {LINES_MAX} are allowed"
        ));
    }
    let is_test = path.components().any(|part| part.as_os_str() == "tests")
        || path.file_name().is_some_and(|name| name == "tests.rs");
    if !is_test && !text.starts_with("//!") {
        wrong.push(format!("{shown}: does not begin with a //! sentence"));
    }
    for (number, line) in text.lines().enumerate() {
        let at = format!("{shown}:{}", number + 1);
        let code = line.trim_start();
        if code.starts_with("#[ignore") && !code.starts_with(IGNORED) {
            wrong.push(format!("{at}: an ignored test says {IGNORED}...\"]"));
        }
        if code.starts_with("#[should_panic") {
            wrong.push(format!("{at}: should_panic hides which line panics"));
        }
        if line.ends_with(' ') || line.contains('\t') {
            wrong.push(format!("{at}: white space at the end, or a tab"));
        }
    }
}
