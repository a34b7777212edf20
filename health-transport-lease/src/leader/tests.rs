use super::*;
use crate::config::LeaseConfig;
use crate::names;
use crate::testing::Fault;
use crate::testing::Model;
use crate::testing::Server;
use serde_json::Value;
use serde_json::json;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/syncer-health-hub";

#[tokio::test(start_paused = true)]
async fn the_first_hub_leads_and_the_second_stands_by_until_the_lease_is_given_back() {
    let server = Server::new(Model::default());
    let alice = hub(&server, "alice");
    until(&alice, true).await;
    let bob = hub(&server, "bob");
    pass(60).await;
    let holder = Some("alice_1".into());
    let stands_by = Leadership::Standby { holder };
    assert_eq!(*bob.leadership().borrow(), stands_by);
    assert!(alice.leads_now() && !bob.leads_now());

    let began = now();
    alice.release().await;
    assert!(!alice.leads_now() && !alice.leadership().borrow().leads());
    until(&bob, true).await;
    let took = now() - began;
    assert!(took <= secs(6), "{took:?}: within one interval");
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_hubs_names_no_target() {
    let server = Server::new(Model::default());
    let alice = hub(&server, "alice");
    until(&alice, true).await;
    pass(20).await;
    let lease = server.model().object(LEASE).unwrap().clone();
    assert_eq!(lease["metadata"]["labels"], Value::Null);
    assert_eq!(lease["metadata"]["ownerReferences"], Value::Null);
    assert_eq!(lease["metadata"]["annotations"][names::STATUS], Value::Null);
    assert_eq!(lease["spec"]["leaseDurationSeconds"], 15);
    assert_eq!(lease["spec"]["holderIdentity"], "alice_1");
    let requests = server.model().take_requests();
    let asked = requests
        .iter()
        .any(|(_, path)| path.contains("synctargets"));
    assert!(!asked, "nobody owns it");
}

/// Alice is killed: her Lease expires, and not before that does bob lead.
#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_followed_within_its_duration_and_an_interval() {
    let server = Server::new(Model::default());
    let alice = hub(&server, "alice");
    until(&alice, true).await;
    let bob = hub(&server, "bob");
    pass(31).await;
    let last_renewal = server.model().object(LEASE).unwrap()["spec"]["renewTime"].clone();
    drop(alice);
    let began = now();
    until(&bob, true).await;
    let took = now() - began;
    assert!(took <= secs(20) && took >= secs(9), "{took:?}");
    let lease = server.model().object(LEASE).unwrap().clone();
    assert_ne!(lease["spec"]["renewTime"], last_renewal);
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
}

/// The API server is gone: who leads stops by itself, before anybody could begin.
#[tokio::test(start_paused = true)]
async fn pitfall_32_a_leader_that_reaches_no_server_ends_before_its_lease_does() {
    for fault in [Fault::Status(503), Fault::Lost, Fault::AnswerLost] {
        let server = Server::new(Model::default());
        let alice = hub(&server, "alice");
        until(&alice, true).await;
        server.model().take_requests();
        pass(30).await;
        assert!(alice.leads_now());
        server.model().fail(std::iter::repeat_n(fault, 100_000));
        let held = alice.tenure.borrow().held.unwrap().until;
        until(&alice, false).await;
        assert!(!alice.leads_now());
        let left = held - now();
        assert!(left >= secs(3) && left < secs(4), "{fault:?} {left:?}");
        // What has ended is waited for no more.
        pass(600).await;
        assert!(!alice.leads_now());
    }
}

/// However hubs come and go and the server fails: never two that lead.
#[tokio::test(start_paused = true)]
async fn there_are_never_two_leaders() {
    for seed in 0..20 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let server = Server::new(Model::default());
        let mut hubs: Vec<_> = ["alice", "bob", "carol"]
            .map(|slot| Some(hub(&server, slot)))
            .into();
        let mut changes = 0;
        let mut leader = None;
        for second in 0..600 {
            tokio::time::sleep(secs(1)).await;
            let leads = |hub: &Option<Leader>| hub.as_ref().is_some_and(Leader::leads_now);
            let leaders: Vec<_> = (0..3).filter(|at| leads(&hubs[*at])).collect();
            assert!(leaders.len() <= 1, "seed {seed}, second {second}");
            if !leaders.is_empty() && leaders.first() != leader.as_ref() {
                changes += 1;
                leader = leaders.first().copied();
            }
            match chance.u8(0..60) {
                0 => {
                    let at = chance.usize(0..3);
                    hubs[at] = match hubs[at].take() {
                        Some(hub) => {
                            if chance.bool() {
                                hub.release().await;
                            }
                            None
                        }
                        None => Some(hub(&server, &format!("{at}-{second}"))),
                    };
                }
                1 => {
                    let faults = [Fault::Status(503), Fault::Lost, Fault::AnswerLost];
                    let fault = chance.choice(faults).unwrap();
                    let many = chance.usize(0..30);
                    server.model().fail(std::iter::repeat_n(fault, many));
                }
                2 => {
                    server.model().delete(LEASE);
                    // A Lease that somebody deletes is free for whoever comes first.
                    tokio::time::sleep(secs(16)).await;
                }
                _ => {}
            }
        }
        assert!(changes > 0, "seed {seed}");
    }
}

/// kubelet's or another program's Lease of that name: its labels stay.
#[tokio::test(start_paused = true)]
async fn what_others_wrote_into_the_lease_stays() {
    let mut model = Model::default();
    model.put(
        LEASE,
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"namespace": "default", "name": "syncer-health-hub",
                "labels": {"team": "edge"}},
            "spec": {"holderIdentity": "", "leaseDurationSeconds": 1},
        }),
    );
    let server = Server::new(model);
    let alice = hub(&server, "alice");
    until(&alice, true).await;
    let lease = server.model().object(LEASE).unwrap().clone();
    assert_eq!(lease["metadata"]["labels"], json!({"team": "edge"}));
    assert_eq!(alice.pulses().count(), 1);
    assert!(format!("{alice:?}").contains("Leader"));
}

async fn until(hub: &Leader, leads: bool) {
    let mut leadership = hub.leadership();
    let waited = leadership.wait_for(|it| it.leads() == leads);
    tokio::time::timeout(secs(60), waited)
        .await
        .unwrap()
        .unwrap();
}

async fn pass(seconds: u64) {
    tokio::time::sleep(secs(seconds)).await;
}

fn hub(server: &Server, slot: &str) -> Leader {
    let lease = LeaseConfig::new("default", "syncer-health-hub", "").unwrap();
    let config = LeaderConfig::new(lease, LeaderConfig::DURATION).unwrap();
    let identity = Identity {
        slot: slot.into(),
        incarnation: "1".into(),
    };
    Leader::spawn(server.cluster(), &config, &identity, 7)
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
