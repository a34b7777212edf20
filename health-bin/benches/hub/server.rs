//! The hub under measurement: the program as a process.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use jiff::Timestamp;
use serde_json::Value;
use tempfile::TempDir;

use super::Plan;
use super::pause;
use super::processor;

/// A running hub that ends with this.
pub(crate) struct Hub {
    child: Child,
    pub(crate) tunnels: SocketAddr,
    ops: SocketAddr,
    folder: TempDir,
}

/// What the hub says of an agent.
pub(crate) struct Agent {
    pub(crate) name: String,
    pub(crate) since: Timestamp,
    pub(crate) last_evidence: Timestamp,
}

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// As many agents are shown at once.
const PAGE: usize = 1000;

const LOG: &str = "log";

// === impl Hub ===

impl Hub {
    /// Starts a hub with as many places as there will be tunnels, and waits until it answers.
    pub(crate) fn start(plan: &Plan) -> anyhow::Result<Self> {
        let (tunnels, ops) = (free_address()?, free_address()?);
        let config = format!(
            "server: {{ bind: \"{tunnels}\" }}\nops: {{ bind: \"{ops}\" }}\n\
             limits: {{ connections: {} }}\n",
            plan.tunnels
        );
        let folder = TempDir::new()?;
        let file = folder.path().join("config.yaml");
        fs::write(&file, config)?;
        let child = Command::new(env!("CARGO_BIN_EXE_syncer-health"))
            .arg("hub")
            .arg("--config")
            .arg(&file)
            .env_clear()
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join(LOG))?)
            .spawn()?;
        let hub = Self {
            child,
            tunnels,
            ops,
            folder,
        };
        let began = Instant::now();
        while hub.get("/readyz").is_err() {
            ensure!(
                began.elapsed() < PATIENCE,
                "the hub does not answer:\n{}",
                hub.log()
            );
            pause(Duration::from_millis(10));
        }
        Ok(hub)
    }

    /// All the time that it has had of a processor.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        processor::time_of(self.child.id())
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        Ok(kib.context("no VmRSS")?.parse()?)
    }

    /// Everything that it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Waits until that many agents have that verdict.
    pub(crate) fn wait_for(
        &self,
        verdict: &str,
        count: usize,
        patience: Duration,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        loop {
            let now = self.metric(&format!("syncer_hub_agents{{verdict=\"{verdict}\"}}"))?;
            if now == count {
                return Ok(());
            }
            ensure!(
                began.elapsed() < patience,
                "after {patience:?} {now} agents are {verdict}, not {count}"
            );
            pause(Duration::from_millis(100));
        }
    }

    /// The value of one series; 0 where it is not there.
    pub(crate) fn metric(&self, series: &str) -> anyhow::Result<usize> {
        let text = self.get("/metrics")?;
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        Ok(value.map_or(Ok(0), |value| value.trim().parse())?)
    }

    /// All the agents with that verdict.
    pub(crate) fn agents(&self, verdict: &str) -> anyhow::Result<Vec<Agent>> {
        let mut agents = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/fleet?verdict={verdict}&limit={PAGE}{cursor}");
            let page: Value = serde_json::from_str(&self.get(&path)?)?;
            for agent in page["agents"].as_array().context("no agents")? {
                agents.push(Agent::parse(agent).with_context(|| agent.to_string())?);
            }
            let Some(next) = page["next"].as_str() else {
                return Ok(agents);
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// The body of an answer, which is 200.
    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.ops)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let host = self.ops;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.starts_with("HTTP/1.1 200"), "{path} answers {head}");
        Ok(body.to_owned())
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

// === impl Agent ===

impl Agent {
    fn parse(agent: &Value) -> anyhow::Result<Self> {
        let time = |value: &Value| -> anyhow::Result<Timestamp> {
            Ok(value.as_str().context("no time")?.parse()?)
        };
        Ok(Self {
            name: agent["name"].as_str().context("no name")?.to_owned(),
            since: time(&agent["since"])?,
            last_evidence: time(&agent["lastEvidence"]["websocket"]["at"])?,
        })
    }
}

/// An address that nobody uses at the moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}
