//! A kcp of a test's own: it can be frozen, killed and started again with another certificate.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::process::Command;

use crate::support::Authority;
use crate::support::free_ports;

/// The server with its data, killed and removed when this is dropped.
pub(super) struct Server {
    child: Option<Child>,
    ports: [u16; 3],
    folder: TempDir,
}

/// The users of the tests: kcp's own admin token changes at every start.
const TOKENS: &str =
    "admin-token,admin,admin,\"system:kcp:admin\"\nlimited-token,limited,limited\n";

/// What agents ask for is written down; nothing else is.
const AUDIT: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: [admin]
  resources: [{ group: coordination.k8s.io }, { group: workload.kcp.io }]
- level: None
";

/// So many lines of the server's log are shown where a test fails.
const LOG_KEPT: usize = 30;

// === impl Server ===

impl Server {
    /// Starts the kcp that `cargo xtask integration` names, with a certificate by `authority`.
    pub(super) fn start(authority: &Authority) -> Self {
        let mut server = Self {
            child: None,
            ports: free_ports(),
            folder: TempDir::new().expect("a temporary folder"),
        };
        server.write("tokens.csv", TOKENS);
        server.write("audit.yaml", AUDIT);
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "it", "cluster": {
                "server": format!("https://127.0.0.1:{}", server.ports[0]),
                "certificate-authority": "ca.crt",
            } }],
            "users": [{ "name": "it", "user": { "token": "admin-token" } }],
            "contexts": [{ "name": "base", "context": { "cluster": "it", "user": "it" } }],
            "current-context": "base",
        });
        server.write("kubeconfig", &config.to_string());
        server.trust(authority);
        server.restart(authority);
        server
    }

    /// A kubeconfig whose authority is a file, and whose user is the same after a restart.
    pub(super) fn kubeconfig(&self) -> String {
        self.path("kubeconfig")
    }

    /// Replaces the authority that the kubeconfig trusts.
    pub(super) fn trust(&self, authority: &Authority) {
        self.write("ca.crt", &authority.pem());
    }

    /// Starts it again with the data it has, and a new certificate by `authority`.
    pub(super) fn restart(&mut self, authority: &Authority) {
        let (certificate, key) = authority.issue();
        self.write("apiserver.crt", &certificate);
        self.write("apiserver.key", &key);
        let binary = std::env::var("SYNCER_HEALTH_TEST_KCP_BIN")
            .expect("SYNCER_HEALTH_TEST_KCP_BIN names a kcp to start: run cargo xtask integration");
        let log = File::create(self.path("kcp.log")).expect("a file can be made");
        let port = |number: usize| self.ports[number].to_string();
        let child = Command::new(binary)
            .arg("start")
            .args(["--root-directory", &self.path("")])
            .args(["--bind-address", "127.0.0.1"])
            .args(["--secure-port", &port(0)])
            .args(["--embedded-etcd-client-port", &port(1)])
            .args(["--embedded-etcd-peer-port", &port(2)])
            .args(["--embedded-etcd-wal-size-bytes", "5000"])
            .args(["--token-auth-file", &self.path("tokens.csv")])
            .args(["--audit-policy-file", &self.path("audit.yaml")])
            .args(["--audit-log-path", &self.path("audit.log")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn();
        self.child = Some(child.expect("kcp can be started"));
    }

    /// Ends it as a crash does: by SIGTERM it would take a minute where a watch is open.
    pub(super) async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().await.expect("it can be killed");
    }

    /// Stops it from doing anything; its connections stay.
    pub(super) async fn freeze(&self) {
        self.signal("STOP").await;
    }

    /// Lets it go on.
    pub(super) async fn thaw(&self) {
        self.signal("CONT").await;
    }

    /// Everything that agents asked for and was answered, in order.
    pub(super) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("audit.log")).unwrap_or_default();
        let events = text
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| {
                let agent = event["userAgent"].as_str().unwrap_or_default();
                agent.starts_with("syncer-health/")
            })
            .collect()
    }

    async fn signal(&self, name: &str) {
        let pid = self.child.as_ref().and_then(Child::id).expect("it runs");
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid.to_string()])
            .status()
            .await;
        assert!(
            sent.expect("kill can be started").success(),
            "kill -{name} {pid}"
        );
    }

    fn write(&self, name: &str, text: &str) {
        // As a projected volume does it: nobody reads half of it.
        let (next, path) = (self.path("next"), self.path(name));
        std::fs::write(&next, text).expect("a file can be written");
        std::fs::rename(next, path).expect("a file can be renamed");
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join(Path::new(name));
        path.to_str().expect("a path in UTF-8").to_owned()
    }
}

impl Drop for Server {
    /// The log goes with the folder: where the test fails, its end is kept.
    #[expect(
        clippy::print_stderr,
        reason = "the test's runner shows it with the failure"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("kcp.log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(LOG_KEPT)..];
            eprintln!("kcp's log ends so:\n{}", end.join("\n"));
        }
    }
}
