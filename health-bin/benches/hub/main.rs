//! A hub with thousands of real tunnels over loopback, as processes: what it costs, and how late its
//! verdicts are when agents are killed. Run it with `cargo bench -p health-bin --bench hub`.

#![expect(clippy::print_stdout, reason = "one process tells the other")]

mod clients;

mod server;

#[path = "../processor.rs"]
mod processor;

#[path = "../../../health-checks/benches/quantile.rs"]
mod quantile;

#[path = "../../../health-checks/benches/support.rs"]
mod support;

#[path = "../../tests/integration/security/peer.rs"]
#[expect(dead_code, reason = "the agents of the tests attack as well")]
mod peer;

use std::collections::HashMap;
use std::collections::HashSet;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::ChildStdin;
use std::process::ChildStdout;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::ensure;
use jiff::Timestamp;

use clients::Counted;
use clients::Orders;
use quantile::quantile;
use server::Hub;
use support::Row;

/// What is measured.
struct Plan {
    tunnels: usize,
    /// How long the steady state is measured.
    seconds: u64,
    interval: Duration,
}

/// A process of agents, which ends with this.
struct Clients {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    names: HashSet<String>,
}

/// When the hub saw that agents were killed; all in milliseconds, early is negative.
struct Seen {
    /// From the kill to Suspect.
    suspect: Vec<f64>,
    /// From the deadline to Lost.
    lost: Vec<f64>,
}

const WORKSPACE: &str = "root:org";

/// So many agents are killed after the first one.
const MANY: usize = 1000;

/// A process may open 20,000 files.
const CLIENTS_MAX: usize = 5000;

/// The hub takes a thousand, and has other dials to answer.
const DIALS_A_SECOND: f64 = 900.0;

/// An agent of twenty components has one of that size.
const REPORT: usize = 3000;

/// Times are told to the millisecond.
const ROUNDING: f64 = 1.0;

/// Whatever takes longer than it should by this has failed.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args().collect();
    if let [_, flag, orders] = &*arguments
        && flag == clients::FLAG
    {
        return clients::run(orders);
    }
    if !support::is_asked_for() {
        return Ok(());
    }
    let plan = Plan::read(&arguments)?;
    let hub = Hub::start(&plan)?;
    let done = measure(&plan, &hub);
    done.with_context(|| {
        let log = hub.log();
        let said = log.lines().count();
        let last: Vec<_> = log.lines().skip(said.saturating_sub(20)).collect();
        format!("the hub's last words:\n{}", last.join("\n"))
    })
}

fn measure(plan: &Plan, hub: &Hub) -> anyhow::Result<()> {
    let empty = hub.resident_kib()?;
    let began = Instant::now();
    let mut fleet = plan
        .groups()
        .map(|(from, count)| Clients::start(plan, hub, from, count));
    let mut fleet = fleet.by_ref().collect::<anyhow::Result<Vec<_>>>()?;
    for clients in &mut fleet {
        clients.expect_line(clients::READY)?;
    }
    hub.wait_for("alive", plan.tunnels, PATIENCE)?;
    Row::new("until all are Alive", began.elapsed().as_secs_f64(), "s").print();
    pause(plan.interval);
    let bare = hub.resident_kib()?;
    order(&mut fleet, clients::REPORT)?;
    // Each sends it before its next beat.
    pause(plan.interval.mul_f64(1.2));
    steady(plan, hub, &mut fleet)?;
    memory(plan, [empty, bare, hub.resident_kib()?]);
    let (rest, mut killed) = (fleet.split_off(2), 0);
    let many = fleet.split_off(1);
    for (what, clients) in [("1", fleet), ("1,000", many), ("all the rest", rest)] {
        let count = clients
            .iter()
            .map(|clients| clients.names.len())
            .sum::<usize>();
        killed += count;
        let left = plan.tunnels - killed;
        silence(plan, hub, what, clients, killed, left)?;
    }
    Ok(())
}

/// What a steady fleet costs, and whether every beat is acknowledged.
fn steady(plan: &Plan, hub: &Hub, fleet: &mut [Clients]) -> anyhow::Result<()> {
    let time = hub.processor_time()?;
    order(fleet, clients::COUNT)?;
    let began = Instant::now();
    pause(Duration::from_secs(plan.seconds));
    let took = began.elapsed().as_secs_f64();
    let cores = (hub.processor_time()? - time).as_secs_f64() / took;
    order(fleet, clients::ENOUGH)?;
    pause(plan.interval / 2);
    order(fleet, clients::TELL)?;
    let mut all = Counted::default();
    for clients in fleet {
        let line = clients.line()?;
        let counted: Counted = serde_json::from_str(&line).context(line)?;
        all.sent += counted.sent;
        all.put_off += counted.put_off;
        all.acknowledged.extend(counted.acknowledged);
        all.broken.extend(counted.broken);
    }
    ensure!(all.broken.is_empty(), "tunnels ended: {:?}", all.broken);
    Row::new("steady: the hub's processor time", cores, "cores")
        .budget("≤ 1")
        .print();
    let per_beat = cores * took * 1e6 / all.sent as f64;
    Row::new(
        "steady: the hub's processor time a heartbeat",
        per_beat,
        "µs",
    )
    .print();
    Row::new("steady: acknowledged", all.acknowledged.len() as f64, "")
        .beside("beats", all.sent as f64)
        .budget("≥ 1 ×")
        .print();
    Row::new("steady: beats", all.sent as f64 / took, "/s").print();
    Row::new(
        "steady: beat to acknowledgement, p99",
        quantile(&mut all.acknowledged, 0.99),
        "ms",
    )
    .beside("p50", quantile(&mut all.acknowledged, 0.5))
    .print();
    let lost = hub.metric("syncer_hub_verdicts_total{verdict=\"lost\"}")?;
    let suspect = hub.metric("syncer_hub_verdicts_total{verdict=\"suspect\"}")?;
    Row::new(
        "steady: Suspect or Lost of the living",
        (lost + suspect) as f64,
        "",
    )
    .budget("≤ 0")
    .print();
    Row::new("dials that were put off", all.put_off as f64, "").print();
    Ok(())
}

fn memory(plan: &Plan, [empty, bare, full]: [f64; 3]) {
    let of_each = |kib: f64| (kib - empty) / plan.tunnels as f64;
    Row::new("memory an agent, before its report", of_each(bare), "KiB")
        .budget("≤ 20")
        .print();
    let apart = of_each(full) - REPORT as f64 / 1024.0;
    Row::new("memory an agent, its report apart", apart, "KiB")
        .beside("with it", of_each(full))
        .budget("≤ 20")
        .print();
    Row::new("memory of the hub without agents", empty / 1024.0, "MiB").print();
}

/// Kills processes of agents: how soon they are Suspect, and how late Lost.
fn silence(
    plan: &Plan,
    hub: &Hub,
    what: &str,
    fleet: Vec<Clients>,
    killed: usize,
    left: usize,
) -> anyhow::Result<()> {
    let count = fleet
        .iter()
        .map(|clients| clients.names.len())
        .sum::<usize>();
    let mut killed_at = HashMap::new();
    for mut clients in fleet {
        let at = Timestamp::now();
        clients.child.kill()?;
        killed_at.extend(clients.names.drain().map(|name| (name, at)));
    }
    // Half of those that are heard: the hub doubts.
    let is_mass = count >= left.max(3);
    let allowance = plan.timeout() * if is_mass { 2 } else { 1 };
    hub.wait_for("suspect", count, plan.timeout())?;
    let mut seen = Seen {
        suspect: Vec::new(),
        lost: Vec::new(),
    };
    for agent in hub.agents("suspect")? {
        let at = killed_at
            .get(&agent.name)
            .context("a living one is Suspect")?;
        seen.suspect.push(millis(agent.since, *at));
    }
    hub.wait_for("lost", killed, allowance + PATIENCE)?;
    for agent in hub.agents("lost")? {
        if killed_at.contains_key(&agent.name) {
            let late = millis(agent.since, agent.last_evidence);
            seen.lost.push(late - allowance.as_secs_f64() * 1e3);
        }
    }
    ensure!(
        seen.lost.len() == count,
        "{} of {count} are Lost",
        seen.lost.len()
    );
    ensure!(
        is_mass == hub.log().contains("MassSilence"),
        "mass silence: {is_mass}"
    );
    let alive = hub.metric("syncer_hub_agents{verdict=\"alive\"}")?;
    ensure!(alive == left, "of {left} living ones {alive} are Alive");
    seen.print(what, is_mass);
    Ok(())
}

fn order(fleet: &mut [Clients], order: &str) -> anyhow::Result<()> {
    for clients in fleet {
        writeln!(clients.stdin, "{order}")?;
    }
    Ok(())
}

// === impl Plan ===

impl Plan {
    fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let number = |flag: &str, default: u64| {
            let place = arguments.iter().position(|argument| argument == flag);
            let value = place.and_then(|place| arguments.get(place + 1));
            value.map_or(Ok(default), |value| value.parse().context(flag.to_owned()))
        };
        let tunnels = usize::try_from(number("--tunnels", 15_000)?)?;
        ensure!(
            tunnels > MANY + 3,
            "--tunnels must be more than {}",
            MANY + 3
        );
        Ok(Self {
            tunnels,
            seconds: number("--seconds", 60)?,
            interval: Duration::from_secs(number("--interval", 10)?),
        })
    }

    fn timeout(&self) -> Duration {
        self.interval * 3
    }

    /// One agent, many, and all the others: where each process of them begins, and how many it has.
    fn groups(&self) -> impl Iterator<Item = (usize, usize)> {
        let others = self.tunnels - MANY - 1;
        let processes = others.div_ceil(CLIENTS_MAX);
        let others = (0..processes).map(move |process| {
            let from = others * process / processes;
            (MANY + 1 + from, others * (process + 1) / processes - from)
        });
        [(0, 1), (1, MANY)].into_iter().chain(others)
    }
}

// === impl Clients ===

impl Clients {
    fn start(plan: &Plan, hub: &Hub, from: usize, count: usize) -> anyhow::Result<Self> {
        let orders = Orders {
            hub: hub.tunnels,
            from,
            count,
            dials_a_second: DIALS_A_SECOND * count as f64 / plan.tunnels as f64,
            interval: plan.interval,
            timeout: plan.timeout(),
            report: REPORT,
        };
        let mut child = Command::new(std::env::current_exe()?)
            .arg(clients::FLAG)
            .arg(serde_json::to_string(&orders)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().context("stdin is piped")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
            names: (from..from + count).map(clients::name).collect(),
        })
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line)?;
        ensure!(!line.is_empty(), "a process of agents has ended");
        Ok(line)
    }

    fn expect_line(&mut self, expected: &str) -> anyhow::Result<()> {
        let line = self.line()?;
        ensure!(line.trim() == expected, "{line:?} is not {expected:?}");
        Ok(())
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

// === impl Seen ===

impl Seen {
    fn print(mut self, what: &str, is_mass: bool) {
        Row::new(
            &format!("{what} killed: crash to Suspect, latest"),
            quantile(&mut self.suspect, 1.0),
            "ms",
        )
        .beside("p50", quantile(&mut self.suspect, 0.5))
        .budget("≤ 1000")
        .print();
        let deadline = if is_mass {
            "deadline and one more timeout"
        } else {
            "deadline"
        };
        Row::new(
            &format!("{what} killed: {deadline} to Lost, latest"),
            quantile(&mut self.lost, 1.0),
            "ms",
        )
        .beside("p50", quantile(&mut self.lost, 0.5))
        .budget("≤ 250")
        .print();
        let early = self.lost.iter().filter(|late| **late < -ROUNDING).count();
        Row::new(
            &format!("{what} killed: Lost before that"),
            early as f64,
            "",
        )
        .budget("≤ 0")
        .print();
    }
}

/// From one time to another, in milliseconds.
fn millis(to: Timestamp, from: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e3
}

/// Tells the process that started this one.
fn tell(line: &str) {
    println!("{line}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "other processes are watched for a while"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
