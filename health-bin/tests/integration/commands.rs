//! The commands, as a user types them.

use crate::support::Program;
use crate::support::run_to_end;

#[tokio::test]
async fn the_printed_default_is_accepted() {
    let (code, default, _) = run_to_end(&["config", "default"], &[]).await;
    assert_eq!(code, 0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("config.yaml");
    std::fs::write(&file, default).expect("the configuration can be written");
    let file = file.to_str().expect("a path in UTF-8");
    let (code, out, err) = run_to_end(&["config", "check", "--config", file], &[]).await;
    assert_eq!(
        (code, out.trim()),
        (0, "the configuration is right"),
        "{err}"
    );
}

#[tokio::test]
async fn probe_exits_0_if_it_holds_and_1_if_not_or_if_nothing_answers() {
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let url = format!("http://{}", agent.address("address").await);
    for (probe, expected) in [("livez", 0), ("startupz", 0), ("readyz", 1)] {
        // No readiness component is configured, so readiness does not hold.
        let (code, out, err) = run_to_end(&["probe", probe, "--url", &url], &[]).await;
        assert_eq!(code, expected, "{probe}: {out}{err}");
    }
    let (code, _, err) = run_to_end(&["probe", "livez", "--url", "http://127.0.0.1:1"], &[]).await;
    assert_eq!(code, 1);
    assert!(err.contains("cannot connect to 127.0.0.1:1"), "{err}");
}

#[tokio::test]
async fn an_agent_without_a_transport_says_once_that_it_sends_no_heartbeats() {
    let mut agent = Program::start(
        "run",
        "server: { bind: '127.0.0.1:0', drainDelay: 0s }",
        &[],
    );
    agent.address("address").await;
    let said = agent.log().matches("no heartbeats are sent").count();
    assert_eq!(said, 1, "{}", agent.log());
    assert_eq!(agent.terminate().await, Some(0));
}

#[tokio::test]
async fn an_unknown_variable_is_warned_about_and_a_foreign_one_is_not() {
    let environment = [
        ("SYNCER_HEALTH_TYPO", "1"),
        ("SYNCER_HEALTH_HUB_PORT", "tcp://10.0.0.1:80"),
    ];
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &environment);
    agent.address("address").await;
    let log = agent.log();
    assert!(
        log.contains("SYNCER_HEALTH_TYPO names no key and is ignored"),
        "{log}"
    );
    assert!(!log.contains("SYNCER_HEALTH_HUB_PORT"), "{log}");
}

#[cfg(feature = "transport-lease")]
#[tokio::test]
async fn manifests_name_the_target_of_the_configuration() {
    let (code, out, err) = run_to_end(&["manifests", "crd"], &[]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("name: synctargets.workload.kcp.io"), "{out}");
    let environment = [("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1")];
    let (code, out, err) = run_to_end(&["manifests", "rbac"], &environment).await;
    assert_eq!(code, 0, "{err}");
    assert!(
        out.contains("edge-1-heartbeat") && out.contains("synctargets/status"),
        "{out}"
    );
    let (code, _, err) = run_to_end(&["manifests", "rbac"], &[]).await;
    assert_eq!(code, 1);
    assert!(err.contains("syncTarget.name is empty"), "{err}");
}

#[cfg(feature = "transport-lease")]
#[tokio::test]
async fn rights_come_with_their_bindings_where_it_is_said_who_has_them() {
    let environment = [
        ("SYNCER_HEALTH_SYNC_TARGET_NAME", "edge-1"),
        ("SYNCER_HEALTH_SYNC_TARGET_WORKSPACE", "root:edge"),
    ];
    for (who, subject, objects) in [
        (["--service-account", "system:edge"], "namespace: system", 4),
        (["--user", "edge"], "kind: User", 6),
    ] {
        let args = [&["manifests", "rbac"][..], &who].concat();
        let (code, out, err) = run_to_end(&args, &environment).await;
        assert_eq!(code, 0, "{err}");
        assert!(out.contains(subject), "{out}");
        assert_eq!(out.matches("---\n").count(), objects, "{out}");
        let enters = out.contains("- access\n");
        assert_eq!(enters, who[0] == "--user", "{out}");
    }
    let args = ["manifests", "rbac", "--service-account", "edge"];
    let (code, _, err) = run_to_end(&args, &environment).await;
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("write it as NAMESPACE:NAME"), "{err}");
}

#[cfg(feature = "hub")]
#[tokio::test]
async fn the_hubs_printed_default_is_accepted_once_it_asks_who_dials_in() {
    let (code, default, _) = run_to_end(&["config", "default", "--hub"], &[]).await;
    assert_eq!(code, 0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("hub.yaml");
    std::fs::write(&file, default).expect("the configuration can be written");
    let file = file.to_str().expect("a path in UTF-8");
    let environment = [("SYNCER_HEALTH_HUB_AUTH_ANONYMOUS", "true")];
    let args = ["config", "check", "--hub", "--config", file];
    let (code, out, err) = run_to_end(&args, &environment).await;
    assert_eq!(
        (code, out.trim()),
        (0, "the configuration is right"),
        "{err}"
    );
}
