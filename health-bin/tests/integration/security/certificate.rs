//! Agents that come in by a client certificate.

use std::path::Path;

use tempfile::TempDir;

use super::PATIENCE;
use super::peer::Authority;
use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::run_to_end;

/// What the agent says about itself is only its name: the certificate tells the workspace.
#[tokio::test]
async fn pitfall_41_the_client_certificate_has_an_effect() {
    let (folder, authority) = (TempDir::new().expect("a folder"), Authority::new());
    for (name, common_name) in [("hub", "hub"), ("agent", "root:org/edge-1")] {
        let (certificate, key) = authority.sign(common_name, false);
        write(&folder, &format!("{name}.crt"), &certificate);
        write(&folder, &format!("{name}.key"), &key);
    }
    write(&folder, "ca.crt", &authority.pem);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let tls = format!(
        "certFile: {}, keyFile: {}, clientCaFile: {}",
        at("hub.crt"),
        at("hub.key"),
        at("ca.crt")
    );
    let hub = format!(
        "server: {{ bind: '127.0.0.1:0', tls: {{ {tls} }} }}\nops: {{ bind: '127.0.0.1:0' }}\n"
    );
    let hub = Program::start("hub", &hub, &[]);
    let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
    let agent = |certificate: &str| {
        format!(
            "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0' }}
heartbeat:
  websocket: {{ url: 'wss://localhost:{}/tunnel', caFile: {}{certificate} }}
",
            tunnels.port(),
            at("ca.crt")
        )
    };
    let stranger = Program::start("run", &agent(""), &[]);
    stranger.logged("401 Unauthorized", PATIENCE).await;

    let pair = format!(
        ", certFile: {}, keyFile: {}",
        at("agent.crt"),
        at("agent.key")
    );
    let _agent = Program::start("run", &agent(&pair), &[]);
    eventually(
        "it is Alive by its certificate's name",
        PATIENCE,
        || async {
            let shown = get(ops, "/fleet/root:org/edge-1", &[]).await?;
            (shown.status == 200 && shown.json()["verdict"] == "Alive").then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn half_a_client_certificate_is_refused_and_so_is_one_without_tls() {
    let folder = TempDir::new().expect("a folder");
    for (url, certificate, what) in [
        (
            "wss://hub/tunnel",
            "certFile: FILE",
            "certFile: give its keyFile too",
        ),
        (
            "wss://hub/tunnel",
            "keyFile: FILE",
            "keyFile: give its certFile too",
        ),
        (
            "ws://hub/tunnel",
            "certFile: FILE, keyFile: FILE",
            "certFile: is shown over TLS only: begin the url with wss://",
        ),
    ] {
        let file = write(&folder, "file", "any");
        let certificate = certificate.replace("FILE", &file);
        let config = format!(
            "syncTarget: {{ name: a }}\nheartbeat: {{ websocket: {{ url: '{url}', {certificate} }} }}\n"
        );
        let config = write(&folder, "agent.yaml", &config);
        let (code, _, err) = run_to_end(&["config", "check", "--config", &config], &[]).await;
        assert_eq!(code, 2, "{err}");
        assert!(
            err.contains(&format!("heartbeat.websocket.{what}")),
            "{err}"
        );
    }
}

fn write(folder: &TempDir, name: &str, content: &str) -> String {
    let path: &Path = folder.path();
    let path = path.join(name);
    std::fs::write(&path, content).expect("it can be written");
    path.display().to_string()
}
