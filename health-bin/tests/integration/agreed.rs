//! What `config check` lets pass starts: both find the same, each with its key and place.

use std::path::Path;

use tempfile::TempDir;

use crate::support::Authority;
use crate::support::run_to_end;

/// Each configuration and the keys of what is wrong with it, in the order in which they are told.
const AGENT: &[(&str, &[&str])] = &[
    (
        "push: { enabled: true, tokenFile: DIR/empty }",
        &["push.tokenFile"],
    ),
    ("push: { tokenFile: DIR/binary }", &["push.tokenFile"]),
    ("push: { tokenFile: DIR }", &["push.tokenFile"]),
    (
        "heartbeat: { websocket: { url: 'wss://alice:s3cr3t@hub/tunnel' } }",
        &["heartbeat.websocket.url"],
    ),
    (
        "heartbeat: { websocket: { url: 'https://alice:s3cr3t@hub/tunnel' } }",
        &["heartbeat.websocket.url"],
    ),
    (
        "heartbeat: { websocket: { url: 'wss://hub:0/' } }",
        &["heartbeat.websocket.url"],
    ),
    (
        "heartbeat: { websocket: { url: 'wss://a..b/' } }",
        &["heartbeat.websocket.url"],
    ),
    // It would travel in the clear.
    (
        "heartbeat: { websocket: { url: 'ws://hub/', tokenFile: DIR/token } }",
        &["heartbeat.websocket.url"],
    ),
    (
        "heartbeat: { websocket: { url: 'ws://127.0.0.1:1/', tokenFile: DIR/lines, caFile: DIR/token } }",
        &[
            "heartbeat.websocket.tokenFile",
            "heartbeat.websocket.caFile",
        ],
    ),
    // Everything at once, though the URL is wrong too.
    (
        "syncTarget: { name: \"edge\\n1\" }\n\
         heartbeat: { lease: { enabled: false }, websocket: { url: 'wss://', tokenFile: DIR/empty, \
         caFile: DIR/token, certFile: DIR/token, keyFile: DIR/cert } }",
        &[
            "syncTarget.name",
            "heartbeat.websocket.url",
            "heartbeat.websocket.tokenFile",
            "heartbeat.websocket.caFile",
            "heartbeat.websocket.certFile",
            "heartbeat.websocket.keyFile",
        ],
    ),
    // Another's key.
    (
        "heartbeat: { websocket: { url: 'wss://hub/', caFile: DIR/ca, certFile: DIR/cert, keyFile: DIR/other-key } }",
        &["heartbeat.websocket.certFile"],
    ),
    ("cluster: { kubeconfig: DIR/none }", &["cluster.kubeconfig"]),
    (
        "cluster: { kubeconfig: DIR/empty }",
        &["cluster.kubeconfig"],
    ),
    (
        "cluster: { kubeconfig: DIR/lines }",
        &["cluster.kubeconfig"],
    ),
    (
        "cluster: { kubeconfig: DIR/kubeconfig, context: nobody }",
        &["cluster.context"],
    ),
    (
        "cluster: { kubeconfig: DIR/kubeconfig, inCluster: true }",
        &["cluster.inCluster"],
    ),
    ("cluster: { inCluster: true }", &["cluster.inCluster"]),
    (
        "cluster: { inCluster: true }\nsyncTarget: { workspace: root }",
        &["cluster.inCluster"],
    ),
    (
        "cluster: { kubeconfig: DIR/kubeconfig }\nsyncTarget: { workspace: root:other }",
        &["syncTarget.workspace"],
    ),
    (
        "cluster: { kubeconfig: DIR/kubeconfig, context: base }\nsyncTarget: { workspace: a b }",
        &["syncTarget.workspace"],
    ),
    (
        "cluster: { kubeconfig: DIR/kubeconfig }\n\
         heartbeat: { lease: { namespace: Bad_NS, name: Bad_Name } }",
        &["heartbeat.lease.namespace", "heartbeat.lease.name"],
    ),
    (
        "syncTarget: { name: Edge_1 }\ncluster: { kubeconfig: DIR/kubeconfig }",
        &["syncTarget.name"],
    ),
];

/// The same of a hub.
const HUB: &[(&str, &[&str])] = &[
    (
        "server: { tls: { certFile: DIR/token, keyFile: DIR/cert, clientCaFile: DIR/empty } }",
        &[
            "server.tls.certFile",
            "server.tls.keyFile",
            "server.tls.clientCaFile",
        ],
    ),
    (
        "server: { tls: { certFile: DIR/none, keyFile: DIR } }",
        &["server.tls.certFile", "server.tls.keyFile"],
    ),
    (
        "server: { tls: { certFile: DIR/cert, keyFile: DIR/other-key } }",
        &["server.tls"],
    ),
    ("server: { tls: { certFile: DIR/cert } }", &["server.tls"]),
    (
        "server: { tls: { clientCaFile: DIR/ca } }",
        &["server.tls.clientCaFile"],
    ),
    ("auth: { tokenFile: DIR/token }", &["auth.tokenFile"]),
    ("auth: { tokenFile: DIR/none }", &["auth.tokenFile"]),
    ("ops: { tokenFile: DIR/empty }", &["ops.tokenFile"]),
    (
        "server: { bind: '127.0.0.1:1' }\nops: { bind: '127.0.0.1:1' }",
        &["ops.bind"],
    ),
    (
        "cluster: { enabled: true, kubeconfig: DIR/kubeconfig, namespace: Bad_NS, \
         leaderLease: { enabled: true, name: Bad_Name } }",
        &["cluster.namespace", "cluster.leaderLease.name"],
    ),
    (
        "cluster: { enabled: true, kubeconfig: DIR/kubeconfig, namespace: Bad_NS }",
        &["cluster.namespace"],
    ),
    (
        "cluster: { enabled: true, kubeconfig: DIR/kubeconfig, context: nobody }",
        &["cluster.context"],
    ),
    (
        "cluster: { enabled: true, kubeconfig: DIR/kubeconfig, context: base, \
         workspaces: ['root:a', 'root:b?', root/c, 'root:a'] }",
        &[
            "cluster.workspaces[1]",
            "cluster.workspaces[2]",
            "cluster.workspaces[3]",
        ],
    ),
    (
        "cluster: { enabled: true, kubeconfig: DIR/kubeconfig, workspaces: [root, 'root:a'] }",
        &["cluster.workspaces[1]"],
    ),
    (
        "cluster: { enabled: true, kubeconfig: DIR/kubeconfig, inCluster: true, workspaces: [a] }",
        &["cluster.inCluster"],
    ),
    (
        "cluster: { enabled: true, inCluster: true, workspaces: [a, b] }",
        &["cluster.inCluster"],
    ),
    (
        "cluster: { enabled: true, inCluster: true, context: base }",
        &["cluster.inCluster"],
    ),
    ("cluster: { enabled: true }", &["cluster.enabled"]),
    // All of it as one list.
    (
        "server: { tls: { certFile: DIR/cert, keyFile: DIR/token } }\n\
         ops: { tokenFile: DIR/empty }\n\
         auth: { tokenFile: DIR/lines }\n\
         cluster: { enabled: true, kubeconfig: DIR/lines, namespace: '', \
         leaderLease: { enabled: true, name: '' } }",
        &[
            "server.tls.keyFile",
            "ops.tokenFile",
            "auth.tokenFile",
            "cluster.kubeconfig",
            "cluster.namespace",
            "cluster.leaderLease.name",
        ],
    ),
];

/// Goal: nobody learns at the start what `config check` could have told. Method: a mistake of each
/// kind, and both must say the same, with the key that is wrong and where it stands.
#[tokio::test]
async fn what_an_agent_s_start_refuses_a_check_refuses_with_the_same_words() {
    let files = files();
    for (text, keys) in AGENT {
        agree(&files, "run", text, keys).await;
    }
}

#[tokio::test]
async fn what_a_hub_s_start_refuses_a_check_refuses_with_the_same_words() {
    let files = files();
    for (text, keys) in HUB {
        agree(&files, "hub", text, keys).await;
    }
}

/// Nothing of it is called or run, so nothing of it need answer.
#[tokio::test]
async fn files_that_hold_what_they_should_pass_a_check() {
    let files = files();
    let agent = "
push: { enabled: true, tokenFile: DIR/token }
syncTarget: { name: edge-1, workspace: root:org }
cluster: { kubeconfig: DIR/kubeconfig, context: program }
heartbeat: { websocket: { url: 'wss://nowhere.invalid/', tokenFile: DIR/token, caFile: DIR/ca, certFile: DIR/cert, keyFile: DIR/key } }
";
    let hub = "
server: { tls: { certFile: DIR/cert, keyFile: DIR/key, clientCaFile: DIR/ca } }
ops: { tokenFile: DIR/token }
auth: { tokenFile: DIR/tokens, tokenReview: true }
cluster: { enabled: true, kubeconfig: DIR/kubeconfig, context: base, workspaces: ['root:a', 'root:b'], leaderLease: { enabled: true } }
";
    for (flag, text) in [("--config", agent), ("--hub", hub)] {
        let file = write(files.path(), text);
        let args = match flag {
            "--hub" => &["config", "check", "--hub", &file][..],
            _ => &["config", "check", &file],
        };
        let (code, _, told) = run_to_end(args, ENVIRONMENT).await;
        assert_eq!((code, told.as_str()), (0, ""), "{text}");
    }
}

const ENVIRONMENT: &[(&str, &str)] = &[
    ("SYNCER_HEALTH_SERVER_BIND", "127.0.0.1:0"),
    ("SYNCER_HEALTH_HUB_LIMITS_CONNECTIONS", "10"),
];

async fn agree(files: &TempDir, program: &str, text: &str, keys: &[&str]) {
    let text = match (program, text.contains("syncTarget")) {
        ("run", false) => format!("syncTarget: {{ name: edge-1 }}\n{text}"),
        ("run", true) => text.replace("syncTarget: { w", "syncTarget: { name: edge-1, w"),
        _ if text.contains("server: { bind") => text.to_owned(),
        _ if text.contains("server: {") => {
            text.replace("server: {", "server: { bind: '127.0.0.1:0',")
        }
        _ => format!("server: {{ bind: '127.0.0.1:0' }}\n{text}"),
    };
    let file = write(files.path(), &text);
    let check = match program {
        "hub" => &["config", "check", "--hub", &file][..],
        _ => &["config", "check", &file],
    };
    let start = [program, "--config", &file];
    let (checked, started) = tokio::join!(
        run_to_end(check, ENVIRONMENT),
        run_to_end(&start, ENVIRONMENT)
    );
    let told = checked.2;
    assert_eq!(checked.0, 2, "{text}: {told}");
    assert_eq!((started.0, &started.2), (2, &told), "{text}");
    let place = format!("{file}:");
    let found = told.lines().map(|line| {
        let rest = line
            .strip_prefix(&place)
            .unwrap_or_else(|| panic!("{text}: {line}"));
        rest.split(": ").nth(1).unwrap_or_default()
    });
    assert_eq!(found.collect::<Vec<_>>(), keys, "{text}: {told}");
    assert!(!told.contains("s3cr3t"), "{told}");
}

fn write(folder: &Path, text: &str) -> String {
    let file = folder.join("config.yaml");
    let text = text.replace("DIR", folder.to_str().expect("a path in UTF-8"));
    std::fs::write(&file, text).expect("it can be written");
    file.to_str().expect("a path in UTF-8").to_owned()
}

/// What is right and what is not, by name.
fn files() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let authority = Authority::new("it");
    let ((cert, key), (_, other_key)) = (authority.issue(), authority.issue());
    let kubeconfig = "
apiVersion: v1
kind: Config
clusters:
  - { name: root, cluster: { server: 'https://nowhere.invalid/clusters/root' } }
  - { name: base, cluster: { server: 'https://nowhere.invalid' } }
users:
  - { name: it, user: { token: s3cr3t } }
  - { name: program, user: { exec: { apiVersion: client.authentication.k8s.io/v1, command: /bin/false, interactiveMode: Never } } }
contexts:
  - { name: root, context: { cluster: root, user: it } }
  - { name: base, context: { cluster: base, user: it } }
  - { name: program, context: { cluster: base, user: program } }
current-context: root
";
    for (name, content) in [
        ("empty", &b" \n"[..]),
        ("binary", b"\xff\xfe\xfd"),
        ("lines", b"s3cr3t: [\nmore\n"),
        ("token", b"s3cr3t\n"),
        ("tokens", b"\"root:org/edge-1\": s3cr3t\n"),
        ("ca", authority.pem().as_bytes()),
        ("cert", cert.as_bytes()),
        ("key", key.as_bytes()),
        ("other-key", other_key.as_bytes()),
        ("kubeconfig", kubeconfig.as_bytes()),
    ] {
        std::fs::write(folder.path().join(name), content).expect("it can be written");
    }
    folder
}
