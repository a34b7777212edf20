//! What is attacked: a hub, and the agents that do nothing wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::HANDSHAKE;
use super::PATIENCE;
use super::peer::Authority;
use super::peer::Peer;
use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// Agents that do nothing wrong.
pub(super) const HONEST: usize = 1_000;

/// A hub, and who it believes.
pub(super) struct Site {
    pub(super) hub: Program,
    pub(super) tunnels: SocketAddr,
    pub(super) ops: SocketAddr,
    pub(super) authority: Authority,
    pub(super) tls: TlsConnector,
    _folder: TempDir,
}

/// Where the honest agents are; those of the attacks are elsewhere.
pub(super) const WORKSPACE: &str = "root:org";

/// It begins every token.
pub(super) const SECRET: &str = "s3cr3t";

// === impl Site ===

impl Site {
    pub(super) async fn start() -> Self {
        let authority = Authority::new();
        let folder = TempDir::new().expect("a temporary folder");
        let (certificate, key) = authority.sign("hub", false);
        let tokens: Vec<_> = (0..HONEST + 10)
            .map(|number| {
                let workspace = if number < HONEST { WORKSPACE } else { "-" };
                format!("\"{workspace}/edge-{number}\": {}\n", token(number))
            })
            .collect();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).expect("it can be written");
            path.display().to_string()
        };
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0', tls: {{ certFile: {}, keyFile: {}, clientCaFile: {} }} }}
ops: {{ bind: '127.0.0.1:0', tokenFile: {} }}
auth: {{ tokenFile: {} }}
limits: {{ connections: 2000, handshakeTimeout: {}s }}
",
            write("tls.crt", &certificate),
            write("tls.key", &key),
            write("ca.crt", &authority.pem),
            write("ops", SECRET),
            write("tokens.yaml", &tokens.concat()),
            HANDSHAKE.as_secs(),
        );
        let hub = Program::start("hub", &config, &[]);
        Self {
            tunnels: hub.address("tunnels").await,
            ops: hub.address("ops").await,
            tls: authority.connector(None),
            hub,
            authority,
            _folder: folder,
        }
    }

    /// A tunnel of the target with that number.
    pub(super) async fn open(&self, number: usize) -> Peer {
        let name = format!("edge-{number}");
        let peer = Peer::connect(self.tunnels, &self.tls).await.expect("TLS");
        let opened = peer.open(&name, &token(number)).await;
        opened.unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.hub.log()))
    }
}

/// The agents that do nothing wrong, each beating every two seconds.
pub(super) struct Fleet {
    agents: JoinSet<()>,
    stop: Arc<AtomicBool>,
}

// === impl Fleet ===

impl Fleet {
    pub(super) async fn dial(site: &Site) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut agents = JoinSet::new();
        for number in 0..HONEST {
            let mut peer = site.open(number).await;
            let stop = Arc::clone(&stop);
            agents.spawn(async move {
                let name = format!("edge-{number}");
                for sequence in 1.. {
                    let beat = peer.beat(&name, sequence).await;
                    beat.unwrap_or_else(|error| panic!("{name}, beat {sequence}: {error}"));
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    tokio::time::sleep(secs(2)).await;
                }
            });
        }
        let fleet = Self { agents, stop };
        fleet.counted(site).await;
        fleet
    }

    /// Each has its first tunnel still, was acknowledged all the time, and beats once more.
    pub(super) async fn ends_alive(mut self, site: &Site) {
        self.counted(site).await;
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.agents.join_next().await {
            ended.unwrap_or_else(|error| panic!("{error}\n{}", site.hub.log()));
        }
    }

    /// Waits until each of them is Alive.
    async fn counted(&self, site: &Site) {
        let bearer = format!("Bearer {SECRET}");
        let path = format!("/fleet?verdict=alive&workspace={WORKSPACE}&limit=2000");
        eventually("a thousand are Alive", PATIENCE, || async {
            let headers = [("Authorization", bearer.as_str())];
            let alive = get(site.ops, &path, &headers).await?.json();
            (alive["agents"].as_array()?.len() == HONEST).then_some(())
        })
        .await;
    }
}

pub(super) fn token(number: usize) -> String {
    format!("{SECRET}-{number}")
}
