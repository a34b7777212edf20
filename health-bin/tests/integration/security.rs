//! A hub that many attack at once, in every way there is, while a thousand agents beat.

use std::net::Ipv4Addr;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Resource;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::support::get;

mod certificate;

mod limits;

pub(crate) mod peer;

mod site;

use peer::Peer;
use peer::connect_from;
use peer::head;
use site::Fleet;
use site::HONEST;
use site::SECRET;
use site::Site;
use site::WORKSPACE;
use site::token;

/// Connections that say nothing, as far as the files go.
const IDLE: usize = 10_000;

/// What the hub gives a connection until it is a tunnel.
const HANDSHAKE: Duration = Duration::from_secs(3);

/// After that much more a connection is surely gone, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);

/// What all attacks together may cost the hub, in KiB: a thousand half-open connections with TLS, and
/// a megabyte for each message that is too large.
const MEMORY_MAX: u64 = 64 * 1024;

/// All of it at once: nobody gets in, nobody is thrown out, and the hub does not grow.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_under_attack_refuses_each_within_its_limits_and_keeps_its_agents() {
    let site = Site::start().await;
    let fleet = Fleet::dial(&site).await;
    let (memory, files) = (site.hub.proc_status("VmRSS"), site.hub.open_files());

    let (idle_from, idle) = (Ipv4Addr::new(127, 0, 0, 2), idle_connections());
    tokio::join!(
        idle_connections_are_closed(&site, idle_from, idle, files),
        without_credentials_there_are_only_probes(&site),
        wrong_credentials_are_refused(&site),
        an_expired_certificate_is_refused(&site),
        slow_handshakes_are_closed(&site),
        what_is_too_large_or_too_deep_is_refused(&site),
        an_agent_dials_in_meanwhile(&site),
    );

    let grown = site.hub.proc_status("VmHWM").saturating_sub(memory);
    assert!(
        grown < MEMORY_MAX,
        "{memory} KiB before, {grown} KiB more at the peak"
    );
    fleet.ends_alive(&site).await;
    let log = site.hub.log();
    let lost: Vec<_> = log
        .lines()
        .filter(|line| line.contains("verdict=Lost") && line.contains(WORKSPACE))
        .collect();
    assert!(lost.is_empty() && !log.contains("panicked"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

async fn idle_connections_are_closed(site: &Site, from: Ipv4Addr, count: usize, files: usize) {
    let mut closed = JoinSet::new();
    let mut most = 0;
    for number in 0..count {
        let stream = connect_from(from, site.tunnels)
            .await
            .expect("the listener never waits");
        closed.spawn(async move { is_closed(stream, b"").await });
        if number % 500 == 0 {
            most = most.max(site.hub.open_files());
        }
    }
    most = most.max(site.hub.open_files());
    // Half-open ones have 1,024 places. Those that were sent away in one turn of the hub close their
    // files in the next, and a few of the others are tunnels.
    assert!(
        most <= files + 1_024 + 256,
        "{files} files before, {most} with {count} idle ones"
    );
    for closed in closed.join_all().await {
        assert!(
            closed,
            "an idle connection outlived {HANDSHAKE:?} by {PATIENCE:?}"
        );
    }
}

async fn without_credentials_there_are_only_probes(site: &Site) {
    for path in ["/livez", "/readyz"] {
        assert_eq!(request(site, path).await, 200, "{path}");
    }
    for path in [
        "/",
        "/tunnel",
        "/fleet",
        "/metrics",
        "/events",
        "/fleet/-/a",
        "/report",
    ] {
        let status = request(site, path).await;
        assert!((400..500).contains(&status), "{path} on server: {status}");
    }
    let mut peer = Peer::connect(site.tunnels, &site.tls).await.expect("TLS");
    let answer = peer
        .upgrade(&[("X-SyncTarget", "edge-1")])
        .await
        .expect("an answer");
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(
        answer
            .text
            .to_lowercase()
            .contains("www-authenticate: bearer"),
        "{answer:?}"
    );
    for path in ["/fleet", "/metrics", "/events", "/fleet/root:org/edge-1"] {
        let answer = get(site.ops, path, &[]).await.expect("an answer");
        assert!(
            (400..500).contains(&answer.status),
            "{path} on ops: {answer:?}"
        );
    }
}

async fn wrong_credentials_are_refused(site: &Site) {
    for number in 0..50 {
        let bearer = format!("Bearer wrong-{number}");
        let (status, text) = dial(site, &site.tls, &[("Authorization", &bearer)]).await;
        assert_eq!(status, 401, "{text}");
    }
    let bearer = format!("Bearer {}", token(1));
    for headers in [("X-SyncTarget", "edge-2"), ("X-Workspace", "root:other")] {
        let (status, text) = dial(site, &site.tls, &[("Authorization", &bearer), headers]).await;
        assert_eq!(status, 403, "{text}");
        assert!(
            text.contains(headers.1),
            "it says what does not fit: {text}"
        );
    }
    // The handshake must not say otherwise either.
    let peer = Peer::connect(site.tunnels, &site.tls).await.expect("TLS");
    let error = peer.open("edge-2", &token(1)).await;
    let error = error.err().expect("it is refused").to_string();
    assert!(error.contains("edge-2"), "{error}");
}

async fn an_expired_certificate_is_refused(site: &Site) {
    let target = "root:org/edge-1";
    let tls = |expired| {
        let client = site.authority.sign(target, expired);
        site.authority.connector(Some(client))
    };
    let expired = tls(true);
    // A client of TLS 1.3 learns of it only when it reads.
    let answer = match Peer::connect(site.tunnels, &expired).await {
        Ok(mut peer) => peer.upgrade(&[]).await,
        Err(error) => Err(error),
    };
    let error = answer.expect_err("it is refused").to_string();
    assert!(
        error.to_lowercase().contains("alert") || error.contains("reset"),
        "{error}"
    );
    let (status, text) = dial(site, &tls(false), &[("X-SyncTarget", "edge-2")]).await;
    assert_eq!(status, 403, "{text}");
    let (status, text) = dial(site, &tls(false), &[]).await;
    assert_eq!(status, 101, "one that holds comes in: {text}");
}

async fn slow_handshakes_are_closed(site: &Site) {
    let tls = async {
        let stream = TcpStream::connect(site.tunnels)
            .await
            .expect("a connection");
        // The head of a record that is never finished.
        assert!(
            is_closed(stream, &[0x16, 0x03, 0x01, 0x02, 0x00]).await,
            "TLS"
        );
    };
    let http = async {
        let mut peer = Peer::connect(site.tunnels, &site.tls).await.expect("TLS");
        let began = Instant::now();
        let mut drip = b"GET /tunnel HTTP/1.1\r\nX-Slow: "
            .iter()
            .chain([&b'a'].into_iter().cycle());
        while peer
            .write(&[*drip.next().expect("it never ends")])
            .await
            .is_ok()
        {
            assert!(began.elapsed() < HANDSHAKE + PATIENCE, "HTTP");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let websocket = async {
        let mut peer = Peer::connect(site.tunnels, &site.tls).await.expect("TLS");
        let bearer = format!("Bearer {}", token(HONEST));
        let answer = peer
            .upgrade(&[("Authorization", &bearer)])
            .await
            .expect("an answer");
        assert_eq!(answer.status, 101, "{answer:?}");
        let ended = tokio::time::timeout(HANDSHAKE + PATIENCE, peer.ended()).await;
        ended.expect("a tunnel without a handshake is closed");
    };
    tokio::join!(tls, http, websocket);
}

async fn what_is_too_large_or_too_deep_is_refused(site: &Site) {
    let large = async {
        let mut peer = site.open(HONEST + 1).await;
        let length = 100 * 1024 * 1024;
        peer.write(&head(length)).await.expect("the head is taken");
        let (mut sent, piece) = (0, vec![b'['; 64 * 1024]);
        while sent < length && peer.write(&piece).await.is_ok() {
            sent += piece.len();
        }
        assert!(sent < length / 2, "{sent} bytes of it were taken");
    };
    let deep = async {
        for deep in [
            "[".repeat(500_000),
            format!("{}{}", "[".repeat(400_000), "]".repeat(400_000)),
        ] {
            let mut peer = site.open(HONEST + 2).await;
            let message = format!(r#"{{"type":"status","payload":{deep}}}"#);
            // The hub may close before it has taken all of it.
            let _ = peer.send(&message).await;
            let said = tokio::time::timeout(PATIENCE, peer.ended()).await;
            let said = said.expect("it is closed");
            assert!(said.contains("nested deeper"), "{said:?}");
        }
    };
    tokio::join!(large, deep);
}

/// Whoever comes while the places are fought for gets one, from an address of its own.
async fn an_agent_dials_in_meanwhile(site: &Site) {
    for _ in 0..5 {
        let mut peer = site.open(HONEST + 3).await;
        peer.beat("late", 1).await.expect("it is acknowledged");
    }
}

/// Waits until the hub closes a connection that sends `bytes` and nothing more; whether it did so
/// within its limit.
async fn is_closed(mut stream: TcpStream, bytes: &[u8]) -> bool {
    if stream.write_all(bytes).await.is_err() {
        return true;
    }
    let mut said = Vec::new();
    let read = stream.read_to_end(&mut said);
    tokio::time::timeout(HANDSHAKE + PATIENCE, read)
        .await
        .is_ok()
}

/// Asks `server` for a path without any credentials; the answer's status.
async fn request(site: &Site, path: &str) -> u16 {
    let mut peer = Peer::connect(site.tunnels, &site.tls).await.expect("TLS");
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\n\r\n");
    peer.write(request.as_bytes()).await.expect("it is taken");
    peer.answer().await.expect("an answer").status
}

/// Asks for a tunnel; the answer's status and text.
async fn dial(site: &Site, tls: &TlsConnector, headers: &[(&str, &str)]) -> (u16, String) {
    let mut peer = Peer::connect(site.tunnels, tls).await.expect("TLS");
    let answer = peer.upgrade(headers).await.expect("an answer");
    (answer.status, answer.text)
}

/// As many as this process may have beside its agents, once it asked for all it can get.
fn idle_connections() -> usize {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused there are as many as there were.
    let _ = rustix::process::setrlimit(Resource::Nofile, limit);
    let files = rustix::process::getrlimit(Resource::Nofile).current;
    let files = files.map_or(usize::MAX, |files| {
        usize::try_from(files).unwrap_or(usize::MAX)
    });
    IDLE.min(files.saturating_sub(2 * HONEST))
}
