//! A hub, the agents that it oversees, and what stood on their SyncTargets all the while.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FAST;
use super::PATIENCE;
use super::TARGETS;
use super::chaos::TIMEOUT;
use super::condition;
use super::config_of;
use super::workspace::Workspace;
use crate::security::peer::Answer;
use crate::security::peer::Peer;
use crate::support::Program;
use crate::support::get;
use crate::support::secs;

/// A hub of one workspace.
pub(super) struct Hub {
    pub(super) program: Program,
    pub(super) tunnels: SocketAddr,
    pub(super) ops: SocketAddr,
    workspace: String,
}

/// What differs between hubs.
pub(super) struct Setup<'a> {
    /// The hub's place; hubs that lead in turn have one each.
    pub(super) pod: &'a str,
    pub(super) kubeconfig: &'a str,
    /// More of the section `cluster`.
    pub(super) cluster: &'a str,
    /// More sections.
    pub(super) more: &'a str,
}

/// What stood on the SyncTargets of a workspace, looked at all the time.
pub(super) struct Looks {
    seen: watch::Receiver<Seen>,
    _looking: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    looks: u64,
    /// Of each target, in order: what differs from what was seen before.
    conditions: BTreeMap<String, Vec<String>>,
}

/// A death is told within that time: its allowance, a look, a write, and a busy machine.
pub(super) const FOUND: Duration = TIMEOUT.saturating_add(secs(7));

/// The verdicts of an agent that lives: a beat may be late on a busy machine.
pub(super) const UNCONVICTED: &[&str] = &["Pending", "Alive", "Suspect"];

/// What stands on a target whose agent lives, and on one whose agent fell silent.
pub(super) const RECEIVED: &str = "True HeartbeatReceived";
pub(super) const SILENT: &str = "False HeartbeatTimeout";

// === impl Hub ===

impl Hub {
    /// A hub of the admin.
    pub(super) async fn start(workspace: &Workspace) -> Self {
        let setup = Setup {
            pod: "hub",
            kubeconfig: workspace.admins(),
            cluster: "",
            more: "",
        };
        Self::start_as(workspace, setup).await
    }

    pub(super) async fn start_as(workspace: &Workspace, setup: Setup<'_>) -> Self {
        let config = setup.config(workspace);
        let program = Program::start("hub", &config, &[("POD_UID", setup.pod)]);
        let (tunnels, ops) = (
            program.address("tunnels").await,
            program.address("ops").await,
        );
        Self {
            program,
            tunnels,
            ops,
            workspace: workspace.path(),
        }
    }

    /// What the hub knows of an agent.
    pub(super) async fn agent(&self, target: &str) -> Option<Value> {
        let path = format!("/fleet/{}/{target}", self.workspace);
        let answer = get(self.ops, &path, &[]).await?;
        (answer.status == 200).then(|| answer.json())
    }

    /// Waits until an agent is as it should be.
    pub(super) async fn until(
        &self,
        target: &str,
        what: &str,
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let began = Instant::now();
        loop {
            let agent = self.agent(target).await.unwrap_or_default();
            if is_so(&agent) {
                return agent;
            }
            let log = self.program.log();
            assert!(
                began.elapsed() < PATIENCE,
                "{target}: {what}: {agent:#}\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until an agent has a verdict.
    pub(super) async fn judges(&self, target: &str, verdict: &str) -> Value {
        let is_so = |agent: &Value| agent["verdict"] == verdict;
        self.until(target, &format!("is {verdict}"), is_so).await
    }

    /// Waits until an agent is Alive, with that many tunnels, and has beaten, so that its terms are
    /// known.
    pub(super) async fn hears(&self, target: &str, tunnels: u64) {
        let is_so = |agent: &Value| {
            let beats = agent["heartbeats"] != 0;
            agent["verdict"] == "Alive" && agent["tunnels"] == tunnels && beats
        };
        let what = format!("is Alive with {tunnels} tunnels");
        self.until(target, &what, is_so).await;
    }

    /// This hub gave an agent no verdict but these.
    pub(super) async fn gave_only(&self, target: &str, allowed: &[&str]) {
        let agent = self.agent(target).await.unwrap_or_default();
        let given = agent["transitions"].as_array().expect("transitions");
        let only = given
            .iter()
            .all(|one| allowed.contains(&one["verdict"].as_str().unwrap_or_default()));
        let log = self.program.log();
        assert!(only && !given.is_empty(), "{target}: {agent:#}\n{log}");
    }

    /// Asks to open a tunnel.
    pub(super) async fn dial(&self, target: &str, token: &str) -> Answer {
        let bearer = format!("Bearer {token}");
        let mut headers = vec![
            ("X-Workspace", self.workspace.as_str()),
            ("X-SyncTarget", target),
        ];
        if !token.is_empty() {
            headers.push(("Authorization", &bearer));
        }
        let peer = Peer::connect_plain(self.tunnels).await;
        let answer = peer.expect("it listens").upgrade(&headers).await;
        answer.expect("it answers")
    }
}

// === impl Setup ===

impl Setup<'_> {
    pub(super) fn config(&self, workspace: &Workspace) -> String {
        let (path, kubeconfig) = (workspace.path(), self.kubeconfig);
        let (cluster, more) = (self.cluster, self.more);
        format!(
            "
server: {{ bind: '127.0.0.1:0' }}
ops: {{ bind: '127.0.0.1:0' }}
cluster:
  {{ enabled: true, kubeconfig: {kubeconfig}, context: base, workspaces: ['{path}'], {cluster} }}
{more}
"
        )
    }
}

/// An agent that beats by its Lease only.
pub(super) fn by_lease(workspace: &Workspace, target: &str, slot: &str, beats: &str) -> Program {
    start(workspace, target, slot, beats)
}

/// An agent that beats by its Lease and by a tunnel.
pub(super) fn by_both(
    workspace: &Workspace,
    target: &str,
    slot: &str,
    beats: &str,
    hub: SocketAddr,
) -> Program {
    let beats = format!("{beats}, websocket: {{ url: 'ws://{hub}/tunnel' }}");
    start(workspace, target, slot, &beats)
}

/// An agent that beats by a tunnel only.
pub(super) fn by_tunnel(workspace: &Workspace, target: &str, hub: SocketAddr) -> Program {
    let beats =
        format!("{FAST}, lease: {{ enabled: false }}, websocket: {{ url: 'ws://{hub}/tunnel' }}");
    start(workspace, target, "alice", &beats)
}

/// The status is left alone, so that its heartbeat time is no evidence.
pub(super) fn start(workspace: &Workspace, target: &str, slot: &str, beats: &str) -> Program {
    let config = config_of(workspace, target, slot, beats, workspace.admins());
    let config = format!("{config}syncTargetStatus: {{ enabled: false }}\n");
    Program::start("run", &config, &[])
}

/// What the hub says on a target.
pub(super) fn verdict(target: &Value) -> String {
    let condition = condition(target, "HeartbeatHealthy");
    let field = |name| condition.and_then(|one| one[name].as_str());
    format!(
        "{} {}",
        field("status").unwrap_or_default(),
        field("reason").unwrap_or_default()
    )
}

// === impl Looks ===

impl Looks {
    /// Begins once every target was looked at.
    pub(super) async fn start(workspace: &Workspace) -> Self {
        let workspace = workspace.reopened().await;
        let (sender, seen) = watch::channel(Seen::default());
        let mut looking = JoinSet::new();
        looking.spawn(async move {
            loop {
                let list = workspace.read(TARGETS).await.unwrap_or_default();
                let targets = list["items"].as_array();
                sender.send_modify(|seen| {
                    for target in targets.into_iter().flatten() {
                        seen.saw(target);
                    }
                });
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        let mut looks = Self {
            seen,
            _looking: looking,
        };
        looks.again().await;
        looks
    }

    /// Waits until all was looked at once more.
    async fn again(&mut self) {
        let next = self.seen.borrow().looks + 2;
        let looked = self.seen.wait_for(|seen| seen.looks >= next);
        let looked = tokio::time::timeout(PATIENCE, looked).await;
        drop(looked.expect("in time").expect("somebody looks"));
    }

    /// What stood on a target was this all the while, in this order.
    pub(super) async fn saw(&mut self, target: &str, conditions: &[&str]) {
        self.again().await;
        let seen = self.seen.borrow();
        let seen = seen.conditions.get(target).expect("it was looked at");
        assert_eq!(seen, conditions, "{target}");
    }
}

// === impl Seen ===

impl Seen {
    fn saw(&mut self, target: &Value) {
        self.looks += 1;
        let name = target["metadata"]["name"].as_str().unwrap_or_default();
        let seen = self.conditions.entry(name.to_owned()).or_default();
        let now = verdict(target);
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
}

/// Waits until something stands on a target.
pub(super) async fn stands(workspace: &Workspace, target: &str, what: &str) -> Value {
    let path = format!("{TARGETS}/{target}");
    workspace
        .until(&path, &format!("is {what}"), |it| verdict(it) == what)
        .await
}
