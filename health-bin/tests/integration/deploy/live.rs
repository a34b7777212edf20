//! What a real API server says to the manifests.

use std::path::Path;

use health_transport_lease::manifests;
use serde_json::Value;
use serde_json::json;
use tokio::process::Command;

use super::server::Answer;
use super::server::Server;
use super::server::kubectl;
use super::template;
use super::tree;
use crate::support::eventually;
use crate::support::secs;

/// Everything that a user builds.
const FOLDERS: [&str; 6] = [
    "kustomize/overlays/standalone",
    "kustomize/overlays/sidecar",
    "kustomize/overlays/hub",
    "kustomize/overlays/hub-monitored",
    "kustomize/rbac/agent",
    "kustomize/rbac/hub",
];

#[tokio::test]
#[ignore = "needs an API server: cargo xtask integration"]
async fn a_real_server_takes_the_manifests_and_their_pods_are_restricted() {
    let server = prepared().await;
    let mut deployments = 0;
    for folder in FOLDERS {
        for object in build(&tree::file(folder)).await {
            let answer = server.dry_run(&object).await;
            assert_taken(&answer, 201, &object);
            if object["kind"] == "Deployment" {
                deployments += 1;
                assert_pod_is_taken(&server, &object).await;
            }
        }
    }
    assert_eq!(deployments, 4, "one in each overlay");
}

#[tokio::test]
#[ignore = "needs an API server: cargo xtask integration"]
async fn a_real_server_takes_what_manifests_prints() {
    let server = prepared().await;
    server.create(&namespace("edge")).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = super::in_cluster(&folder);
    let printed = super::printed_agent(&path, &["--namespace", "edge"]).await;
    assert_eq!(printed.len(), 7, "{printed:?}");
    for object in printed {
        assert_taken(&server.dry_run(&object).await, 201, &object);
        if object["kind"] == "Deployment" {
            assert_pod_is_taken(&server, &object).await;
        }
    }
    let crd = manifests::crd();
    assert_taken(&server.dry_run(&crd).await, 201, &crd);
}

/// What the others find would be worth nothing if the server took everything.
#[tokio::test]
#[ignore = "needs an API server: cargo xtask integration"]
async fn a_real_server_refuses_a_pod_that_wants_more_and_an_unknown_key() {
    let server = prepared().await;
    let standalone = build(&tree::file(FOLDERS[0])).await;
    let deployment = tree::only(&standalone, "Deployment");
    let securities = "/spec/template/spec/containers/0/securityContext";
    for (place, key) in [
        (securities, "allowPrivilegeEscalation"),
        (securities, "capabilities"),
        ("/spec/template/spec/securityContext", "runAsNonRoot"),
        ("/spec/template/spec/securityContext", "seccompProfile"),
    ] {
        let mut bad = deployment.clone();
        let context = bad.pointer_mut(place).and_then(Value::as_object_mut);
        context
            .expect("a context")
            .remove(key)
            .expect("it is there");
        let answer = server.dry_create(&pod(&bad)).await;
        assert_eq!(answer.status, 403, "without {key}: {answer:?}");
        let message = answer.object["message"].as_str().expect("a message");
        assert!(message.contains("violates PodSecurity"), "{message}");
        assert!(message.contains("restricted"), "{message}");
        // Of a Deployment only a warning tells.
        let answer = server.dry_run(&bad).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let warned = answer.warnings.iter();
        let mut warned = warned.filter(|it| it.contains("would violate PodSecurity"));
        assert!(warned.next().is_some(), "without {key}: {answer:?}");
    }
    let mut typo = deployment;
    typo["spec"]["template"]["spec"]["terminationGracePeriod"] = json!(30);
    let answer = server.dry_run(&typo).await;
    assert_ne!(answer.status, 201, "{answer:?}");
}

/// A server with the namespaces of the overlays, as strict as can be, and ServiceMonitors.
async fn prepared() -> Server {
    let server = Server::start().await;
    for name in ["syncer-health", "syncer-system"] {
        server.create(&namespace(name)).await;
    }
    // The server makes it by itself, a moment after it is ready.
    eventually("there is a default namespace", secs(60), || async {
        let answer = server.read("/api/v1/namespaces/default").await;
        (answer.status == 200).then_some(())
    })
    .await;
    server.create(&service_monitors()).await;
    let monitors = "/apis/monitoring.coreos.com/v1/servicemonitors";
    eventually("ServiceMonitors are served", secs(60), || async {
        (server.read(monitors).await.status == 200).then_some(())
    })
    .await;
    server
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "name": name, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
            "pod-security.kubernetes.io/warn": "restricted",
        } },
    })
}

/// As little of the definition as a server needs to know the kind, with the keys that we write.
fn service_monitors() -> Value {
    let text = json!({ "type": "string" });
    let endpoint = json!({ "type": "object", "properties": {
        "port": text,
        "path": text,
        "interval": text,
        "authorization": { "type": "object", "properties": {
            "credentials": {
                "type": "object",
                "properties": { "name": text, "key": text },
            },
        } },
    } });
    let labels = json!({ "type": "object", "additionalProperties": text });
    let spec = json!({ "type": "object", "required": ["selector", "endpoints"], "properties": {
        "selector": { "type": "object", "properties": { "matchLabels": labels } },
        "endpoints": { "type": "array", "items": endpoint },
    } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "servicemonitors.monitoring.coreos.com" },
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {
                "plural": "servicemonitors",
                "singular": "servicemonitor",
                "kind": "ServiceMonitor",
                "listKind": "ServiceMonitorList",
            },
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": spec },
                } },
            }],
        },
    })
}

/// What `kubectl apply -k` would apply.
async fn build(folder: &Path) -> Vec<Value> {
    let run = Command::new(kubectl())
        .arg("kustomize")
        .arg(folder)
        .output();
    let output = run.await.expect("kubectl can be started");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {error}", folder.display());
    assert_eq!(error, "", "{}", folder.display());
    tree::parse(&String::from_utf8(output.stdout).expect("text"))
}

/// The pod that a Deployment would make.
fn pod(deployment: &Value) -> Value {
    let mut metadata = deployment["spec"]["template"]["metadata"].clone();
    metadata["name"] = json!("one");
    metadata["namespace"] = deployment["metadata"]["namespace"].clone();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": template(deployment),
    })
}

#[track_caller]
fn assert_taken(answer: &Answer, status: u16, object: &Value) {
    let what = format!("{} {}", object["kind"], object["metadata"]["name"]);
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert!(answer.warnings.is_empty(), "{what}: {:?}", answer.warnings);
    assert_eq!(answer.object["kind"], object["kind"], "{what}");
}

async fn assert_pod_is_taken(server: &Server, deployment: &Value) {
    let pod = pod(deployment);
    assert_taken(&server.dry_create(&pod).await, 201, &pod);
}
