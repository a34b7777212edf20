//! A real API server with its etcd, on loopback, until the test ends.

use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Mutex;

use http::Method;
use http::Request;
use http_body_util::BodyExt;
use kube::Client;
use kube::Config;
use kube::client::Body;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use rcgen::KeyPair;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Child;
use tokio::process::Command;

use crate::support::Authority;
use crate::support::eventually;
use crate::support::free_ports;
use crate::support::secs;

/// The server with its data, killed and removed when this is dropped.
pub(super) struct Server {
    folder: TempDir,
    client: Client,
    children: Mutex<[Child; 2]>,
}

/// What the server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) object: Value,
    /// The `Warning` headers.
    pub(super) warnings: Vec<String>,
}

/// Who may do everything.
const TOKENS: &str = "admin-token,admin,admin,\"system:masters\"\n";

/// So many lines of each log are shown where a test fails.
const LOG_KEPT: usize = 30;

const LOGS: [&str; 2] = ["etcd.log", "apiserver.log"];

/// The kubectl that `cargo xtask integration` built.
pub(crate) fn kubectl() -> PathBuf {
    program("KUBECTL")
}

// === impl Server ===

impl Server {
    /// Starts both, and waits until the server is ready.
    pub(super) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = TempDir::new().expect("a temporary folder");
        let [secure, clients, peers] = free_ports();
        prepare(folder.path(), secure);
        let children = [
            etcd(folder.path(), clients, peers),
            apiserver(folder.path(), secure, clients),
        ];
        let path = folder.path().join("kubeconfig");
        let kubeconfig = Kubeconfig::read_from(path).expect("a kubeconfig");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        let client = Client::try_from(config.expect("it is complete")).expect("a client");
        let server = Self {
            folder,
            client,
            children: Mutex::new(children),
        };
        eventually("the API server is ready", secs(180), || async {
            server.assert_runs();
            let ready = Request::get("/readyz").body(Body::empty());
            let answer = server.client.send(ready.expect("a request")).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        server
    }

    /// The kubeconfig of who may do everything.
    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    /// Applies an object, as `kubectl apply --server-side --dry-run=server` does.
    pub(super) async fn dry_run(&self, object: &Value) -> Answer {
        let name = object["metadata"]["name"].as_str().expect("a name");
        let path = format!("{}/{name}?dryRun=All&fieldManager=test", path(object));
        self.ask(Method::PATCH, &path, "application/apply-patch+yaml", object)
            .await
    }

    /// Creates an object, but keeps it not.
    pub(super) async fn dry_create(&self, object: &Value) -> Answer {
        let path = format!("{}?dryRun=All", path(object));
        self.ask(Method::POST, &path, "application/json", object)
            .await
    }

    /// Creates an object.
    pub(super) async fn create(&self, object: &Value) {
        let answer = self
            .ask(Method::POST, &path(object), "application/json", object)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// What is there now.
    pub(super) async fn read(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, "application/json", &Value::Null)
            .await
    }

    fn assert_runs(&self) {
        let mut children = self.children.lock().expect("nobody panics");
        let ended = children.each_mut().map(|child| child.try_wait());
        for (ended, log) in ended.into_iter().zip(LOGS) {
            assert!(matches!(ended, Ok(None)), "{log} tells why: {ended:?}");
        }
    }

    async fn ask(&self, method: Method, path: &str, content: &str, body: &Value) -> Answer {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string().into_bytes())
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", content)
            .body(body)
            .expect("a request");
        let answer = self.client.send(request).await.expect("an answer");
        let warnings = answer.headers().get_all("Warning").iter();
        let warnings = warnings.map(|it| it.to_str().expect("text").to_owned());
        let (status, warnings) = (answer.status().as_u16(), warnings.collect());
        let body = answer.into_body().collect().await.expect("a whole answer");
        let object = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
        Answer {
            status,
            object,
            warnings,
        }
    }
}

impl Drop for Server {
    /// The logs go with the folder: where the test fails, their ends are kept.
    #[expect(
        clippy::print_stderr,
        reason = "the test's runner shows it with the failure"
    )]
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in LOGS {
                let log = std::fs::read_to_string(self.folder.path().join(name));
                let log = log.unwrap_or_default();
                let lines: Vec<_> = log.lines().collect();
                let end = &lines[lines.len().saturating_sub(LOG_KEPT)..];
                eprintln!("{name} ends so:\n{}", end.join("\n"));
            }
        }
    }
}

/// Writes what the server reads: its certificate, its user, the key by which it signs tokens.
fn prepare(folder: &Path, secure: u16) {
    let authority = Authority::new("authority");
    let (certificate, key) = authority.issue();
    let tokens = KeyPair::generate().expect("a key");
    let kubeconfig = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "it", "cluster": {
            "server": format!("https://127.0.0.1:{secure}"),
            "certificate-authority": folder.join("ca.crt"),
        } }],
        "users": [{ "name": "it", "user": { "token": "admin-token" } }],
        "contexts": [{ "name": "it", "context": { "cluster": "it", "user": "it" } }],
        "current-context": "it",
    });
    for (name, text) in [
        ("ca.crt", authority.pem()),
        ("tls.crt", certificate),
        ("tls.key", key),
        ("tokens.key", tokens.serialize_pem()),
        ("tokens.pub", tokens.public_key_pem()),
        ("tokens.csv", TOKENS.to_owned()),
        ("kubeconfig", kubeconfig.to_string()),
    ] {
        std::fs::write(folder.join(name), text).expect("a file can be written");
    }
}

fn etcd(folder: &Path, clients: u16, peers: u16) -> Child {
    let [clients, peers] = [clients, peers].map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = Command::new(program("ETCD"));
    command
        .arg("--data-dir")
        .arg(folder.join("etcd"))
        .args(["--listen-client-urls", &clients])
        .args(["--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}")])
        // What is in it is thrown away.
        .arg("--unsafe-no-fsync");
    spawn(command, &folder.join(LOGS[0]))
}

fn apiserver(folder: &Path, secure: u16, etcd: u16) -> Child {
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    let mut command = Command::new(program("KUBE_APISERVER"));
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
        .args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"])
        .arg(format!("--secure-port={secure}"))
        .arg("--endpoint-reconciler-type=none")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .arg(file("cert-dir", "certificates"))
        .arg(file("tls-cert-file", "tls.crt"))
        .arg(file("tls-private-key-file", "tls.key"))
        .arg(file("token-auth-file", "tokens.csv"))
        .arg("--authorization-mode=RBAC")
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .arg(file("service-account-key-file", "tokens.pub"))
        .arg(file("service-account-signing-key-file", "tokens.key"))
        // Nobody here makes the ServiceAccounts that a dry run does not keep.
        .arg("--disable-admission-plugins=ServiceAccount");
    spawn(command, &folder.join(LOGS[1]))
}

fn spawn(mut command: Command, log: &Path) -> Child {
    let log = File::create(log).expect("a file can be made");
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .expect("it can be started")
}

fn program(name: &str) -> PathBuf {
    let variable = format!("SYNCER_HEALTH_TEST_{name}");
    let path = std::env::var_os(&variable);
    path.unwrap_or_else(|| panic!("{variable} names no program: run cargo xtask integration"))
        .into()
}

/// Where objects of that kind are.
fn path(object: &Value) -> String {
    let (api, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let (api, kind) = (api.expect("an API"), kind.expect("a kind").to_lowercase());
    let plural = match kind.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{kind}s"),
    };
    let root = if api.contains('/') { "/apis" } else { "/api" };
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{root}/{api}/namespaces/{namespace}/{plural}"),
        None => format!("{root}/{api}/{plural}"),
    }
}
