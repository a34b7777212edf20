//! What a server does with those who may not do everything.

use health_transport_lease::Dialect;
use health_transport_lease::LeaseConfig;
use health_transport_lease::LeaseTransport;
use health_transport_lease::SyncTargetConfig;
use health_transport_lease::SyncTargetTransport;
use health_transport_lease::manifests;
use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::answer::LEASES as KIND;
use crate::answer::TARGETS as TARGET_KIND;
use crate::place::EDGE;
use crate::place::LEASES;
use crate::place::NOWHERE;
use crate::place::Place;
use crate::place::TARGETS;
use crate::place::lease;
use crate::place::send;
use crate::place::target;
use crate::place::until;
use crate::transports::beat;
use crate::transports::identity;

pub(crate) async fn what_is_forbidden_names_the_rule_that_is_missing(server: &Place) {
    for name in ["a", "b"] {
        server.post(LEASES, &lease(name, json!({}))).await.done(201);
    }
    let (a, b) = (format!("{LEASES}/a"), format!("{LEASES}/b"));
    server
        .allow(may("coordination.k8s.io", "leases", "a", "get"))
        .await;
    until("a may be read", || async {
        ask(server, Method::GET, &a, None).await.code == 200
    })
    .await;

    let body = lease("a", json!({}));
    let scope = "in API group \"coordination.k8s.io\" in the namespace \"default\"";
    for (method, path, verb, name) in [
        (Method::GET, &*b, "get", "b"),
        (Method::PUT, &*a, "update", "a"),
        (Method::DELETE, &*a, "delete", "a"),
        (Method::POST, LEASES, "create", ""),
        (Method::GET, LEASES, "list", ""),
    ] {
        let answer = ask(server, method, path, Some(&body)).await;
        answer.refused(403, "Forbidden").about(KIND, name);
        let rule =
            format!(" is forbidden: User \"limited\" cannot {verb} resource \"leases\" {scope}");
        answer.saying(&rule);
    }
    let body = target();
    let status = format!("{EDGE}/status");
    for (method, path, verb, resource) in [
        (Method::GET, EDGE, "get", "synctargets"),
        (Method::PUT, EDGE, "update", "synctargets"),
        (Method::PUT, &*status, "update", "synctargets/status"),
    ] {
        let answer = ask(server, method, path, Some(&body)).await;
        answer
            .refused(403, "Forbidden")
            .about(TARGET_KIND, "edge-1");
        let rule = format!(
            "User \"limited\" cannot {verb} resource {resource:?} in API group \
             \"workload.kcp.io\" at the cluster scope"
        );
        answer.saying(&rule);
    }
}

pub(crate) async fn what_is_forbidden_is_forbidden_before_anything_else(server: &Place) {
    let nonsense = lease("other", json!("x"));
    for (method, path) in [
        (Method::GET, format!("{LEASES}/missing")),
        (Method::PUT, format!("{LEASES}/missing")),
        (Method::POST, LEASES.to_owned()),
        (Method::POST, NOWHERE.to_owned()),
        (Method::GET, format!("{TARGETS}/undefined")),
    ] {
        let answer = ask(server, method, &path, Some(&nonsense)).await;
        answer.refused(403, "Forbidden");
    }
}

pub(crate) async fn a_stranger_is_told_so(server: &Place) {
    for path in [LEASES, NOWHERE, TARGETS] {
        let answer = send(&server.stranger, Method::GET, path, None).await;
        answer.refused(401, "Unauthorized");
    }
}

/// No more than they need: each other verb is still forbidden.
pub(crate) async fn the_manifests_grant_what_the_transports_need(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    server.post(TARGETS, &target()).await.done(201);
    let config = LeaseConfig::new("default", "", "edge-1").unwrap();
    let role = manifests::lease_role("agent", "default", config.name(), true);
    server.allow(role["rules"].clone()).await;
    server
        .allow(manifests::target_role("agent", "edge-1")["rules"].clone())
        .await;
    let lease = format!("{LEASES}/{}", config.name());
    until("the rights are there", || async {
        ask(server, Method::GET, &lease, None).await.code == 404
            && ask(server, Method::GET, EDGE, None).await.code == 200
    })
    .await;

    let alice = identity("alice", "1");
    let mut keeper = LeaseTransport::new(server.limited.clone(), &config, "edge-1", &alice, 7);
    let status = SyncTargetConfig::default();
    let mut writer = SyncTargetTransport::new(server.limited.clone(), status, "edge-1", &alice, 7);
    for sequence in 1..3 {
        beat(&mut keeper, sequence).await.unwrap();
    }
    beat(&mut writer, 1).await.unwrap();
    let owner = server.get(EDGE).await.done(200);
    assert_eq!(owner["status"]["conditions"][0]["type"], "SyncerReady");
    let kept = server.get(&lease).await.done(200);
    let reference = &kept["metadata"]["ownerReferences"][0];
    assert_eq!(reference["uid"], owner["metadata"]["uid"]);
    for (method, path) in [
        (Method::GET, LEASES),
        (Method::GET, TARGETS),
        (Method::PUT, EDGE),
        (Method::DELETE, &lease),
        (Method::DELETE, EDGE),
        (Method::PUT, &format!("{LEASES}/another")),
    ] {
        let answer = ask(server, method, path, Some(&owner)).await;
        answer.refused(403, "Forbidden");
    }
}

async fn ask(
    server: &Place,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> crate::answer::Answer {
    let body = body.filter(|_| matches!(method, Method::POST | Method::PUT));
    send(&server.limited, method, path, body).await
}

fn may(group: &str, resource: &str, name: &str, verb: &str) -> Value {
    json!([{
        "apiGroups": [group], "resources": [resource], "resourceNames": [name], "verbs": [verb],
    }])
}
