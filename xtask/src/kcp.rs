//! Subcommand: cargo xtask kcp

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use clap::Subcommand;
use xshell::Shell;
use xshell::cmd;

use crate::apiserver;
use crate::go;
use crate::project_root;

/// What to do with kcp.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// Where its data is, in place of target/kcp.
    #[arg(long, hide = true, global = true)]
    folder: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Action {
    /// Start a kcp on loopback, wait until it lets its admin in, and print where its kubeconfig is.
    Up {
        /// A kcp of one's own instead of the pinned one.
        #[arg(long)]
        kcp_bin: Option<PathBuf>,
    },
    /// Stop it and remove its data.
    Down,
}

/// A kcp that is killed when this is dropped.
struct Kcp {
    child: Child,
    folder: PathBuf,
}

/// A kcp that `cargo xtask kcp up` left running, and that `cargo xtask kcp down` ends.
pub(crate) struct LeftRunning<'a> {
    sh: &'a Shell,
    folder: PathBuf,
    is_down: bool,
}

/// Where its version is pinned.
const FOLDER: &str = "xtask/kcp";

/// kcp writes its kubeconfig within a few seconds of its start, and lets its admin in some seconds
/// later; until then it forbids everything.
const START_WAIT: Duration = Duration::from_secs(120);

/// From one look to the next.
const STEP: Duration = Duration::from_millis(100);

/// What is killed is gone within that time.
const END_WAIT: Duration = Duration::from_secs(10);

/// What the admin may list once kcp is ready; the tests wait for the same.
const WORKSPACES: &str = "/clusters/root/apis/tenancy.kcp.io/v1alpha1/workspaces";

/// Users of the tests: kcp's own admin token changes at every start.
const TOKENS: &str =
    "admin-token,admin,admin,\"system:kcp:admin\"\nlimited-token,limited,limited\n";

/// Starts or stops the kcp that `up` left running.
pub(crate) fn run(sh: &Shell, args: Args) -> anyhow::Result<()> {
    let folder = match args.folder {
        Some(folder) => std::path::absolute(folder)?,
        None => project_root()?.join("target/kcp"),
    };
    match args.action {
        Action::Up { kcp_bin } => {
            stop(sh, &folder)?;
            let kubectl = apiserver::any_kubectl(sh)?;
            let mut kcp = Kcp::start(&binary(sh, kcp_bin)?, &folder)?;
            let pid = kcp.child.id();
            // Before it is ready, so that `down` ends it too where this one is interrupted.
            sh.write_file(folder.join("pid"), pid.to_string())?;
            kcp.wait_until_ready(sh, &kubectl)?;
            println!("kcp runs with pid {pid}:\n");
            println!("  export KUBECONFIG={}", kcp.kubeconfig().display());
            println!("  cargo xtask kcp down");
            std::mem::forget(kcp);
        }
        Action::Down => stop(sh, &folder)?,
    }
    Ok(())
}

/// The given kcp, or the pinned one, built if it is not in the cache.
pub(crate) fn binary(sh: &Shell, given: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    if let Some(given) = given {
        anyhow::ensure!(given.is_file(), "--kcp-bin: {given:?} is no file");
        return Ok(given);
    }
    let version = go::pinned(sh, FOLDER, "github.com/kcp-dev/kcp")?;
    go::build(
        sh,
        FOLDER,
        "github.com/kcp-dev/kcp/cmd/kcp",
        "kcp",
        &version,
    )
}

fn stop(sh: &Shell, folder: &Path) -> anyhow::Result<()> {
    let pid = folder.join("pid");
    if pid.exists() {
        let number = sh.read_file(&pid)?;
        // It may have ended by itself, and its number may be another's now.
        if is_ours(sh, &number, folder) {
            cmd!(sh, "kill -KILL {number}").quiet().run()?;
        }
        let began = Instant::now();
        while is_ours(sh, &number, folder) {
            anyhow::ensure!(began.elapsed() < END_WAIT, "kcp, {number}, does not end");
            pause();
        }
    }
    sh.remove_path(folder)?;
    Ok(())
}

/// Whether the process of that number is a kcp with its data in `folder`.
fn is_ours(sh: &Shell, number: &str, folder: &Path) -> bool {
    let command = cmd!(sh, "ps -ww -o args= -p {number}")
        .quiet()
        .ignore_stderr()
        .read();
    let folder = folder.to_string_lossy();
    command.is_ok_and(|command| command.contains(&*folder))
}

fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "there is no runtime here to block"
    )]
    std::thread::sleep(STEP);
}

// === impl Kcp ===

impl Kcp {
    /// Starts a kcp with its data in `folder`, on free ports of loopback.
    fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let tokens = folder.join("tokens.csv");
        std::fs::write(&tokens, TOKENS)?;
        let ports = free_ports()?;
        let log = File::create(folder.join("kcp.log"))?;
        let child = Command::new(binary)
            .arg("start")
            .arg("--root-directory")
            .arg(folder)
            .args(["--bind-address", "127.0.0.1"])
            .args(["--secure-port", &ports[0].to_string()])
            .args(["--embedded-etcd-client-port", &ports[1].to_string()])
            .args(["--embedded-etcd-peer-port", &ports[2].to_string()])
            .args(["--embedded-etcd-wal-size-bytes", "5000"])
            .arg("--token-auth-file")
            .arg(&tokens)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {binary:?}"))?;
        let mut kcp = Self {
            child,
            folder: folder.to_owned(),
        };
        kcp.wait_for_kubeconfig()?;
        Ok(kcp)
    }

    /// The kubeconfig of its admin, whose current context is the workspace `root`.
    fn kubeconfig(&self) -> PathBuf {
        kubeconfig(&self.folder)
    }

    fn wait_for_kubeconfig(&mut self) -> anyhow::Result<()> {
        let kubeconfig = self.kubeconfig();
        self.wait_until(|| match kubeconfig.exists() {
            true => Ok(None),
            false => Ok(Some("there is no kubeconfig yet".to_owned())),
        })
    }

    /// Waits until the admin may do what the guide to kcp begins with.
    fn wait_until_ready(&mut self, sh: &Shell, kubectl: &Path) -> anyhow::Result<()> {
        let kubeconfig = self.kubeconfig();
        self.wait_until(|| {
            let whom = ["--kubeconfig".as_ref(), kubeconfig.as_os_str()];
            let asked = cmd!(
                sh,
                "{kubectl} {whom...} --request-timeout 5s get --raw {WORKSPACES}"
            );
            let answer = asked.quiet().ignore_status().output()?;
            let said = String::from_utf8_lossy(&answer.stderr).into_owned();
            Ok(Some(said).filter(|_| !answer.status.success()))
        })
    }

    /// Waits until nothing is missing any more.
    fn wait_until(
        &mut self,
        missing: impl Fn() -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        while let Some(missing) = missing()? {
            let log = self.folder.join("kcp.log");
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("kcp ended ({status}); its log is {log:?}");
            }
            anyhow::ensure!(
                began.elapsed() < START_WAIT,
                "kcp does not start; see {log:?}: {missing}"
            );
            pause();
        }
        Ok(())
    }
}

impl Drop for Kcp {
    fn drop(&mut self) {
        // With a watch open it would take a minute to end by itself; its data is thrown away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl LeftRunning ===

impl<'a> LeftRunning<'a> {
    /// Types `cargo xtask kcp up`, with its data in `folder`.
    pub(crate) fn up(sh: &'a Shell, kcp_bin: &Path, folder: &Path) -> anyhow::Result<Self> {
        let xtask = std::env::current_exe()?;
        let what = ["--kcp-bin".as_ref(), kcp_bin.as_os_str()];
        cmd!(sh, "{xtask} kcp --folder {folder} up {what...}").run()?;
        Ok(Self {
            sh,
            folder: folder.to_owned(),
            is_down: false,
        })
    }

    /// The kubeconfig of its admin.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        kubeconfig(&self.folder)
    }

    /// Types `cargo xtask kcp down`, after which nothing is left of it.
    pub(crate) fn down(mut self) -> anyhow::Result<()> {
        self.is_down = true;
        let number = self.sh.read_file(self.folder.join("pid"))?;
        anyhow::ensure!(
            is_ours(self.sh, &number, &self.folder),
            "kcp, {number}, does not run any more"
        );
        self.type_down()?;
        let is_left = self.folder.exists() || is_ours(self.sh, &number, &self.folder);
        anyhow::ensure!(!is_left, "something of kcp, {number}, is left");
        Ok(())
    }

    fn type_down(&self) -> anyhow::Result<()> {
        let (xtask, folder) = (std::env::current_exe()?, &self.folder);
        Ok(cmd!(self.sh, "{xtask} kcp --folder {folder} down").run()?)
    }
}

impl Drop for LeftRunning<'_> {
    /// Something failed, so its log is kept.
    fn drop(&mut self) {
        if !self.is_down {
            let kept = self.folder.with_extension("log");
            let _ = std::fs::copy(self.folder.join("kcp.log"), &kept);
            println!("kcp's log is {}", kept.display());
            let _ = self.type_down();
        }
    }
}

/// The kubeconfig that kcp writes into its folder.
fn kubeconfig(folder: &Path) -> PathBuf {
    folder.join("admin.kubeconfig")
}

fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_anothers_now_is_not_killed() -> anyhow::Result<()> {
        let sh = Shell::new()?;
        let folder = sh.create_temp_dir()?;
        let folder = folder.path().join("kcp");
        sh.write_file(folder.join("pid"), std::process::id().to_string())?;
        stop(&sh, &folder)?;
        anyhow::ensure!(!folder.exists());
        Ok(())
    }
}
