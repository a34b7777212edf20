//! What a hub writes to and asks of a server.

use std::time::Duration;
use std::time::SystemTime;

use health_transport_lease::Access;
use health_transport_lease::AccessConfig;
use health_transport_lease::AccessReviewer;
use health_transport_lease::Cluster;
use health_transport_lease::Dialect;
use health_transport_lease::Leader;
use health_transport_lease::LeaderConfig;
use health_transport_lease::LeaseConfig;
use health_transport_lease::Silence;
use health_transport_lease::Standing;
use health_transport_lease::VerdictConfig;
use health_transport_lease::VerdictWriter;
use health_transport_lease::Wish;
use health_transport_lease::WishKind;
use health_transport_lease::manifests;
use health_transport_lease::manifests::HubRights;
use health_transport_lease::watch::TargetSight;
use http::Method;
use serde_json::Value;
use serde_json::json;

use crate::place::EDGE;
use crate::place::LEASES;
use crate::place::Place;
use crate::place::TARGETS;
use crate::place::ms;
use crate::place::send;
use crate::place::target;
use crate::place::until;
use crate::review::ACCESS_REVIEWS;
use crate::review::TOKEN_REVIEWS;
use crate::transports::beat;
use crate::transports::identity;
use crate::transports::writer as agent;

const STATUS: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1/status";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/syncer-health-hub";

/// All three dialects take the condition, and what the agent wrote beside it stays.
pub(crate) async fn a_verdict_of_each_kind_is_written_in_each_dialect(server: &Place) {
    for dialect in Dialect::ALL {
        server.define(Some(dialect)).await;
        server.post(TARGETS, &target()).await.done(201);
        beat(&mut agent(server), 1).await.unwrap();
        let before = server.get(EDGE).await.done(200)["status"].clone();
        let hub = writer(&server.admin);
        hub.set_active(true);
        for wish in [Wish::Alive, lost(), Wish::Left, Wish::Alive] {
            hub.tell("edge-1", wish.clone());
            let kind = wish.kind().unwrap();
            stands(server, kind).await;
            let status = &server.get(EDGE).await.done(200)["status"];
            assert_eq!(status["conditions"][0], before["conditions"][0]);
            let field = dialect.heartbeat_field();
            assert_eq!(status[field], before[field]);
            let ours = &status["conditions"][1];
            let condition = wish.condition().unwrap();
            assert_eq!(ours["message"], condition.message);
            let severity = condition.severity.map(|it| it.as_str());
            assert_eq!(ours["severity"].as_str(), severity);
        }
        server.define(None).await;
    }
}

/// OCM #770, on the real thing: who writes it again and again has it.
pub(crate) async fn pitfall_15_a_rival_is_left_to_it(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    server.post(TARGETS, &target()).await.done(201);
    let hub = writer(&server.admin);
    hub.set_active(true);
    hub.tell("edge-1", Wish::Alive);
    let mut written = 0;
    while hub.status().contested == 0 {
        assert!(written < 20, "it is fought with");
        stands(server, WishKind::Alive).await;
        written += 1;
        rival_writes(server).await;
        let seen = server.get(EDGE).await.done(200);
        hub.seen("edge-1", &TargetSight::of(&seen, None));
        until("it is written over, or left", || async {
            let standing = Standing::of(&server.get(EDGE).await.done(200));
            standing.known() == Some(WishKind::Alive) || hub.status().contested == 1
        })
        .await;
    }
    assert_eq!(written, 4);
    let theirs = server.get(EDGE).await.done(200);
    hub.tell("edge-1", lost());
    let status = hub.status();
    assert_eq!(
        (status.waiting, status.in_flight),
        (0, 0),
        "it is left alone"
    );
    assert_eq!(server.get(EDGE).await.done(200), theirs);
}

pub(crate) async fn pitfall_16_a_recreated_target_has_no_verdict_of_the_old_one(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    server.post(TARGETS, &target()).await.done(201);
    let hub = writer(&server.admin);
    hub.set_active(true);
    hub.tell("edge-1", lost());
    stands(server, WishKind::Lost).await;
    server.delete(EDGE).await.done(200);
    let new = server.post(TARGETS, &target()).await.done(201);
    hub.seen("edge-1", &TargetSight::of(&new, None));
    until("the hub has looked", || async {
        let status = hub.status();
        status.waiting + status.in_flight == 0
    })
    .await;
    assert_eq!(server.get(EDGE).await.done(200), new);
    hub.tell("edge-1", lost());
    stands(server, WishKind::Lost).await;
}

pub(crate) async fn whose_a_token_is_decides_what_it_may(server: &Place) {
    let config = AccessConfig {
        denied_ttl: ms(10),
        timeout: Duration::from_secs(30),
        ..AccessConfig::default()
    };
    let reviewer = AccessReviewer::new(server.admin.clone(), config, 7);
    let stranger = reviewer.review("nobodys-token", "edge-1").await;
    assert_eq!(stranger, Access::Unauthenticated);
    let refused = reviewer.review("limited-token", "edge-1").await;
    let Access::Forbidden { user, why } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(user, "limited");
    assert!(
        why.contains("access denied") && why.contains("manifests rbac"),
        "{why}"
    );
    let role = manifests::target_role("agent", "edge-1");
    server.allow(role["rules"].clone()).await;
    until("it is allowed", || async {
        let user = "limited".to_owned();
        reviewer.review("limited-token", "edge-1").await == Access::Allowed { user }
    })
    .await;
    let other = reviewer.review("limited-token", "edge-2").await;
    assert!(matches!(other, Access::Forbidden { .. }), "{other:?}");
    // Who asks must be allowed to.
    let limited = AccessReviewer::new(server.limited.clone(), config, 7);
    let unavailable = limited.review("limited-token", "edge-1").await;
    let Access::Unavailable { error, .. } = unavailable else {
        panic!("{unavailable:?}");
    };
    assert!(error.contains("manifests hub"), "{error}");
}

pub(crate) async fn hubs_lead_in_turn(server: &Place) {
    let hub = |slot| leader(&server.admin, slot);
    let alice = hub("alice");
    leads(&alice).await;
    let bob = hub("bob");
    until("bob stands by", || async {
        let holder = Some("alice_1".into());
        let standing_by = health_transport_lease::Leadership::Standby { holder };
        *bob.leadership().borrow() == standing_by
    })
    .await;
    let lease = server.get(LEASE).await.done(200);
    assert_eq!(lease["spec"]["holderIdentity"], "alice_1");
    assert_eq!(lease["metadata"]["labels"], Value::Null);
    assert_eq!(lease["metadata"]["ownerReferences"], Value::Null);
    alice.release().await;
    leads(&bob).await;
    assert!(!alice.leads_now());
    // It is killed: its Lease expires.
    drop(bob);
    let carol = hub("carol");
    leads(&carol).await;
    let lease = server.get(LEASE).await.done(200);
    assert_eq!(lease["spec"]["holderIdentity"], "carol_1");
    assert_eq!(lease["spec"]["leaseTransitions"], 2);
}

/// No more than it needs: each other verb is still forbidden.
pub(crate) async fn the_manifests_grant_what_a_hub_needs(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    server.post(TARGETS, &target()).await.done(201);
    let rights = HubRights {
        namespace: "default",
        write_conditions: true,
        token_review: true,
    };
    let mut roles = manifests::hub_roles("hub", rights);
    roles.push(manifests::lease_role(
        "hub",
        "default",
        "syncer-health-hub",
        true,
    ));
    for role in roles {
        server.allow(role["rules"].clone()).await;
    }
    until("the rights are there", || async {
        let lease = send(&server.limited, Method::GET, LEASE, None).await;
        let targets = send(&server.limited, Method::GET, TARGETS, None).await;
        (lease.code, targets.code) == (404, 200)
    })
    .await;
    let leader = leader(&server.limited, "alice");
    leads(&leader).await;
    let hub = writer(&server.limited);
    hub.set_active(true);
    hub.tell("edge-1", lost());
    stands(server, WishKind::Lost).await;
    let reviewer = AccessReviewer::new(server.limited.clone(), AccessConfig::default(), 7);
    until("it is told", || async {
        let answer = reviewer.review("limited-token", "edge-1").await;
        matches!(answer, Access::Allowed { .. })
    })
    .await;
    for path in [LEASES, TARGETS, EDGE] {
        let answer = send(&server.limited, Method::GET, path, None).await;
        answer.done(200);
    }
    let object = server.get(EDGE).await.done(200);
    for (method, path) in [
        (Method::PUT, EDGE),
        (Method::DELETE, EDGE),
        (Method::POST, TARGETS),
        (Method::PUT, &format!("{LEASES}/edge-1-heartbeat")),
        (Method::DELETE, LEASE),
        (Method::GET, TOKEN_REVIEWS),
        (Method::GET, ACCESS_REVIEWS),
    ] {
        let body = matches!(method, Method::POST | Method::PUT).then_some(&object);
        let answer = send(&server.limited, method, path, body).await;
        answer.refused(403, "Forbidden");
    }
}

/// What `kubectl get synctargets` asks for. The model makes no tables.
pub(crate) async fn kubectl_shows_the_verdict(server: &Place) {
    server.define(Some(Dialect::Kcp)).await;
    server.post(TARGETS, &target()).await.done(201);
    let hub = writer(&server.admin);
    hub.set_active(true);
    hub.tell("edge-1", lost());
    stands(server, WishKind::Lost).await;
    let request = http::Request::get(TARGETS)
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
        .body(Vec::new().into())
        .unwrap();
    let response = server.admin.client().send(request).await.unwrap();
    let body = response.into_body().collect_bytes().await.unwrap();
    let table: Value = serde_json::from_slice(&body).unwrap();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let cells = table["rows"][0]["cells"].as_array().unwrap();
    let plain = columns
        .iter()
        .zip(cells)
        .filter(|(it, _)| it["priority"] == 0);
    let plain: Vec<_> = plain
        .map(|(it, cell)| (it["name"].as_str().unwrap(), cell))
        .collect();
    let names: Vec<_> = plain.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["Name", "Heartbeat", "Reason", "Syncer", "Age"]);
    assert_eq!(plain[0].1, "edge-1");
    assert_eq!(plain[1].1, "False");
    assert_eq!(plain[2].1, "HeartbeatTimeout");
}

/// Another controller says what it always says.
async fn rival_writes(server: &Place) {
    until("the rival has written", || async {
        let mut object = server.get(EDGE).await.done(200);
        object["status"]["conditions"] = json!([{
            "type": "HeartbeatHealthy", "status": "False", "reason": "ErrorHeartbeat",
            "severity": "Warning", "message": "theirs",
            "lastTransitionTime": "2024-01-01T00:00:00Z",
        }]);
        server.put(STATUS, &object).await.code == 200
    })
    .await;
}

async fn stands(server: &Place, kind: WishKind) {
    until("the verdict stands there", || async {
        let object = server.get(EDGE).await.done(200);
        Standing::of(&object) == Standing::Known(kind)
    })
    .await;
}

async fn leads(leader: &Leader) {
    let mut leadership = leader.leadership();
    let waited = leadership.wait_for(|it| it.leads());
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, waited).await.unwrap().unwrap();
}

fn leader(cluster: &Cluster, slot: &str) -> Leader {
    let lease = LeaseConfig::new("default", "syncer-health-hub", "").unwrap();
    let config = LeaderConfig::new(lease, Duration::from_secs(6)).unwrap();
    Leader::spawn(cluster.clone(), &config, &identity(slot, "1"), 7)
}

fn writer(cluster: &Cluster) -> VerdictWriter {
    let config = VerdictConfig {
        min_interval: ms(50),
        ..VerdictConfig::default()
    };
    VerdictWriter::spawn(cluster.clone(), config, 7)
}

fn lost() -> Wish {
    Wish::Lost(Silence {
        since: SystemTime::UNIX_EPOCH,
        last: None,
    })
}
