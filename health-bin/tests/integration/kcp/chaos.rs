//! A server that is frozen, killed, and comes back as another.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FAST;
use super::PATIENCE;
use super::config;
use super::server::Server;
use super::workspace::Workspace;
use crate::support::Authority;
use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// What [`FAST`] says.
pub(super) const INTERVAL: Duration = secs(1);
pub(super) const TIMEOUT: Duration = secs(3);

/// A server that takes longer for a write does not serve yet: so long an attempt may take.
pub(super) const ATTEMPT: Duration = Duration::from_millis(500);

/// Beats are that much later than their interval at most, and a busy machine is late besides.
pub(super) const JITTER: f64 = 1.04;
pub(super) const LATE: Duration = Duration::from_millis(500);

/// An agent beside a server that fails, and what it has logged before the fault.
pub(super) struct Patient {
    program: Program,
    address: SocketAddr,
    logged: usize,
}

/// Since when the server takes each write within an attempt's time; nothing while it does not.
struct Serving {
    since: watch::Receiver<Option<Instant>>,
    _asking: JoinSet<()>,
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_frozen_a_killed_and_a_changed_server_are_outlived_and_told() {
    let authority = Authority::new("first authority");
    let mut server = Server::start(&authority);
    let workspace = Workspace::on(&server.kubeconfig(), "chaos").await;
    workspace.add_target().await;
    let mut agent = Patient::start(&workspace, &server.kubeconfig()).await;
    let began = Instant::now();

    server.freeze().await;
    agent.suffers(TIMEOUT * 10).await;
    let serving = Serving::watch(&workspace).await;
    server.thaw().await;
    agent.recovers(|| serving.since()).await;
    agent.told_once("no answer in time").await;

    server.kill().await;
    agent.suffers(TIMEOUT * 4).await;
    server.restart(&authority);
    agent.recovers(|| serving.since()).await;
    agent.told_once("Connection refused").await;
    drop(serving);

    server.kill().await;
    let authority = Authority::new("second authority");
    server.restart(&authority);
    agent.suffers(TIMEOUT * 4).await;
    server.trust(&authority);
    let trusted = Instant::now();
    let serving = Serving::watch(&workspace.reopened().await).await;
    let since = || serving.since().map(|at| at.max(trusted));
    agent.recovers(since).await;
    let told = agent.told_once("invalid peer certificate").await;
    assert!(told.iter().any(|line| line.contains("ca.crt")), "{told:#?}");

    // The server saw no burst, either: at each beat a few attempts, the status once an interval.
    let beats = began.elapsed().div_duration_f64(INTERVAL).ceil() as usize;
    let audit = server.audit();
    for (resource, most) in [("leases", beats * 5), ("synctargets", beats + 2)] {
        let about = |event: &&Value| event["objectRef"]["resource"] == resource;
        let writes = audit.iter().filter(about).filter(|event| is_write(event));
        let count = writes.count();
        assert!(
            count <= most,
            "{count} writes of {resource}, {most} are allowed"
        );
    }
}

fn is_write(event: &Value) -> bool {
    let is_dry_run = |uri: &str| uri.contains("dryRun");
    event["verb"] != "get" && !event["requestURI"].as_str().is_some_and(is_dry_run)
}

// === impl Patient ===

impl Patient {
    /// An agent that holds its Lease and has written its condition.
    pub(super) async fn start(workspace: &Workspace, kubeconfig: &str) -> Self {
        let status = "syncTargetStatus: { minInterval: 1s, heartbeatInterval: 2s }\n";
        let config = config(workspace, "alice", FAST, kubeconfig);
        let program = Program::start("run", &format!("{config}{status}"), &[]);
        let address = program.address("address").await;
        let mut agent = Self {
            program,
            address,
            logged: 0,
        };
        agent.is("lease", "Alive").await;
        agent.is("synctarget", "Alive").await;
        agent.told();
        agent
    }

    /// A fault goes on for that long: the agent finds out, lives, and says that it holds nothing.
    pub(super) async fn suffers(&self, fault: Duration) {
        let began = Instant::now();
        let in_time = TIMEOUT + INTERVAL.mul_f64(JITTER) + LATE;
        while began.elapsed() < fault {
            let live = get(self.address, "/livez", &[]).await;
            let live = live.unwrap_or_else(|| panic!("it died:\n{}", self.program.log()));
            assert_eq!(live.status, 200, "{}", live.body);
            if began.elapsed() > in_time {
                let lease = self.transport("lease").await;
                assert_eq!(lease["state"], "Failed", "{lease}");
                assert!(!self.holds().await, "{lease}");
                assert!(self.open_files().await < 100);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The agent recovers within two intervals from when the server serves again.
    ///
    /// How long a server takes to start is its own affair: it serves once it takes each write
    /// within an attempt's time, which is asked all the time. A beat begins within one interval of
    /// that, and one attempt may be lost to what the server still has to catch up with.
    pub(super) async fn recovers(&self, serves: impl Fn() -> Option<Instant>) {
        let bound = INTERVAL.mul_f64(2.0 * JITTER) + LATE;
        self.is("lease", "Alive").await;
        let recovered = Instant::now();
        let since = eventually("the server serves", PATIENCE, || async { serves() }).await;
        let late = recovered.saturating_duration_since(since);
        assert!(late <= bound, "{late:?}:\n{}", self.program.log());
        self.is("synctarget", "Alive").await;
        assert!(self.holds().await);
    }

    /// The lines that were logged since this was asked last.
    pub(super) fn told(&mut self) -> Vec<String> {
        let log = self.program.log();
        let lines: Vec<_> = log.lines().skip(self.logged).map(str::to_owned).collect();
        self.logged += lines.len();
        lines
    }

    /// Each transport told its failure and its recovery once, and `needle`, which is why; nothing
    /// was said twice.
    pub(super) async fn told_once(&mut self, needle: &str) -> Vec<String> {
        for transport in ["lease", "synctarget"] {
            let line = format!("heartbeat recovered transport={transport}");
            eventually(&line, secs(10), || async {
                let log = self.program.log();
                let mut new = log.lines().skip(self.logged);
                new.any(|one| one.contains(&line)).then_some(())
            })
            .await;
        }
        let told = self.told();
        let about = |transport: &str, needle: &str| {
            let field = format!("transport={transport}");
            let lines = told.iter().filter(|line| line.contains(&field));
            lines.filter(|line| line.contains(needle)).count()
        };
        for transport in ["lease", "synctarget"] {
            for once in ["heartbeat failed: nothing", "heartbeat recovered"] {
                assert_eq!(about(transport, once), 1, "{transport}: {once}: {told:#?}");
            }
        }
        assert!(about("lease", needle) > 0, "{needle}: {told:#?}");
        // Without the time, which each line begins with.
        let mut lines: Vec<_> = told
            .iter()
            .filter_map(|line| line.split_once(' '))
            .collect();
        lines.sort_unstable_by_key(|(_, line)| *line);
        let twice = lines.windows(2).find(|pair| pair[0].1 == pair[1].1);
        assert!(twice.is_none(), "{twice:?}: {told:#?}");
        told
    }

    /// What would be a fault goes on for that long, and the Lease's heartbeats arrive all the same.
    pub(super) async fn keeps_beating(&self, fault: Duration) {
        let began = Instant::now();
        let before = self.sequence().await;
        while began.elapsed() < fault {
            let lease = self.transport("lease").await;
            // A busy machine may miss one; if none arrived, it had failed after one timeout.
            assert_ne!(lease["state"], "Failed", "{lease}:\n{}", self.program.log());
            assert!(self.holds().await, "{lease}:\n{}", self.program.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(self.sequence().await > before);
    }

    /// The number of the Lease's last heartbeat.
    pub(super) async fn sequence(&self) -> u64 {
        let lease = self.transport("lease").await;
        lease["sequence"].as_u64().expect("a number")
    }

    /// Waits until a transport is in a state.
    async fn is(&self, transport: &str, state: &str) {
        let began = Instant::now();
        while self.transport(transport).await["state"] != state {
            let log = self.program.log();
            assert!(
                began.elapsed() < PATIENCE * 4,
                "{transport} is not {state}:\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn transport(&self, name: &str) -> Value {
        let report = get(self.address, "/report", &[]).await.expect("an answer");
        report.json()["heartbeat"]["transports"][name].clone()
    }

    async fn holds(&self) -> bool {
        self.gauge("syncer_lease_held").await > 0.5
    }

    async fn open_files(&self) -> u32 {
        // A count fits.
        self.gauge("process_open_fds").await as u32
    }

    async fn gauge(&self, name: &str) -> f64 {
        let metrics = get(self.address, "/metrics", &[]).await.expect("an answer");
        let line = metrics.body.lines().find_map(|line| {
            let (family, value) = line.split_once(' ')?;
            (family == name).then(|| value.parse().ok()).flatten()
        });
        line.unwrap_or_else(|| panic!("{name}: {}", metrics.body))
    }
}

// === impl Serving ===

impl Serving {
    async fn watch(workspace: &Workspace) -> Self {
        let workspace = workspace.reopened().await;
        let (sender, since) = watch::channel(None);
        let mut asking = JoinSet::new();
        asking.spawn(async move {
            loop {
                let takes = workspace.takes_a_write(ATTEMPT).await;
                let now = takes.then(Instant::now);
                sender.send_modify(|since| *since = now.map(|now| since.unwrap_or(now)));
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self {
            since,
            _asking: asking,
        }
    }

    fn since(&self) -> Option<Instant> {
        *self.since.borrow()
    }
}
