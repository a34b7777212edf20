//! A story that is told to Prometheus, and who is in it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::Cluster;
use crate::support::Program;
use crate::support::Service;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// Where the stories are kept; nowhere if this is not set.
const FOLDER: &str = "SYNCER_HEALTH_TEST_SCRAPES";

/// What was answered at each moment.
pub(super) struct Story {
    folder: PathBuf,
    moments: usize,
    _temporary: TempDir,
}

/// What Prometheus scrapes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    Agent(&'static str, SocketAddr),
    Hub(SocketAddr),
}

/// An agent with everything that one can have, and what it looks after.
pub(super) struct Syncer {
    pub(super) agent: Program,
    pub(super) service: Service,
    pub(super) cluster: Cluster,
    folder: TempDir,
    address: SocketAddr,
}

/// Whether each component is Healthy. The whole does not count `connection`.
pub(super) fn is_healthy(report: &Value) -> bool {
    let components = report["components"].as_object();
    let is_healthy = |health: &Value| health["status"] == "Healthy";
    components.is_some_and(|all| all.values().all(is_healthy))
}

// === impl Story ===

impl Story {
    pub(super) fn begin(name: &str) -> Self {
        let temporary = TempDir::new().expect("a temporary folder");
        let kept = std::env::var_os(FOLDER).map(PathBuf::from);
        let folder = kept
            .unwrap_or_else(|| temporary.path().to_owned())
            .join(name);
        Self {
            folder,
            moments: 0,
            _temporary: temporary,
        }
    }

    /// The next moment: what each target answers now. An empty file is a target that does not.
    pub(super) async fn take(&mut self, targets: &[Target]) {
        let moment = self.folder.join(format!("{:02}", self.moments));
        self.moments += 1;
        std::fs::create_dir_all(&moment).expect("a folder can be made");
        for target in targets {
            let answer = get(target.address(), "/metrics", &[]).await;
            let text = answer.map_or_else(String::new, |answer| answer.body);
            let file = moment.join(target.file());
            std::fs::write(file, text).expect("it can be written");
        }
    }
}

// === impl Target ===

impl Target {
    const fn address(self) -> SocketAddr {
        match self {
            Self::Agent(_, address) | Self::Hub(address) => address,
        }
    }

    /// The job and the instance, as Prometheus names them.
    fn file(self) -> String {
        match self {
            Self::Agent(name, _) => format!("syncer-health-agent.{name}.prom"),
            Self::Hub(_) => "syncer-health-hub.hub.prom".to_owned(),
        }
    }

    /// Waits until its report is as it is wanted.
    pub(super) async fn report(self, wanted: impl Fn(&Value) -> bool) {
        self.shows("/report", wanted).await;
    }

    /// Waits until its fleet is as it is wanted.
    pub(super) async fn fleet(self, wanted: impl Fn(&Value) -> bool) {
        self.shows("/fleet", wanted).await;
    }

    async fn shows(self, path: &str, wanted: impl Fn(&Value) -> bool) {
        let what = format!("{self:?} shows on {path} what is wanted");
        eventually(&what, secs(30), || async {
            let json = get(self.address(), path, &[]).await?.json();
            wanted(&json).then_some(())
        })
        .await;
    }

    /// Waits until a counter without labels has come that far.
    pub(super) async fn counts(self, name: &str, at_least: u64) {
        let what = format!("{self:?} counts {name} up to {at_least}");
        let prefix = format!("{name} ");
        eventually(&what, secs(30), || async {
            let text = get(self.address(), "/metrics", &[]).await?.body;
            let value = text.lines().find_map(|line| line.strip_prefix(&prefix))?;
            (value.parse::<u64>().ok()? >= at_least).then_some(())
        })
        .await;
    }
}

// === impl Syncer ===

impl Syncer {
    pub(super) async fn start(tunnels: SocketAddr) -> Self {
        let (service, cluster) = (Service::start().await, Cluster::start().await);
        let folder = TempDir::new().expect("a temporary folder");
        let (file, at) = (folder.path().join("there"), service.address());
        std::fs::write(&file, "").expect("it can be written");
        let config = format!(
            "
syncTarget: {{ name: edge-1 }}
identity: alice
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
cluster: {{ kubeconfig: {kubeconfig} }}
checks:
  interval: 500ms
  timeout: 5s
  components:
    - name: api
      http: {{ url: 'http://{at}/readyz' }}
    - name: sync-engine
      prometheus: {{ url: 'http://{at}/metrics', syncEngine: true }}
    - name: plugin
      exec: {{ command: [sh, -c, 'test -e {file} || exit 3'] }}
heartbeat:
  interval: 1s
  timeout: 3s
  websocket: {{ url: 'ws://{tunnels}/tunnel' }}
",
            kubeconfig = cluster.kubeconfig(),
            file = file.display(),
        );
        let agent = Program::start("run", &config, &[("PATH", "/usr/bin:/bin")]);
        let address = agent.address("address").await;
        Self {
            agent,
            service,
            cluster,
            folder,
            address,
        }
    }

    pub(super) const fn target(&self) -> Target {
        Target::Agent("edge-1", self.address)
    }

    /// While it is there the check `plugin` finds out.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("there")
    }

    /// Waits until everything works: each check, each transport, and two looks at the metrics.
    pub(super) async fn is_well(&self) {
        let well = |report: &Value| {
            let transports = &report["heartbeat"]["transports"];
            let beats = |name: &str| transports[name]["state"] == "Alive";
            is_healthy(report)
                && ["websocket", "lease", "synctarget"].into_iter().all(beats)
                && report["syncRate"].as_f64().is_some_and(|rate| rate > 0.0)
                && report["latencySeconds"].is_f64()
        };
        self.target().report(well).await;
    }

    /// Waits until a component has a status.
    pub(super) async fn component(&self, name: &str, status: &str) {
        let shown = |report: &Value| report["components"][name]["status"] == status;
        self.target().report(shown).await;
    }
}
