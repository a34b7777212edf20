use super::*;
use crate::cluster::ClusterConfig;
use crate::testing::Fault;
use crate::testing::Model;
use crate::testing::Server;
use crate::testing::heartbeat;
use health_heartbeat::Standing;
use http::Method;
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

const FAILURES: [u16; 9] = [400, 401, 403, 404, 409, 422, 429, 500, 503];
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

#[tokio::test(start_paused = true)]
async fn a_steady_renewal_is_exactly_one_request() {
    let server = Server::new(Model::default());
    let mut alice = transport(&server, "alice", "default");
    let held = alice.held();
    let sent = now();
    beat(&mut alice, 1).await.unwrap();
    assert_eq!(held.borrow().held.unwrap().until, sent + secs(30));
    server.model().take_requests();
    for sequence in 2..20 {
        tokio::time::sleep(secs(10)).await;
        let answer = beat(&mut alice, sequence).await.unwrap();
        assert_eq!(answer, Acknowledgement::default());
        assert_eq!(
            server.model().take_requests(),
            [(Method::PUT, LEASE.to_owned())]
        );
        assert_eq!(held.borrow().held.unwrap().until, now() + secs(30));
    }
}

#[tokio::test(start_paused = true)]
async fn bob_stands_by_until_alice_releases() {
    let server = Server::new(Model::default());
    let mut alice = transport(&server, "alice", "default");
    let mut bob = transport(&server, "bob", "default");
    beat(&mut alice, 1).await.unwrap();
    let answer = beat(&mut bob, 1).await.unwrap();
    let holder = "alice_1".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    assert!(!bob.held().borrow().is_held(now(), slept()));
    alice.release(now() + secs(5)).await.unwrap();
    assert_eq!(alice.held().borrow().held, None);
    let answer = beat(&mut bob, 2).await.unwrap();
    assert_eq!(answer.standing, Standing::Beating);
    assert!(bob.held().borrow().is_held(now(), slept()));
}

/// Else whoever stands by looks a moment before the Lease expires, and then an interval later.
#[tokio::test(start_paused = true)]
async fn who_stands_by_wants_to_beat_when_the_other_lease_expires() {
    let server = Server::new(Model::default());
    let mut alice = transport(&server, "alice", "default");
    let mut bob = transport(&server, "bob", "default");
    beat(&mut alice, 1).await.unwrap();
    for (wait, expires_in) in [(0, 30), (10, 20), (19, 1)] {
        tokio::time::sleep(secs(wait)).await;
        let answer = beat(&mut bob, 1).await.unwrap();
        assert_eq!(answer.again_within, Some(secs(expires_in)));
    }
    beat(&mut alice, 2).await.unwrap();
    let answer = beat(&mut bob, 1).await.unwrap();
    assert_eq!(answer.again_within, Some(secs(30)), "it was renewed");
    tokio::time::sleep(secs(30)).await;
    let answer = beat(&mut bob, 2).await.unwrap();
    assert_eq!(answer, Acknowledgement::default(), "it has expired");
}

/// Else each attempt at a frozen server would be told as something new.
#[tokio::test(start_paused = true)]
async fn a_hang_reads_the_same_however_long_it_took() {
    let server = Server::new(Model::default());
    let mut alice = transport(&server, "alice", "default");
    server.model().fail([Fault::Lost, Fault::Lost]);
    let first = beat(&mut alice, 1).await.unwrap_err();
    tokio::time::sleep(secs(1)).await;
    let by = now() + Duration::from_millis(333);
    let heartbeat = heartbeat(&identity("alice"), 1);
    let second = alice.beat(&heartbeat, by).await.unwrap_err();
    assert_eq!(first.chain(), second.chain());
    assert!(first.chain().ends_with("no answer in time"), "{first}");
}

/// The driver drops a beat at its deadline; the next one starts from that doubt.
#[tokio::test(start_paused = true)]
async fn a_dropped_beat_leaves_a_doubt_that_the_next_one_clears() {
    let server = Server::new(Model::default());
    let mut alice = transport(&server, "alice", "default");
    beat(&mut alice, 1).await.unwrap();
    server.model().fail([Fault::AnswerLost]);
    let dropped = tokio::time::timeout(secs(1), beat(&mut alice, 2)).await;
    assert!(dropped.is_err());
    server.model().take_requests();
    beat(&mut alice, 2).await.unwrap();
    assert_eq!(
        server.model().take_requests(),
        [(Method::GET, LEASE.to_owned())]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hang_ends_at_the_deadline() {
    let server = Server::new(Model::default());
    let mut alice = transport(&server, "alice", "default");
    server.model().fail([Fault::Lost]);
    let start = now();
    let error = beat(&mut alice, 1).await.unwrap_err();
    assert_eq!(now() - start, secs(5));
    assert_eq!(
        error.to_string(),
        "cannot get Lease \"default/edge-1-heartbeat\" in https://model.test: \
         no answer in time"
    );
}

#[tokio::test(start_paused = true)]
async fn errors_name_the_object_and_what_would_be_right() {
    let server = Server::new(Model::default());
    let error = beat(&mut transport(&server, "alice", "nowhere"), 1).await;
    assert_eq!(
        error.unwrap_err().chain(),
        "cannot create Lease \"nowhere/edge-1-heartbeat\" in https://model.test: namespace \
         \"nowhere\" does not exist; create it or set heartbeat.lease.namespace"
    );
    server.model().fail([Fault::Busy(7)]);
    let error = beat(&mut transport(&server, "alice", "default"), 1).await;
    assert_eq!(error.unwrap_err().retry_after(), Some(secs(7)));
}

/// kube's own policy would retry 15 times inside of our deadline.
#[tokio::test]
async fn the_client_of_a_kubeconfig_does_not_retry_by_itself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut alice = over_http(&listener).await;
    let server = tokio::spawn(async move {
        let mut requests = Vec::new();
        let (mut socket, _) = listener.accept().await.unwrap();
        requests.push(read_request(&mut socket).await);
        let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n";
        socket.write_all(busy.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(Duration::from_millis(300), socket.read_buf(&mut rest)).await;
        assert_eq!(rest, b"", "the client asked again");
        requests
    });
    let error = beat(&mut alice, 1).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(secs(1)));
    let requests = server.await.unwrap();
    let path = format!("GET /clusters/root:org:edge{LEASE} HTTP/1.1");
    assert!(requests[0].starts_with(&path), "{}", requests[0]);
}

/// Kubernetes #48638: a connection that is half open stays so for 15 minutes.
#[tokio::test]
async fn pitfall_7_a_black_holed_connection_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut alice = over_http(&listener).await;
    let server = tokio::spawn(async move {
        let (mut black_hole, _) = listener.accept().await.unwrap();
        read_request(&mut black_hole).await;
        let (mut socket, _) = listener.accept().await.unwrap();
        read_request(&mut socket).await;
        let body = json!({"spec": {"holderIdentity": "bob_1", "leaseDurationSeconds": 30}});
        let body = body.to_string();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        socket.write_all((head + &body).as_bytes()).await.unwrap();
        drop(black_hole);
    });
    let by = now() + Duration::from_millis(200);
    assert!(
        alice
            .beat(&heartbeat(&identity("alice"), 1), by)
            .await
            .is_err()
    );
    let answer = beat(&mut alice, 1).await.unwrap();
    let holder = "bob_1".into();
    assert_eq!(answer.standing, Standing::StandingBy { holder });
    server.await.unwrap();
}

/// Kubernetes #65954: each failure closed every connection, and each new one began with lists.
#[tokio::test]
async fn pitfall_8_failures_cost_no_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut alice = over_http(&listener).await;
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        for code in FAILURES {
            read_request(&mut socket).await;
            let answer = format!("HTTP/1.1 {code} No\r\ncontent-length: 0\r\n\r\n");
            socket.write_all(answer.as_bytes()).await.unwrap();
        }
        listener
    });
    for sequence in (1..).take(FAILURES.len()) {
        assert!(beat(&mut alice, sequence).await.is_err());
    }
    let listener = server.await.unwrap();
    let another = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
    assert!(another.is_err(), "there was one connection");
}

/// The same, and Kubernetes #85221: what is never watched cannot stall. Through races, outages,
/// deletions and takeovers an agent asks for its own objects by name, and for nothing else.
#[tokio::test(start_paused = true)]
async fn pitfall_20_an_agent_lists_and_watches_nothing() {
    let server = Server::new(Model::default());
    let (mut alice, mut bob) = (
        transport(&server, "alice", "default"),
        transport(&server, "bob", "default"),
    );
    for sequence in 1..100 {
        match sequence % 5 {
            0 => drop(server.model().delete(LEASE)),
            1 => {
                let theirs = server.model().object(LEASE).cloned();
                server
                    .model()
                    .put(LEASE, theirs.unwrap_or_else(|| json!({"spec": {}})));
            }
            2 => server
                .model()
                .fail([Fault::Status(500), Fault::Busy(1), Fault::Lost]),
            3 => server.model().fail([Fault::AnswerLost]),
            _ => {}
        }
        let _ = beat(&mut alice, sequence).await;
        let _ = beat(&mut bob, sequence).await;
        tokio::time::sleep(secs(10)).await;
    }
    let mut requests = server.model().take_requests();
    assert!(requests.len() > 200, "{}", requests.len());
    requests.sort_by_key(|(method, path)| (method.to_string(), path.clone()));
    requests.dedup();
    let leases = LEASE.strip_suffix("/edge-1-heartbeat").unwrap();
    let target = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";
    assert_eq!(
        requests,
        [
            (Method::GET, LEASE.to_owned()),
            (Method::GET, target.to_owned()),
            (Method::POST, leases.to_owned()),
            (Method::PUT, LEASE.to_owned()),
        ]
    );
}

async fn over_http(listener: &TcpListener) -> LeaseTransport {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let port = listener.local_addr().unwrap().port();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": format!("http://127.0.0.1:{port}")}}],
        "users": [{"name": "u", "user": {"token": "secret"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    file.write_all(kubeconfig.to_string().as_bytes()).unwrap();
    let config = ClusterConfig {
        kubeconfig: file.path().display().to_string(),
        workspace: "root:org:edge".to_owned(),
        ..ClusterConfig::default()
    };
    let cluster = config.connect(None, secs(5)).await.unwrap().unwrap();
    let lease = LeaseConfig::new("default", "", "edge-1").unwrap();
    LeaseTransport::new(cluster, &lease, "edge-1", &identity("alice"), 7)
}

async fn read_request(socket: &mut tokio::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        assert_ne!(socket.read_buf(&mut bytes).await.unwrap(), 0);
    }
    String::from_utf8(bytes).unwrap()
}

async fn beat(agent: &mut LeaseTransport, sequence: u64) -> Result<Acknowledgement, BeatError> {
    agent
        .beat(&heartbeat(&identity("alice"), sequence), now() + secs(5))
        .await
}

fn transport(server: &Server, slot: &str, namespace: &str) -> LeaseTransport {
    let lease = LeaseConfig::new(namespace, "", "edge-1").unwrap();
    LeaseTransport::new(server.cluster(), &lease, "edge-1", &identity(slot), 7)
}

fn identity(slot: &str) -> Identity {
    Identity {
        slot: slot.into(),
        incarnation: "1".into(),
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
