use super::*;
use std::io::Write as _;

#[test]
fn the_workspace_is_appended_unless_it_is_there() {
    for (server, workspace, expected) in [
        (
            "https://h:6443",
            "root:a",
            Some("https://h:6443/clusters/root:a"),
        ),
        (
            "https://h:6443/",
            "root:a",
            Some("https://h:6443/clusters/root:a"),
        ),
        ("https://h/p", "root:a", Some("https://h/p/clusters/root:a")),
        (
            "https://h/clusters/root:a",
            "root:a",
            Some("https://h/clusters/root:a"),
        ),
        (
            "https://h/clusters/root:a/",
            "root:a",
            Some("https://h/clusters/root:a"),
        ),
        ("https://h/clusters/root", "root:a", None),
        (
            "https://h/clusters/root",
            "",
            Some("https://h/clusters/root"),
        ),
        ("https://h", "", Some("https://h")),
        ("https://h", "a b", None),
        ("https://h", "a/b", None),
        ("https://h", "a?b", None),
    ] {
        let found = config(workspace).address(&server.parse().unwrap());
        assert_eq!(
            found.ok().map(|uri| shown(&uri)).as_deref(),
            expected,
            "{server} {workspace}"
        );
    }
}

#[test]
fn a_url_is_shown_without_its_secrets() {
    let uri = "https://user:secret@h:1/p?token=secret".parse().unwrap();
    assert_eq!(shown(&uri), "https://h:1/p");
}

#[tokio::test]
async fn nothing_configured_is_no_cluster() {
    assert!(config("").connect(None, SECOND).await.unwrap().is_none());
    let empty = Some(OsStr::new(""));
    assert!(config("").connect(empty, SECOND).await.unwrap().is_none());
}

#[tokio::test]
async fn contradictions_name_their_keys() {
    for (config, keys) in [
        (
            ClusterConfig {
                in_cluster: true,
                ..config("root:a")
            },
            ["cluster.inCluster", "syncTarget.workspace"],
        ),
        (
            ClusterConfig {
                in_cluster: true,
                kubeconfig: "/x".to_owned(),
                ..config("")
            },
            ["cluster.inCluster", "cluster.kubeconfig"],
        ),
        (
            ClusterConfig {
                context: "c".to_owned(),
                ..config("")
            },
            ["cluster.context", "cluster.kubeconfig"],
        ),
        (
            ClusterConfig {
                kubeconfig: "/nowhere/kubeconfig".to_owned(),
                ..config("")
            },
            ["cluster.kubeconfig", "/nowhere/kubeconfig"],
        ),
    ] {
        let error = config.connect(None, SECOND).await.unwrap_err().to_string();
        for key in keys {
            assert!(error.contains(key), "{error}");
        }
    }
}

#[tokio::test]
async fn a_kubeconfig_gives_a_client_by_path_and_by_variable() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(KUBECONFIG.as_bytes()).unwrap();
    let by_path = ClusterConfig {
        kubeconfig: file.path().display().to_string(),
        context: "base".to_owned(),
        ..config("root:org:edge")
    };
    let cluster = by_path.connect(None, SECOND).await.unwrap().unwrap();
    assert_eq!(
        cluster.server(),
        "https://kcp.example:6443/clusters/root:org:edge"
    );
    let by_env = config("");
    let cluster = by_env.connect(Some(file.path().as_os_str()), SECOND).await;
    assert_eq!(
        cluster.unwrap().unwrap().server(),
        "https://kcp.example:6443/clusters/root"
    );
    let wrong = ClusterConfig {
        context: "other".to_owned(),
        ..by_path
    };
    let error = wrong.connect(None, SECOND).await.unwrap_err().to_string();
    assert!(
        error.contains("cluster.context") && error.contains("\"other\""),
        "{error}"
    );
}

const SECOND: Duration = Duration::from_secs(1);

const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: root
clusters:
- { name: root, cluster: { server: "https://kcp.example:6443/clusters/root" } }
- { name: base, cluster: { server: "https://kcp.example:6443" } }
contexts:
- { name: root, context: { cluster: root, user: admin } }
- { name: base, context: { cluster: base, user: admin } }
users:
- { name: admin, user: { token: secret } }
"#;

fn config(workspace: &str) -> ClusterConfig {
    ClusterConfig {
        workspace: workspace.to_owned(),
        ..ClusterConfig::default()
    }
}
