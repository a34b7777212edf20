//! How a server lists and watches.

use health_transport_lease::Dialect;
use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::answer::LEASES as KIND;
use crate::answer::TARGETS as TARGET_KIND;
use crate::place::LEASES;
use crate::place::Place;
use crate::place::TARGETS;
use crate::place::lease;
use crate::place::send;
use crate::place::with;
use crate::stream::Stream;

const LABELLED: &str = "labelSelector=syncer-health%2Fsync-target";
const LABEL: &str = "syncer-health/sync-target";

pub(crate) async fn a_list_has_what_its_selector_takes(server: &Place) {
    for name in ["a", "b"] {
        server.post(LEASES, &labelled(name)).await.done(201);
    }
    server
        .post(LEASES, &lease("bare", json!({})))
        .await
        .done(201);
    for (query, expected) in [
        ("limit=500", &["a", "b", "bare"] as &[_]),
        (LABELLED, &["a", "b"]),
        (&format!("{LABELLED}%3Da"), &["a"]),
        (&format!("{LABELLED}%3Dnone"), &[]),
    ] {
        let list = list(server, query).await;
        assert_eq!(names(&list), expected, "{query}");
    }
}

pub(crate) async fn a_list_comes_in_pages_that_are_all_as_of_the_first(server: &Place) {
    for name in ["a", "b", "d"] {
        server.post(LEASES, &labelled(name)).await.done(201);
    }
    server
        .post(LEASES, &lease("bare", json!({})))
        .await
        .done(201);
    let query = format!("{LABELLED}&limit=2");
    let first = list(server, &query).await;
    assert_eq!(names(&first), ["a", "b"]);
    server.post(LEASES, &labelled("c")).await.done(201);
    server.delete(&one("d")).await.done(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let token = token.replace(':', "%3A").replace('/', "%2F");
    let second = list(server, &format!("{query}&continue={token}")).await;
    assert_eq!(names(&second), ["d"]);
    assert_eq!(version(&second), version(&first));
    let end = second["metadata"]["continue"].as_str().unwrap_or("");
    assert_eq!(end, "");
    assert_eq!(names(&list(server, &query).await), ["a", "b"]);
    let whole = list(server, LABELLED).await;
    assert_eq!(names(&whole), ["a", "b", "c"]);
}

pub(crate) async fn a_token_that_is_none_is_refused(server: &Place) {
    let answer = server
        .get(&format!("{LEASES}?limit=2&continue=garbage"))
        .await;
    answer.refused(400, "BadRequest");
}

pub(crate) async fn a_watch_tells_what_changed_since(server: &Place) {
    let made = server.post(LEASES, &labelled("a")).await.done(201);
    let since = version(&list(server, LABELLED).await).to_owned();
    let path = format!("{LEASES}?watch=true&{LABELLED}&resourceVersion={since}&timeoutSeconds=60");
    let mut stream = Stream::open(&server.admin, &path).await;
    let mut last = 0;
    let mut told = async |expected: &str| {
        let (told, object) = stream.told().await.unwrap();
        assert_eq!(told, expected);
        let version: u64 = version(&object).parse().unwrap();
        assert!(version > last, "{version}");
        last = version;
        object
    };

    let changed = with(&made, "/spec/leaseDurationSeconds", json!(31));
    let changed = server.put(&one("a"), &changed).await.done(200);
    assert_eq!(told("MODIFIED a").await["spec"], changed["spec"]);
    server
        .post(LEASES, &lease("bare", json!({})))
        .await
        .done(201);
    server.post(LEASES, &labelled("b")).await.done(201);
    told("ADDED b").await;
    // What is no more taken is as good as deleted, and at the version of that change.
    let bare = with(&changed, "/metadata/labels", json!({}));
    let bare = server.put(&one("a"), &bare).await.done(200);
    assert_eq!(version(&told("DELETED a").await), version(&bare));
    let again = with(&bare, "/metadata/labels", json!({ LABEL: "a" }));
    server.put(&one("a"), &again).await.done(200);
    told("ADDED a").await;
    server.delete(&one("b")).await.done(200);
    told("DELETED b").await;

    // Whoever begins where they were is told the same again.
    let mut again = Stream::open(&server.admin, &path).await;
    for expected in ["MODIFIED a", "ADDED b", "DELETED a", "ADDED a", "DELETED b"] {
        assert_eq!(again.told().await.unwrap().0, expected);
    }
}

pub(crate) async fn a_watch_without_a_version_tells_what_there_is_first(server: &Place) {
    for name in ["a", "b"] {
        server.post(LEASES, &labelled(name)).await.done(201);
    }
    for version in ["", "&resourceVersion=0"] {
        let path = format!("{LEASES}?watch=true&{LABELLED}{version}&timeoutSeconds=60");
        let mut stream = Stream::open(&server.admin, &path).await;
        for expected in ["ADDED a", "ADDED b"] {
            assert_eq!(stream.told().await.unwrap().0, expected);
        }
    }
}

pub(crate) async fn a_watch_ends_after_its_time(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    for path in [LEASES, TARGETS] {
        let since = server.get(path).await.done(200);
        let since = version(&since);
        let path = format!("{path}?watch=true&resourceVersion={since}&timeoutSeconds=2");
        let stream = Stream::open(&server.admin, &path).await;
        assert_eq!(stream.rest().await, [Value::Null; 0]);
    }
}

pub(crate) async fn a_quiet_watch_of_leases_has_a_bookmark_before_its_end(server: &Place) {
    let since: u64 = version(&list(server, LABELLED).await).parse().unwrap();
    let path = format!(
        "{LEASES}?watch=true&allowWatchBookmarks=true&{LABELLED}&resourceVersion={since}\
         &timeoutSeconds=10"
    );
    let rest = Stream::open(&server.admin, &path).await.rest().await;
    assert!(!rest.is_empty());
    for event in rest {
        assert_eq!(event["type"], "BOOKMARK", "{event}");
        let object = &event["object"];
        assert_eq!(object["kind"], "Lease");
        assert!(version(object).parse::<u64>().unwrap() >= since, "{event}");
        assert!(object["metadata"]["name"].is_null());
    }
}

/// The stream has begun by then, so its status does not tell.
pub(crate) async fn a_version_that_is_too_old_is_an_event_that_says_410(server: &Place) {
    for name in ["a", "b"] {
        server.post(LEASES, &labelled(name)).await.done(201);
    }
    server.define(Some(Dialect::Kcp)).await;
    let path = format!("{TARGETS}?watch=true&resourceVersion=1&timeoutSeconds=60");
    let rest = Stream::open(&server.admin, &path).await.rest().await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    assert_eq!(rest[0]["type"], "ERROR");
    let status = &rest[0]["object"];
    assert_eq!(status["kind"], "Status");
    assert_eq!(status["code"], 410);
    assert_eq!(status["reason"], "Expired");
    let message = status["message"].as_str().unwrap();
    assert!(message.starts_with("too old resource version: 1 ("));
}

/// As it is with a server that was restored from a backup: nothing says that it will never come.
pub(crate) async fn a_version_that_is_to_come_is_waited_for_in_silence(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    for path in [LEASES, TARGETS] {
        let path = format!(
            "{path}?watch=true&allowWatchBookmarks=true&resourceVersion=999999999&timeoutSeconds=5"
        );
        let stream = Stream::open(&server.admin, &path).await;
        assert_eq!(stream.rest().await, [Value::Null; 0], "{path}");
    }
}

pub(crate) async fn a_version_that_is_none_is_refused(server: &Place) {
    let path = format!("{LEASES}?watch=true&resourceVersion=abc&timeoutSeconds=5");
    let answer = server.get(&path).await;
    answer.refused(500, "").saying("resourceVersion");
}

pub(crate) async fn a_watch_of_what_is_not_defined_is_a_page_that_says_404(server: &Place) {
    let path = format!("{TARGETS}?watch=true&timeoutSeconds=5");
    let answer = server.get(&path).await;
    assert_eq!((answer.code, &*answer.text), (404, "404 page not found\n"));
    // And a watch that is open when the definition goes is at its end.
    server.define(Some(Dialect::Kcp)).await;
    let since = server.get(TARGETS).await.done(200);
    let since = version(&since);
    let path = format!("{TARGETS}?watch=true&resourceVersion={since}&timeoutSeconds=600");
    let stream = Stream::open(&server.admin, &path).await;
    server.define(None).await;
    assert_eq!(stream.rest().await, [Value::Null; 0]);
}

pub(crate) async fn who_may_not_watch_is_told_the_rule_that_is_missing(server: &Place) {
    for (path, kind, resource) in [
        (LEASES, KIND, "leases"),
        (TARGETS, TARGET_KIND, "synctargets"),
    ] {
        let path = format!("{path}?watch=true&timeoutSeconds=5");
        let answer = send(&server.limited, Method::GET, &path, None).await;
        answer.refused(403, "Forbidden").about(kind, "");
        let rule = format!("User \"limited\" cannot watch resource {resource:?} in API group");
        answer.saying(&rule);
    }
}

async fn list(server: &Place, query: &str) -> Value {
    server.get(&format!("{LEASES}?{query}")).await.done(200)
}

fn names(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|it| it["metadata"]["name"].as_str().unwrap())
        .collect()
}

fn labelled(name: &str) -> Value {
    let lease = lease(name, json!({ "holderIdentity": "alice_1" }));
    with(&lease, "/metadata/labels", json!({ LABEL: name }))
}

fn version(object: &Value) -> &str {
    object["metadata"]["resourceVersion"].as_str().unwrap()
}

fn one(name: &str) -> String {
    format!("{LEASES}/{name}")
}
