//! A fresh workspace of a real kcp.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use health_transport_lease::Cluster;
use health_transport_lease::Dialect;
use health_transport_lease::manifests;
use http::Method;
use kube::Client;
use kube::Config;
use kube::config::AuthInfo;
use kube::config::KubeConfigOptions;
use kube::config::Kubeconfig;
use serde_json::Value;
use serde_json::json;

use crate::place::EDGE;
use crate::place::LEASES;
use crate::place::TARGETS;
use crate::place::send;
use crate::place::until;

const WORKSPACES: &str = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const RBAC: &str = "rbac.authorization.k8s.io";

/// A workspace below `root`.
pub(crate) struct Workspace {
    path: String,
}

// === impl Workspace ===

impl Workspace {
    pub(crate) async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Another process may have had the same number on the same kcp.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("contract-{}-{number}", std::process::id());
        let root = cluster("root", None).await;
        let body = json!({
            "apiVersion": "tenancy.kcp.io/v1alpha1",
            "kind": "Workspace",
            "metadata": { "name": name },
            "spec": { "type": { "name": "universal", "path": "root" } },
        });
        until("a workspace can be created", || async {
            let made = send(&root, Method::POST, WORKSPACES, Some(&body)).await;
            matches!(made.code, 201 | 409)
        })
        .await;
        let one = format!("{WORKSPACES}/{name}");
        until("the workspace is ready", || async {
            let workspace = send(&root, Method::GET, &one, None).await.body;
            workspace["status"]["phase"] == "Ready"
        })
        .await;
        let workspace = Self {
            path: format!("root:{name}"),
        };
        let admin = workspace.admin().await;
        until("it has the namespace default", || async {
            let namespace = "/api/v1/namespaces/default";
            send(&admin, Method::GET, namespace, None).await.code == 200
                && send(&admin, Method::GET, LEASES, None).await.code == 200
        })
        .await;
        workspace
    }

    pub(crate) async fn admin(&self) -> Cluster {
        cluster(&self.path, None).await
    }

    pub(crate) async fn user(&self, token: &str) -> Cluster {
        cluster(&self.path, Some(token)).await
    }

    pub(crate) async fn define(&self, admin: &Cluster, dialect: Option<Dialect>) {
        // A definition may be gone before its objects are.
        until("there is no SyncTarget", || async {
            send(admin, Method::DELETE, EDGE, None).await.code == 404
        })
        .await;
        let name = format!("{CRDS}/{TARGETS_CRD}");
        send(admin, Method::DELETE, &name, None).await;
        until("there are no SyncTargets", || async {
            send(admin, Method::GET, TARGETS, None).await.code == 404
        })
        .await;
        let Some(dialect) = dialect else {
            return;
        };
        let definition = definition(dialect);
        until("the definition is taken", || async {
            // The old one is a while in going.
            let made = send(admin, Method::POST, CRDS, Some(&definition)).await;
            made.code == 201
        })
        .await;
        until("SyncTargets are served", || async {
            send(admin, Method::GET, TARGETS, None).await.code == 200
        })
        .await;
    }

    /// Lets the user `limited` come in, and do that.
    pub(crate) async fn allow(&self, admin: &Cluster, mut rules: Value) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("limited-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let enter = json!({ "nonResourceURLs": ["/"], "verbs": ["access"] });
        rules.as_array_mut().unwrap().push(enter);
        let role = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRole",
            "metadata": { "name": name }, "rules": rules,
        });
        let binding = json!({
            "apiVersion": format!("{RBAC}/v1"), "kind": "ClusterRoleBinding",
            "metadata": { "name": name },
            "subjects": [{ "kind": "User", "apiGroup": RBAC, "name": "limited" }],
            "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": name },
        });
        for (kind, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
            let path = format!("/apis/{RBAC}/v1/{kind}");
            send(admin, Method::POST, &path, Some(&object))
                .await
                .done(201);
        }
    }
}

const TARGETS_CRD: &str = "synctargets.workload.kcp.io";

/// Our own definition, with the heartbeat fields of that dialect.
fn definition(dialect: Dialect) -> Value {
    let mut definition = manifests::crd();
    let version = &mut definition["spec"]["versions"][0];
    if dialect != Dialect::Kcp {
        // They name a field that it has not.
        version["additionalPrinterColumns"] = json!([]);
    }
    let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
    let kcp = Dialect::Kcp.heartbeat_field();
    let time = status[kcp].take();
    status.as_object_mut().unwrap().remove(kcp);
    status[dialect.heartbeat_field()] = time;
    if let Some(field) = dialect.identity_field() {
        status[field] = json!({"type": "string"});
    }
    definition
}

/// A workspace, as the kubeconfig's user or as the one with that token.
async fn cluster(path: &str, token: Option<&str>) -> Cluster {
    let file = std::env::var("SYNCER_HEALTH_TEST_KUBECONFIG")
        .expect("SYNCER_HEALTH_TEST_KUBECONFIG names a kubeconfig: run cargo xtask integration");
    // Another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(file).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    let url = config.cluster_url.to_string();
    let (server, _) = url.split_once("/clusters/").unwrap_or((&url, ""));
    let url = format!("{}/clusters/{path}", server.trim_end_matches('/'));
    config.cluster_url = url.parse().unwrap();
    config.default_retry = false;
    if let Some(token) = token {
        config.auth_info = AuthInfo {
            token: Some(token.to_owned().into()),
            ..AuthInfo::default()
        };
    }
    Cluster::new(Client::try_from(config).unwrap(), url)
}
