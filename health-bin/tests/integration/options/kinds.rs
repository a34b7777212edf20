//! The keys of each kind of component. Those of TLS are tested beside the checks' code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::routing;

use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// A component, and the status, reason and message that it has for its keys. By the defaults of
/// these keys it would have others.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str);

const ROWS: [Row<'_>; 27] = [
    ("http: { url: URL/head, method: HEAD }", "Healthy", "", ""),
    (
        "http: { url: URL/teapot, expectedStatus: [418] }",
        "Healthy",
        "",
        "",
    ),
    (
        "http: { url: URL/ok, expectedStatus: [204] }",
        "Unhealthy",
        "UnexpectedStatus",
        "",
    ),
    (
        "http: { url: URL/header, headers: { x-probe: 'yes' } }",
        "Healthy",
        "",
        "",
    ),
    (
        "http: { url: URL/token, tokenFile: FOLDER/token }",
        "Healthy",
        "",
        "",
    ),
    (
        "http: { url: URL/ok, latencySeconds: { degraded: 0 } }",
        "Degraded",
        "LatencyHigh",
        "",
    ),
    (
        "tcp: { address: ADDRESS, latencySeconds: { unhealthy: 0 } }",
        "Unhealthy",
        "LatencyHigh",
        "",
    ),
    (
        "exec: { command: [/bin/sh, -c, 'echo $COLOUR'], env: { COLOUR: red } }",
        "Healthy",
        "",
        "red",
    ),
    (
        "exec: { command: [/bin/sh, -c, pwd], workingDir: FOLDER }",
        "Healthy",
        "",
        "FOLDER",
    ),
    (
        "prometheus: { url: URL/metrics, families: { queueDepth: depth } }",
        "Healthy",
        "",
        "",
    ),
    (
        "prometheus: { url: URL/metrics, families: { queueDepth: depth }, queueDepth: { degraded: 3 } }",
        "Degraded",
        "QueueDepthHigh",
        "",
    ),
    (
        "prometheus: { url: URL/metrics, families: { attempts: tries, errors: tries }, errorRate: { unhealthy: 1 } }",
        "Unhealthy",
        "ErrorRateHigh",
        "",
    ),
    (
        "prometheus: { url: URL/metrics, families: { latency: took }, latencySeconds: { degraded: 2 } }",
        "Degraded",
        "LatencyHigh",
        "",
    ),
    (
        "prometheus: { url: URL/other-token, tokenFile: FOLDER/token, families: { queueDepth: depth } }",
        "Healthy",
        "",
        "",
    ),
    (
        "kubernetesApi: { url: URL, tokenFile: FOLDER/token, latencySeconds: { degraded: 0 } }",
        "Degraded",
        "LatencyHigh",
        "",
    ),
    (
        "disk: { path: /, usedRatio: { degraded: 0 }, inodesUsedRatio: {} }",
        "Degraded",
        "DiskSpaceLow",
        "",
    ),
    (
        "disk: { path: /, usedRatio: {}, inodesUsedRatio: {}, freeBytes: { unhealthy: 1e30 } }",
        "Unhealthy",
        "DiskSpaceLow",
        "",
    ),
    ("disk: { path: /nowhere }", "Unknown", "PathMissing", ""),
    (
        "file: { path: FOLDER/token, ageSeconds: { degraded: 0 } }",
        "Degraded",
        "FileTooOld",
        "",
    ),
    ("file: { path: /nowhere }", "Unhealthy", "FileMissing", ""),
    (
        "resources: { memoryRatio: { degraded: 0 }, openFilesRatio: {} }",
        "Degraded",
        "MemoryHigh",
        "",
    ),
    (
        "resources: { memoryRatio: {}, openFilesRatio: {}, cpuRatio: { degraded: 0 } }",
        "Degraded",
        "CpuHigh",
        "",
    ),
    (
        "resources: { memoryRatio: {}, openFilesRatio: { degraded: 0 } }",
        "Degraded",
        "OpenFilesHigh",
        "",
    ),
    (
        "resources: { memoryRatio: {}, openFilesRatio: {}, threads: { degraded: 0 } }",
        "Degraded",
        "ThreadsHigh",
        "",
    ),
    (
        "resources: { memoryRatio: {}, openFilesRatio: {}, tasks: { degraded: 0 } }",
        "Degraded",
        "TasksHigh",
        "",
    ),
    (
        "exec: { command: [/bin/sh, -c, 'echo \"| grows=$(date +%s)\"'] }, trends: { grows: { window: 5s, growingSeconds: { degraded: 1 } } }",
        "Degraded",
        "OnlyGrowing",
        "",
    ),
    ("push: { ttl: 1h }", "Unknown", "Pending", ""),
];

#[tokio::test]
async fn pitfall_41_every_key_of_a_kind_has_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("token"), "s3cr3t").expect("it can be written");
    let service = picky().await;
    let fill = |text: &str| {
        text.replace("URL", &format!("http://{service}"))
            .replace("ADDRESS", &format!("'{service}'"))
            .replace("FOLDER", &folder.path().display().to_string())
    };
    let components: String = ROWS
        .iter()
        .enumerate()
        .map(|(number, (keys, ..))| format!("    - {{ name: c{number}, {} }}\n", fill(keys)))
        .collect();
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
push: {{ enabled: true }}
checks:
  interval: 300ms
  components:
{components}"
    );
    let agent = Program::start("run", &config, &[("PATH", "/usr/bin:/bin")]);
    let address = agent.address("address").await;
    for (number, (keys, status, reason, message)) in ROWS.into_iter().enumerate() {
        let expected = if reason.is_empty() { status } else { reason };
        let message = fill(message);
        eventually(keys, secs(20), || async {
            let report = get(address, "/report", &[]).await?.json();
            let it = &report["components"][format!("c{number}")];
            let is_said = message.is_empty() || it["message"] == message.as_str();
            (it["status"] == status && it["reason"] == expected && is_said).then_some(())
        })
        .await;
    }
}

/// Answers each path only to whom it likes.
async fn picky() -> SocketAddr {
    const METRICS: &str = "depth 3\n";
    let with = |name: &'static str, value: &'static str, body: &'static str| {
        routing::get(move |headers: HeaderMap| async move {
            match headers.get(name).is_some_and(|its| its == value) {
                true => (StatusCode::OK, body),
                false => (StatusCode::UNAUTHORIZED, ""),
            }
        })
    };
    let scrapes = Arc::new(AtomicU64::new(1));
    let metrics = move || async move {
        let count = scrapes.fetch_add(1, Ordering::Relaxed);
        format!(
            "depth 3\ntries {count}\ntook_count {count}\ntook_sum {}\n",
            2 * count
        )
    };
    let bearer = "Bearer s3cr3t";
    let router = Router::new()
        .route("/ok", routing::get(|| async {}))
        .route(
            "/teapot",
            routing::get(|| async { StatusCode::IM_A_TEAPOT }),
        )
        .route("/head", routing::head(|| async {}))
        .route("/header", with("x-probe", "yes", ""))
        .route("/token", with("authorization", bearer, ""))
        .route("/readyz", with("authorization", bearer, "ok"))
        .route("/other-token", with("authorization", bearer, METRICS))
        .route("/metrics", routing::get(metrics));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("a listener has an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
