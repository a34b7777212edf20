//! The API server that the manifests in `deploy/` are tried on: what the tests start is built here.

use std::path::PathBuf;

use xshell::Shell;

use crate::go;
use crate::tool::Tool;

/// The programs that a test starts on loopback and ends.
pub(crate) struct Programs {
    pub(crate) apiserver: PathBuf,
    pub(crate) etcd: PathBuf,
    pub(crate) kubectl: PathBuf,
}

/// Where their versions are pinned.
const FOLDER: &str = "xtask/apiserver";

const KUBERNETES: &str = "k8s.io/kubernetes";
const ETCD: &str = "go.etcd.io/etcd/server/v3";

/// The name of a program that most who need one have already.
const KUBECTL: &str = "kubectl";

/// Builds those that are not in the cache.
pub(crate) fn programs(sh: &Shell) -> anyhow::Result<Programs> {
    Ok(Programs {
        apiserver: command(sh, "kube-apiserver")?,
        etcd: build(sh, ETCD, ETCD, "etcd")?,
        kubectl: command(sh, KUBECTL)?,
    })
}

/// The machine's own kubectl, of whatever version, or that of the tests.
pub(crate) fn any_kubectl(sh: &Shell) -> anyhow::Result<PathBuf> {
    let own = Tool {
        name: KUBECTL,
        packages: &[],
    };
    own.look(sh).map_or_else(|| command(sh, KUBECTL), Ok)
}

fn command(sh: &Shell, name: &str) -> anyhow::Result<PathBuf> {
    build(sh, KUBERNETES, &format!("{KUBERNETES}/cmd/{name}"), name)
}

fn build(sh: &Shell, module: &str, package: &str, name: &str) -> anyhow::Result<PathBuf> {
    let version = go::pinned(sh, FOLDER, module)?;
    go::build(sh, FOLDER, package, name, &version)
}
