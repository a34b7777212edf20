//! What a server says when it is asked who somebody is, and what somebody may do.

use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::answer::Answer;
use crate::place::Place;
use crate::place::send;
use crate::place::until;

pub(crate) const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
pub(crate) const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

pub(crate) async fn a_token_is_somebodys_or_nobodys(server: &Place) {
    let review = ask_who(server, "limited-token").await.done(201);
    let status = &review["status"];
    assert_eq!(status["authenticated"], true);
    assert_eq!(status["user"]["username"], "limited");
    assert_eq!(status["user"]["uid"], "limited");
    let groups = status["user"]["groups"].as_array().unwrap();
    assert!(groups.contains(&json!("system:authenticated")));

    let review = ask_who(server, "nobodys-token").await.done(201);
    let status = &review["status"];
    assert_ne!(status["authenticated"], true);
    assert_eq!(status["error"], "invalid bearer token");
    assert_eq!(status["user"], json!({}));
    let echoed = &review["spec"]["token"];
    assert_eq!(echoed, "nobodys-token", "an answer is a secret, too");
}

pub(crate) async fn a_question_without_a_subject_is_refused(server: &Place) {
    let answer = ask_who(server, "").await;
    answer
        .refused(400, "BadRequest")
        .saying("token is required");
    let asked = json!({ "verb": "update", "resource": "synctargets" });
    for (spec, field) in [
        (json!({ "user": "limited" }), "spec.resourceAttributes"),
        (json!({ "resourceAttributes": asked }), "spec.user"),
        (
            json!({ "resourceAttributes": asked, "user": "" }),
            "spec.user",
        ),
    ] {
        let answer = ask_whether(server, spec).await;
        answer.refused(422, "Invalid").saying(field);
    }
}

/// Each attribute counts: who may write one target's status may write no other's, nor its spec.
pub(crate) async fn who_may_do_one_thing_may_do_no_other(server: &Place) {
    let may = |verb: &str, resource: &str, name: &str| {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        json!({
            "user": "limited", "uid": "limited", "groups": ["system:authenticated"],
            "extra": { "example.org/team": ["edge"] },
            "resourceAttributes": {
                "group": "workload.kcp.io", "version": "v1alpha1", "resource": resource,
                "subresource": subresource, "name": name, "verb": verb,
            },
        })
    };
    let wanted = || may("update", "synctargets/status", "edge-1");
    let review = ask_whether(server, wanted()).await.done(201);
    assert_eq!(review["status"]["allowed"], false);
    assert_eq!(review["status"]["reason"], "access denied");
    let rule = json!([{
        "apiGroups": ["workload.kcp.io"], "resources": ["synctargets/status"],
        "resourceNames": ["edge-1"], "verbs": ["update"],
    }]);
    server.allow(rule).await;
    until("it may", || async {
        let review = ask_whether(server, wanted()).await.done(201);
        review["status"]["allowed"] == true && review["status"]["reason"] == "access granted"
    })
    .await;
    for (verb, resource, name) in [
        ("get", "synctargets/status", "edge-1"),
        ("update", "synctargets", "edge-1"),
        ("update", "synctargets/status", "edge-2"),
        ("update", "synctargets/status", ""),
    ] {
        let review = ask_whether(server, may(verb, resource, name)).await;
        let review = review.done(201);
        assert_eq!(
            review["status"]["allowed"], false,
            "{verb} {resource} {name}"
        );
    }
}

pub(crate) async fn who_may_not_ask_is_told_the_rule_that_is_missing(server: &Place) {
    for (path, kind) in [
        (TOKEN_REVIEWS, "tokenreviews.authentication.k8s.io"),
        (ACCESS_REVIEWS, "subjectaccessreviews.authorization.k8s.io"),
    ] {
        let answer = send(&server.limited, Method::POST, path, Some(&json!({}))).await;
        let (resource, group) = kind.split_once('.').unwrap();
        let rule = format!(
            "{kind} is forbidden: User \"limited\" cannot create resource {resource:?} in API \
             group {group:?} at the cluster scope"
        );
        answer
            .refused(403, "Forbidden")
            .about(kind, "")
            .saying(&rule);
    }
}

async fn ask_who(server: &Place, token: &str) -> Answer {
    let body = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": { "token": token },
    });
    server.post(TOKEN_REVIEWS, &body).await
}

async fn ask_whether(server: &Place, spec: Value) -> Answer {
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
    });
    server.post(ACCESS_REVIEWS, &body).await
}
