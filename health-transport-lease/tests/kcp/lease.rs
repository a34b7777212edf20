//! What a server does with Leases.

use health_transport_lease::Dialect;
use serde_json::Value;
use serde_json::json;

use crate::answer::LEASE;
use crate::answer::LEASES as KIND;
use crate::answer::NAMESPACES;
use crate::place::DRY_RUN;
use crate::place::EDGE;
use crate::place::LEASES;
use crate::place::NOWHERE;
use crate::place::Place;
use crate::place::STRICT;
use crate::place::TARGETS;
use crate::place::lease;
use crate::place::target;
use crate::place::until;
use crate::place::with;

const A: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/a";
const VERSION: &str = "/metadata/resourceVersion";
const UID: &str = "/metadata/uid";
const DURATION: &str = "/spec/leaseDurationSeconds";
const OTHER_UID: &str = "11111111-1111-1111-1111-111111111111";

pub(crate) async fn what_is_written_is_read_and_what_is_deleted_is_gone(server: &Place) {
    server
        .get(A)
        .await
        .refused(404, "NotFound")
        .about(KIND, "a");
    let made = created(server).await;
    assert_eq!(made["spec"], spec());
    assert_eq!(made["metadata"]["namespace"], "default");
    assert_eq!(server.get(A).await.done(200), made);
    let later = with(
        &made,
        "/spec/renewTime",
        json!("2024-01-01T00:00:01.000000Z"),
    );
    let written = server.put(A, &later).await.done(200);
    assert_eq!(written["spec"], later["spec"]);
    assert_eq!(written["metadata"]["uid"], made["metadata"]["uid"]);
    assert_ne!(version(&written), version(&made));
    assert_eq!(server.get(A).await.done(200), written);
    let gone = server.delete(A).await;
    assert_eq!(gone.body["details"]["uid"], made["metadata"]["uid"]);
    gone.about(KIND, "a");
    server
        .get(A)
        .await
        .refused(404, "NotFound")
        .about(KIND, "a");
    server
        .delete(A)
        .await
        .refused(404, "NotFound")
        .about(KIND, "a");
}

pub(crate) async fn what_is_there_is_not_created_again(server: &Place) {
    created(server).await;
    let again = server.post(LEASES, &lease("a", spec())).await;
    again.refused(409, "AlreadyExists").about(KIND, "a");
    let invalid = with(&lease("a", spec()), DURATION, json!(0));
    let answer = server.post(LEASES, &invalid).await;
    answer.refused(422, "Invalid").about(LEASE, "a");
}

pub(crate) async fn what_is_to_be_created_has_no_resource_version_and_no_uid(server: &Place) {
    let versioned = with(&lease("a", spec()), VERSION, json!("1"));
    let answer = server.post(LEASES, &versioned).await;
    answer
        .refused(500, "")
        .saying("resourceVersion should not be set");
    let named = with(&lease("a", spec()), UID, json!(OTHER_UID));
    let made = server.post(LEASES, &named).await.done(201);
    assert_ne!(made["metadata"]["uid"], OTHER_UID, "it gives its own");
}

pub(crate) async fn a_stale_resource_version_conflicts(server: &Place) {
    let stale = created(server).await;
    let written = with(&stale, DURATION, json!(31));
    server.put(A, &written).await.done(200);
    let conflict = server.put(A, &with(&stale, DURATION, json!(32))).await;
    conflict.refused(409, "Conflict").about(KIND, "a");
    conflict.saying("the object has been modified");
    let invalid = server.put(A, &with(&stale, DURATION, json!(0))).await;
    invalid.refused(409, "Conflict");
    let nonsense = server.put(A, &with(&stale, DURATION, json!("x"))).await;
    nonsense.refused(400, "BadRequest");
}

pub(crate) async fn a_write_says_which_resource_version_it_is_about(server: &Place) {
    let made = with(&created(server).await, DURATION, json!(31));
    for none in [Value::Null, json!(""), json!("0")] {
        let answer = server.put(A, &with(&made, VERSION, none)).await;
        answer.refused(422, "Invalid").about(KIND, "a");
        answer.because_of("metadata.resourceVersion", "FieldValueInvalid");
    }
    let answer = server.put(A, &with(&made, VERSION, json!("abc"))).await;
    answer.refused(500, "");
}

pub(crate) async fn another_uid_conflicts(server: &Place) {
    let made = created(server).await;
    let other = with(&made, UID, json!(OTHER_UID));
    for version in [version(&made).into(), json!("1"), Value::Null] {
        let answer = server.put(A, &with(&other, VERSION, version)).await;
        answer
            .refused(409, "Conflict")
            .about(KIND, "a")
            .saying("UID");
    }
    let changed = with(&with(&made, UID, Value::Null), DURATION, json!(31));
    server.put(A, &changed).await.done(200);
}

pub(crate) async fn a_recreated_lease_is_another_one(server: &Place) {
    let old = created(server).await;
    server.delete(A).await.done(200);
    let new = created(server).await;
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_ne!(version(&new), version(&old));
    let answer = server.put(A, &old).await;
    answer.refused(409, "Conflict").about(KIND, "a");
}

pub(crate) async fn a_write_that_changes_nothing_moves_no_resource_version(server: &Place) {
    let made = created(server).await;
    // With the first write kcp keeps an annotation of its own that the creation only showed.
    let once = server.put(A, &made).await.done(200);
    let twice = server.put(A, &once).await.done(200);
    assert_eq!(twice, once);
    let changed = server.put(A, &with(&once, DURATION, json!(31))).await;
    let stale = with(&changed.done(200), VERSION, version(&once).into());
    let answer = server.put(A, &stale).await;
    answer.refused(409, "Conflict");
}

/// Whoever deleted it meant it: a holder that writes what it read last finds out.
pub(crate) async fn a_lease_that_is_gone_is_created_by_a_write_that_names_no_uid(server: &Place) {
    let old = created(server).await;
    server.delete(A).await.done(200);
    let answer = server.put(A, &old).await;
    answer
        .refused(409, "Conflict")
        .about(KIND, "a")
        .saying("UID");
    server.get(A).await.refused(404, "NotFound");
    let nameless = with(&old, UID, Value::Null);
    let made = server.put(A, &nameless).await.done(201);
    assert_ne!(made["metadata"]["uid"], old["metadata"]["uid"]);
    assert_ne!(version(&made), version(&old));
    let invalid = with(&lease("b", spec()), DURATION, json!(0));
    let answer = server.put(&format!("{LEASES}/b"), &invalid).await;
    answer.refused(422, "Invalid").about(LEASE, "b");
}

pub(crate) async fn a_missing_namespace_is_told_from_a_missing_lease(server: &Place) {
    let one = format!("{NOWHERE}/a");
    let answer = server.get(&one).await;
    answer.refused(404, "NotFound").about(KIND, "a");
    let body = lease("a", spec());
    let invalid = with(&body, DURATION, json!(0));
    for answer in [
        server.post(NOWHERE, &body).await,
        server.post(NOWHERE, &invalid).await,
        server.put(&one, &body).await,
    ] {
        answer.refused(404, "NotFound").about(NAMESPACES, "nowhere");
    }
    let elsewhere = with(&body, "/metadata/namespace", json!("nowhere"));
    let answer = server.post(LEASES, &elsewhere).await;
    answer.refused(400, "BadRequest");
}

pub(crate) async fn a_lease_has_a_name_and_it_is_that_of_its_path(server: &Place) {
    for (name, reason) in [("", "FieldValueRequired"), ("A_B", "FieldValueInvalid")] {
        let answer = server.post(LEASES, &lease(name, spec())).await;
        answer.refused(422, "Invalid").about(LEASE, name);
        answer.because_of("metadata.name", reason);
    }
    created(server).await;
    for name in ["", "b"] {
        let answer = server.put(A, &lease(name, spec())).await;
        answer.refused(400, "BadRequest");
    }
}

/// What the server takes is kept; what it keeps is what a reader can find.
pub(crate) async fn every_value_of_a_field_has_its_answer(server: &Place) {
    const NUMBERS: [&str; 2] = ["leaseDurationSeconds", "leaseTransitions"];
    const TIMES: [&str; 2] = ["renewTime", "acquireTime"];
    let mut table = vec![
        ("holderIdentity", json!(""), 201),
        ("holderIdentity", json!(5), 400),
        ("leaseDurationSeconds", json!(0), 422),
        ("leaseDurationSeconds", json!(i32::MAX), 201),
        ("leaseTransitions", json!(0), 201),
    ];
    for field in NUMBERS {
        table.extend([
            (field, json!(1), 201),
            (field, json!(-1), 422),
            (field, json!(i64::from(i32::MAX) + 1), 400),
            (field, json!("30"), 400),
            (field, json!(30.5), 400),
            (field, json!(30.0), 400),
        ]);
    }
    for field in TIMES {
        table.extend([
            (field, json!("9999-01-01T00:00:00.000000Z"), 201),
            (field, json!("2024-01-01T00:00:00Z"), 400),
            (field, json!("2024-01-01T00:00:00.123Z"), 400),
            (field, json!("2024-01-01T00:00:00.123456789Z"), 400),
            (field, json!("soon"), 400),
            (field, json!(""), 400),
            (field, json!(5), 400),
        ]);
    }
    for (number, (field, value, code)) in table.into_iter().enumerate() {
        let name = format!("l{number}");
        let body = lease(&name, json!({ field: value }));
        let answer = server.post(LEASES, &body).await;
        match code {
            201 => assert_eq!(answer.done(201)["spec"], body["spec"]),
            400 => drop(answer.refused(400, "BadRequest")),
            _ => {
                let field = format!("spec.{field}");
                answer.refused(code, "Invalid").about(LEASE, &name);
                answer.because_of(&field, "FieldValueInvalid");
            }
        }
    }
    let mut nothing = json!({ "holderIdentity": null });
    for field in NUMBERS.into_iter().chain(TIMES) {
        nothing[field] = Value::Null;
    }
    for (name, spec) in [
        ("null", nothing),
        ("none", json!({})),
        ("no-spec", Value::Null),
    ] {
        let made = server.post(LEASES, &lease(name, spec)).await.done(201);
        assert_eq!(made["spec"], json!({}), "what is null is not kept");
    }
    let answer = server.post(LEASES, &lease("text", json!("x"))).await;
    answer.refused(400, "BadRequest");
    let local = json!({ "renewTime": "2024-01-01T02:00:00.123456+02:00" });
    let made = server.post(LEASES, &lease("local", local)).await.done(201);
    assert_eq!(made["spec"]["renewTime"], "2024-01-01T00:00:00.123456Z");
}

pub(crate) async fn a_field_that_nobody_knows_is_dropped_or_refused(server: &Place) {
    let odd = |name| with(&lease(name, spec()), "/spec/bogus", json!(1));
    let strict = format!("{LEASES}?{STRICT}");
    let answer = server.post(&strict, &odd("a")).await;
    answer.refused(400, "BadRequest");
    answer.saying("strict decoding error: unknown field \"spec.bogus\"");
    server.get(A).await.refused(404, "NotFound");
    let made = server.post(LEASES, &odd("a")).await.done(201);
    assert_eq!(made["spec"], spec());
    let answer = server.put(&format!("{A}?{STRICT}"), &odd("a")).await;
    answer.refused(400, "BadRequest");
    // A field of a feature that is not switched on is known, and dropped all the same.
    let ahead = with(
        &lease("b", spec()),
        "/spec/strategy",
        json!("OldestEmulationVersion"),
    );
    let made = server.post(&strict, &ahead).await.done(201);
    assert_eq!(made["spec"], spec());
}

pub(crate) async fn a_dry_run_leaves_nothing(server: &Place) {
    let made = server
        .post(&format!("{LEASES}?{DRY_RUN}"), &lease("a", spec()))
        .await;
    assert_eq!(made.done(201)["spec"], spec());
    server.get(A).await.refused(404, "NotFound");
    let made = created(server).await;
    let changed = with(&made, DURATION, json!(31));
    let answer = server.put(&format!("{A}?{DRY_RUN}"), &changed).await;
    assert_eq!(answer.done(200)["spec"], changed["spec"]);
    assert_eq!(server.get(A).await.done(200), made);
}

pub(crate) async fn a_list_has_what_is_there(server: &Place) {
    for name in ["a", "b"] {
        server.post(LEASES, &lease(name, spec())).await.done(201);
    }
    let list = server.get(LEASES).await.done(200);
    assert_eq!(list["kind"], "LeaseList");
    assert!(version(&list).parse::<u64>().is_ok(), "{list}");
    let items = list["items"].as_array().unwrap();
    let names: Vec<_> = items.iter().map(|it| &it["metadata"]["name"]).collect();
    assert_eq!(names, ["a", "b"]);
}

/// Kubernetes #84981: the Leases of nodes that were removed stayed for ever.
pub(crate) async fn pitfall_47_what_a_target_owns_goes_with_it(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    let owner = server.post(TARGETS, &target()).await.done(201);
    let mut reference = json!({
        "apiVersion": "workload.kcp.io/v1alpha1", "kind": "SyncTarget", "name": "edge-1",
        "uid": owner["metadata"]["uid"],
    });
    let owned = |owner: &Value| {
        let references = json!([owner]);
        with(&lease("a", spec()), "/metadata/ownerReferences", references)
    };
    server.post(LEASES, &owned(&reference)).await.done(201);
    server.post(LEASES, &lease("free", spec())).await.done(201);
    server.delete(EDGE).await.done(200);
    until("the Lease is collected", || async {
        server.get(A).await.code == 404
    })
    .await;
    server.get(&format!("{LEASES}/free")).await.done(200);

    reference["uid"] = json!("");
    let answer = server.post(LEASES, &owned(&reference)).await;
    answer.refused(422, "Invalid").about(LEASE, "a");
    answer.because_of("metadata.ownerReferences.uid", "FieldValueInvalid");
}

async fn created(server: &Place) -> Value {
    server.post(LEASES, &lease("a", spec())).await.done(201)
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

fn spec() -> Value {
    json!({
        "holderIdentity": "alice_1",
        "leaseDurationSeconds": 30,
        "leaseTransitions": 0,
        "acquireTime": "2024-01-01T00:00:00.000000Z",
        "renewTime": "2024-01-01T00:00:00.000000Z",
    })
}
