//! What the program costs beside a syncer: its size, its start, and an idle agent with twenty
//! components and both transports. Run it with `cargo bench -p health-bin --bench agent`.

#![expect(clippy::disallowed_methods, reason = "a measuring program waits")]

#[path = "../processor.rs"]
mod processor;

#[path = "../../../health-checks/benches/quantile.rs"]
mod quantile;

#[path = "../../../health-checks/benches/support.rs"]
#[expect(dead_code, reason = "nothing is measured beside it")]
mod support;

#[path = "../../tests/integration/support/cluster.rs"]
#[expect(dead_code, reason = "the tests look at its objects")]
mod cluster;

#[path = "../../tests/integration/support/ports.rs"]
mod ports;

#[path = "../../tests/integration/support/service.rs"]
#[expect(dead_code, reason = "the tests stop it and start it again")]
mod service;

#[path = "../../tests/integration/support/wait.rs"]
mod wait;

mod program;

use std::time::Duration;
use std::time::Instant;

use anyhow::ensure;
use cluster::Cluster;
use program::Program;
use quantile::quantile;
use service::Service;
use support::Row;
use wait::eventually;
use wait::secs;

/// How long an idle agent is watched, unless `--seconds` says otherwise.
const SECONDS: u64 = 60;

/// How often the start is measured.
const STARTS: usize = 20;

const COMPONENTS: usize = 20;

/// After that the first round of checks is over, and every connection made.
const SETTLE: Duration = Duration::from_secs(5);

const MIB: f64 = 1024.0 * 1024.0;

fn main() -> anyhow::Result<()> {
    if !support::is_asked_for() {
        return Ok(());
    }
    size()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let (cluster, service) =
        runtime.block_on(async { (Cluster::start().await, Service::start().await) });
    let hub = Program::start("hub", |address| {
        let [tunnels, ops] = address;
        format!("server: {{ bind: '{tunnels}' }}\nops: {{ bind: '{ops}' }}\n")
    })?;
    hub.first_answer()?;
    let config =
        |[address, _]: [std::net::SocketAddr; 2]| config(address, &hub, &cluster, &service);
    let agent = Program::start("run", config)?;
    agent.first_answer()?;
    agent.ready()?;
    std::thread::sleep(SETTLE);
    idle(&agent, &cluster)?;
    drop(agent);
    // The hub tells one that dials so often to wait, so this comes last.
    start(config)
}

/// What has to be pulled onto each node.
fn size() -> anyhow::Result<()> {
    let bytes = std::fs::metadata(program::path())?.len();
    Row::new("the program, stripped", bytes as f64 / MIB, "MiB")
        .budget("≤ 10")
        .print();
    Ok(())
}

/// From the fork to the first answer, whatever it is.
fn start(config: impl Fn([std::net::SocketAddr; 2]) -> String) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for _ in 0..STARTS {
        let began = Instant::now();
        let agent = Program::start("run", &config)?;
        agent.first_answer()?;
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Row::new(
        "from the start to the first answer of /readyz, p50",
        quantile(&mut took, 0.5),
        "ms",
    )
    .budget("≤ 100")
    .print();
    Ok(())
}

/// An agent to which nothing happens but its own checks and heartbeats.
fn idle(agent: &Program, cluster: &Cluster) -> anyhow::Result<()> {
    cluster.model().take_requests();
    let (before, began) = (processor::time_of(agent.pid())?, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds()));
    let spent = processor::time_of(agent.pid())?.saturating_sub(before);
    let share = spent.as_secs_f64() / began.elapsed().as_secs_f64();
    let renewals = cluster.model().take_requests();
    let renewals = renewals.iter().filter(|(_, path)| path.contains("/leases"));
    let [written, all] = renewals.fold([0.0, 0.0], |[written, all], (method, _)| {
        [written + f64::from(method == "PUT"), all + 1.0]
    });
    ensure!(written > 0.0, "the Lease was never renewed");
    let what =
        |what: &str| format!("an idle agent, {COMPONENTS} components, both transports: {what}");
    Row::new(
        &what("resident memory"),
        agent.resident_kib()? / 1024.0,
        "MiB",
    )
    .budget("≤ 12")
    .print();
    Row::new(&what("of a core"), share * 100.0, "%")
        .budget("≤ 0.2")
        .print();
    Row::new(&what("requests a renewal of its Lease"), all / written, "")
        .budget("≤ 1")
        .print();
    Ok(())
}

/// Every kind of check that asks somebody, twenty altogether, at their default intervals.
fn config(
    address: std::net::SocketAddr,
    hub: &Program,
    cluster: &Cluster,
    service: &Service,
) -> String {
    let service = service.address();
    let mut config = format!(
        "syncTarget: {{ name: edge-1 }}\nserver: {{ bind: '{address}' }}\n\
         cluster: {{ kubeconfig: '{}' }}\n\
         heartbeat: {{ websocket: {{ url: 'ws://{}/tunnel' }} }}\nchecks:\n  components:\n\
         \x20 - {{ name: engine, prometheus: {{ url: 'http://{service}/metrics', syncEngine: true }} }}\n\
         \x20 - {{ name: memory, resources: {{}} }}\n\
         \x20 - {{ name: helper, exec: {{ command: [/bin/true] }} }}\n",
        cluster.kubeconfig(),
        hub.address,
    );
    for number in 3..COMPONENTS {
        config.push_str(&format!(
            "  - {{ name: service-{number}, http: {{ url: 'http://{service}/readyz' }} }}\n"
        ));
    }
    config
}

fn seconds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds");
    let given = arguments.nth(1).and_then(|seconds| seconds.parse().ok());
    // A renewal comes each ten seconds.
    given.unwrap_or(SECONDS).max(25)
}
