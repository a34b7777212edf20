//! The manifests in `deploy/`: they say what the program says, a real API server takes them, and
//! the commands of their README work.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;

use crate::support::Authority;
use crate::support::Program;
use crate::support::get;
use crate::support::run_to_end;

mod live;

mod readme;

mod server;

mod tree;

pub(crate) use server::kubectl;
use tree::file;
use tree::objects;
use tree::only;

/// Where the manifests mount what the configurations name.
const MOUNTED: &str = "/etc/syncer-health";

/// The overlays with an agent and their configuration.
const AGENTS: [&str; 2] = [
    "kustomize/overlays/standalone/agent.yaml",
    "kustomize/overlays/sidecar/agent.yaml",
];

const HUB: &str = "kustomize/overlays/hub/hub.yaml";

/// The agent's Deployment.
const BASE: &str = "kustomize/base/agent/deployment.yaml";

/// The hubs' Deployment.
const HUBS: &str = "kustomize/overlays/hub/deployment.yaml";

#[tokio::test]
async fn the_base_is_what_manifests_agent_prints() {
    for config in AGENTS {
        let printed = printed("agent", config).await;
        for (kind, path) in [
            ("ServiceAccount", "kustomize/base/agent/serviceaccount.yaml"),
            ("Deployment", BASE),
        ] {
            let mut printed = only(&printed, kind);
            let namespace = printed["metadata"]["namespace"].take();
            assert_eq!(namespace, "syncer-health", "{printed}");
            let mut kept = only(&objects(path), kind);
            kept["metadata"]["namespace"] = Value::Null;
            assert_eq!(printed, kept, "{config} and {path}");
        }
        let map = only(&printed, "ConfigMap");
        let text = std::fs::read_to_string(file(config)).expect("it can be read");
        assert_eq!(map["data"]["agent.yaml"], text);
        assert_eq!(printed.len(), 3, "its rights are for another server");
    }
}

#[test]
fn the_sidecar_is_the_container_of_the_base() {
    let base = only(&objects(BASE), "Deployment");
    let sidecar = only(
        &objects("kustomize/components/sidecar/container.yaml"),
        "Deployment",
    );
    let (base, sidecar) = (template(&base), template(&sidecar));
    for part in ["containers", "volumes"] {
        assert!(base[part].is_array(), "{base}");
        assert_eq!(base[part], sidecar[part], "{part}");
    }
    let more: Vec<_> = sidecar.as_object().expect("an object").keys().collect();
    assert_eq!(more, ["containers", "volumes"], "the pod is the syncer's");
}

#[tokio::test]
async fn the_rights_in_the_tree_are_the_printed_ones() {
    for (what, config, path) in [
        ("rbac", AGENTS[0], "kustomize/rbac/agent"),
        ("rbac", AGENTS[1], "kustomize/rbac/agent"),
        ("hub", HUB, "kustomize/rbac/hub"),
    ] {
        let printed = printed(what, config).await;
        let kept = objects(&format!("{path}/roles.yaml"));
        assert_eq!(printed, kept, "manifests {what} --config deploy/{config}");
        // And each is given to somebody.
        let bindings = objects(&format!("{path}/bindings.yaml"));
        let given = bindings.iter().filter(|it| it["roleRef"].is_object());
        let given: Vec<_> = given
            .map(|it| {
                (
                    &it["roleRef"]["kind"],
                    &it["roleRef"]["name"],
                    &it["metadata"],
                )
            })
            .collect();
        let roles: Vec<_> = kept
            .iter()
            .map(|it| (&it["kind"], &it["metadata"]["name"], &it["metadata"]))
            .collect();
        assert_eq!(given, roles, "{path}");
    }
}

#[tokio::test]
async fn each_configuration_is_right_where_its_secrets_are_mounted() {
    for (config, deployment) in [(AGENTS[0], BASE), (AGENTS[1], BASE), (HUB, HUBS)] {
        let deployment = only(&objects(deployment), "Deployment");
        let text = std::fs::read_to_string(file(config)).expect("it can be read");
        let place = mounted(&deployment, &text);
        let root = place.path().to_str().expect("a path in UTF-8");
        let args = &template(&deployment)["containers"][0]["args"];
        let (command, path) = (&args[0], args[2].as_str().expect("a path"));
        let path = path.replace(MOUNTED, root);
        let mut check = vec!["config", "check", "--config", &path];
        if command == "hub" {
            check.push("--hub");
        }
        let (code, out, err) = run_to_end(&check, &[]).await;
        assert_eq!(code, 0, "{config}: {err}");
        assert_eq!(out.trim(), "the configuration is right");
        assert_eq!(err, "", "{config}");

        // Without a Secret's file it is wrong, so the files are looked for.
        let files = text.split(['"', ' ', '\n', ',', '}']);
        let mut files = files.filter(|word| word.starts_with(MOUNTED));
        let gone = files
            .next()
            .expect("it names a file")
            .replace(MOUNTED, root);
        std::fs::remove_file(&gone).expect("it was mounted");
        let (code, _, err) = run_to_end(&check, &[]).await;
        assert_eq!(code, 2, "{config}: {err}");
        assert!(err.contains(&gone), "{err}");
    }
}

#[tokio::test]
async fn each_probe_is_one_that_the_program_answers() {
    let agent = Program::start("run", "server: { bind: '127.0.0.1:0' }", &[]);
    let config = "server: { bind: '127.0.0.1:0' }\nops: { bind: '127.0.0.1:0' }\n";
    let hub = Program::start("hub", config, &[]);
    for (deployment, address) in [
        (BASE, agent.address("address").await),
        (HUBS, hub.address("ops").await),
    ] {
        let deployment = only(&objects(deployment), "Deployment");
        let container = &template(&deployment)["containers"][0];
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let path = &container[probe]["httpGet"]["path"];
            let path = path
                .as_str()
                .unwrap_or_else(|| panic!("{probe}: {container}"));
            let answer = get(address, path, &[]).await.expect("an answer");
            assert!([200, 503].contains(&answer.status), "{path}: {answer:?}");
        }
    }
    assert_eq!(
        get(hub.address("ops").await, "/none", &[])
            .await
            .unwrap()
            .status,
        404
    );
}

#[test]
fn the_hubs_ports_are_those_that_its_configuration_binds() {
    let text = std::fs::read_to_string(file(HUB)).expect("it can be read");
    let config: Value = serde_saphyr::from_str(&text).expect("it is YAML");
    let deployment = only(&objects(HUBS), "Deployment");
    let ports = &template(&deployment)["containers"][0]["ports"];
    let service = only(&objects("kustomize/overlays/hub/service.yaml"), "Service");
    for (number, (name, key)) in [("tunnels", "server"), ("ops", "ops")]
        .into_iter()
        .enumerate()
    {
        let bind = config[key]["bind"].as_str().expect("an address");
        let bind: SocketAddr = bind.parse().expect("an address");
        assert!(bind.ip().is_unspecified(), "{bind}");
        let port = &ports[number];
        assert_eq!(port["name"], name);
        assert_eq!(port["containerPort"], bind.port());
        let port = &service["spec"]["ports"][number];
        assert_eq!(
            (&port["name"], &port["targetPort"]),
            (&json!(name), &json!(name))
        );
        assert_eq!(port["port"], bind.port());
    }
}

#[tokio::test]
async fn rights_are_printed_where_the_files_of_the_configuration_are_not() {
    for (what, config) in [("rbac", AGENTS[0]), ("agent", AGENTS[0]), ("hub", HUB)] {
        let text = std::fs::read_to_string(file(config)).expect("it can be read");
        assert!(text.contains(MOUNTED) && !std::path::Path::new(MOUNTED).exists());
        assert!(!printed(what, config).await.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn an_agent_of_its_own_cluster_is_printed_with_its_rights() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = in_cluster(&folder);
    let more = ["--namespace", "edge", "--image", "i:1"];
    let printed = printed_agent(&path, &more).await;
    let deployment = only(&printed, "Deployment");
    let pod = template(&deployment);
    assert_eq!(pod["automountServiceAccountToken"], true, "{pod}");
    assert_eq!(pod["containers"][0]["image"], "i:1", "{pod}");
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        let subject = &only(&printed, kind)["subjects"][0];
        assert_eq!(subject["name"], pod["serviceAccountName"], "{subject}");
        assert_eq!(subject["namespace"], "edge", "{subject}");
    }
    let roles = printed.iter().filter(|it| it["rules"].is_array()).cloned();
    let (code, rbac, err) = run_to_end(&["manifests", "rbac", "--config", &path], &[]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(roles.collect::<Vec<_>>(), tree::parse(&rbac));
}

/// The configuration of an agent whose control plane is its own cluster, written into `folder`.
fn in_cluster(folder: &TempDir) -> String {
    let path = folder.path().join("agent.yaml");
    let config = "syncTarget: { name: edge-1 }\ncluster: { inCluster: true }\n";
    std::fs::write(&path, config).expect("it can be written");
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// What `manifests agent` prints for the configuration at `path`.
async fn printed_agent(path: &str, more: &[&str]) -> Vec<Value> {
    let args = [&["manifests", "agent", "--config", path], more].concat();
    let (code, out, err) = run_to_end(&args, &[]).await;
    assert_eq!(code, 0, "{err}");
    tree::parse(&out)
}

/// What `manifests WHAT` prints for a configuration in `deploy/`.
async fn printed(what: &str, config: &str) -> Vec<Value> {
    let config = file(config);
    let config = config.to_str().expect("a path in UTF-8");
    let (code, out, err) = run_to_end(&["manifests", what, "--config", config], &[]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(err, "");
    tree::parse(&out)
}

/// The folder that a container of the Deployment sees at [`MOUNTED`], and nothing else in it: what
/// its Secrets bring, and the configuration with the paths that lead here.
fn mounted(deployment: &Value, text: &str) -> TempDir {
    let place = TempDir::new().expect("a temporary folder");
    let secrets = secrets();
    let root = place.path().to_str().expect("a path in UTF-8");
    let pod = template(deployment);
    let volumes = pod["volumes"].as_array().expect("volumes");
    let by_name: BTreeMap<_, _> = volumes
        .iter()
        .map(|volume| (volume["name"].as_str(), volume))
        .collect();
    let container = &pod["containers"][0];
    let args = container["args"].as_array().expect("arguments");
    let config = args[2].as_str().expect("a path");
    for mount in container["volumeMounts"].as_array().expect("mounts") {
        let at = mount["mountPath"].as_str().expect("a path");
        let here = at.replace(MOUNTED, root);
        std::fs::create_dir_all(&here).expect("a folder");
        let volume = by_name[&mount["name"].as_str()];
        if volume["configMap"].is_object() {
            let name = config.strip_prefix(at).expect("the configuration is in it");
            let text = text.replace(MOUNTED, root);
            std::fs::write(format!("{here}{name}"), text).expect("a file");
        }
        for item in volume["secret"]["items"].as_array().into_iter().flatten() {
            let name = item["path"].as_str().expect("a path");
            std::fs::write(format!("{here}/{name}"), &secrets[name]).expect("a file");
        }
    }
    place
}

/// What stands in the Secrets, by the files' names.
fn secrets() -> BTreeMap<&'static str, String> {
    let authority = Authority::new("hub");
    let (certificate, key) = authority.issue();
    let kubeconfig = "
clusters: [{ name: kcp, cluster: { server: 'https://kcp.example.com:6443' } }]
users: [{ name: agent, user: { token: any } }]
contexts: [{ name: kcp, context: { cluster: kcp, user: agent } }]
current-context: kcp
";
    BTreeMap::from([
        ("ca.crt", authority.pem()),
        ("kubeconfig", kubeconfig.to_owned()),
        ("tls.crt", certificate),
        ("tls.key", key),
        ("token", "any\n".to_owned()),
        ("tokens.yaml", "\"root:org:edge/edge-1\": any\n".to_owned()),
    ])
}

/// A Deployment's pod.
fn template(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]
}
