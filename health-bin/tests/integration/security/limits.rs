//! Each key of the hub's door has an effect, and a hub that ends says when to come back.

use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use super::peer::Peer;
use crate::support::Program;
use crate::support::run_to_end;
use crate::support::secs;

/// remotedialer and the TMC syncer dial again after a fixed time, all at once.
#[tokio::test]
async fn pitfall_44_a_hub_that_ends_tells_each_agent_another_time() {
    let (mut hub, tunnels) = hub("").await;
    let mut agents = Vec::new();
    for number in 0..30 {
        let peer = Peer::connect_plain(tunnels).await.expect("a connection");
        agents.push(
            peer.open(&format!("edge-{number}"), "")
                .await
                .expect("a tunnel"),
        );
    }
    hub.signal("TERM").await;
    let mut times = BTreeSet::new();
    for mut agent in agents {
        let close = agent.next().await.expect("a word");
        assert_eq!(close["type"], "close", "{close}");
        assert_eq!(close["error"], "server is shutting down", "{close}");
        let away = close["payload"]["retryAfterSeconds"].as_f64();
        let away = Duration::from_secs_f64(away.expect("a time"));
        assert!((secs(1)..=secs(2)).contains(&away), "{away:?}");
        times.insert(away);
    }
    assert_eq!(times.len(), 30, "{times:?}");
    assert_eq!(hub.ended().await, Some(0), "{}", hub.log());
}

#[tokio::test]
async fn pitfall_41_the_hub_s_limits_have_an_effect() {
    let (_hub, tunnels) = hub("handshakeTimeout: 300ms, messageBytes: 65536").await;
    let began = Instant::now();
    let mut silent = Peer::connect_plain(tunnels).await.expect("a connection");
    silent.answer().await.expect_err("it is closed");
    // The default is 10 s.
    assert!(began.elapsed() < secs(8), "{:?}", began.elapsed());
    let peer = Peer::connect_plain(tunnels).await.expect("a connection");
    let mut peer = peer.open("edge-1", "").await.expect("a tunnel");
    tokio::time::sleep(Duration::from_millis(500)).await;
    peer.beat("edge-1", 1)
        .await
        .expect("a tunnel may live longer than its handshake");
    let large = format!(r#"{{"type":"event","id":"{}"}}"#, "x".repeat(70_000));
    // The hub may close before it has taken all of it.
    let _ = peer.send(&large).await;
    let said = peer.ended().await;
    assert!(said.contains("too large"), "{said:?}");
}

#[tokio::test]
async fn pitfall_41_auth_anonymous_has_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tokens = folder.path().join("tokens.yaml");
    std::fs::write(&tokens, "\"-/edge-1\": s3cr3t\n").expect("it can be written");
    for (anonymous, status) in [(false, 401), (true, 101)] {
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
auth: {{ tokenFile: {}, anonymous: {anonymous} }}
",
            tokens.display()
        );
        let hub = Program::start("hub", &config, &[]);
        let tunnels = hub.address("tunnels").await;
        for (name, status) in [("edge-2", status), ("edge-1", 401)] {
            let mut peer = Peer::connect_plain(tunnels).await.expect("a connection");
            let answer = peer
                .upgrade(&[("X-SyncTarget", name)])
                .await
                .expect("an answer");
            assert_eq!(answer.status, status, "{name} {anonymous}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn pitfall_41_auth_token_review_has_an_effect() {
    let variable = [("SYNCER_HEALTH_HUB_AUTH_TOKEN_REVIEW", "true")];
    let (code, _, err) = run_to_end(&["config", "check", "--hub"], &variable).await;
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("auth.tokenReview: needs cluster.enabled"),
        "{err}"
    );
}

/// An agent that dials all the time is told to wait, and the others are not.
#[tokio::test]
async fn an_agent_that_dials_all_the_time_is_told_to_wait() {
    let (_hub, tunnels) = hub("").await;
    let mut told = None;
    for _ in 0..100 {
        let mut peer = Peer::connect_plain(tunnels).await.expect("a connection");
        let answer = peer
            .upgrade(&[("X-SyncTarget", "edge-1")])
            .await
            .expect("an answer");
        if answer.status == 429 {
            told = Some(answer.text.to_lowercase());
            break;
        }
        assert_eq!(answer.status, 101, "{answer:?}");
    }
    let told = told.expect("it is told to wait");
    assert!(
        told.contains("retry-after: ") && told.contains("too often"),
        "{told}"
    );
    let peer = Peer::connect_plain(tunnels).await.expect("a connection");
    peer.open("edge-2", "").await.expect("another one comes in");
}

/// A hub on loopback that lets anybody in, with these limits.
async fn hub(limits: &str) -> (Program, std::net::SocketAddr) {
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
limits: {{ {limits} }}
"
    );
    let hub = Program::start("hub", &config, &[]);
    let tunnels = hub.address("tunnels").await;
    (hub, tunnels)
}
