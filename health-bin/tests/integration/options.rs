//! Every key of the agent's configuration changes what the program does, and so do the hub's bounds.
//!
//! Spring Boot #28882: the cache's time to live was an option that nobody read. Each key is set to
//! something that shows what the default would not show while the test waits for it.

#[cfg(all(feature = "transport-ws", feature = "transport-lease"))]
use std::collections::BTreeSet;

use serde_json::Value;

use crate::kinds::put;
use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

mod kinds;

#[cfg(feature = "transport-ws")]
mod tunnel;

#[cfg(feature = "transport-lease")]
mod cluster;

#[cfg(all(feature = "hub", feature = "transport-ws"))]
mod hub;

#[cfg(all(feature = "transport-ws", feature = "transport-lease"))]
#[tokio::test]
async fn pitfall_41_every_key_there_is_has_its_test() {
    const TESTED: [&str; 38] = [
        "server.bind",
        "server.grpcBind",
        "server.drainDelay",
        "log.level",
        "log.format",
        "probes.readyWhenDegraded",
        "push.enabled",
        "push.tokenFile",
        "checks.interval",
        "checks.timeout",
        "checks.defaultProbes",
        "checks.components",
        "heartbeat.require",
        "syncTarget.name",
        "syncTarget.workspace",
        "identity",
        "heartbeat.interval",
        "heartbeat.timeout",
        "heartbeat.intervalMin",
        "heartbeat.intervalMax",
        "heartbeat.failureThreshold",
        "heartbeat.websocket.url",
        "heartbeat.websocket.tokenFile",
        "heartbeat.websocket.caFile",
        "heartbeat.websocket.certFile",
        "heartbeat.websocket.keyFile",
        "heartbeat.websocket.allowPlaintext",
        "cluster.enabled",
        "cluster.kubeconfig",
        "cluster.context",
        "cluster.inCluster",
        "heartbeat.lease.enabled",
        "heartbeat.lease.namespace",
        "heartbeat.lease.name",
        "syncTargetStatus.enabled",
        "syncTargetStatus.minInterval",
        "syncTargetStatus.heartbeatInterval",
        "syncTargetStatus.heartbeatField",
    ];
    fn leaves(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value.as_object() {
            None => {
                found.insert(path.to_owned());
            }
            Some(object) => {
                for (key, value) in object {
                    let dot = if path.is_empty() { "" } else { "." };
                    leaves(value, &format!("{path}{dot}{key}"), found);
                }
            }
        }
    }
    let (_, default, _) = crate::support::run_to_end(&["config", "default"], &[]).await;
    let default: Value = serde_saphyr::from_str(&default).expect("the default is YAML");
    let mut known = BTreeSet::new();
    leaves(&default, "", &mut known);
    let tested = BTreeSet::from(TESTED);
    assert_eq!(
        known.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        tested
    );
}

#[tokio::test]
async fn pitfall_41_server_and_its_drain_delay_have_an_effect() {
    let config = |delay| format!("server: {{ bind: '127.0.0.2:0', drainDelay: {delay} }}");
    let mut quick = Program::start("run", &config("0s"), &[]);
    let slow = Program::start("run", &config("10m"), &[]);
    let (at, slow_at) = (
        quick.address("address").await,
        slow.address("address").await,
    );
    assert_eq!(at.ip().to_string(), "127.0.0.2");
    slow.signal("TERM").await;
    assert_eq!(quick.terminate().await, Some(0));
    let failed = slow.answers(slow_at, "/readyz", 503).await;
    assert!(failed.body.contains("ShuttingDown"), "{}", failed.body);
}

/// With what it answers it is tested in `grpc`.
#[tokio::test]
async fn pitfall_41_grpc_bind_has_an_effect() {
    let bind = [("SYNCER_HEALTH_SERVER_GRPC_BIND", "127.0.0.3:0")];
    let mut agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &bind);
    if cfg!(feature = "grpc") {
        let address = agent.address("grpc").await;
        assert_eq!(address.ip().to_string(), "127.0.0.3");
        tokio::net::TcpStream::connect(address).await.unwrap();
    } else {
        agent.logged("this build has no grpc", secs(10)).await;
        assert_eq!(agent.ended().await, Some(2));
    }
}

#[tokio::test]
async fn pitfall_41_log_has_an_effect() {
    let config = |log| {
        format!(
            "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
log: {{ {log} }}
checks: {{ components: [{{ name: fails, exec: {{ command: [/bin/sh, -c, 'exit 2'] }} }}] }}
"
        )
    };
    for (log, shows_info) in [
        ("level: info", true),
        ("level: warn", false),
        ("level: 'warn,health-bin=info'", true),
        ("level: 'info,health_bin=warn,health_checks=warn'", false),
    ] {
        let mut agent = Program::start("run", &config(log), &[]);
        agent.logged("component fails is Unhealthy", secs(20)).await;
        assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
        assert_eq!(agent.log().contains("INFO"), shows_info, "{}", agent.log());
    }
    for (log, is_json) in [("format: text", false), ("format: json", true)] {
        let agent = Program::start("run", &config(log), &[]);
        let line = agent.logged("component fails is Unhealthy", secs(20)).await;
        let parsed = serde_json::from_str::<Value>(&line);
        assert_eq!(parsed.is_ok(), is_json, "{line}");
    }
}

#[tokio::test]
async fn pitfall_41_ready_when_degraded_has_an_effect() {
    for (lets_pass, status) in [(false, 503), (true, 200)] {
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0' }}
probes: {{ readyWhenDegraded: {lets_pass} }}
checks: {{ components: [{{ name: slow, exec: {{ command: [/bin/sh, -c, 'exit 1'] }} }}] }}
"
        );
        let agent = Program::start("run", &config, &[]);
        let address = agent.address("address").await;
        shown(&agent, |report| report["status"] == "Degraded").await;
        let answer = get(address, "/readyz?verbose", &[]).await;
        assert_eq!(answer.expect("it answers").status, status);
    }
}

#[tokio::test]
async fn pitfall_41_push_has_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "s3cr3t").expect("it can be written");
    let component = "checks: { components: [{ name: it, push: { ttl: 1h } }] }";
    for (push, component, status) in [
        ("enabled: false".to_owned(), "", 404),
        ("enabled: true".to_owned(), component, 204),
        (
            format!("enabled: true, tokenFile: {}", token.display()),
            component,
            401,
        ),
    ] {
        let config = format!("server: {{ bind: '127.0.0.1:0' }}\npush: {{ {push} }}\n{component}");
        let agent = Program::start("run", &config, &[]);
        let address = agent.address("address").await;
        let got = put(address, "it", "", r#"{"status":"Healthy"}"#).await;
        assert_eq!(got, status, "{config}");
    }
}

/// What holds for all components, and for those that say otherwise.
#[tokio::test]
async fn pitfall_41_checks_have_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let runs = |name: &str| {
        let file = std::fs::read_to_string(folder.path().join(name));
        file.map_or(0, |text| text.lines().count())
    };
    let at = folder.path().display();
    for (common, own) in [
        (
            "interval: 50ms, timeout: 150ms, defaultProbes: [liveness]",
            "",
        ),
        ("", ", interval: 50ms, timeout: 150ms, probes: [liveness]"),
    ] {
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0' }}
checks:
  {{ {common}{} components: [
    {{ name: counts, exec: {{ command: [/bin/sh, -c, 'echo >> {at}/counts; exit 2'] }}{own} }},
    {{ name: hangs, exec: {{ command: [/bin/sh, -c, 'sleep 1000'] }}{own} }} ] }}
",
            if common.is_empty() { "" } else { "," }
        );
        let agent = Program::start("run", &config, &[("PATH", "/usr/bin:/bin")]);
        // By the default of 30 s it would have run once.
        eventually("it runs again and again", secs(20), || async {
            (runs("counts") >= 5).then_some(())
        })
        .await;
        let hangs = shown(&agent, |report| {
            report["components"]["hangs"]["reason"] == "Timeout"
        });
        let message = hangs.await["components"]["hangs"]["message"].to_string();
        assert!(message.contains("150ms"), "{message}");
        agent
            .answers(agent.address("address").await, "/livez", 503)
            .await;
        drop(agent);
        std::fs::remove_file(folder.path().join("counts")).expect("it is there");
    }
}

#[tokio::test]
async fn pitfall_41_every_common_key_of_a_component_has_an_effect() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The first run does one thing, all others do another.
    let turns = |name: &str, first: u8, then: u8| {
        let mark = folder.path().join(name);
        let mark = mark.display();
        format!(
            "exec: {{ command: [/bin/sh, -c, '[ -e {mark} ] && exit {then}; : > {mark}; exit {first}'] }}"
        )
    };
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
push: {{ enabled: true }}
checks:
  interval: 50ms
  components:
    - {{ name: old, exec: {{ command: [/bin/true] }}, interval: 1h, staleAfter: 200ms }}
    - {{ name: old-push, push: {{ ttl: 1h }}, staleAfter: 200ms }}
    - {{ name: patient, {}, failureThreshold: 1000000 }}
    - {{ name: sceptical, {}, successThreshold: 1000000 }}
    - {{ name: aside, exec: {{ command: [/bin/sh, -c, 'exit 2'] }}, criticality: informational }}
",
        turns("patient", 0, 2),
        turns("sceptical", 2, 0),
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    let pushed = put(address, "old-push", "", r#"{"status":"Healthy"}"#).await;
    assert_eq!(pushed, 204);
    let report = shown(&agent, |report| {
        let of = |name: &str, key: &str| report["components"][name][key].clone();
        of("old", "reason") == "Stale"
            && of("old-push", "reason") == "Stale"
            && of("patient", "consecutiveFailures").as_u64() >= Some(5)
            && of("sceptical", "lastCheck").is_string()
            && of("sceptical", "consecutiveFailures") == 0
            && of("aside", "status") == "Unhealthy"
    })
    .await;
    let status = |name: &str| &report["components"][name]["status"];
    assert_eq!(status("patient"), "Healthy", "{report}");
    assert_eq!(status("sceptical"), "Unhealthy", "{report}");
    let deciding = report["deciding"].to_string();
    assert!(deciding.contains("sceptical"), "{report}");
    assert!(!deciding.contains("aside"), "{report}");
}

/// One transport works and the other does not.
#[cfg(all(feature = "transport-ws", feature = "transport-lease"))]
#[tokio::test]
async fn pitfall_41_require_has_an_effect() {
    use health_transport_ws::Terms;

    use crate::support::Acceptor;
    use crate::support::Cluster;

    let cluster = Cluster::start().await;
    for (require, status) in [("any", 200), ("all", 503)] {
        let mut hub = Acceptor::start(Terms::default()).await;
        let config = format!(
            "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
cluster: {{ kubeconfig: {}, context: nobody }}
syncTargetStatus: {{ enabled: false }}
heartbeat: {{ interval: 200ms, timeout: 1s, intervalMin: 200ms, require: {require}, websocket: {{ url: 'ws://{}/tunnel' }} }}
",
            cluster.kubeconfig(),
            hub.address
        );
        let agent = Program::start("run", &config, &[]);
        hub.heartbeat(|_| true).await;
        shown(&agent, |report| {
            let state = |name: &str| report["heartbeat"]["transports"][name]["state"].clone();
            state("lease") == "Failed" && state("websocket") == "Alive"
        })
        .await;
        agent
            .answers(agent.address("address").await, "/readyz", status)
            .await;
    }
}

/// Waits until the report is as wanted.
async fn shown(agent: &Program, wanted: impl Fn(&Value) -> bool) -> Value {
    let address = agent.address("address").await;
    let what = format!("such a report; the log is:\n{}", agent.log());
    eventually(&what, secs(20), || async {
        let report = get(address, "/report", &[]).await?.json();
        wanted(&report).then_some(report)
    })
    .await
}
