//! A process of many light agents: each has a tunnel of its own, and beats.

use std::io::BufRead;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;
use fastrand::Rng;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio::time::sleep_until;

use super::peer::Peer;

/// With it this program is the agents.
pub(crate) const FLAG: &str = "--clients";

/// From now on each agent sends its report before it beats.
pub(crate) const REPORT: &str = "report";

/// From now on beats are counted.
pub(crate) const COUNT: &str = "count";

/// From now on they are not any more.
pub(crate) const ENOUGH: &str = "enough";

/// Tell what was counted.
pub(crate) const TELL: &str = "tell";

/// It is told once each agent was acknowledged.
pub(crate) const READY: &str = "ready";

/// Beats are early or late by up to this share of the interval.
const JITTER: f64 = 0.04;

/// What the agents are to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) hub: SocketAddr,
    /// The number of the first of them.
    pub(crate) from: usize,
    pub(crate) count: usize,
    pub(crate) dials_a_second: f64,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// How long the report is, in bytes.
    pub(crate) report: usize,
}

/// What was counted.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) sent: usize,
    /// From a beat to its acknowledgement, in milliseconds.
    pub(crate) acknowledged: Vec<f64>,
    /// Dials that the hub put off.
    pub(crate) put_off: usize,
    /// Why tunnels ended, if any did.
    pub(crate) broken: Vec<String>,
}

struct Shared {
    orders: Orders,
    report: watch::Receiver<bool>,
    counted: Mutex<(bool, Counted)>,
    waiting: watch::Sender<usize>,
}

/// The name of an agent.
pub(crate) fn name(number: usize) -> String {
    format!("edge-{number:05}")
}

/// Runs the agents until this process is killed, and obeys what it reads.
pub(crate) fn run(orders: &str) -> anyhow::Result<()> {
    let orders: Orders = serde_json::from_str(orders)?;
    let (report, has_report) = watch::channel(false);
    let shared = Arc::new(Shared {
        waiting: watch::Sender::new(orders.count),
        report: has_report,
        counted: Mutex::default(),
        orders,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let fleet = Arc::clone(&shared);
    std::thread::spawn(move || runtime.block_on(fleet.run()));
    for line in std::io::stdin().lock().lines() {
        match line?.as_str() {
            REPORT => drop(report.send_replace(true)),
            COUNT => shared.lock().0 = true,
            ENOUGH => shared.lock().0 = false,
            TELL => super::tell(&serde_json::to_string(&shared.lock().1)?),
            order => bail!("unknown order {order:?}"),
        }
    }
    Ok(())
}

// === impl Shared ===

impl Shared {
    async fn run(self: Arc<Self>) {
        let began = tokio::time::Instant::now();
        let mut agents = JoinSet::new();
        for index in 0..self.orders.count {
            let turn = Duration::from_secs_f64(index as f64 / self.orders.dials_a_second);
            let shared = Arc::clone(&self);
            agents.spawn(async move {
                sleep_until(began + turn).await;
                if let Err(error) = shared.agent(shared.orders.from + index).await {
                    shared.lock().1.broken.push(format!("{error:#}"));
                }
            });
        }
        let mut waiting = self.waiting.subscribe();
        if waiting.wait_for(|waiting| *waiting == 0).await.is_ok() {
            super::tell(READY);
        }
        while agents.join_next().await.is_some() {}
    }

    fn lock(&self) -> MutexGuard<'_, (bool, Counted)> {
        self.counted.lock().expect("nobody panics with it")
    }

    async fn agent(&self, number: usize) -> anyhow::Result<()> {
        let name = name(number);
        let mut chance = Rng::with_seed(number as u64);
        let mut peer = self.dial(&name).await?;
        let mut next = tokio::time::Instant::now();
        let mut owes_report = true;
        for sequence in 1_u64.. {
            if owes_report && *self.report.borrow() {
                owes_report = false;
                peer.send(&self.report(&name)).await.context("a report")?;
            }
            self.beat(&mut peer, &name, sequence).await?;
            if sequence == 1 {
                self.waiting.send_modify(|waiting| *waiting -= 1);
            }
            let jitter = 1.0 + JITTER * (2.0 * chance.f64() - 1.0);
            next += self.orders.interval.mul_f64(jitter);
            sleep_until(next).await;
        }
        Ok(())
    }

    /// Dials until the hub takes it, no earlier than it says.
    async fn dial(&self, name: &str) -> anyhow::Result<Peer> {
        let headers = [("X-SyncTarget", name), ("X-Workspace", super::WORKSPACE)];
        loop {
            let mut peer = Peer::connect_plain(self.orders.hub).await.context("dial")?;
            let answer = peer.upgrade(&headers).await.context("upgrade")?;
            if answer.status == 101 {
                let payload = json!({
                    "syncTarget": name, "version": "v1alpha1", "capabilities": ["heartbeat", "status"],
                });
                let handshake = json!({"id": "h", "type": "handshake", "payload": payload});
                peer.send(&handshake.to_string()).await?;
                let answer = peer.next().await.context("handshake")?;
                ensure!(answer["error"].is_null(), "refused: {answer}");
                return Ok(peer);
            }
            let text = answer.text.to_lowercase();
            let after = text.split_once("retry-after: ").map(|(_, rest)| rest);
            let seconds = after.and_then(|rest| rest.split("\r\n").next()?.parse().ok());
            let seconds: f64 = seconds.with_context(|| answer.text)?;
            self.lock().1.put_off += 1;
            sleep(Duration::from_secs_f64(seconds)).await;
        }
    }

    async fn beat(&self, peer: &mut Peer, name: &str, sequence: u64) -> anyhow::Result<()> {
        let payload = json!({
            "slot": format!("{name}-9b2c52f4-1c09-4c7e-8f0d"), "incarnation": "1a6f0c52e3a14b8f9d2e",
            "sequence": sequence, "intervalSeconds": self.orders.interval.as_secs_f64(),
            "timeoutSeconds": self.orders.timeout.as_secs_f64(), "status": "Healthy",
            "reportAgeSeconds": 1.0, "deciding": [],
        });
        let ping = json!({"id": "b", "type": "ping", "payload": payload}).to_string();
        let counts = {
            let mut counted = self.lock();
            let counts = counted.0;
            counted.1.sent += usize::from(counts);
            counts
        };
        let sent = Instant::now();
        peer.send(&ping).await.context("beat")?;
        let pong = peer.next().await.context("acknowledgement")?;
        ensure!(
            pong["payload"]["sequence"].as_u64() == Some(sequence),
            "no acknowledgement of beat {sequence}: {pong}"
        );
        if counts {
            let took = sent.elapsed().as_secs_f64() * 1e3;
            self.lock().1.acknowledged.push(took);
        }
        Ok(())
    }

    fn report(&self, name: &str) -> String {
        let payload = json!({
            "resourceId": format!("synctargets.workload.kcp.io/{name}"),
            "status": {"apiVersion": "v1", "status": "Healthy", "message": "x".repeat(self.orders.report)},
        });
        json!({"id": "s", "type": "status", "payload": payload}).to_string()
    }
}
