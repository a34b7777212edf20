//! A fresh workspace for each test.

use std::net::SocketAddr;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::time::Duration;

use base64::Engine;
use health_transport_lease::manifests;
use http::Method;
use http::Request;
use kube::Client;
use kube::Config;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;
use tempfile::NamedTempFile;

use super::PATIENCE;
use super::TARGET;
use super::TARGETS;
use crate::support::eventually;

/// A number that nobody else in this process has.
static NEXT: AtomicU32 = AtomicU32::new(0);

const RBAC: &str = "rbac.authorization.k8s.io";

const WORKSPACES: &str = "/apis/tenancy.kcp.io/v1alpha1/workspaces";

/// A workspace of its own, below `root`.
pub(super) struct Workspace {
    name: String,
    kubeconfig: String,
    client: Client,
}

/// The kubeconfig of kcp's admin.
pub(super) fn kubeconfig() -> String {
    std::env::var("SYNCER_HEALTH_TEST_KUBECONFIG")
        .expect("SYNCER_HEALTH_TEST_KUBECONFIG names kcp's kubeconfig: run cargo xtask integration")
}

/// The URL of kcp's root, and a file with the authority of its certificate.
pub(super) fn server() -> (String, NamedTempFile) {
    let text = std::fs::read_to_string(kubeconfig()).expect("kcp's kubeconfig can be read");
    let config = Kubeconfig::from_yaml(&text).expect("kcp's kubeconfig is one");
    let mut clusters = config.clusters.into_iter();
    let cluster = clusters.find_map(|it| it.cluster).expect("a cluster");
    let server = cluster.server.expect("a server");
    let (root, _) = server.split_once("/clusters/").unwrap_or((&server, ""));
    let data = cluster.certificate_authority_data.expect("an authority");
    let authority = base64::engine::general_purpose::STANDARD.decode(data);
    let file = NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), authority.expect("base64")).expect("it can be written");
    (root.to_owned(), file)
}

/// The admin's client of the workspace `root`, once kcp lets it in: for some seconds after its start it
/// forbids everything.
pub(crate) async fn root(kubeconfig: &str) -> Client {
    let root = client(kubeconfig, "/clusters/root").await;
    eventually("kcp is ready", PATIENCE * 4, || async {
        call(&root, Method::GET, WORKSPACES, None).await.ok()
    })
    .await;
    root
}

impl Workspace {
    /// A workspace with the CRD and the SyncTarget `edge-1`.
    pub(super) async fn with_target(prefix: &str) -> Self {
        let workspace = Self::create_one(prefix).await;
        workspace.add_target().await;
        workspace
    }

    /// An empty workspace.
    pub(super) async fn create_one(prefix: &str) -> Self {
        Self::on(&kubeconfig(), prefix).await
    }

    /// An empty workspace on the kcp of that kubeconfig.
    pub(super) async fn on(kubeconfig: &str, prefix: &str) -> Self {
        // Another process of another run may have had the same number on the same kcp.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{prefix}-{}-{number}", std::process::id());
        let root = root(kubeconfig).await;
        let body = json!({
            "apiVersion": "tenancy.kcp.io/v1alpha1",
            "kind": "Workspace",
            "metadata": { "name": name },
            "spec": { "type": { "name": "universal", "path": "root" } },
        });
        eventually("a workspace can be created", PATIENCE, || async {
            call(&root, Method::POST, WORKSPACES, Some(&body))
                .await
                .ok()
        })
        .await;
        let one = format!("{WORKSPACES}/{name}");
        eventually("the workspace is Ready", PATIENCE, || async {
            let workspace = call(&root, Method::GET, &one, None).await.ok()?;
            (workspace["status"]["phase"] == "Ready").then_some(())
        })
        .await;
        let client = client(kubeconfig, &format!("/clusters/root:{name}")).await;
        Self {
            name,
            kubeconfig: kubeconfig.to_owned(),
            client,
        }
    }

    /// The same workspace by the authority that the kubeconfig trusts now.
    pub(super) async fn reopened(&self) -> Self {
        Self {
            name: self.name.clone(),
            kubeconfig: self.kubeconfig.clone(),
            client: client(&self.kubeconfig, &format!("/clusters/{}", self.path())).await,
        }
    }

    /// A client of the admin whose paths begin at the server's root.
    pub(super) async fn server_client(&self) -> Client {
        client(&self.kubeconfig, "").await
    }

    /// Its logical cluster, as `root:NAME`.
    pub(super) fn path(&self) -> String {
        format!("root:{}", self.name)
    }

    /// Installs the CRD and creates the SyncTarget `edge-1`.
    pub(super) async fn add_target(&self) {
        self.create(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            manifests::crd(),
        )
        .await;
        self.add_another_target("edge-1").await;
        self.object(TARGET).await;
    }

    /// Creates one more SyncTarget.
    pub(super) async fn add_another_target(&self, name: &str) {
        let target = json!({
            "apiVersion": "workload.kcp.io/v1alpha1",
            "kind": "SyncTarget",
            "metadata": { "name": name },
            "spec": {},
        });
        // The resource is served a moment after its definition is there.
        self.create(TARGETS, target).await;
    }

    /// The kubeconfig of the admin, whose context `base` is the whole server.
    #[cfg(feature = "hub")]
    pub(super) fn admins(&self) -> &str {
        &self.kubeconfig
    }

    /// Where the server listens.
    #[cfg(feature = "hub")]
    pub(super) fn address(&self) -> SocketAddr {
        let config = Kubeconfig::read_from(&self.kubeconfig).expect("kcp's kubeconfig can be read");
        let first = config.clusters.into_iter().find_map(|it| it.cluster);
        let url = first.and_then(|it| it.server).expect("a server");
        let authority = url.split('/').nth(2).expect("an authority");
        authority.parse().expect("an address of loopback")
    }

    /// What is there now; nothing where the server says no, or nothing.
    #[cfg(feature = "hub")]
    pub(super) async fn read(&self, path: &str) -> Option<Value> {
        call(&self.client, Method::GET, path, None).await.ok()
    }

    /// What `kubectl get` shows of a target: each column without `-o wide`, and what stands there.
    #[cfg(feature = "hub")]
    pub(super) async fn row(&self, target: &str) -> Vec<(String, Value)> {
        let request = Request::get(format!("{TARGETS}/{target}"))
            .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())
            .expect("a request");
        let table: Value = self.client.request(request).await.expect("a table");
        let columns = table["columnDefinitions"].as_array().expect("columns");
        let cells = table["rows"][0]["cells"].as_array().expect("cells");
        let plain = columns
            .iter()
            .zip(cells)
            .filter(|(column, _)| column["priority"] == 0);
        let name = |column: &Value| column["name"].as_str().unwrap_or_default().to_owned();
        plain
            .map(|(column, cell)| (name(column), cell.clone()))
            .collect()
    }

    /// Creates an object, again and again until the server takes it.
    pub(super) async fn create(&self, path: &str, body: Value) {
        eventually(
            &format!("an object is created at {path}"),
            PATIENCE,
            || async {
                match call(&self.client, Method::POST, path, Some(&body)).await {
                    Ok(_) => Some(()),
                    Err(kube::Error::Api(status)) if status.code == 409 => Some(()),
                    Err(_) => None,
                }
            },
        )
        .await;
    }

    /// Waits for an object, and gives it.
    pub(super) async fn object(&self, path: &str) -> Value {
        self.until(path, "it is there", |_| true).await
    }

    /// Waits until an object is there and as it should be, and gives it.
    pub(super) async fn until(
        &self,
        path: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(&format!("{path}: {what}"), PATIENCE, || async {
            call(&self.client, Method::GET, path, None)
                .await
                .ok()
                .filter(&is_so)
        })
        .await
    }

    /// Lets the user `limited` do what the rules say, in the whole workspace.
    pub(super) async fn grant(&self, name: &str, rules: Value) {
        let role = json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": "ClusterRole",
            "metadata": { "name": name },
            "rules": rules,
        });
        self.bind(role).await;
    }

    /// Creates a Role or a ClusterRole, and gives it to the user `limited`.
    pub(super) async fn bind(&self, role: Value) {
        let kind = role["kind"].as_str().expect("a kind").to_owned();
        let mut metadata = json!({ "name": role["metadata"]["name"] });
        let mut api = format!("/apis/{RBAC}/v1");
        if let Some(namespace) = role["metadata"]["namespace"].as_str() {
            metadata["namespace"] = namespace.into();
            api.push_str(&format!("/namespaces/{namespace}"));
        }
        let binding = json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": format!("{kind}Binding"),
            "metadata": metadata,
            "subjects": [{ "kind": "User", "apiGroup": RBAC, "name": "limited" }],
            "roleRef": { "apiGroup": RBAC, "kind": kind, "name": metadata["name"] },
        });
        let resource = kind.to_lowercase();
        self.create(&format!("{api}/{resource}s"), role).await;
        self.create(&format!("{api}/{resource}bindings"), binding)
            .await;
    }

    /// A kubeconfig whose only context, `base`, is this workspace as the user with that token, whom
    /// the token file of the tests' kcp knows; where an address is given, the server is reached there.
    pub(super) fn kubeconfig_of(&self, token: &str, at: Option<SocketAddr>) -> NamedTempFile {
        let config = Kubeconfig::read_from(&self.kubeconfig).expect("kcp's kubeconfig can be read");
        let first = config.clusters.into_iter().find_map(|it| it.cluster);
        let mut cluster = serde_json::to_value(first).expect("a cluster is JSON too");
        let url = cluster["server"].as_str().expect("a server");
        let (server, _) = url.split_once("/clusters/").unwrap_or((url, ""));
        let server = at.map_or_else(|| server.to_owned(), |at| format!("https://{at}"));
        cluster["server"] = format!("{server}/clusters/{}", self.path()).into();
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "it", "cluster": cluster }],
            "users": [{ "name": "it", "user": { "token": token } }],
            "contexts": [{ "name": "base", "context": { "cluster": "it", "user": "it" } }],
            "current-context": "base",
        });
        let file = NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), config.to_string()).expect("it can be written");
        file
    }

    /// Whether a Lease of the test's own can be written within `limit`.
    pub(super) async fn takes_a_write(&self, limit: Duration) -> bool {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": "probe" },
            "spec": { "holderIdentity": NEXT.fetch_add(1, Ordering::Relaxed).to_string() },
        });
        let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
        let body = lease.to_string().into_bytes();
        let patch = Request::patch(format!("{path}/probe"))
            .header("Content-Type", "application/merge-patch+json")
            .body(body)
            .expect("a request");
        let write = async {
            match self.client.request::<Value>(patch).await {
                Err(kube::Error::Api(status)) if status.code == 404 => {
                    call(&self.client, Method::POST, path, Some(&lease)).await
                }
                answer => answer,
            }
        };
        tokio::time::timeout(limit, write)
            .await
            .is_ok_and(|it| it.is_ok())
    }
}

/// A client of the kubeconfig's user, whose paths begin at `base`.
async fn client(kubeconfig: &str, base: &str) -> Client {
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("kcp's kubeconfig can be read");
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .expect("kcp's kubeconfig is complete");
    let url = config.cluster_url.to_string();
    let server = url
        .split("/clusters/")
        .next()
        .expect("a URL")
        .trim_end_matches('/')
        .to_owned();
    config.cluster_url = format!("{server}{base}").parse().expect("a URL");
    config.read_timeout = Some(PATIENCE);
    Client::try_from(config).expect("a client")
}

async fn call(
    client: &Client,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, kube::Error> {
    let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("Content-Type", "application/json")
        .body(body)
        .expect("a request");
    client.request(request).await
}
