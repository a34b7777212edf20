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

use crate::go;
use crate::project_root;

/// What to do with kcp.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start a kcp on loopback and print where its kubeconfig is.
    Up {
        /// A kcp of one's own instead of the pinned one.
        #[arg(long)]
        kcp_bin: Option<PathBuf>,
    },
    /// Stop it and remove its data.
    Down,
}

/// A kcp that is killed when this is dropped.
pub(crate) struct Kcp {
    child: Child,
    folder: PathBuf,
}

/// Where its version is pinned.
const FOLDER: &str = "xtask/kcp";

/// kcp writes its kubeconfig within a few seconds of its start.
const KUBECONFIG_WAIT: Duration = Duration::from_secs(120);

/// Users of the tests: kcp's own admin token changes at every start.
const TOKENS: &str =
    "admin-token,admin,admin,\"system:kcp:admin\"\nlimited-token,limited,limited\n";

/// Starts or stops the kcp that `up` left running.
pub(crate) fn run(sh: &Shell, args: Args) -> anyhow::Result<()> {
    let folder = project_root()?.join("target/kcp");
    match args.action {
        Action::Up { kcp_bin } => {
            stop(sh, &folder)?;
            let kcp = Kcp::start(&binary(sh, kcp_bin)?, &folder)?;
            let pid = kcp.child.id();
            sh.write_file(folder.join("pid"), pid.to_string())?;
            println!("kcp runs with pid {pid} and is ready within half a minute:\n");
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
        // It may have ended by itself.
        cmd!(sh, "kill -KILL {number}")
            .quiet()
            .ignore_status()
            .ignore_stderr()
            .run()?;
    }
    sh.remove_path(folder)?;
    Ok(())
}

// === impl Kcp ===

impl Kcp {
    /// Starts a kcp with its data in `folder`, on free ports of loopback.
    pub(crate) fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
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
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("admin.kubeconfig")
    }

    fn wait_for_kubeconfig(&mut self) -> anyhow::Result<()> {
        let began = Instant::now();
        while !self.kubeconfig().exists() {
            let log = self.folder.join("kcp.log");
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("kcp ended ({status}); its log is {log:?}");
            }
            anyhow::ensure!(
                began.elapsed() < KUBECONFIG_WAIT,
                "kcp does not start; see {log:?}"
            );
            #[expect(
                clippy::disallowed_methods,
                reason = "there is no runtime here to block"
            )]
            std::thread::sleep(Duration::from_millis(100));
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

fn free_ports() -> anyhow::Result<[u16; 3]> {
    let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)));
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(listeners) {
        *port = listener?.local_addr()?.port();
    }
    Ok(ports)
}
