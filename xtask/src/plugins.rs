//! The monitoring plugins of the distribution, which the check `exec` is tried with.

use std::path::Path;

use xshell::Shell;
use xshell::cmd;

/// One of them, where Debian and its descendants put it.
const PLUGIN: &str = "/usr/lib/nagios/plugins/check_dummy";

/// Says whether the plugins are there, and installs them if they are not and that is possible.
pub(crate) fn are_there(sh: &Shell) -> bool {
    if Path::new(PLUGIN).exists() {
        return true;
    }
    let install = || {
        let _quiet = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
        cmd!(sh, "apt-get update --quiet").run()?;
        let package = "monitoring-plugins-basic";
        cmd!(
            sh,
            "apt-get install --quiet --yes --no-install-recommends {package}"
        )
        .run()
    };
    if let Err(error) = install() {
        println!("plugins: cannot be installed: {error}");
    }
    Path::new(PLUGIN).exists()
}
