use serde_json::Value;

use super::*;

#[test]
fn the_annotated_default_files_hold_the_defaults() {
    assert_eq!(
        agent(AGENT_DEFAULT, &[]),
        Ok((AgentConfig::default(), vec![]))
    );
    #[cfg(feature = "hub")]
    {
        assert_eq!(hub(HUB_DEFAULT), Ok(HubConfig::default()));
    }
}

#[test]
fn the_annotated_default_files_name_every_key() {
    fn keys(value: &Value, prefix: &str, found: &mut Vec<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            found.push(format!("{prefix}{key}"));
            keys(value, &format!("{prefix}{key}."), found);
        }
    }
    let files = [
        (
            serde_json::to_value(AgentConfig::default()).unwrap(),
            AGENT_DEFAULT,
        ),
        #[cfg(feature = "hub")]
        (
            serde_json::to_value(HubConfig::default()).unwrap(),
            HUB_DEFAULT,
        ),
    ];
    for (default, file) in files {
        let (mut known, mut shown) = (Vec::new(), Vec::new());
        keys(&default, "", &mut known);
        keys(&serde_saphyr::from_str(file).unwrap(), "", &mut shown);
        known.sort();
        shown.sort();
        assert_eq!(known, shown);
    }
}

#[test]
fn an_empty_file_is_the_default() {
    for text in ["", "\n# nothing\n", "{}"] {
        assert_eq!(
            agent(text, &[]),
            Ok((AgentConfig::default(), vec![])),
            "{text:?}"
        );
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_known_one() {
    for (text, line) in [
        (
            "heartbeat: { intervall: 5s }",
            "1:14: heartbeat.intervall: unknown key; did you mean \"interval\"?",
        ),
        (
            "hartbeat: {}",
            "1:1: hartbeat: unknown key; did you mean \"heartbeat\"?",
        ),
        (
            "checks: { components: [{ name: a, htpp: { url: x } }] }",
            "1:35: checks.components[0].htpp: unknown key; did you mean \"http\"?",
        ),
    ] {
        let error = agent(text, &[]).unwrap_err().to_string();
        assert_eq!(error, format!("f.yaml:{line}"));
    }
}

#[test]
fn a_value_of_the_wrong_kind_names_its_key() {
    for (text, key) in [
        ("heartbeat: { interval: soon }", "heartbeat.interval"),
        ("server: { bind: here }", "server.bind"),
        ("server: { grpcBind: here }", "server.grpcBind"),
        ("server: { grpcBind: 8084 }", "server.grpcBind"),
        (
            "heartbeat: { failureThreshold: many }",
            "heartbeat.failureThreshold",
        ),
        ("log: { level: loud }", "log.level"),
        ("[]", ""),
        ("a: b: c", ""),
    ] {
        let error = agent(text, &[]).unwrap_err();
        assert_eq!(error.0[0].key, key, "{error}");
    }
}

#[test]
fn the_environment_overrides_and_unknown_variables_are_warned_about() {
    let (config, warnings) = agent(
        "heartbeat: { interval: 5s }",
        &[
            ("SYNCER_HEALTH_HEARTBEAT_INTERVAL", "7s"),
            ("SYNCER_HEALTH_HEARTBEAT_FAILURE_THRESHOLD", "5"),
            ("SYNCER_HEALTH_HEARTBEAT_LEASE_ENABLED", "false"),
            ("SYNCER_HEALTH_SYNC_TARGET_NAME", "123"),
            ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
            ("SYNCER_HEALTH_TYPO", "x"),
            ("SYNCER_HEALTH_HUB_PORT", "tcp://10.0.0.1:80"),
            ("SYNCER_HEALTHY", "x"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.heartbeat.interval, ConfigDuration::secs(7));
    assert_eq!(config.heartbeat.failure_threshold, 5);
    assert!(!config.heartbeat.lease.enabled);
    assert_eq!(
        config.sync_target.name, "123",
        "a text of digits stays a text"
    );
    assert_eq!(
        warnings,
        ["environment variable SYNCER_HEALTH_TYPO names no key and is ignored"]
    );
}

#[cfg(all(feature = "transport-ws", feature = "transport-lease"))]
#[tokio::test]
async fn every_problem_is_told_at_once() {
    let text = r"
syncTarget: { workspace: root:org }
cluster: { inCluster: true }
push: { enabled: false, tokenFile: /nowhere/token }
heartbeat:
  interval: 30s
  timeout: 10s
  websocket: { url: 'http://hub', tokenFile: /nowhere/token }
checks:
  components:
    - { name: 'a b', http: { url: 'ftp://x' } }
    - { name: heartbeat }
    - { name: twice, prometheus: { url: 'http://x', syncEngine: true } }
    - { name: twice, prometheus: { url: 'http://x', syncEngine: true, queueDepth: { degraded: 2, unhealthy: 1 } } }
    - { name: pushed, interval: 5s, push: { ttl: 60s } }
";
    let (config, _) = agent(text, &[]).unwrap();
    let mut problems = Problems::default();
    problems.take(config.validate(None));
    crate::agent::check(&config, None, &mut problems).await;
    let error = problems.finish().unwrap_err();
    let keys: Vec<_> = error.0.iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "heartbeat.timeout",
        "push.enabled",
        "syncTarget.name",
        "checks.components[0].name",
        "checks.components[0].http",
        "checks.components[1].name",
        "checks.components[1]",
        "checks.components[3].name",
        "checks.components[3].prometheus.queueDepth",
        "checks.components[4].interval",
        "checks.components",
        "push.tokenFile",
        "heartbeat.websocket.url",
        "heartbeat.websocket.tokenFile",
        "cluster.inCluster",
    ];
    assert_eq!(keys, expected, "{error}");
}

#[test]
fn an_interval_longer_than_the_timeout_says_what_would_be_right() {
    let (config, _) = agent("heartbeat: { interval: 30s, timeout: 10s }", &[]).unwrap();
    let error = config.validate(None).unwrap_err().to_string();
    assert_eq!(
        error,
        "configuration: heartbeat.timeout: is 10s with an interval of 30s, \
         at least 60s (twice the interval) is allowed"
    );
}

/// controller-runtime #1760: with durations that do not fit together a lease was never renewed,
/// and nothing said so.
#[test]
fn pitfall_13_durations_that_cannot_work_are_told_with_their_key() {
    for (text, key) in [
        ("heartbeat: { interval: 0s }", "heartbeat.interval"),
        (
            "heartbeat: { interval: 1ms, intervalMin: 1ms }",
            "heartbeat.interval",
        ),
        ("heartbeat: { interval: 30s }", "heartbeat.timeout"),
        ("heartbeat: { timeout: 0s }", "heartbeat.timeout"),
        ("heartbeat: { timeout: 19s }", "heartbeat.timeout"),
        ("heartbeat: { intervalMin: 0s }", "heartbeat.intervalMin"),
        ("heartbeat: { intervalMin: 20s }", "heartbeat.interval"),
        ("heartbeat: { intervalMax: 5s }", "heartbeat.interval"),
        (
            "heartbeat: { failureThreshold: 0 }",
            "heartbeat.failureThreshold",
        ),
        ("heartbeat: { interval: 10 }", "heartbeat.interval"),
        ("heartbeat: { interval: -10s }", "heartbeat.interval"),
        ("heartbeat: { interval: 10 apples }", "heartbeat.interval"),
        ("heartbeat: { interval: '' }", "heartbeat.interval"),
        ("heartbeat: { timeout: 1000y }", "heartbeat.timeout"),
        (
            "heartbeat: { timeout: 18446744073709551615s }",
            "heartbeat.timeout",
        ),
        (
            "heartbeat: { timeout: 99999999999999999999s }",
            "heartbeat.timeout",
        ),
        ("server: { drainDelay: 1000y }", "server.drainDelay"),
        ("checks: { interval: 1000y }", "checks.interval"),
        (
            "syncTargetStatus: { heartbeatInterval: 0s }",
            "syncTargetStatus.heartbeatInterval",
        ),
        (
            "syncTargetStatus: { heartbeatInterval: 1000y }",
            "syncTargetStatus.heartbeatInterval",
        ),
    ] {
        let problems = match agent(text, &[]) {
            Err(error) => error,
            Ok((config, _)) => config.validate(None).unwrap_err(),
        };
        assert_eq!(problems.0[0].key, key, "{text}: {problems}");
    }
    #[cfg(feature = "transport-lease")]
    for (text, key) in [
        ("minInterval: 0s", "syncTargetStatus.minInterval"),
        ("minInterval: 21s", "syncTargetStatus.heartbeatInterval"),
    ] {
        let (config, _) = agent(&format!("syncTargetStatus: {{ {text} }}"), &[]).unwrap();
        let error = config.validate(Some("/nowhere/kubeconfig")).unwrap_err();
        let found = error.0.iter().any(|problem| problem.key == key);
        assert!(found, "{text}: {error}");
    }
}

#[cfg(feature = "hub")]
#[test]
fn pitfall_13_durations_of_a_hub_that_cannot_work_are_told_with_their_key() {
    for (text, key) in [
        ("heartbeat: { timeoutMin: 0s }", "heartbeat.timeoutMin"),
        ("heartbeat: { timeoutMin: 11m }", "heartbeat.timeoutMin"),
        ("heartbeat: { timeoutMax: 1s }", "heartbeat.timeoutMin"),
        ("heartbeat: { timeoutMax: 1000y }", "heartbeat.timeoutMax"),
        (
            "limits: { handshakeTimeout: 0s }",
            "limits.handshakeTimeout",
        ),
        (
            "limits: { handshakeTimeout: 1000y }",
            "limits.handshakeTimeout",
        ),
    ] {
        let text = format!("auth: {{ anonymous: true }}\n{text}");
        let problems = match hub(&text) {
            Err(error) => error,
            Ok(config) => config.validate().unwrap_err(),
        };
        assert_eq!(problems.0[0].key, key, "{text}: {problems}");
    }
}

#[test]
fn a_transport_that_this_build_has_not_is_refused() {
    let text = "
syncTarget: { name: edge-1 }
heartbeat: { websocket: { url: 'ws://hub/tunnel' } }
cluster: { inCluster: true }
";
    let (config, _) = agent(text, &[]).unwrap();
    let problems = config
        .validate(None)
        .err()
        .map_or_else(Vec::new, |error| error.0);
    let missing = |key: &str, feature: &str| {
        let what = format!("this build has no {feature}");
        problems
            .iter()
            .any(|problem| problem.key == key && problem.what == what)
    };
    let ws = missing("heartbeat.websocket.url", "transport-ws");
    assert_eq!(ws, cfg!(not(feature = "transport-ws")), "{problems:?}");
    let lease = missing("cluster", "transport-lease");
    assert_eq!(
        lease,
        cfg!(not(feature = "transport-lease")),
        "{problems:?}"
    );
}

#[test]
fn where_grpc_health_is_answered_is_an_address_of_its_own() {
    for (grpc_bind, expected) in [
        ("''", None),
        ("'127.0.0.1:8084'", Some("127.0.0.1:8084")),
        ("'[::]:8084'", Some("[::]:8084")),
    ] {
        let (config, _) = agent(&format!("server: {{ grpcBind: {grpc_bind} }}"), &[]).unwrap();
        let bind = config.server.grpc_bind.map(|bind| bind.to_string());
        assert_eq!(bind.as_deref(), expected);
        let again = serde_json::to_value(&config).unwrap();
        assert_eq!(again["server"]["grpcBind"], expected.unwrap_or_default());
    }
    let told = |mut config: AgentConfig, port, grpc: &str| {
        config.server.bind = ([127, 0, 0, 1], port).into();
        config.server.grpc_bind = Some(grpc.parse().unwrap());
        let problems = config.validate(None).err();
        problems.map(|problems| problems.0[0].what.clone())
    };
    for (port, grpc, with_it) in [
        (8081, "127.0.0.1:8082", None),
        (0, "127.0.0.1:0", None),
        (
            8081,
            "127.0.0.1:8081",
            Some("is 127.0.0.1:8081, as server.bind is; give it a port of its own"),
        ),
    ] {
        let expected = match cfg!(feature = "grpc") {
            true => with_it,
            false => Some("this build has no grpc"),
        };
        let told = told(AgentConfig::default(), port, grpc);
        assert_eq!(told.as_deref(), expected, "{port} {grpc}");
    }
}

#[cfg(feature = "hub")]
#[test]
fn a_hub_that_everybody_may_reach_asks_who_they_are() {
    let open = HubConfig::default();
    assert_eq!(open.validate().unwrap_err().0[0].key, "auth");
    let mut local = HubConfig::default();
    local.server.bind = ([127, 0, 0, 1], 0).into();
    assert_eq!(local.validate(), Ok(()));
    assert!(local.lets_anybody_in());
    local.ops.bind = ([0, 0, 0, 0], 8083).into();
    assert_eq!(local.validate().unwrap_err().0[0].key, "ops.bind");
}

#[cfg(feature = "hub")]
#[test]
fn a_hub_s_sections_must_fit_together() {
    for (text, key, says) in [
        (
            "auth: { tokenReview: true }",
            "auth.tokenReview",
            "needs cluster.enabled",
        ),
        (
            "cluster: { leaderLease: { enabled: true } }",
            "cluster.leaderLease.enabled",
            "needs cluster.enabled",
        ),
        (
            "server: { bind: '127.0.0.1:8083' }",
            "ops.bind",
            "as server.bind is",
        ),
    ] {
        hub_problem(text, key, says);
    }
    let says = match cfg!(feature = "grpc") {
        true => "as ops.bind is",
        false => "this build has no grpc",
    };
    hub_problem("ops: { grpcBind: '127.0.0.1:8083' }", "ops.grpcBind", says);
    #[cfg(feature = "transport-lease")]
    for (text, key, says) in [
        ("namespace: ''", "cluster.namespace", "1 to 63 of a-z"),
        ("namespace: a.b", "cluster.namespace", "is \"a.b\", 1 to 63"),
        ("workspaces: [root, root]", "cluster.workspaces[1]", "twice"),
        (
            "workspaces: [/clusters/root]",
            "cluster.workspaces[0]",
            "root:org:edge",
        ),
        (
            "leaderLease: { enabled: true, name: '' }",
            "cluster.leaderLease.name",
            "is empty",
        ),
        (
            "leaderLease: { enabled: true, name: A }",
            "cluster.leaderLease.name",
            "is \"A\", 1 to 253",
        ),
    ] {
        hub_problem(&format!("cluster: {{ enabled: true, {text} }}"), key, says);
    }
}

#[cfg(feature = "hub")]
#[track_caller]
fn hub_problem(text: &str, key: &str, says: &str) {
    let error = hub(text).unwrap().validate().unwrap_err();
    let told = error
        .0
        .iter()
        .any(|problem| problem.key == key && problem.what.contains(says));
    assert!(told, "{text}: {error}");
}

#[cfg(feature = "hub")]
#[test]
fn anybody_comes_in_only_where_nobody_is_asked_on_loopback_or_where_that_is_said() {
    for (bind, tokens, anonymous, anybody) in [
        ([127, 0, 0, 1], "", false, true),
        ([127, 0, 0, 1], "/dev/null", false, false),
        ([127, 0, 0, 1], "/dev/null", true, true),
        ([0, 0, 0, 0], "/dev/null", false, false),
        ([0, 0, 0, 0], "", true, true),
    ] {
        let mut config = HubConfig::default();
        config.server.bind = (bind, 0).into();
        config.auth.token_file = tokens.to_owned();
        config.auth.anonymous = anonymous;
        assert_eq!(config.lets_anybody_in(), anybody, "{config:?}");
        assert_eq!(config.validate(), Ok(()));
    }
}

fn agent(
    text: &str,
    environment: &[(&str, &str)],
) -> Result<(AgentConfig, Vec<String>), ConfigError> {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let loaded = load(source(text), &environment, AGENT_VARIABLES).check(|_| Ok(()))?;
    Ok((loaded.config, loaded.warnings))
}

#[cfg(feature = "hub")]
fn hub(text: &str) -> Result<HubConfig, ConfigError> {
    let draft = load(source(text), &Environment::new(), HUB_VARIABLES);
    draft.check(|_| Ok(())).map(|loaded| loaded.config)
}

const fn source(text: &str) -> Source<'_> {
    Source {
        file: Some("f.yaml"),
        text,
    }
}

#[cfg(feature = "hub")]
#[test]
fn what_a_hub_waits_for_is_what_is_configured() {
    let config = "heartbeat: { timeoutMin: 2s, timeoutMax: 3s, syncTargetTimeout: 4s }";
    let terms = hub(config).unwrap().fleet_terms();
    let found = [
        terms.timeout_min,
        terms.timeout_max,
        terms.timeout_synctarget,
    ];
    assert_eq!(found, [2, 3, 4].map(std::time::Duration::from_secs));
}
