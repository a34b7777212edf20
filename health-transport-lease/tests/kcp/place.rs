//! A server, and a place of its own on it.

use std::time::Duration;

use health_transport_lease::Cluster;
use health_transport_lease::Dialect;
use health_transport_lease::testing::Caller;
use health_transport_lease::testing::Model;
use health_transport_lease::testing::Server;
use http::Method;
use http::Request;
use serde_json::Value;
use serde_json::json;

use crate::answer::Answer;
use crate::workspace::Workspace;

/// An empty place on a server: the model, or a fresh workspace of kcp.
pub(crate) struct Place {
    pub(crate) admin: Cluster,
    /// The user `limited`, who may do nothing until that is allowed.
    pub(crate) limited: Cluster,
    /// Somebody whom the server does not know.
    pub(crate) stranger: Cluster,
    server: Kind,
}

enum Kind {
    Model(Server),
    Kcp(Workspace),
}

pub(crate) const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
pub(crate) const NOWHERE: &str = "/apis/coordination.k8s.io/v1/namespaces/nowhere/leases";
pub(crate) const TARGETS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets";
pub(crate) const EDGE: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";
pub(crate) const STRICT: &str = "fieldValidation=Strict";
pub(crate) const DRY_RUN: &str = "dryRun=All";

// === impl Place ===

impl Place {
    pub(crate) fn on_the_model() -> Self {
        let mut model = Model::default();
        let limited = json!({
            "username": "limited", "uid": "limited", "groups": ["system:authenticated"],
        });
        model.know("limited-token", limited);
        let server = Server::new(model);
        Self {
            admin: server.cluster(),
            limited: server.cluster_of(Caller::User("limited")),
            stranger: server.cluster_of(Caller::Stranger),
            server: Kind::Model(server),
        }
    }

    pub(crate) async fn on_kcp() -> Self {
        let workspace = Workspace::create().await;
        Self {
            admin: workspace.admin().await,
            limited: workspace.user("limited-token").await,
            stranger: workspace.user("nobodys-token").await,
            server: Kind::Kcp(workspace),
        }
    }

    /// Installs the SyncTarget's definition in that dialect, in place of any other, or none; `edge-1` goes
    /// with the old one.
    pub(crate) async fn define(&self, dialect: Option<Dialect>) {
        match &self.server {
            Kind::Model(server) => {
                server.model().delete(EDGE);
                server.model().define(dialect);
            }
            Kind::Kcp(workspace) => workspace.define(&self.admin, dialect).await,
        }
    }

    /// Lets the user `limited` do what these RBAC rules say.
    pub(crate) async fn allow(&self, rules: Value) {
        match &self.server {
            Kind::Model(server) => server.model().allow("limited", &rules),
            Kind::Kcp(workspace) => workspace.allow(&self.admin, rules).await,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(&self.admin, Method::GET, path, None).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        send(&self.admin, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        send(&self.admin, Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(&self.admin, Method::DELETE, path, None).await
    }
}

/// A Lease of that name.
pub(crate) fn lease(name: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": { "name": name },
        "spec": spec,
    })
}

/// The SyncTarget `edge-1`.
pub(crate) fn target() -> Value {
    json!({
        "apiVersion": "workload.kcp.io/v1alpha1",
        "kind": "SyncTarget",
        "metadata": { "name": "edge-1" },
        "spec": {},
    })
}

/// The same object with another value at that pointer, whose parent is there; nothing removes it.
pub(crate) fn with(object: &Value, pointer: &str, value: Value) -> Value {
    let mut object = object.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = object.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(key);
    } else {
        parent.insert(key.to_owned(), value);
    }
    object
}

pub(crate) async fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Answer {
    let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .body(body.into())
        .unwrap();
    let response = cluster.client().send(request).await.unwrap();
    let code = response.status().as_u16();
    let body = response.into_body().collect_bytes().await.unwrap();
    Answer {
        code,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        text: String::from_utf8_lossy(&body).into_owned(),
    }
}

/// Polls a server, which has no event for a definition that is served, or a right that is there.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..600 {
        if holds().await {
            return;
        }
        tokio::time::sleep(ms(100)).await;
    }
    panic!("within 60 s it did not come to hold that {what}");
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
