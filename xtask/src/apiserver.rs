//! The API server that the manifests in `deploy/` are tried on: what the tests start is built here.

use std::path::PathBuf;

use xshell::Shell;

use crate::go;

/// The programs that a test starts on loopback and ends.
pub(crate) struct Programs {
    pub(crate) apiserver: PathBuf,
    pub(crate) etcd: PathBuf,
    pub(crate) kubectl: PathBuf,
}

/// Where their versions are pinned.
const FOLDER: &str = "xtask/apiserver";

/// Builds those that are not in the cache.
pub(crate) fn programs(sh: &Shell) -> anyhow::Result<Programs> {
    let kubernetes = "k8s.io/kubernetes";
    let etcd = "go.etcd.io/etcd/server/v3";
    let build = |module: &str, package: &str, name: &str| {
        let version = go::pinned(sh, FOLDER, module)?;
        go::build(sh, FOLDER, package, name, &version)
    };
    let command = |name: &str| build(kubernetes, &format!("{kubernetes}/cmd/{name}"), name);
    Ok(Programs {
        apiserver: command("kube-apiserver")?,
        etcd: build(etcd, etcd, "etcd")?,
        kubectl: command("kubectl")?,
    })
}
