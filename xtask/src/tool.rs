//! Programs of the distribution, which are installed where that is possible.

use std::path::PathBuf;

use xshell::Shell;
use xshell::cmd;

/// A program that a suite needs, and the packages that bring it on Debian and its descendants.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) packages: &'static [&'static str],
}

// === impl Tool ===

impl Tool {
    /// Where it is; it is installed if it is not there and that is possible.
    pub(crate) fn find(&self, sh: &Shell) -> Option<PathBuf> {
        self.look(sh).or_else(|| {
            if let Err(error) = self.install(sh) {
                println!("{} cannot be installed: {error}", self.name);
            }
            self.look(sh)
        })
    }

    /// Where it is, if it is there.
    pub(crate) fn look(&self, sh: &Shell) -> Option<PathBuf> {
        let name = self.name;
        let path = cmd!(sh, "which {name}")
            .quiet()
            .ignore_stderr()
            .read()
            .ok()?;
        Some(PathBuf::from(path)).filter(|path| path.is_file())
    }

    fn install(&self, sh: &Shell) -> anyhow::Result<()> {
        let is_root = cmd!(sh, "id -u").quiet().read()? == "0";
        anyhow::ensure!(is_root, "that needs root");
        let _quiet = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
        let packages = self.packages;
        cmd!(sh, "apt-get update --quiet").run()?;
        let options = ["--quiet", "--yes", "--no-install-recommends"];
        Ok(cmd!(sh, "apt-get install {options...} {packages...}").run()?)
    }
}
