//! The questions and what their answers mean, without any I/O.

use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::call::ApiError;
use crate::http_form::RawRequest;
use crate::names;

/// What is created to ask whose a token is.
pub(super) const TOKEN_REVIEWS: &str = "tokenreviews.authentication.k8s.io";
/// What is created to ask what a user may do.
pub(super) const ACCESS_REVIEWS: &str = "subjectaccessreviews.authorization.k8s.io";

/// A user, as the server told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct User {
    pub(super) name: String,
    uid: Value,
    groups: Value,
    extra: Value,
}

/// Asks whose the token is.
pub(super) fn who(token: &str) -> RawRequest {
    RawRequest {
        method: Method::POST,
        path: "/apis/authentication.k8s.io/v1/tokenreviews".to_owned(),
        body: Some(json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token },
        })),
    }
}

/// Whose the token is; nobody's where the server does not say clearly.
pub(super) fn user(review: &Value) -> Option<User> {
    let status = &review["status"];
    let user = &status["user"];
    let name = user["username"].as_str().filter(|name| !name.is_empty())?;
    (status["authenticated"] == true).then(|| User {
        name: name.to_owned(),
        uid: user["uid"].clone(),
        groups: user["groups"].clone(),
        extra: user["extra"].clone(),
    })
}

/// Asks whether the user may write the status of that target.
pub(super) fn whether(user: &User, target: &str) -> RawRequest {
    let mut spec = json!({
        "user": user.name,
        "resourceAttributes": {
            "group": names::GROUP,
            "version": names::VERSION,
            "resource": names::PLURAL,
            "subresource": "status",
            "name": target,
            "verb": "update",
        },
    });
    // A server that scopes its users says so in these, and wants them back as they are.
    for (key, value) in [
        ("uid", &user.uid),
        ("groups", &user.groups),
        ("extra", &user.extra),
    ] {
        if !value.is_null() {
            spec[key] = value.clone();
        }
    }
    RawRequest {
        method: Method::POST,
        path: "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned(),
        body: Some(json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": spec,
        })),
    }
}

/// Why the user may not; nothing where it may.
pub(super) fn refusal(review: &Value, target: &str) -> Option<String> {
    let status = &review["status"];
    if status["allowed"] == true && status["denied"] != true {
        return None;
    }
    let said = ["reason", "evaluationError"].map(|key| status[key].as_str().unwrap_or_default());
    let said: Vec<_> = said.into_iter().filter(|text| !text.is_empty()).collect();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(" ({})", crate::http_form::one_line(&said.join("; ")))
    };
    Some(format!(
        "may not update {}/status of SyncTarget {target:?}{said}: grant that \
         (run: syncer-health manifests rbac)",
        names::PLURAL
    ))
}

/// The error without the token, if a server or a proxy should ever have said it.
pub(super) fn without(token: &str, mut error: ApiError) -> ApiError {
    error.message = error.message.replace(token, "[token]");
    error
}

/// Reads an answer as that of either question: nobody is somebody, and nothing is allowed, unless it
/// says so clearly.
#[cfg(fuzzing)]
pub fn fuzz(answer: &Value) {
    let status = &answer["status"];
    let user = user(answer);
    let is_somebody = status["authenticated"] == true;
    assert!(user.is_none() || is_somebody);
    if let Some(user) = user {
        let question = whether(&user, "edge-1").body.unwrap_or_default();
        let told = &status["user"];
        assert_eq!(question["spec"]["user"], told["username"]);
        for key in ["uid", "groups", "extra"] {
            assert_eq!(
                question["spec"][key], told[key],
                "{key} is asked for as told"
            );
        }
        assert_eq!(question["spec"]["resourceAttributes"]["name"], "edge-1");
    }
    match refusal(answer, "edge-1") {
        None => assert!(status["allowed"] == true && status["denied"] != true),
        Some(why) => {
            assert!(status["allowed"] != true || status["denied"] == true);
            assert!(!why.contains('\n') && why.len() < 1024, "{why:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ErrorKind;

    #[test]
    fn who_is_not_told_clearly_is_nobody() {
        for (status, name) in [
            (
                json!({"authenticated": true, "user": {"username": "a"}}),
                Some("a"),
            ),
            (
                json!({"authenticated": true, "user": {"username": ""}}),
                None,
            ),
            (
                json!({"authenticated": true, "user": {"username": 7}}),
                None,
            ),
            (json!({"authenticated": true}), None),
            (
                json!({"authenticated": "true", "user": {"username": "a"}}),
                None,
            ),
            (
                json!({"authenticated": false, "user": {"username": "a"}}),
                None,
            ),
            (json!({"user": {"username": "a"}, "error": "invalid"}), None),
            (json!([]), None),
            (Value::Null, None),
        ] {
            let user = user(&json!({ "status": status }));
            assert_eq!(user.map(|user| user.name).as_deref(), name, "{status}");
        }
    }

    #[test]
    fn a_user_is_asked_for_as_the_server_told_of_it() {
        let told = json!({"username": "a", "uid": "u", "groups": ["g"], "extra": {"k": ["v"]}});
        let user = user(&json!({"status": {"authenticated": true, "user": told}})).unwrap();
        let spec = &whether(&user, "edge-1").body.unwrap()["spec"];
        assert_eq!(spec["user"], "a");
        for key in ["uid", "groups", "extra"] {
            assert_eq!(spec[key], told[key]);
        }
        let asked = &spec["resourceAttributes"];
        assert_eq!(asked["group"], "workload.kcp.io");
        assert_eq!(asked["subresource"], "status");
        assert_eq!(
            (&asked["name"], &asked["verb"]),
            (&json!("edge-1"), &json!("update"))
        );
    }

    #[test]
    fn what_is_not_allowed_clearly_is_refused_with_what_was_said() {
        let why = |status: Value| refusal(&json!({ "status": status }), "edge-1");
        assert_eq!(why(json!({"allowed": true, "reason": "r"})), None);
        for (status, said) in [
            (
                json!({"allowed": true, "denied": true}),
                "\"edge-1\": grant",
            ),
            (json!({"allowed": "true"}), "\"edge-1\": grant"),
            (
                json!({"allowed": false, "reason": "access\ndenied"}),
                "(access denied)",
            ),
            (json!({"evaluationError": "no role"}), "(no role)"),
            (Value::Null, "\"edge-1\": grant"),
        ] {
            let why = why(status.clone()).unwrap();
            assert!(why.contains(said), "{status} {why}");
        }
    }

    #[test]
    fn no_token_is_shown() {
        let request = who("s3cret");
        assert!(!format!("{request:?}").contains("s3cret"));
        let error = ApiError::new(ErrorKind::Invalid, "unknown token s3cret");
        assert_eq!(without("s3cret", error).message, "unknown token [token]");
    }
}
