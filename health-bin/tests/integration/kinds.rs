//! Every kind of component, by the program's configuration.

use std::net::SocketAddr;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::Program;
use crate::support::Service;
use crate::support::ask;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

#[tokio::test]
async fn every_kind_is_configured_runs_and_is_reported() {
    let service = Service::start().await;
    let at = service.address();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("stamp");
    std::fs::write(&file, "now").expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
checks:
  interval: 500ms
  timeout: 2s
  components:
    - {{ name: http, http: {{ url: 'http://{at}/readyz', latencySeconds: {{ degraded: 5 }} }} }}
    - {{ name: tcp, tcp: {{ address: '{at}' }} }}
    - {{ name: exec, exec: {{ command: [/bin/sh, -c, 'echo \"fine | load=0.5;;;0\"'] }}, trends: {{ load: {{ deviations: {{ degraded: 4 }} }} }} }}
    - {{ name: exec-bad, exec: {{ command: [/bin/sh, -c, 'echo too much; exit 1'] }}, criticality: informational }}
    - {{ name: prometheus, prometheus: {{ url: 'http://{at}/metrics' }} }}
    - {{ name: disk, disk: {{ path: /, usedRatio: {{ unhealthy: 1.0 }}, inodesUsedRatio: {{ unhealthy: 1.0 }} }} }}
    - {{ name: file, file: {{ path: {}, ageSeconds: {{ unhealthy: 3600 }} }} }}
    - {{ name: resources, resources: {{ memoryRatio: {{ unhealthy: 1.0 }} }} }}
",
        file.display()
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    // One that is only shown is not waited for by readiness.
    agent.answers(address, "/startupz", 200).await;
    agent.answers(address, "/readyz", 200).await;
    let report = get(address, "/report", &[]).await.unwrap().json();
    let of = |name: &str| &report["components"][name];
    assert_eq!(of("exec")["message"], "fine", "{report}");
    assert_eq!(of("exec")["metrics"]["load"], 0.5, "{report}");
    assert_eq!(of("exec")["metrics"]["loadMean"], 0.5, "{report}");
    assert_eq!(of("exec-bad")["status"], "Degraded", "{report}");
    assert_eq!(of("exec-bad")["message"], "too much", "{report}");
    assert!(of("disk")["metrics"]["usedRatio"].is_number(), "{report}");
    assert!(of("file")["metrics"]["ageSeconds"].is_number(), "{report}");
    assert!(
        of("resources")["metrics"]["memoryBytes"].is_number(),
        "{report}"
    );
    std::fs::remove_file(&file).expect("it is there");
    let failed = agent.answers(address, "/readyz", 503).await;
    assert!(
        failed.body.contains("[-]file Unhealthy (FileMissing)"),
        "{}",
        failed.body
    );
}

#[tokio::test]
async fn a_pushed_result_counts_until_its_ttl_is_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t\n").expect("it can be written");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
push: {{ enabled: true, tokenFile: {} }}
checks: {{ components: [{{ name: backup, push: {{ ttl: 2s }}, trends: {{ files: {{ slopePerSecond: {{ degraded: 5 }} }} }} }}] }}
",
        token.display()
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    for (name, bearer, body, status) in [
        ("backup", "", r#"{"status":"Healthy"}"#, 401),
        ("backup", "wrong", r#"{"status":"Healthy"}"#, 401),
        ("nobody", "s3cr3t", r#"{"status":"Healthy"}"#, 404),
        ("backup", "s3cr3t", r#"{"status":"Fine"}"#, 400),
        ("backup", "s3cr3t", "rubbish", 400),
        (
            "backup",
            "s3cr3t",
            r#"{"status":"Healthy","metrics":{"files":7}}"#,
            204,
        ),
    ] {
        assert_eq!(
            put(address, name, bearer, body).await,
            status,
            "{name} {bearer} {body}"
        );
    }
    for (method, path, status) in [
        ("GET", "/components/backup", 405),
        ("PUT", "/components/backup", 401),
    ] {
        let answer = ask(address, method, path, &[], "").await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        let kept = answer.head.contains("cache-control: no-store");
        assert!(kept, "{method} {path}: {}", answer.head);
    }
    agent.answers(address, "/readyz", 200).await;
    let report = get(address, "/report", &[]).await.unwrap().json();
    assert_eq!(
        report["components"]["backup"]["metrics"]["files"], 7.0,
        "{report}"
    );
    assert_eq!(
        report["components"]["backup"]["metrics"]["filesMean"], 7.0,
        "{report}"
    );
    let stale = agent.answers(address, "/readyz", 503).await;
    assert!(
        stale.body.contains("[-]backup Unknown (Stale)"),
        "{}",
        stale.body
    );
    let large = format!(
        r#"{{"status":"Healthy","message":"{}"}}"#,
        "x".repeat(100_000)
    );
    assert_eq!(put(address, "backup", "s3cr3t", &large).await, 413);
    let body = r#"{"status":"Unhealthy","reason":"DiskFull","message":"no room"}"#;
    assert_eq!(put(address, "backup", "s3cr3t", body).await, 204);
    eventually("the reason is shown", secs(5), || async {
        let report = get(address, "/report", &[]).await?.json();
        (report["components"]["backup"]["reason"] == "DiskFull").then_some(())
    })
    .await;
    std::fs::write(&token, "another\n").expect("it can be written");
    eventually("the new token is asked for", secs(10), || async {
        (put(address, "backup", "another", body).await == 204).then_some(())
    })
    .await;
    assert_eq!(put(address, "backup", "s3cr3t", body).await, 401);
    let log = agent.log();
    assert!(!log.contains("s3cr3t") && !log.contains("another"), "{log}");
}

#[tokio::test]
async fn without_push_nobody_can_report() {
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let address = agent.address("address").await;
    assert_eq!(
        put(address, "runtime", "", r#"{"status":"Healthy"}"#).await,
        404
    );
}

pub(crate) async fn put(address: SocketAddr, name: &str, bearer: &str, body: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    let request = format!(
        "PUT /components/{name} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {bearer}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream
        .write_all(request.as_bytes())
        .await
        .expect("it is read");
    let mut answer = Vec::new();
    // A refused body may be cut off by a reset, after the answer.
    stream.read_to_end(&mut answer).await.ok();
    let answer = String::from_utf8_lossy(&answer);
    let status = answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}
