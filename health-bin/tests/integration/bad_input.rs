//! What is wrong is told in a clear line each, and the exit code says whose fault it is.

use crate::support::run_to_end;

#[tokio::test]
async fn an_unknown_key_exits_2_with_the_nearest_known_one() {
    let line = refused("heartbeat: { intervall: 5s }", &[]).await;
    assert_eq!(
        line,
        "FILE:1:14: heartbeat.intervall: unknown key; did you mean \"interval\"?"
    );
}

/// Of each class one, from the file and from the environment, in the order of the file.
#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let config = "\
identity: 5
log: { level: loud }
push: { enabled: true, tokenFile: /nowhere/token }
checks:
  interval: soon
  components:
    - name: a b
      tcp: { adress: 'x:1' }
    - { name: b, tcp: { address: 'x:1' }, disk: { path: / } }
identity: x
";
    let environment = [
        ("SYNCER_HEALTH_SERVER_DRAIN_DELAY", "3"),
        ("KUBECONFIG", "/nowhere/kubeconfig"),
    ];
    let refused = refused_lines(config, &environment).await;
    let begins = [
        "FILE:1:1: syncTarget.name: is empty, but heartbeats are sent for it",
        "FILE:1:11: identity: is the number 5; give a text",
        "FILE:2:15: log.level: is \"loud\"; give one of: error, warn, info, debug, trace",
        "FILE:3:24: push.tokenFile: cannot read the file \"/nowhere/token\"",
        "FILE:5:13: checks.interval: \"soon\" is not a duration",
        "FILE:7:7: checks.components[0].name: component name \"a b\" is not valid",
        "FILE:8:14: checks.components[0].tcp.adress: unknown key; did you mean \"address\"?",
        "FILE:9:43: checks.components[1].disk: is a kind beside tcp",
        "FILE:10:1: identity: is there twice, first in line 1",
        #[cfg(feature = "transport-lease")]
        "KUBECONFIG: cluster.kubeconfig: cannot read the file \"/nowhere/kubeconfig\"",
        "SYNCER_HEALTH_SERVER_DRAIN_DELAY: server.drainDelay: \"3\" is not a duration",
    ];
    assert_eq!(refused.len(), begins.len(), "{refused:#?}");
    for (line, begin) in refused.iter().zip(begins) {
        assert!(line.starts_with(begin), "{begin}: {refused:#?}");
    }
}

#[tokio::test]
async fn an_interval_longer_than_the_timeout_exits_2() {
    let line = refused("heartbeat: { interval: 30s, timeout: 10s }", &[]).await;
    assert!(
        line.starts_with(
            "FILE:1:29: heartbeat.timeout: is 10s with an interval of 30s, at least 60s"
        ),
        "{line}"
    );
}

#[cfg(feature = "transport-ws")]
#[tokio::test]
async fn a_token_file_that_cannot_be_read_exits_2() {
    let config = "
syncTarget: { name: edge-1 }
heartbeat: { websocket: { url: 'ws://127.0.0.1:1/tunnel', tokenFile: /nowhere/token } }
";
    let line = refused(config, &[]).await;
    assert!(
        line.starts_with(
            "FILE:3:59: heartbeat.websocket.tokenFile: \"/nowhere/token\" cannot be read: "
        ),
        "{line}"
    );
}

/// Found at the start, not at every dial.
#[cfg(feature = "transport-ws")]
#[tokio::test]
async fn a_file_of_the_tunnel_that_holds_rubbish_exits_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rubbish = folder.path().join("rubbish");
    std::fs::write(&rubbish, "no certificate, no token\nat all\n").expect("it can be written");
    let rubbish = rubbish.to_str().expect("a path in UTF-8");
    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1"),
        ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
        (
            "SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_URL",
            "wss://127.0.0.1:1/tunnel",
        ),
        ("SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_CA_FILE", rubbish),
    ];
    let (code, _, err) = run_to_end(&["run"], &environment).await;
    assert_eq!(code, 2, "{err}");
    assert_eq!(err.lines().count(), 1, "{err}");
    let begin = "SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_CA_FILE: heartbeat.websocket.caFile: ";
    assert!(err.starts_with(begin) && err.contains(rubbish), "{err}");
}

#[cfg(feature = "hub")]
#[tokio::test]
async fn a_token_file_of_the_hub_that_holds_rubbish_exits_2_and_is_not_shown() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rubbish = folder.path().join("tokens");
    std::fs::write(&rubbish, "s3cr3t").expect("it can be written");
    let environment = [
        ("SYNCER_HEALTH_HUB_SERVER_BIND", "127.0.0.1:0"),
        ("SYNCER_HEALTH_HUB_OPS_BIND", "127.0.0.1:0"),
        (
            "SYNCER_HEALTH_HUB_AUTH_TOKEN_FILE",
            rubbish.to_str().expect("a path in UTF-8"),
        ),
    ];
    let (code, _, err) = run_to_end(&["hub"], &environment).await;
    assert_eq!(code, 2, "{err}");
    assert!(
        err.contains("auth.tokenFile") && !err.contains("s3cr3t"),
        "{err}"
    );
}

#[cfg(feature = "transport-lease")]
#[tokio::test]
async fn a_workspace_that_the_kubeconfig_contradicts_exits_2() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kubeconfig = folder.path().join("kubeconfig");
    let text = "
apiVersion: v1
kind: Config
clusters: [{ name: it, cluster: { server: 'http://127.0.0.1:1/clusters/root' } }]
users: [{ name: it, user: { token: none } }]
contexts: [{ name: it, context: { cluster: it, user: it } }]
current-context: it
";
    std::fs::write(&kubeconfig, text).expect("it can be written");
    let kubeconfig = kubeconfig.to_str().expect("a path in UTF-8");
    let environment = [
        ("KUBECONFIG", kubeconfig),
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1"),
        ("SYNCER_HEALTH_SYNC_TARGET_WORKSPACE", "root:other"),
        ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
    ];
    let (code, _, err) = run_to_end(&["run"], &environment).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("names \"root\""), "{err}");
}

#[tokio::test]
async fn an_override_from_the_environment_is_checked_too() {
    let line = refused("{}", &[("SYNCER_HEALTH_HEARTBEAT_INTERVAL", "soon")]).await;
    assert!(
        line.starts_with(
            "SYNCER_HEALTH_HEARTBEAT_INTERVAL: heartbeat.interval: \"soon\" is not a duration"
        ),
        "{line}"
    );
}

#[tokio::test]
async fn a_configuration_that_is_not_there_exits_2() {
    let (code, _, err) = run_to_end(&["run", "--config", "/nowhere.yaml"], &[]).await;
    assert_eq!(code, 2, "{err}");
    assert!(
        err.starts_with("--config: cannot read \"/nowhere.yaml\""),
        "{err}"
    );
}

#[tokio::test]
async fn usage_exits_2() {
    for args in [&["fly"][..], &["probe", "deadz"], &[]] {
        let (code, _, err) = run_to_end(args, &[]).await;
        assert_eq!(code, 2, "{args:?}: {err}");
    }
    let (code, _, err) = run_to_end(&["run", "--feature-gates", "FlightRecoder=1"], &[]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("FlightRecoder must be true or false"), "{err}");
}

#[cfg(feature = "hub")]
#[tokio::test]
async fn a_hub_that_asks_nobody_and_is_open_to_all_exits_2() {
    let (code, _, err) = run_to_end(&["hub"], &[]).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("auth: nobody is asked who they are"), "{err}");
}

/// Refused by `run` and by `config check` alike, with exit code 2; gives the one line.
async fn refused(config: &str, environment: &[(&str, &str)]) -> String {
    let mut lines = refused_lines(config, environment).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    lines.remove(0)
}

/// The lines, in which the file's name is `FILE`.
async fn refused_lines(config: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, config).expect("the configuration can be written");
    let file = file.to_str().expect("a path in UTF-8");
    let (code, _, run) = run_to_end(&["run", "--config", file], environment).await;
    assert_eq!(code, 2, "{run}");
    let (code, _, check) = run_to_end(&["config", "check", "--config", file], environment).await;
    assert_eq!(code, 2, "{check}");
    assert_eq!(run, check);
    let lines = run.lines().map(|line| line.replace(file, "FILE"));
    lines.collect()
}
