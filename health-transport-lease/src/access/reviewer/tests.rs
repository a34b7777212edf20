use super::*;
use crate::testing::Caller;
use crate::testing::Fault;
use crate::testing::Model;
use crate::testing::Server;
use serde_json::json;
use std::time::Duration;

const TOKEN: &str = "s3cret";

#[tokio::test(start_paused = true)]
async fn a_token_is_reviewed_and_remembered() {
    let server = server();
    let reviewer = reviewer(&server);
    assert_eq!(reviewer.review(TOKEN, "edge-1").await, allowed());
    assert_eq!(requests(&server), ["tokenreviews", "subjectaccessreviews"]);
    for _ in 0..100 {
        assert_eq!(reviewer.review(TOKEN, "edge-1").await, allowed());
    }
    assert!(requests(&server).is_empty());
    let Access::Forbidden { user, why } = reviewer.review(TOKEN, "edge-2").await else {
        panic!("it is another target");
    };
    assert_eq!(user, "alice");
    assert_eq!(
        why,
        "may not update synctargets/status of SyncTarget \"edge-2\" (access denied): \
         grant that (run: syncer-health manifests rbac)"
    );
    let stranger = reviewer.review("other", "edge-1").await;
    assert_eq!(stranger, Access::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_token_is_asked_of_nobody() {
    let server = server();
    let reviewer = reviewer(&server);
    for token in ["", &"x".repeat(TOKEN_MAX + 1)] {
        assert_eq!(
            reviewer.review(token, "edge-1").await,
            Access::Unauthenticated
        );
    }
    assert!(requests(&server).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_right_that_is_taken_away_or_given_is_noticed_in_time() {
    let server = server();
    let reviewer = reviewer(&server);
    assert_eq!(reviewer.review(TOKEN, "edge-1").await, allowed());
    server.model().forbid("alice");
    tokio::time::sleep(secs(119)).await;
    assert_eq!(reviewer.review(TOKEN, "edge-1").await, allowed());
    tokio::time::sleep(secs(1)).await;
    let answer = reviewer.review(TOKEN, "edge-1").await;
    assert!(matches!(answer, Access::Forbidden { .. }), "{answer:?}");
    server.model().allow("alice", &rule());
    tokio::time::sleep(secs(10)).await;
    assert_eq!(reviewer.review(TOKEN, "edge-1").await, allowed());
    server.model().forget_token(TOKEN);
    tokio::time::sleep(secs(120)).await;
    let answer = reviewer.review(TOKEN, "edge-1").await;
    assert_eq!(answer, Access::Unauthenticated);
}

/// The API server is down for an hour: who was let in stays so for ten minutes, and nobody new.
#[tokio::test(start_paused = true)]
async fn an_outage_is_borne_for_a_while_by_those_who_are_known() {
    let server = server();
    let reviewer = reviewer(&server);
    assert_eq!(reviewer.review(TOKEN, "edge-1").await, allowed());
    let began = tokio::time::Instant::now();
    let faults = [Fault::Status(503), Fault::Lost];
    server
        .model()
        .fail(faults.into_iter().cycle().take(100_000));
    while began.elapsed() < secs(3600) {
        let asked = began.elapsed();
        let known = reviewer.review(TOKEN, "edge-1").await;
        let age = began.elapsed();
        let unknown = reviewer.review("other", "edge-1").await;
        assert!(matches!(unknown, Access::Unavailable { .. }), "{unknown:?}");
        if age < secs(600) {
            assert_eq!(known, allowed(), "{age:?}");
        }
        if asked >= secs(600) {
            assert!(
                matches!(known, Access::Unavailable { .. }),
                "{age:?} {known:?}"
            );
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    let asked = server.model().take_requests().len();
    // One in 5 s on the average, by the backoff's full jitter: not one for each who comes.
    assert!((300..1500).contains(&asked), "{asked} requests in an hour");
}

#[tokio::test(start_paused = true)]
async fn many_who_ask_the_same_are_one_question() {
    let server = server();
    let reviewer = reviewer(&server);
    // The first one's question is lost, and it does not wait for the end of it.
    server.model().fail([Fault::Lost]);
    let first = {
        let reviewer = reviewer.clone();
        tokio::spawn(async move { reviewer.review(TOKEN, "edge-1").await })
    };
    tokio::task::yield_now().await;
    let others: Vec<_> = (0..100)
        .map(|_| {
            let reviewer = reviewer.clone();
            tokio::spawn(async move { reviewer.review(TOKEN, "edge-1").await })
        })
        .collect();
    tokio::time::sleep(secs(1)).await;
    first.abort();
    for other in others {
        assert_eq!(other.await.unwrap(), allowed());
    }
    let asked = ["tokenreviews", "tokenreviews", "subjectaccessreviews"];
    assert_eq!(requests(&server), asked);
    assert!(reviewer.0.state().flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_review_takes_no_longer_than_its_timeout_and_leaves_nothing() {
    let server = server();
    let reviewer = reviewer(&server);
    server.model().fail([Fault::Lost; 200]);
    let began = tokio::time::Instant::now();
    let asking: Vec<_> = (0..100)
        .map(|number| {
            let reviewer = reviewer.clone();
            tokio::spawn(async move { reviewer.review(&number.to_string(), "edge-1").await })
        })
        .collect();
    for one in asking {
        let answer = one.await.unwrap();
        assert!(matches!(answer, Access::Unavailable { .. }), "{answer:?}");
    }
    assert!(began.elapsed() < secs(6), "{:?}", began.elapsed());
    assert_eq!(requests(&server).len(), REVIEWS_MAX);
    assert!(reviewer.0.state().flights.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_may_not_ask_is_told_what_is_missing_and_never_the_token() {
    let server = server();
    let limited = server.cluster_of(Caller::User("hub"));
    let reviewer = AccessReviewer::new(limited, AccessConfig::default(), 7);
    let Access::Unavailable { error, .. } = reviewer.review(TOKEN, "edge-1").await else {
        panic!("the hub may not ask");
    };
    assert_eq!(
        error,
        "cannot create a review in https://model.test: forbidden: user \"hub\" may not create \
         tokenreviews.authentication.k8s.io: grant create on it \
         (run: syncer-health manifests hub)"
    );
    assert!(!format!("{reviewer:?}").contains(TOKEN));
}

fn requests(server: &Server) -> Vec<String> {
    let requests = server.model().take_requests();
    let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    requests.iter().map(|(_, path)| last(path)).collect()
}

fn server() -> Server {
    let mut model = Model::default();
    model.know(TOKEN, json!({"username": "alice", "groups": ["edge"]}));
    model.allow("alice", &rule());
    Server::new(model)
}

fn rule() -> serde_json::Value {
    json!([{
        "apiGroups": ["workload.kcp.io"], "resources": ["synctargets/status"],
        "resourceNames": ["edge-1"], "verbs": ["update"],
    }])
}

fn reviewer(server: &Server) -> AccessReviewer {
    AccessReviewer::new(server.cluster(), AccessConfig::default(), 7)
}

fn allowed() -> Access {
    Access::Allowed {
        user: "alice".to_owned(),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
