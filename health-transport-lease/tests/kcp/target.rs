//! What a server does with SyncTargets.

use health_transport_lease::Dialect;
use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::answer::TARGET;
use crate::answer::TARGETS as KIND;
use crate::place::DRY_RUN;
use crate::place::EDGE;
use crate::place::Place;
use crate::place::STRICT;
use crate::place::TARGETS;
use crate::place::send;
use crate::place::target;
use crate::place::with;

const STATUS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1/status";
const VERSION: &str = "/metadata/resourceVersion";
const UID: &str = "/metadata/uid";
const OTHER_UID: &str = "11111111-1111-1111-1111-111111111111";
const THEN: &str = "2024-01-01T00:00:00Z";

pub(crate) async fn without_its_definition_there_is_a_page_that_says_404(server: &Place) {
    let body = target();
    for answer in [
        server.get(EDGE).await,
        server.get(TARGETS).await,
        server.post(TARGETS, &body).await,
        server.put(STATUS, &body).await,
    ] {
        assert_eq!((answer.code, &*answer.text), (404, "404 page not found\n"));
    }
    let answer = send(&server.limited, Method::GET, EDGE, None).await;
    answer.refused(403, "Forbidden").about(KIND, "edge-1");
    server.define(Some(Dialect::Kcp)).await;
    let answer = server.get(EDGE).await;
    answer.refused(404, "NotFound").about(KIND, "edge-1");
    let list = server.get(TARGETS).await.done(200);
    assert_eq!(
        (&list["kind"], &list["items"]),
        (&json!("SyncTargetList"), &json!([]))
    );
}

pub(crate) async fn each_dialect_has_its_own_fields(server: &Place) {
    for dialect in Dialect::ALL {
        let mut made = defined(server, dialect).await;
        for other in Dialect::ALL {
            let field = other.heartbeat_field();
            let sent = with_status(&made, json!({ field: THEN }));
            let strict = server
                .put(&format!("{STATUS}?{STRICT}&{DRY_RUN}"), &sent)
                .await;
            let lax = server.put(STATUS, &sent).await.done(200);
            if dialect == other {
                strict.done(200);
                assert_eq!(lax["status"], json!({ field: THEN }));
            } else {
                strict.refused(400, "BadRequest");
                let message = format!("strict decoding error: unknown field \"status.{field}\"");
                strict.saying(&message);
                assert_eq!(lax["status"], json!({}), "it is dropped");
            }
            made = lax;
        }
        let named = with_status(&made, json!({ "syncerIdentity": "alice_1" }));
        let kept = server.put(STATUS, &named).await.done(200);
        let has = dialect.identity_field().is_some();
        assert_eq!(kept["status"]["syncerIdentity"] == "alice_1", has);
        let odd = condition(json!({ "odd": 1 }));
        let sent = with_status(
            &kept,
            json!({ "zz": 1, "conditions": [condition(json!({})), odd] }),
        );
        let answer = server.put(&format!("{STATUS}?{STRICT}"), &sent).await;
        answer.refused(400, "BadRequest");
        answer.saying("unknown field \"status.conditions[1].odd\", unknown field \"status.zz\"");
        let lax = server.put(STATUS, &sent).await.done(200);
        let plain = json!([condition(json!({})), condition(json!({}))]);
        assert_eq!(lax["status"], json!({ "conditions": plain }));
    }
}

pub(crate) async fn the_status_and_the_rest_are_written_apart(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    let status = json!({ "lastSyncerHeartbeatTime": THEN });
    let sent = with_status(&target(), status.clone());
    let made = server.post(TARGETS, &sent).await.done(201);
    assert_eq!(made.get("status"), None, "nothing is created with a status");
    let answer = server.post(TARGETS, &target()).await;
    answer.refused(409, "AlreadyExists").about(KIND, "edge-1");

    let other_spec = json!({ "unschedulable": true });
    let mut both = with(
        &with_status(&made, status.clone()),
        "/spec",
        other_spec.clone(),
    );
    both["metadata"]["labels"] = json!({ "a": "b" });
    let written = server.put(STATUS, &both).await.done(200);
    assert_eq!(written["status"], status);
    assert_eq!(written["spec"], made["spec"]);
    assert_eq!(written["metadata"].get("labels"), None);

    let other = json!({ "lastSyncerHeartbeatTime": "2025-01-01T00:00:00Z" });
    let both = with(&with_status(&written, other), "/spec", other_spec.clone());
    let written = server.put(EDGE, &both).await.done(200);
    assert_eq!(written["status"], status);
    assert_eq!(written["spec"], other_spec);
    let strict = with(&written, "/spec/bogus", json!(1));
    let answer = server.put(&format!("{STATUS}?{STRICT}"), &strict).await;
    answer.refused(400, "BadRequest").saying("\"spec.bogus\"");
}

pub(crate) async fn conditions_are_kept_as_they_are(server: &Place) {
    let made = defined(server, Dialect::Kcp).await;
    let conditions = json!([
        condition(json!({ "type": "Ready", "message": "ä <>& \u{2028} \"\\", "reason": "" })),
        condition(json!({ "type": "X", "severity": "Warning", "status": "odd" })),
        condition(json!({ "lastTransitionTime": "2024-01-01T00:00:00.123456Z" })),
        condition(json!({ "lastTransitionTime": "2024-01-01T02:00:00+02:00" })),
        condition(json!({ "type": "Ready" })),
    ]);
    let sent = with_status(&made, json!({ "conditions": conditions }));
    let written = server
        .put(&format!("{STATUS}?{STRICT}"), &sent)
        .await
        .done(200);
    assert_eq!(
        written["status"]["conditions"].to_string(),
        conditions.to_string()
    );
    let read = server.get(EDGE).await.done(200);
    assert_eq!(
        read["status"]["conditions"].to_string(),
        conditions.to_string()
    );
}

pub(crate) async fn every_status_has_its_answer(server: &Place) {
    let mut made = defined(server, Dialect::Kcp).await;
    let time = "lastSyncerHeartbeatTime";
    let wrong_type = "FieldValueTypeInvalid";
    let untimed = json!([{ "type": "Ready", "status": "True" }]);
    for (status, field, reason) in [
        (
            json!({ time: "soon" }),
            "status.lastSyncerHeartbeatTime",
            wrong_type,
        ),
        (
            json!({ time: 5 }),
            "status.lastSyncerHeartbeatTime",
            wrong_type,
        ),
        (json!({ "conditions": {} }), "status.conditions", wrong_type),
        (
            json!({ "conditions": ["x"] }),
            "status.conditions[0]",
            wrong_type,
        ),
        (
            json!({ "conditions": [condition(json!({ "reason": 5 }))] }),
            "status.conditions[0].reason",
            wrong_type,
        ),
        (
            json!({ "conditions": untimed }),
            "status.conditions[0].lastTransitionTime",
            "FieldValueRequired",
        ),
        (json!("x"), "status", wrong_type),
    ] {
        let answer = server.put(STATUS, &with_status(&made, status)).await;
        answer.refused(422, "Invalid").about(TARGET, "edge-1");
        answer.because_of(field, reason);
    }
    for (status, kept) in [
        (json!({ time: "2024-01-01T00:00:00.123456Z" }), None),
        (json!({ time: null }), Some(json!({}))),
        (
            json!({ "conditions": null, time: THEN }),
            Some(json!({ time: THEN })),
        ),
        (Value::Null, Some(Value::Null)),
    ] {
        let sent = with_status(&made, status.clone());
        made = server.put(STATUS, &sent).await.done(200);
        assert_eq!(made["status"], kept.unwrap_or(status));
    }
}

pub(crate) async fn a_status_is_written_at_its_resource_version_and_uid(server: &Place) {
    let made = defined(server, Dialect::Kcp).await;
    let beat = |object: &Value, year: u32| {
        let time = format!("{year}-01-01T00:00:00Z");
        with_status(object, json!({ "lastSyncerHeartbeatTime": time }))
    };
    let written = server.put(STATUS, &beat(&made, 2001)).await.done(200);
    for stale in [beat(&made, 2002), with_status(&made, json!("x"))] {
        let answer = server.put(STATUS, &stale).await;
        answer.refused(409, "Conflict").about(KIND, "edge-1");
    }
    let odd = with_status(&made, json!({ "odd": 1 }));
    let answer = server.put(&format!("{STATUS}?{STRICT}"), &odd).await;
    answer.refused(400, "BadRequest");
    for path in [STATUS, EDGE] {
        let versionless = with(&beat(&written, 2003), VERSION, Value::Null);
        let answer = server.put(path, &versionless).await;
        answer.refused(422, "Invalid").about(KIND, "edge-1");
        answer.because_of("metadata.resourceVersion", "FieldValueInvalid");
        let other = with(&beat(&written, 2003), UID, json!(OTHER_UID));
        let answer = server.put(path, &other).await;
        answer.refused(409, "Conflict").about(KIND, "edge-1");
        answer.saying("UID");
    }
    let nameless = with(&beat(&written, 2003), UID, Value::Null);
    server.put(STATUS, &nameless).await.done(200);
}

/// A watch tells nobody of a heartbeat whose time is the same second.
pub(crate) async fn a_status_that_changes_nothing_moves_no_resource_version(server: &Place) {
    let made = defined(server, Dialect::Kcp).await;
    let beat = with_status(&made, json!({ "lastSyncerHeartbeatTime": THEN }));
    let written = server.put(STATUS, &beat).await.done(200);
    assert_ne!(written["metadata"], made["metadata"]);
    let again = server.put(STATUS, &written).await.done(200);
    assert_eq!(again, written);
}

pub(crate) async fn a_missing_target_is_not_created_by_a_write(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    let named = with(&with(&target(), VERSION, json!("5")), UID, json!(OTHER_UID));
    for path in [STATUS, EDGE] {
        for body in [target(), named.clone()] {
            let answer = server.put(path, &body).await;
            answer.refused(404, "NotFound").about(KIND, "edge-1");
        }
    }
    let answer = server.delete(EDGE).await;
    answer.refused(404, "NotFound").about(KIND, "edge-1");
}

pub(crate) async fn a_recreated_target_is_another_one(server: &Place) {
    let old = defined(server, Dialect::Kcp).await;
    server.delete(EDGE).await.done(200);
    server.get(EDGE).await.refused(404, "NotFound");
    let new = server.post(TARGETS, &target()).await.done(201);
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    let answer = server.put(STATUS, &old).await;
    answer.refused(409, "Conflict").about(KIND, "edge-1");
}

pub(crate) async fn a_dry_run_leaves_nothing_of_a_status(server: &Place) {
    let made = defined(server, Dialect::Kcp).await;
    let status = json!({ "lastSyncerHeartbeatTime": THEN });
    let sent = with_status(&made, status.clone());
    let answer = server
        .put(&format!("{STATUS}?{DRY_RUN}&{STRICT}"), &sent)
        .await;
    let shown = answer.done(200);
    assert_eq!(shown["status"], status);
    assert_eq!(
        shown["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    assert_eq!(server.get(EDGE).await.done(200), made);
}

/// The SyncTarget `edge-1`, with its definition in that dialect.
async fn defined(server: &Place, dialect: Dialect) -> Value {
    server.define(Some(dialect)).await;
    server.post(TARGETS, &target()).await.done(201)
}

fn with_status(object: &Value, status: Value) -> Value {
    let mut object = object.clone();
    object["status"] = status;
    object
}

fn condition(more: Value) -> Value {
    let mut condition = json!({ "type": "T", "status": "True", "lastTransitionTime": THEN });
    for (key, value) in more.as_object().unwrap() {
        condition[key] = value.clone();
    }
    condition
}
