//! A fresh workspace for each test.

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
use crate::support::eventually;

/// A number that nobody else in this process has.
static NEXT: AtomicU32 = AtomicU32::new(0);

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
        let root = client(kubeconfig, "/clusters/root").await;
        eventually("kcp is ready", PATIENCE * 4, || async {
            call(
                &root,
                Method::GET,
                "/apis/tenancy.kcp.io/v1alpha1/workspaces",
                None,
            )
            .await
            .ok()
        })
        .await;
        let workspaces = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        let body = json!({
            "apiVersion": "tenancy.kcp.io/v1alpha1",
            "kind": "Workspace",
            "metadata": { "name": name },
            "spec": { "type": { "name": "universal", "path": "root" } },
        });
        eventually("a workspace can be created", PATIENCE, || async {
            call(&root, Method::POST, workspaces, Some(&body))
                .await
                .ok()
        })
        .await;
        let one = format!("{workspaces}/{name}");
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
        let target = json!({
            "apiVersion": "workload.kcp.io/v1alpha1",
            "kind": "SyncTarget",
            "metadata": { "name": "edge-1" },
            "spec": {},
        });
        // The resource is served a moment after its definition is there.
        self.create("/apis/workload.kcp.io/v1alpha1/synctargets", target)
            .await;
        self.object(TARGET).await;
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
        let api = "/apis/rbac.authorization.k8s.io/v1";
        let kind = "rbac.authorization.k8s.io/v1";
        let role = json!({
            "apiVersion": kind, "kind": "ClusterRole", "metadata": { "name": name }, "rules": rules,
        });
        self.create(&format!("{api}/clusterroles"), role).await;
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "apiVersion": kind,
            "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "subjects": [{ "kind": "User", "apiGroup": group, "name": "limited" }],
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": name },
        });
        self.create(&format!("{api}/clusterrolebindings"), binding)
            .await;
    }

    /// A kubeconfig of the user `limited`, whom the token file of the tests' kcp knows.
    pub(super) fn limited_kubeconfig(&self) -> NamedTempFile {
        let text = std::fs::read_to_string(kubeconfig()).expect("kcp's kubeconfig can be read");
        let mut config = Kubeconfig::from_yaml(&text).expect("kcp's kubeconfig is one");
        for named in &mut config.auth_infos {
            named.auth_info = Some(kube::config::AuthInfo {
                token: Some(String::from("limited-token").into()),
                ..kube::config::AuthInfo::default()
            });
        }
        let file = NamedTempFile::new().expect("a temporary file");
        // Secrets are left out when a kubeconfig is serialized, so the token is put in by hand.
        let mut json = serde_json::to_value(&config).expect("a kubeconfig is JSON too");
        for user in json["users"].as_array_mut().into_iter().flatten() {
            user["user"] = json!({ "token": "limited-token" });
        }
        std::fs::write(file.path(), json.to_string()).expect("it can be written");
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
