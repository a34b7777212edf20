//! Subcommand: cargo xtask integration

use std::path::PathBuf;

use xshell::Shell;
use xshell::cmd;

use crate::apiserver;
use crate::go;
use crate::kcp;
use crate::kcp::LeftRunning;
use crate::plugins;
use crate::project_root;
use crate::tool::Tool;

/// What the suites run on.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// A kcp of one's own instead of the pinned one.
    #[arg(long)]
    kcp_bin: Option<PathBuf>,
    /// A kcp that runs already; its kubeconfig's current context must be the workspace `root`.
    #[arg(
        long,
        env = "KUBECONFIG",
        hide_env_values = true,
        conflicts_with = "kcp_bin"
    )]
    kubeconfig: Option<PathBuf>,
    /// Only the tests whose names contain this.
    filter: Option<String>,
    /// Build what the suites need from Go, and run none of them.
    #[arg(long, conflicts_with = "filter")]
    build_only: bool,
    /// Whether a machine without Go is an error instead of a skip.
    #[arg(skip)]
    must_run: bool,
}

impl Args {
    /// CI never skips, and brings its own kcp.
    pub(crate) fn for_ci() -> Self {
        Self {
            must_run: true,
            ..Self::default()
        }
    }

    /// Only builds, for CI.
    pub(crate) fn build_for_ci() -> Self {
        Self {
            build_only: true,
            ..Self::for_ci()
        }
    }
}

/// The Go peer's sources.
const PEER: [&str; 5] = [
    "xtask/peer/go.mod",
    "xtask/peer/go.sum",
    "xtask/peer/main.go",
    "xtask/peer/client.go",
    "xtask/peer/server.go",
];

/// The probe that images had before Kubernetes asked over gRPC itself, and where it is pinned.
const PROBE: &str = "github.com/grpc-ecosystem/grpc-health-probe";
const PROBE_FOLDER: &str = "xtask/probe";

/// What the commands of the documentation want besides.
const TYPED: [Tool; 2] = [
    Tool {
        name: "curl",
        packages: &["curl"],
    },
    Tool {
        name: "jq",
        packages: &["jq"],
    },
];

/// What is built with Go, from the cache or anew.
struct Built {
    peer: PathBuf,
    probe: PathBuf,
    server: apiserver::Programs,
    kcp: PathBuf,
}

/// Runs the ignored tests of `health-bin/tests/integration`, which say why they are ignored.
pub(crate) fn run(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    if !go::is_there(sh) {
        anyhow::ensure!(
            !args.must_run,
            "integration: this machine has no Go, and CI never skips"
        );
        println!("integration: skipped, this machine has no Go for kcp, the API server, the peers");
        return Ok(());
    }
    if args.build_only {
        return Built::all(sh, args).map(drop);
    }
    for tool in &TYPED {
        let name = tool.name;
        anyhow::ensure!(tool.find(sh).is_some(), "integration: {name} is not there");
    }
    let built = Built::all(sh, args)?;
    let folder = project_root()?.join("target/integration-kcp");
    // Some tests start and kill one of their own.
    let binary = built.kcp;
    let started = match &args.kubeconfig {
        Some(_) => None,
        None => Some(LeftRunning::up(sh, &binary, &folder)?),
    };
    let kubeconfig = match (&args.kubeconfig, &started) {
        (Some(given), _) => given.clone(),
        (None, Some(kcp)) => kcp.kubeconfig(),
        (None, None) => anyhow::bail!("there is no kcp to run on"),
    };
    let _kubeconfig = sh.push_env("SYNCER_HEALTH_TEST_KUBECONFIG", kubeconfig);
    let _binary = sh.push_env("SYNCER_HEALTH_TEST_KCP_BIN", binary);
    let _peer = sh.push_env("SYNCER_HEALTH_TEST_PEER", built.peer);
    let _probe = sh.push_env("SYNCER_HEALTH_TEST_GRPC_HEALTH_PROBE", built.probe);
    let _apiserver = sh.push_env("SYNCER_HEALTH_TEST_KUBE_APISERVER", built.server.apiserver);
    let _etcd = sh.push_env("SYNCER_HEALTH_TEST_ETCD", built.server.etcd);
    let _kubectl = sh.push_env("SYNCER_HEALTH_TEST_KUBECTL", built.server.kubectl);
    ignored(sh, args, &["--test", "integration", "--test", "kcp"])?;
    started.map_or(Ok(()), LeftRunning::down)?;
    on_a_real_machine(sh, args)
}

/// The ignored tests of `health-checks`: real monitoring plugins, a real full file system.
fn on_a_real_machine(sh: &Shell, args: &Args) -> anyhow::Result<()> {
    let is_root = cmd!(sh, "id -u").quiet().read()? == "0";
    if !is_root || !plugins::are_there(sh) {
        anyhow::ensure!(
            !args.must_run,
            "integration: run as root, with monitoring-plugins-basic; CI never skips"
        );
        println!("integration: the suite on a real machine is skipped, it needs root and plugins");
        return Ok(());
    }
    ignored(sh, args, &["--lib"])
}

/// Runs the ignored tests of some targets, as `cargo xtask test` built them: a package alone would
/// have other features, and be built once more with most of what it depends on.
fn ignored(sh: &Shell, args: &Args, targets: &[&str]) -> anyhow::Result<()> {
    let filter = &args.filter;
    let test = cmd!(
        sh,
        "cargo test --workspace --all-features --locked {targets...} --"
    );
    let run = ["--ignored", "--skip", "soak::", "--skip", "scrapes::"];
    Ok(test.args(run).args(filter).run()?)
}

// === impl Built ===

impl Built {
    fn all(sh: &Shell, args: &Args) -> anyhow::Result<Self> {
        let version = go::pinned(sh, PROBE_FOLDER, PROBE)?;
        Ok(Self {
            peer: go::build(sh, "xtask/peer", ".", "peer", &go::fingerprint(sh, &PEER)?)?,
            probe: go::build(sh, PROBE_FOLDER, PROBE, "grpc-health-probe", &version)?,
            server: apiserver::programs(sh)?,
            kcp: std::path::absolute(kcp::binary(sh, args.kcp_bin.clone())?)?,
        })
    }
}
