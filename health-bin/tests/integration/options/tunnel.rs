//! What of the configuration a hub hears, and what the tunnel does with it.

use std::time::Duration;

use health_heartbeat::wire::HeartbeatPayload;
use health_transport_ws::Terms;
use health_transport_ws::UpgradeRequest;
use secrecy::ExposeSecret;

use super::shown;
use crate::support::Acceptor;
use crate::support::Program;
use crate::support::run_to_end;
use crate::support::secs;

#[tokio::test]
async fn pitfall_41_what_a_hub_hears_is_what_is_configured() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t").expect("it can be written");
    let token = token.to_str().expect("a path in UTF-8");
    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-7"),
        ("SYNCER_HEALTH_SYNC_TARGET_WORKSPACE", "root:seven"),
        ("SYNCER_HEALTH_IDENTITY", "slot-7"),
        ("SYNCER_HEALTH_HEARTBEAT_INTERVAL", "7s"),
        ("SYNCER_HEALTH_HEARTBEAT_TIMEOUT", "77s"),
        ("SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_TOKEN_FILE", token),
    ];
    let (dialled, first) = heard("", &environment, Terms::default(), |_| true).await;
    assert_eq!(dialled.sync_target.as_deref(), Some("edge-7"));
    assert_eq!(dialled.workspace, "root:seven");
    let bearer = dialled.bearer.expect("a token was sent");
    assert_eq!(bearer.expose_secret(), "s3cr3t");
    assert_eq!(first.slot, "slot-7");
    let declared = (first.interval_seconds, first.timeout_seconds);
    assert_eq!(declared, (7.0, 77.0));

    let (dialled, first) = heard("", &[], Terms::default(), |_| true).await;
    assert_eq!(dialled.workspace, "");
    assert!(dialled.bearer.is_none());
    assert_ne!(first.slot, "slot-7");
    let declared = (first.interval_seconds, first.timeout_seconds);
    assert_eq!(declared, (10.0, 30.0));
}

/// The hub asks for an interval that is out of bounds; the defaults are 1 s and 60 s.
#[tokio::test]
async fn pitfall_41_the_bounds_of_the_interval_have_an_effect() {
    for (asked, bounds, seconds) in [
        (100, "interval: 2s, intervalMin: 300ms", 0.3),
        (100, "interval: 2s", 1.0),
        (3_600_000, "interval: 1s, intervalMax: 1500ms", 1.5),
    ] {
        let terms = Terms {
            interval: Some(Duration::from_millis(asked)),
            ..Terms::default()
        };
        let moved =
            |payload: &HeartbeatPayload| (payload.interval_seconds - seconds).abs() < f64::EPSILON;
        heard(bounds, &[], terms, moved).await;
    }
}

#[tokio::test]
async fn pitfall_41_the_failure_threshold_has_an_effect() {
    for (threshold, state) in [(3, "Failed"), (1_000_000, "Pending")] {
        let config = format!(
                "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
heartbeat: {{ interval: 100ms, timeout: 1h, intervalMin: 100ms, failureThreshold: {threshold}, websocket: {{ url: 'ws://127.0.0.1:1/tunnel' }} }}
"
            );
        let agent = Program::start("run", &config, &[]);
        let report = shown(&agent, |report| {
            let tunnel = &report["heartbeat"]["transports"]["websocket"];
            tunnel["missed"].as_u64() >= Some(5)
        })
        .await;
        let tunnel = &report["heartbeat"]["transports"]["websocket"];
        assert_eq!(tunnel["state"], state, "{tunnel}");
    }
}

#[tokio::test]
async fn pitfall_41_what_a_token_may_go_over_has_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t").expect("it can be written");
    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1"),
        ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
        (
            "SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_URL",
            "ws://nobody.invalid/tunnel",
        ),
        (
            "SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_TOKEN_FILE",
            token.to_str().expect("a path in UTF-8"),
        ),
    ];
    let (code, _, err) = run_to_end(&["run"], &environment).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("allowPlaintext"), "{err}");
    let allowed = "heartbeat: { websocket: { allowPlaintext: true } }";
    let agent = Program::start("run", allowed, &environment);
    agent.logged("it dials again", secs(20)).await;
}

/// It is opened at the start; that it is believed is tested beside the dial's code.
#[tokio::test]
async fn pitfall_41_the_ca_file_has_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("ca");
    std::fs::write(&file, "no certificate").expect("it can be written");
    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1"),
        ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
        (
            "SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_URL",
            "wss://127.0.0.1:1/tunnel",
        ),
        (
            "SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_CA_FILE",
            file.to_str().expect("a path in UTF-8"),
        ),
    ];
    let (code, _, err) = run_to_end(&["run"], &environment).await;
    assert_eq!(code, 2, "{err}");
}

/// What a hub hears of an agent: how it dialled in, and the heartbeat that is wanted.
async fn heard(
    heartbeat: &str,
    environment: &[(&str, &str)],
    terms: Terms,
    wanted: impl Fn(&HeartbeatPayload) -> bool,
) -> (UpgradeRequest, HeartbeatPayload) {
    let mut hub = Acceptor::start(terms).await;
    let comma = if heartbeat.is_empty() { "" } else { "," };
    let config = format!(
        "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
heartbeat: {{ {heartbeat}{comma} websocket: {{ url: 'ws://{}/tunnel' }} }}
",
        hub.address
    );
    let _agent = Program::start("run", &config, environment);
    let payload = hub.heartbeat(wanted).await;
    (hub.dialled(), payload)
}
