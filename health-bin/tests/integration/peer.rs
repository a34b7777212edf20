//! A peer of another hand: Go with gorilla/websocket, as the Wave 4 syncer has it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::Command;

use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

#[tokio::test]
#[ignore = "needs Go: cargo xtask integration"]
async fn our_client_beats_against_a_go_server() {
    let peer = Peer::start(&["server", "--listen", "127.0.0.1:0"]);
    let agent = agent(peer.listening().await);
    let address = agent.address("address").await;
    let connection = peer.event("connection", |_| true).await;
    assert_eq!(
        connection["headers"]["syncTarget"], "edge-1",
        "{connection}"
    );
    let handshake = peer
        .event("message", |event| event["type"] == "handshake")
        .await;
    assert!(handshake["payload"].get("token").is_none(), "{handshake}");
    for sequence in 1..=3 {
        peer.event("message", |event| {
            event["type"] == "ping" && event["payload"]["sequence"] == sequence
        })
        .await;
    }
    agent.answers(address, "/readyz", 200).await;
    let status = peer
        .event("message", |event| event["type"] == "status")
        .await;
    assert_eq!(
        status["payload"]["resourceId"], "synctargets.workload.kcp.io/edge-1",
        "{status}"
    );
    let report = get(address, "/report", &[]).await.unwrap().json();
    assert_eq!(
        report["heartbeat"]["transports"]["websocket"]["state"], "Alive",
        "{report}"
    );
}

#[tokio::test]
#[ignore = "needs Go: cargo xtask integration"]
async fn our_client_says_goodbye_to_a_go_server() {
    let peer = Peer::start(&["server", "--listen", "127.0.0.1:0", "--nil-payload"]);
    let mut agent = agent(peer.listening().await);
    peer.event("message", |event| event["type"] == "ping").await;
    assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
    peer.event("message", |event| event["type"] == "close")
        .await;
    let closed = peer.event("closed", |_| true).await;
    assert_eq!(closed["code"], 1000, "{closed}");
}

#[tokio::test]
#[ignore = "needs Go: cargo xtask integration"]
async fn a_refused_handshake_is_told_and_tried_again() {
    let reason = "sync target \"edge-1\" is not registered in <root:org>";
    let peer = Peer::start(&["server", "--listen", "127.0.0.1:0", "--refuse", reason]);
    let agent = agent(peer.listening().await);
    let line = agent
        .logged("is not registered in <root:org>", secs(5))
        .await;
    assert!(line.contains("WARN"), "{line}");
    for connection in 1..=3 {
        peer.event("connection", |event| event["conn"] == connection)
            .await;
    }
}

#[tokio::test]
#[ignore = "needs Go: cargo xtask integration"]
async fn a_server_that_drops_connections_has_its_agent_back_each_time() {
    let peer = Peer::start(&["server", "--listen", "127.0.0.1:0", "--drop-after", "4"]);
    let agent = agent(peer.listening().await);
    let address = agent.address("address").await;
    for connection in 1..=4 {
        peer.event("connection", |event| event["conn"] == connection)
            .await;
    }
    agent.answers(address, "/readyz", 200).await;
}

#[tokio::test]
#[ignore = "needs Go: cargo xtask integration"]
async fn a_go_client_is_alive_on_our_hub_without_heartbeats() {
    let (_hub, tunnels, ops) = hub().await;
    let url = format!("ws://{tunnels}/tunnel");
    let flags = [
        "--sync-target",
        "edge-7",
        "--workspace",
        "root:org",
        "--app-pings",
        "2",
    ];
    let more = [
        "--nil-capabilities",
        "--status",
        "--unknown-type",
        "--ping-interval",
        "1s",
    ];
    let args: Vec<_> = ["client", "--url", &url]
        .into_iter()
        .chain(flags)
        .chain(more)
        .collect();
    let peer = Peer::start(&args);
    let handshake = peer.event("handshake", |_| true).await;
    assert_eq!(handshake["error"], "", "{handshake}");
    let pong = peer.event("message", |event| event["type"] == "pong").await;
    assert_eq!(
        pong["payload"],
        Value::Null,
        "a peer without heartbeats gets a plain pong: {pong}"
    );
    peer.event("ws_pong", |_| true).await;
    let one = eventually("the Go client is Alive", secs(5), || async {
        let one = get(ops, "/fleet/root:org/edge-7", &[]).await?;
        (one.status == 200 && one.json()["verdict"] == "Alive").then(|| one.json())
    })
    .await;
    assert_eq!(one["heartbeats"], 0, "{one}");
    drop(peer);
    eventually("the Go client is Suspect", secs(5), || async {
        let one = get(ops, "/fleet/root:org/edge-7", &[]).await?.json();
        (one["verdict"] == "Suspect").then_some(())
    })
    .await;
}

/// A running Go peer, killed when this is dropped.
struct Peer {
    _child: Child,
    events: Arc<Mutex<Vec<Value>>>,
}

impl Peer {
    fn start(args: &[&str]) -> Self {
        let binary = std::env::var_os("SYNCER_HEALTH_TEST_PEER")
            .expect("SYNCER_HEALTH_TEST_PEER names the peer: run cargo xtask integration");
        let mut child = Command::new(binary)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the peer can be started");
        let stdout = child.stdout.take().expect("stdout is piped");
        let events = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&events);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let event = serde_json::from_str(&line).expect("the peer prints JSON lines");
                sink.lock().expect("nobody panics").push(event);
            }
        });
        Self {
            _child: child,
            events,
        }
    }

    async fn listening(&self) -> SocketAddr {
        let event = self.event("listening", |_| true).await;
        event["addr"]
            .as_str()
            .expect("an address")
            .parse()
            .expect("an address")
    }

    /// Waits for the first event of this name that matches.
    async fn event(&self, name: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let within = Duration::from_secs(10);
        eventually(&format!("the peer tells {name}"), within, || async {
            let events = self.events.lock().expect("nobody panics");
            events
                .iter()
                .find(|event| event["event"] == name && matches(event))
                .cloned()
        })
        .await
    }
}

fn agent(hub: SocketAddr) -> Program {
    let config = format!(
        "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
heartbeat: {{ interval: 500ms, timeout: 1500ms, intervalMin: 500ms, websocket: {{ url: 'ws://{hub}/tunnel' }} }}
"
    );
    Program::start("run", &config, &[])
}

async fn hub() -> (Program, SocketAddr, SocketAddr) {
    let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }\n";
    let hub = Program::start("hub", config, &[]);
    let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    (hub, tunnels, ops)
}
