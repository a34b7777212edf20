use super::*;
use crate::LeaseTransport;
use health_heartbeat::HeartbeatTransport as _;
use health_heartbeat::Identity;
use std::io::Write as _;
use tempfile::NamedTempFile;
use tokio::io::AsyncReadExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

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
    for (config, (key, says)) in [
        (
            ClusterConfig {
                in_cluster: true,
                ..config("root:a")
            },
            (ClusterKey::InCluster, "a workspace"),
        ),
        (
            ClusterConfig {
                in_cluster: true,
                kubeconfig: "/x".to_owned(),
                ..config("")
            },
            (ClusterKey::InCluster, "cluster.kubeconfig"),
        ),
        (
            ClusterConfig {
                in_cluster: true,
                ..config("")
            },
            (ClusterKey::InCluster, "not a pod"),
        ),
        (
            ClusterConfig {
                context: "c".to_owned(),
                ..config("")
            },
            (ClusterKey::Context, "cluster.kubeconfig"),
        ),
        (
            ClusterConfig {
                kubeconfig: "/nowhere/kubeconfig".to_owned(),
                ..config("")
            },
            (ClusterKey::Kubeconfig, "/nowhere/kubeconfig"),
        ),
    ] {
        let error = config.connect(None, SECOND).await.unwrap_err();
        assert_eq!(error.key(), key, "{error}");
        let shown = error.to_string();
        assert!(shown.starts_with(&key.to_string()), "{shown}");
        assert!(shown.contains(says), "{shown}");
        let checked = config.check(None).await.unwrap_err();
        assert_eq!(checked.to_string(), shown);
    }
}

#[tokio::test]
async fn a_check_makes_all_that_a_client_needs_and_runs_no_program() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    let told = async |text: &str| {
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, text).unwrap();
        let config = ClusterConfig {
            kubeconfig: path.display().to_string(),
            ..config("")
        };
        let key = |error: ClusterError| {
            let shown = crate::exchange::chain(&error);
            assert!(!shown.contains("s3cr3t"), "{shown}");
            error.key()
        };
        let connected = config.connect(None, SECOND).await.map(|it| it.is_some());
        (
            config.check(None).await.map_err(key),
            connected.map_err(key),
        )
    };
    let wrong = (Err(ClusterKey::Kubeconfig), Err(ClusterKey::Kubeconfig));
    assert_eq!(told(KUBECONFIG).await, (Ok(true), Ok(true)));
    for (from, to) in [
        ("token: secret", "tokenFile: /nowhere/token"),
        ("token: secret", "client-certificate-data: czNjcjN0"),
        ("token: secret", "token: [s3cr3t"),
        ("server: ", "certificate-authority-data: czNjcjN0, server: "),
        ("server: ", "tls-server-name: 'a b', server: "),
        ("https://", "no url "),
        ("current-context: root", ""),
        ("current-context: root", "current-context: s"),
    ] {
        assert_eq!(told(&KUBECONFIG.replace(from, to)).await, wrong, "{to}");
    }
    let program = "exec: { apiVersion: client.authentication.k8s.io/v1, command: /bin/false, \
                   interactiveMode: Never }";
    let (checked, connected) = told(&KUBECONFIG.replace("token: secret", program)).await;
    assert_eq!(
        (checked, connected),
        (Ok(true), Err(ClusterKey::Kubeconfig))
    );
}

#[tokio::test]
async fn a_kubeconfig_gives_a_client_by_path_and_by_variable() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut file = NamedTempFile::new().unwrap();
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
    let error = wrong.connect(None, SECOND).await.unwrap_err();
    assert_eq!(error.key(), ClusterKey::Context);
    assert!(error.to_string().contains("\"other\""), "{error}");
}

/// kcp's admin token is another one after each start.
#[tokio::test]
async fn a_token_that_was_replaced_is_used_after_the_old_one_was_refused() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let write = |file: &NamedTempFile, token: &str| {
        let text = KUBECONFIG.replace("secret", token);
        let text = text.replace("https://kcp.example:6443", &format!("http://{address}"));
        std::fs::write(file.path(), text).unwrap();
    };
    let file = NamedTempFile::new().unwrap();
    write(&file, "old");
    let config = ClusterConfig {
        kubeconfig: file.path().display().to_string(),
        ..config("")
    };
    let cluster = config.connect(None, SECOND).await.unwrap().unwrap();
    let lease = crate::LeaseConfig::new("default", "", "edge-1").unwrap();
    let identity = Identity {
        slot: "alice".into(),
        incarnation: "1".into(),
    };
    let mut transport = LeaseTransport::new(cluster, &lease, "edge-1", &identity, 7);
    tokio::spawn(serve_the_new(server));
    let mut beat = async || {
        let by = crate::api::now() + SECOND * 10;
        let beat = transport
            .beat(&crate::testing::heartbeat(&identity, 1), by)
            .await;
        beat.map_err(|error| error.chain())
    };
    let refused = beat().await.unwrap_err();
    assert!(refused.contains("HTTP 401"), "{refused}");
    assert!(beat().await.is_err(), "nothing has changed");
    // As somebody sees it who reads it while it is written.
    std::fs::write(file.path(), "clusters: [").unwrap();
    assert_eq!(beat().await.unwrap_err(), refused, "the last good stays");
    write(&file, "new");
    assert!(beat().await.is_ok());
}

#[test]
fn what_a_server_is_verified_by_is_named_as_the_kubeconfig_has_it() {
    for (cluster, expected) in [
        (
            "certificate-authority: /etc/ca.crt",
            "certificate-authority /etc/ca.crt",
        ),
        (
            "certificate-authority: /etc/ca.crt, certificate-authority-data: AA==",
            "certificate-authority-data of /k",
        ),
        ("certificate-authority-data: ''", "the system's authorities"),
    ] {
        let text = KUBECONFIG.replace("server: \"https://kcp.example:6443\"", cluster);
        let kubeconfig = Kubeconfig::from_yaml(&text).unwrap();
        let path = Path::new("/k");
        assert_eq!(source::trusted(&kubeconfig, "base", path), expected);
        let current = source::trusted(&kubeconfig, "", path);
        assert_eq!(current, "the system's authorities", "its context is root");
    }
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

/// An API server that knows the token `new` only, and one Lease that nobody holds.
async fn serve_the_new(listener: TcpListener) {
    while let Ok((mut socket, _)) = listener.accept().await {
        let mut head = vec![0; 16 * 1024];
        let length = socket.read(&mut head).await.unwrap_or_default();
        let head = String::from_utf8_lossy(&head[..length]).to_lowercase();
        let (status, body) = if head.contains("authorization: bearer new\r\n") {
            (
                "200 OK",
                r#"{"metadata":{"resourceVersion":"1"},"spec":{}}"#,
            )
        } else {
            ("401 Unauthorized", r#"{"message":"Unauthorized"}"#)
        };
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        let _ = socket.write_all(answer.as_bytes()).await;
    }
}
