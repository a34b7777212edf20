//! Probes, report and metrics of an agent that checks a real service.

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::Program;
use crate::support::Service;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

#[tokio::test]
async fn a_stopped_service_fails_readiness_and_not_liveness() {
    let mut service = Service::start().await;
    let (agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    assert_eq!(get(address, "/startupz", &[]).await.unwrap().status, 200);
    service.stop().await;
    agent.answers(address, "/readyz", 503).await;
    // A look that was under way had found it already, and its connection lost.
    eventually("readiness says that it is refused", secs(10), || async {
        let body = get(address, "/readyz", &[]).await?.body;
        body.contains("[-]syncer Unhealthy (ConnectionRefused)")
            .then_some(())
    })
    .await;
    agent.logged("component syncer is Unhealthy", secs(5)).await;
    let path = "/transitions?component=syncer";
    let transitions = get(address, path, &[]).await.unwrap().json();
    let newest = &transitions["transitions"][0];
    assert_eq!(newest["component"], "syncer", "{transitions}");
    assert_eq!(
        (&newest["from"], &newest["to"]),
        (&"Healthy".into(), &"Unhealthy".into())
    );
    let others = get(address, "/transitions?component=nobody", &[]).await;
    assert_eq!(others.unwrap().json()["transitions"], serde_json::json!([]));
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
    assert_eq!(
        get(address, "/startupz", &[]).await.unwrap().status,
        200,
        "for good"
    );
    service.restart().await;
    agent.answers(address, "/readyz", 200).await;
}

#[tokio::test]
async fn probes_answer_as_the_api_server_does() {
    let service = Service::start().await;
    let (agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    for (path, status, body) in [
        ("/livez", 200, "ok"),
        ("/healthz", 200, "ok"),
        ("/readyz/syncer", 200, "ok"),
        (
            "/readyz/nobody",
            404,
            "no component named \"nobody\" is part of readyz\n",
        ),
        (
            "/livez/syncer",
            404,
            "no component named \"syncer\" is part of livez\n",
        ),
        (
            "/readyz?exclude=nobody",
            400,
            "no component named \"nobody\" is part of readyz\n",
        ),
        (
            "/readyz?verbose&exclude=engine",
            200,
            "[+]syncer ok\n[+]engine excluded\nreadyz check passed\n",
        ),
    ] {
        let answer = get(address, path, &[]).await.unwrap();
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (status, body),
            "{path}"
        );
        assert!(
            answer.head.contains("cache-control: no-store"),
            "{path}: {}",
            answer.head
        );
    }
    for (path, status) in [("/", 200), ("/nothing", 404)] {
        let answer = get(address, path, &[]).await.unwrap();
        assert_eq!(answer.status, status);
        let helps = answer.body.lines().any(|line| line.starts_with("/readyz "));
        assert!(helps, "{path}: {}", answer.body);
    }
    let json = get(address, "/readyz", &[("Accept", "application/json")])
        .await
        .unwrap()
        .json();
    assert_eq!(
        (&json["holds"], &json["status"]),
        (&true.into(), &"Healthy".into()),
        "{json}"
    );
    let one = get(address, "/readyz/syncer", &[("Accept", "application/json")])
        .await
        .unwrap()
        .json();
    assert_eq!(one["probe"], json["probe"], "{one}");
    let mut among = json["components"].as_array().unwrap().iter();
    let among = among.find(|it| it["name"] == "syncer").unwrap();
    for key in ["name", "holds", "status", "reason"] {
        assert_eq!(one[key], among[key], "{key}: {one}");
    }
    assert!(one["message"].is_string(), "{one}");
}

#[tokio::test]
async fn the_report_and_the_metrics_show_the_same() {
    let service = Service::start().await;
    let (agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    // Rates are between two scrapes of the other process.
    let report = eventually("a sync rate in the report", secs(10), || async {
        let report = get(address, "/report", &[]).await?.json();
        report["syncRate"].is_number().then_some(report)
    })
    .await;
    assert_eq!(report["status"], "Healthy", "{report}");
    assert_eq!(report["queueDepth"], 7.0, "{report}");
    assert_eq!(report["errorRate"], 0.0, "{report}");
    assert_eq!(
        report["heartbeat"],
        serde_json::Value::Null,
        "no transport is configured"
    );
    assert!(
        report["memoryBytes"].as_u64().unwrap() > 1_000_000,
        "{report}"
    );
    assert_eq!(
        report["components"]["syncer"]["metrics"]["httpStatus"], 200.0,
        "{report}"
    );
    assert_eq!(report["rule"], "WorstOf", "{report}");
    let metrics = get(address, "/metrics", &[]).await.unwrap().body;
    for line in [
        "syncer_health_status 1\n",
        "syncer_health_component_status{component=\"syncer\"} 1\n",
        "syncer_queue_depth 7\n",
        "# HELP syncer_health_checks_total ",
        "# TYPE process_resident_memory_bytes gauge\n",
    ] {
        assert!(metrics.contains(line), "{line:?} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn sigterm_fails_readiness_first_and_then_ends() {
    let service = Service::start().await;
    let (mut agent, address) = agent(&service).await;
    agent.answers(address, "/readyz", 200).await;
    agent.signal("TERM").await;
    let failed = agent.answers(address, "/readyz", 503).await;
    assert!(
        failed.body.contains("readyz check failed: ShuttingDown"),
        "{}",
        failed.body
    );
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
    assert_eq!(agent.ended().await, Some(0));
}

/// A client that sends a byte a minute would otherwise hold its connection for ever.
#[tokio::test]
async fn a_request_head_that_never_ends_is_closed() {
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let address = agent.address("address").await;
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        .await
        .expect("it is read");
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(secs(10), stream.read_to_end(&mut rest)).await;
    closed.expect("it is closed within 10 s").ok();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{rest:?}");
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
}

#[tokio::test]
async fn sighup_ends_nothing() {
    let mut agent = Program::start(
        "run",
        "server: { bind: '127.0.0.1:0', drainDelay: 0s }",
        &[],
    );
    let address = agent.address("address").await;
    agent.signal("HUP").await;
    agent.logged("nothing to change", secs(5)).await;
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
    assert_eq!(agent.terminate().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_aborts() {
    let config = "server: { bind: '127.0.0.1:0', drainDelay: 60s }";
    let mut agent = Program::start("run", config, &[]);
    agent.address("address").await;
    agent.signal("TERM").await;
    agent.logged("a second signal aborts", secs(5)).await;
    assert_eq!(agent.terminate().await, Some(1));
}

/// An agent that checks the service and its metrics, and where it answers.
pub(crate) async fn agent(service: &Service) -> (Program, std::net::SocketAddr) {
    let at = service.address();
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0', drainDelay: 1s }}
checks:
  interval: 300ms
  timeout: 1s
  components:
    - {{ name: syncer, http: {{ url: 'http://{at}/readyz' }} }}
    - {{ name: engine, prometheus: {{ url: 'http://{at}/metrics', syncEngine: true }}, criticality: informational }}
"
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    (agent, address)
}
