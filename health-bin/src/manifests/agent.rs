//! A Deployment of the agent, with everything that it needs in a member cluster.
//!
//! `deploy/kustomize/base/agent` holds the same; a test holds the two equal.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Component;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use serde_json::json;

use super::names;
use crate::config::AgentConfig;

/// What becomes objects.
pub(super) struct Source<'a> {
    pub(super) config: &'a AgentConfig,
    /// The configuration as it is written, which goes into the ConfigMap.
    pub(super) text: &'a str,
    pub(super) namespace: &'a str,
    pub(super) image: &'a str,
}

/// A folder that the configuration names files in: a Secret is mounted there.
#[derive(Debug, PartialEq, Eq)]
struct Folder {
    path: String,
    secret: String,
    files: BTreeSet<String>,
}

/// The keys whose values are files.
const FILES: [&str; 5] = ["kubeconfig", "tokenFile", "caFile", "certFile", "keyFile"];

/// Below it a Secret's name begins after it.
const HOME: &str = "/etc/syncer-health/";

/// Where the ConfigMap is mounted.
const CONFIG: &str = "/etc/syncer-health/config";

/// The file in the ConfigMap.
const CONFIG_FILE: &str = "agent.yaml";

/// Where kubelet puts the pod's own token.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Nobody in particular, and not root.
const USER: u32 = 65532;

/// After the drain delay goodbyes take 11 s at most and checks 1 s; as much again, and some, for a
/// machine that is slow.
const GOODBYES_SECS: u64 = 27;

/// The ServiceAccount, the ConfigMap and the Deployment.
///
/// # Errors
///
/// Where a file is named that no Secret can bring, or where kubelet could not ask the probes.
pub(super) fn objects(source: &Source<'_>) -> anyhow::Result<Vec<Value>> {
    let metadata = || {
        json!({
            "name": names::AGENT,
            "namespace": source.namespace,
            "labels": labels(),
        })
    };
    let config_map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(),
        "data": { CONFIG_FILE: source.text },
    });
    let deployment = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(),
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": labels() },
            "template": { "metadata": { "labels": labels() }, "spec": pod(source)? },
        },
    });
    let account = json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(),
        "automountServiceAccountToken": false,
    });
    Ok(vec![account, config_map, deployment])
}

/// Who the agent is in the cluster that it runs in.
pub(super) fn subject(namespace: &str) -> Value {
    json!({ "kind": "ServiceAccount", "name": names::AGENT, "namespace": namespace })
}

fn labels() -> Value {
    json!({
        "app.kubernetes.io/name": names::APPLICATION,
        "app.kubernetes.io/component": "agent",
    })
}

fn pod(source: &Source<'_>) -> anyhow::Result<Value> {
    let config = source.config;
    let folders = folders(config)?;
    let mut volumes = vec![json!({
        "name": format!("{}-config", names::APPLICATION),
        "configMap": { "name": names::AGENT },
    })];
    volumes.extend(folders.iter().map(|folder| {
        let items = folder.files.iter();
        let items: Vec<_> = items.map(|f| json!({ "key": f, "path": f })).collect();
        json!({
            "name": folder.secret,
            "secret": { "secretName": folder.secret, "items": items },
        })
    }));
    let drain = config.server.drain_delay.0.as_secs_f64().ceil() as u64;
    Ok(json!({
        "serviceAccountName": names::AGENT,
        "automountServiceAccountToken": asks_this_cluster(config),
        "enableServiceLinks": false,
        "terminationGracePeriodSeconds": drain + GOODBYES_SECS,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [container(source, &folders)?],
        "volumes": volumes,
    }))
}

fn container(source: &Source<'_>, folders: &[Folder]) -> anyhow::Result<Value> {
    let bind = source.config.server.bind;
    anyhow::ensure!(
        !bind.ip().is_loopback() && bind.port() != 0,
        "server.bind is {bind}, where kubelet cannot ask the probes; 0.0.0.0:8081 would be right"
    );
    let port = names::APPLICATION;
    let probe = |path: &str| json!({ "path": path, "port": port });
    let mount =
        |name: &str, path: &str| json!({ "name": name, "mountPath": path, "readOnly": true });
    let mut mounts = vec![mount(&format!("{}-config", names::APPLICATION), CONFIG)];
    mounts.extend(folders.iter().map(|it| mount(&it.secret, &it.path)));
    let mut ports = vec![json!({ "name": port, "containerPort": bind.port() })];
    let grpc = source.config.server.grpc_bind;
    ports.extend(grpc.map(|it| json!({ "name": names::GRPC, "containerPort": it.port() })));
    Ok(json!({
        "name": names::APPLICATION,
        "image": source.image,
        "args": ["run", "--config", format!("{CONFIG}/{CONFIG_FILE}")],
        "env": [{
            "name": "POD_UID",
            "valueFrom": { "fieldRef": { "fieldPath": "metadata.uid" } },
        }],
        "ports": ports,
        "startupProbe": {
            "httpGet": probe("/startupz"),
            "periodSeconds": 2,
            "failureThreshold": 60,
        },
        "livenessProbe": {
            "httpGet": probe("/livez"),
            "periodSeconds": 10,
            "timeoutSeconds": 2,
            "failureThreshold": 3,
        },
        "readinessProbe": {
            "httpGet": probe("/readyz"),
            "periodSeconds": 5,
            "timeoutSeconds": 2,
            "failureThreshold": 1,
        },
        "resources": {
            "requests": { "cpu": "10m", "memory": "24Mi" },
            "limits": { "memory": "64Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "volumeMounts": mounts,
    }))
}

/// Whether the agent asks the API server of the cluster that it runs in for anything.
fn asks_this_cluster(config: &AgentConfig) -> bool {
    let components = &config.checks.components;
    let mut asked = components
        .iter()
        .filter_map(|it| it.kubernetes_api.as_ref());
    config.cluster.enabled && config.cluster.in_cluster
        || asked.any(|it| it.in_cluster || (it.url.is_empty() && it.kubeconfig.is_empty()))
}

/// Every folder that a file is named in, but the one that kubelet fills by itself.
fn folders(config: &AgentConfig) -> anyhow::Result<Vec<Folder>> {
    let value = serde_json::to_value(config).context("cannot look for files")?;
    let mut files = BTreeSet::new();
    collect(&value, &mut files);
    let mut by_path = BTreeMap::<String, BTreeSet<String>>::new();
    for file in files {
        let (folder, name) = split(&file)?;
        if folder != SERVICE_ACCOUNT {
            by_path.entry(folder).or_default().insert(name);
        }
    }
    let mut folders = Vec::<Folder>::new();
    for (path, files) in by_path {
        let secret = secret(&path);
        if let Some(other) = folders.iter().find(|it| it.secret == secret) {
            let other = &other.path;
            anyhow::bail!("the Secret for {path} would be {secret}, as for {other}; rename one");
        }
        folders.push(Folder {
            path,
            secret,
            files,
        });
    }
    Ok(folders)
}

fn collect(value: &Value, files: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(path) if FILES.contains(&key.as_str()) && !path.is_empty() => {
                        files.insert(path.to_owned());
                    }
                    Some(_) | None => collect(value, files),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(value, files)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A file's folder and its name; only a folder of its own can be a Secret.
fn split(file: &str) -> anyhow::Result<(String, String)> {
    let path = Path::new(file);
    let plain = path
        .components()
        .skip(1)
        .all(|part| matches!(part, Component::Normal(_)));
    let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
    let name = path.file_name().and_then(|name| name.to_str());
    match name {
        Some(name)
            if path.is_absolute()
                && plain
                && folder != CONFIG
                && Path::new(folder).components().count() > 2 =>
        {
            Ok((folder.to_owned(), name.to_owned()))
        }
        Some(_) | None => anyhow::bail!(
            "{file:?} is where no Secret can be mounted; {HOME}NAME/FILE would be right"
        ),
    }
}

/// The name of the Secret of a folder.
fn secret(folder: &str) -> String {
    let below = folder.strip_prefix(HOME).unwrap_or(folder);
    let words = below.split(|c: char| !c.is_ascii_alphanumeric());
    let mut name = names::APPLICATION.to_owned();
    for word in words.filter(|word| !word.is_empty()) {
        name.push('-');
        name.push_str(&word.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::config::Environment;

    #[test]
    fn every_folder_that_files_are_named_in_is_a_secret() {
        let config = config(
            "
cluster: { kubeconfig: /etc/syncer-health/kcp/kubeconfig }
heartbeat:
  websocket: { url: 'wss://hub/tunnel', tokenFile: /run/Hub.d/token, caFile: /run/Hub.d/ca.crt }
checks:
  components:
    - { name: a, http: { url: 'https://a', caFile: /etc/syncer-health/kcp/ca.crt } }
    - { name: b, http: { url: 'https://b', tokenFile: SERVICE_ACCOUNT/token } }
",
        );
        let found: Vec<_> = folders(&config).unwrap();
        let found = found.iter().map(|it| {
            let files: Vec<_> = it.files.iter().map(String::as_str).collect();
            (it.path.as_str(), it.secret.as_str(), files)
        });
        assert_eq!(
            found.collect::<Vec<_>>(),
            [
                (
                    "/etc/syncer-health/kcp",
                    "syncer-health-kcp",
                    vec!["ca.crt", "kubeconfig"]
                ),
                (
                    "/run/Hub.d",
                    "syncer-health-run-hub-d",
                    vec!["ca.crt", "token"]
                ),
            ]
        );
    }

    #[test]
    fn a_file_that_no_secret_can_bring_is_refused() {
        for file in [
            "token",
            "/token",
            "/etc/token",
            "/etc/syncer-health/config/token",
            "/etc/a/../b/token",
        ] {
            let config = config(&format!("push: {{ tokenFile: {file} }}"));
            let error = folders(&config).unwrap_err().to_string();
            assert!(error.contains(file), "{error}");
        }
        let config = config(
            "push: { tokenFile: /run/a-b/token }\ncluster: { kubeconfig: /run/a.b/kubeconfig }",
        );
        let error = folders(&config).unwrap_err().to_string();
        assert!(
            error.contains("/run/a-b") && error.contains("/run/a.b"),
            "{error}"
        );
    }

    #[test]
    fn kubelet_must_reach_the_probes_and_wait_for_the_goodbyes() {
        let spec = pod(&source(&config(
            "server: { bind: '0.0.0.0:9000', drainDelay: 2500ms }",
        )));
        let spec = spec.unwrap();
        assert_eq!(spec["terminationGracePeriodSeconds"], 30);
        let ports = &spec["containers"][0]["ports"];
        assert_eq!(ports[0]["containerPort"], 9000);
        assert_eq!(ports.as_array().map(Vec::len), Some(1), "{ports}");
        let spec = pod(&source(&config("server: { grpcBind: '0.0.0.0:8084' }"))).unwrap();
        let port = &spec["containers"][0]["ports"][1];
        assert_eq!(
            (&port["name"], &port["containerPort"]),
            (&"grpc".into(), &8084.into())
        );
        for bind in ["127.0.0.1:8081", "0.0.0.0:0"] {
            let config = config(&format!("server: {{ bind: '{bind}' }}"));
            let error = pod(&source(&config)).unwrap_err().to_string();
            assert!(error.contains(bind), "{error}");
        }
    }

    #[test]
    fn the_pods_token_is_mounted_only_where_something_asks_with_it() {
        for (text, expected) in [
            ("{}", false),
            ("cluster: { kubeconfig: /etc/kcp/k/kubeconfig }", false),
            ("cluster: { inCluster: true }", true),
            ("cluster: { inCluster: true, enabled: false }", false),
            (
                "checks: { components: [{ name: api, kubernetesApi: {} }] }",
                true,
            ),
            (
                "checks: { components: [{ name: api, kubernetesApi: { inCluster: true } }] }",
                true,
            ),
            (
                "checks: { components: [{ name: api, kubernetesApi: { url: 'https://a' } }] }",
                false,
            ),
        ] {
            let config = config(text);
            let spec = pod(&source(&config)).unwrap();
            assert_eq!(spec["automountServiceAccountToken"], expected, "{text}");
        }
    }

    fn config(text: &str) -> AgentConfig {
        let text = text.replace("SERVICE_ACCOUNT", SERVICE_ACCOUNT);
        let source = config::Source {
            file: None,
            text: &text,
        };
        let draft = config::load(source, &Environment::new(), config::AGENT_VARIABLES);
        draft.check(|_| Ok(())).unwrap().config
    }

    fn source(config: &AgentConfig) -> Source<'_> {
        Source {
            config,
            text: "",
            namespace: "any",
            image: "any",
        }
    }
}
