//! The commands of `deploy/README.md`, in its order, on a real API server.

use serde_json::Value;

use super::AGENTS;
use super::BASE;
use super::HUBS;
use super::server::Server;
use super::server::kubectl;
use super::template;
use super::tree;
use crate::support::Shell;
use crate::support::blocks;
use crate::support::run_to_end;

/// What a user has at hand when he types the commands.
const AT_HAND: [&str; 4] = ["kubeconfig", "token", "ca.crt", "tokens.yaml"];

#[tokio::test]
#[ignore = "needs an API server: cargo xtask integration"]
async fn the_readmes_commands_bring_pods_with_every_secret_that_they_mount() {
    let server = Server::start().await;
    let shell = prepare(&server);
    for command in commands() {
        // What makes the image is held to the tree below.
        if !command.starts_with("docker ") {
            let done = shell.run(&command).await;
            assert_eq!(done.code, 0, "{command}: {}", done.shown);
        }
    }
    for (namespace, deployment) in [
        ("syncer-health", "syncer-health-agent"),
        ("syncer-health", "syncer-health-hub"),
        ("syncer-system", "api-syncagent"),
    ] {
        let path = format!("/apis/apps/v1/namespaces/{namespace}/deployments/{deployment}");
        let answer = server.read(&path).await;
        assert_eq!(answer.status, 200, "{deployment}: {answer:?}");
        let volumes = template(&answer.object)["volumes"].as_array();
        let own = volumes.expect("volumes").iter().filter(|volume| {
            let name = volume["name"].as_str().unwrap_or_default();
            name.starts_with("syncer-health-")
        });
        let mut count = 0;
        for volume in own {
            assert_there(&server, namespace, volume).await;
            count += 1;
        }
        assert!(count >= 3, "{deployment} mounts {count} volumes of ours");
    }
    let crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/synctargets.workload.kcp.io";
    assert_eq!(server.read(crd).await.status, 200);
    for role in ["syncer-health-edge-1", "syncer-health-hub"] {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{role}");
        assert_eq!(server.read(&path).await.status, 200, "{role}");
    }
}

#[tokio::test]
async fn the_readme_makes_the_image_that_the_manifests_run() {
    let docker: Vec<_> = commands()
        .into_iter()
        .filter(|it| it.starts_with("docker "))
        .collect();
    let [build] = docker.as_slice() else {
        panic!("one command makes the image: {docker:?}");
    };
    let words: Vec<_> = build.split_whitespace().collect();
    let [
        "docker",
        "build",
        "-f",
        "deploy/Dockerfile",
        "-t",
        image,
        ".",
    ] = words.as_slice()
    else {
        panic!("{build}");
    };
    assert!(tree::file("Dockerfile").is_file());
    assert_eq!(
        *image,
        format!("syncer-health:{}", env!("CARGO_PKG_VERSION"))
    );
    let config = tree::file(AGENTS[0]);
    let config = config.to_str().expect("a path in UTF-8");
    let (_, out, _) = run_to_end(&["manifests", "agent", "--config", config], &[]).await;
    let mut all = tree::parse(&out);
    all.extend(tree::objects(BASE));
    all.extend(tree::objects("kustomize/components/sidecar/container.yaml"));
    all.extend(tree::objects(HUBS));
    let deployments = all.iter().filter(|it| it["kind"] == "Deployment");
    let images = deployments.map(|it| &template(it)["containers"][0]["image"]);
    assert_eq!(images.collect::<Vec<_>>(), [image; 4]);
}

/// The commands of the README.
fn commands() -> Vec<String> {
    let blocks = blocks("deploy/README.md").into_iter();
    let commands = blocks.filter(|block| block.language == "sh");
    commands.flat_map(|block| block.commands()).collect()
}

/// A shell in a folder with what a user has, where `kubectl` and `syncer-health` are found.
fn prepare(server: &Server) -> Shell {
    let mut shell = Shell::new();
    shell.link("bin/kubectl", kubectl());
    shell.link("deploy", tree::file("."));
    for name in AT_HAND {
        shell.write(name, "any\n");
    }
    // kubectl looks whether a pair is one.
    let kubeconfig = server.kubeconfig();
    let folder = kubeconfig.parent().expect("it is in a folder");
    for name in ["tls.crt", "tls.key"] {
        std::fs::copy(folder.join(name), shell.path(name)).expect("a copy");
    }
    std::fs::copy(tree::file(AGENTS[0]), shell.path("agent.yaml")).expect("a copy");
    shell.set("KUBECONFIG", kubeconfig.to_str().expect("a path in UTF-8"));
    shell
}

/// That a volume's ConfigMap or Secret is there, with the keys that it takes.
async fn assert_there(server: &Server, namespace: &str, volume: &Value) {
    let (kind, name) = match volume["secret"]["secretName"].as_str() {
        Some(secret) => ("secrets", secret),
        None => {
            let map = volume["configMap"]["name"].as_str();
            ("configmaps", map.expect("a Secret or a ConfigMap"))
        }
    };
    let path = format!("/api/v1/namespaces/{namespace}/{kind}/{name}");
    let answer = server.read(&path).await;
    assert_eq!(answer.status, 200, "{namespace}: {volume}");
    for item in volume["secret"]["items"].as_array().into_iter().flatten() {
        let key = item["key"].as_str().expect("a key");
        assert!(
            answer.object["data"][key].is_string(),
            "{name} has no {key}"
        );
    }
}
