//! What is built with Go, from modules that this folder pins.

use std::path::PathBuf;

use anyhow::Context;
use xshell::Shell;
use xshell::cmd;

use crate::cache_dir;

/// Whether this machine has Go.
pub(crate) fn is_there(sh: &Shell) -> bool {
    cmd!(sh, "go version")
        .quiet()
        .ignore_stderr()
        .read()
        .is_ok()
}

/// The version of `module` that the folder's go.mod pins.
pub(crate) fn pinned(sh: &Shell, folder: &str, module: &str) -> anyhow::Result<String> {
    let file = format!("{folder}/go.mod");
    let text = sh.read_file(&file)?;
    let version = text.lines().find_map(|line| {
        let line = line.trim().trim_start_matches("require ");
        let rest = line.strip_prefix(module)?;
        let version = rest.split_whitespace().next()?;
        (rest.starts_with(' ') && version.starts_with('v')).then_some(version)
    });
    let version = version.with_context(|| format!("{file} pins no {module}"))?;
    Ok(version.to_owned())
}

/// Builds `package` in `folder`, once: `key` tells one version from another.
pub(crate) fn build(
    sh: &Shell,
    folder: &str,
    package: &str,
    name: &str,
    key: &str,
) -> anyhow::Result<PathBuf> {
    let out = cache_dir()?.join(name).join(key).join(name);
    if out.exists() {
        return Ok(out);
    }
    println!("building {name} {key}; only the first run pays");
    let _folder = sh.push_dir(folder);
    // Go's own download of another toolchain would reach beyond the module proxy.
    let _toolchain = sh.push_env("GOTOOLCHAIN", "local");
    // Built beside its place and moved there, so that a broken build leaves nothing behind.
    let partial = out.with_extension("partial");
    let flags = ["-trimpath", "-buildvcs=false", "-ldflags", "-s -w"];
    cmd!(sh, "go build {flags...} -o {partial} {package}").run()?;
    std::fs::rename(&partial, &out)?;
    Ok(out)
}

/// A short name for the content of files: what is built from others is another version.
pub(crate) fn fingerprint(sh: &Shell, files: &[&str]) -> anyhow::Result<String> {
    let hashes = cmd!(sh, "git hash-object {files...}").quiet().read()?;
    Ok(hashes
        .lines()
        .map(|hash| hash.get(..8).unwrap_or(hash))
        .collect::<Vec<_>>()
        .join("-"))
}
