//! A hub's file of tokens that changes while the hub runs, and who is heard of because of it.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;

use crate::fleet::agent;
use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// A hub with a file of tokens, and the token that an agent shows.
struct Site {
    folder: TempDir,
    hub: Program,
    tunnels: SocketAddr,
    ops: SocketAddr,
}

#[tokio::test]
async fn who_is_deleted_from_the_file_is_forgotten_though_nobody_dials() {
    let site = Site::start(&[("edge-1", "a"), ("edge-2", "b"), ("edge-3", "c")]).await;
    site.are_known(&["edge-1", "edge-2", "edge-3"]).await;
    site.tokens(&[("edge-1", "a"), ("edge-3", "c")]);
    site.hub.signal("HUP").await;
    site.hub
        .logged("auth.tokenFile: the files were", secs(5))
        .await;
    site.are_known(&["edge-1", "edge-3"]).await;
    // Without a signal within a while.
    site.tokens(&[("edge-1", "a"), ("edge-4", "d")]);
    site.are_known(&["edge-1", "edge-4"]).await;
    std::fs::write(site.path("tokens.yaml"), "rubbish").expect("it can be written");
    let line = site
        .hub
        .logged("auth.tokenFile: the last good", secs(20))
        .await;
    assert!(
        line.contains("WARN") && line.contains("each line"),
        "{line}"
    );
    site.are_known(&["edge-1", "edge-4"]).await;
}

#[tokio::test]
async fn who_shows_a_token_that_is_gone_is_cut_off_and_let_in_with_the_new_one() {
    let site = Site::start(&[("edge-1", "old"), ("edge-2", "other")]).await;
    let (first, second) = (site.agent("edge-1", "old"), site.agent("edge-2", "other"));
    site.is("edge-1", "Alive").await;
    site.is("edge-2", "Alive").await;
    site.tokens(&[("edge-1", "new"), ("edge-2", "other")]);
    site.hub.signal("HUP").await;
    let line = site.hub.logged("its tunnel is closed", secs(5)).await;
    assert!(line.contains("root:org:edge/edge-1"), "{line}");
    first.logged("401 Unauthorized", secs(10)).await;
    std::fs::write(site.path("edge-1"), "new").expect("it can be written");
    site.is("edge-1", "Alive").await;
    let log = site.hub.log();
    assert_eq!(log.matches("its tunnel is closed").count(), 1, "{log}");
    assert!(
        !second.log().contains("401 Unauthorized"),
        "{}",
        second.log()
    );
}

// === impl Site ===

impl Site {
    async fn start(tokens: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("tokens.yaml");
        write(&file, tokens);
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
auth: {{ tokenFile: {} }}
",
            file.display()
        );
        let hub = Program::start("hub", &config, &[]);
        let (tunnels, ops) = (hub.address("tunnels").await, hub.address("ops").await);
        Self {
            folder,
            hub,
            tunnels,
            ops,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn tokens(&self, tokens: &[(&str, &str)]) {
        write(&self.path("tokens.yaml"), tokens);
    }

    fn agent(&self, name: &str, token: &str) -> Program {
        let path = self.path(name);
        std::fs::write(&path, token).expect("it can be written");
        let file = path.to_str().expect("a path in UTF-8");
        let environment = [
            ("SYNCER_HEALTH_SYNC_TARGET_NAME", name),
            ("SYNCER_HEALTH_HEARTBEAT_WEBSOCKET_TOKEN_FILE", file),
        ];
        agent(self.tunnels, &environment)
    }

    async fn are_known(&self, names: &[&str]) {
        eventually(&format!("only {names:?} are known"), secs(20), || async {
            let fleet = get(self.ops, "/fleet", &[]).await?.json();
            let agents = fleet["agents"].as_array()?;
            let known = agents.iter().map(|agent| &agent["name"]);
            known.eq(names.iter()).then_some(())
        })
        .await;
    }

    async fn is(&self, name: &str, verdict: &str) {
        let path = format!("/fleet/root:org:edge/{name}");
        eventually(&format!("{name} is {verdict}"), secs(20), || async {
            let agent = get(self.ops, &path, &[]).await?.json();
            (agent["verdict"] == verdict).then_some(())
        })
        .await;
    }
}

fn write(path: &PathBuf, tokens: &[(&str, &str)]) {
    let lines = tokens
        .iter()
        .map(|(name, token)| format!("\"root:org:edge/{name}\": {token}\n"));
    std::fs::write(path, lines.collect::<String>()).expect("it can be written");
}
