//! gRPC health as a Go client asks for it: `grpc_health_probe`.

use std::net::SocketAddr;

use tokio::process::Command;
use tokio::time::timeout;

use super::agent;
use super::client::Client;
use super::client::Is;
use crate::support::secs;

/// What it exits with.
const SERVING: i32 = 0;
const CALL_FAILED: i32 = 3;
const NOT_SERVING: i32 = 4;

#[tokio::test]
#[ignore = "needs Go: cargo xtask integration"]
async fn grpc_health_probe_says_what_the_probes_say() {
    let checks = "{ name: works, exec: { command: [/bin/true] } }, \
                  { name: fails, exec: { command: [/bin/false] } }";
    let (_agent, address) = agent(checks).await;
    let client = Client::connect(address).await;
    client.watch("works").await.until(Is::Serving).await;
    for (service, code, says) in [
        ("liveness", SERVING, "status: SERVING"),
        ("works", SERVING, "status: SERVING"),
        ("", NOT_SERVING, "NOT_SERVING"),
        ("readiness", NOT_SERVING, "NOT_SERVING"),
        ("fails", NOT_SERVING, "NOT_SERVING"),
        ("nobody", CALL_FAILED, "NotFound"),
    ] {
        let (exit, text) = probe(address, service).await;
        assert_eq!(exit, Some(code), "{service:?}: {text}");
        assert!(text.contains(says), "{service:?}: {text}");
    }
}

async fn probe(address: SocketAddr, service: &str) -> (Option<i32>, String) {
    let binary = std::env::var_os("SYNCER_HEALTH_TEST_GRPC_HEALTH_PROBE").expect(
        "SYNCER_HEALTH_TEST_GRPC_HEALTH_PROBE names the probe: run cargo xtask integration",
    );
    let mut command = Command::new(binary);
    command
        .arg(format!("-addr={address}"))
        .arg(format!("-service={service}"))
        // Its own second is short for a machine that is busy.
        .args(["-connect-timeout=20s", "-rpc-timeout=20s"])
        .kill_on_drop(true);
    let output = timeout(secs(60), command.output()).await.expect("it ends");
    let output = output.expect("it can be started");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    (output.status.code(), text)
}
