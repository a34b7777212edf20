//! Heartbeats over one tunnel while bulk goes both ways, beside the same tunnel when it is idle, and
//! one heartbeat beside its messages and an echo over bare tungstenite; then a thousand agents whose
//! hub restarts. Agents and hub are a process each, with one thread and a core of its own.
//! Run it with `cargo bench -p health-transport-ws --bench tunnel -- --seconds 60`.

#![expect(
    clippy::print_stdout,
    reason = "the other process tells its address there"
)]

use std::time::Duration;
use std::time::Instant;

use health_transport_ws::Tunnel;
use health_transport_ws::TunnelConfig;
use health_transport_ws::WebsocketTransport;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use serde_json::Value;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use echo::Echo;
use exchange::Exchange;
use heartbeat::Beats;
use load::Counters;
use load::Load;
use other::Other;
use quantile::quantile;
use support::Row;

#[path = "../../../health-checks/benches/place.rs"]
mod place;

#[path = "../../../health-checks/benches/quantile.rs"]
mod quantile;

#[path = "../../../health-checks/benches/support.rs"]
mod support;

mod bare;

mod echo;

mod exchange;

mod heartbeat;

mod herd;

mod hub;

mod load;

mod other;

/// How long each load lasts, unless `--seconds` says otherwise.
const SECONDS: u64 = 60;

/// Whatever takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The agent's side.
struct Agent {
    tunnel: Tunnel,
    beats: Beats,
    counters: Counters,
    /// What the hub says.
    told: mpsc::Receiver<Message>,
    hub: Other,
}

/// What a load gave.
struct Measured {
    load: Load,
    rtts: Vec<f64>,
    /// To the hub and from it, a second.
    received: [f64; 2],
}

fn main() -> Outcome<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    if let Some((role, address)) = other::role() {
        place::stay_on(place::ANSWERING);
        let listener = runtime.block_on(TcpListener::bind(address))?;
        println!("{}", listener.local_addr()?);
        return match role {
            other::HUB => runtime.block_on(hub::serve(&listener)),
            other::EXCHANGE => runtime.block_on(exchange::serve(&listener)),
            _ => runtime.block_on(echo::serve(&listener)),
        };
    }
    if !support::is_asked_for() {
        return Ok(());
    }
    let duration = Duration::from_secs(seconds());
    place::stay_on(place::ASKING);
    // As a task, as the loop of the heartbeats is one.
    let measured = runtime.spawn(async move {
        let mut agent = Agent::start().await?;
        agent.beside_bare_ones().await?;
        agent.under_load(duration).await
    });
    runtime.block_on(measured)??;
    herd::simulated();
    runtime.block_on(herd::real())
}

// === impl Agent ===

impl Agent {
    async fn start() -> Outcome<Self> {
        let hub = Other::start(other::HUB)?;
        let url = format!("ws://{}/tunnel", hub.address);
        let tunnel = Tunnel::spawn(TunnelConfig::new(url.parse()?, "edge-1"), None);
        let told = tunnel.route(MessageType::Command, 1)?;
        let mut state = tunnel.state();
        let connected = state.wait_for(|state| state.is_connected());
        tokio::time::timeout(PATIENCE, connected).await??;
        let counters = Counters::start(|kind| tunnel.route(kind, load::CAPACITY))?;
        let beats = Beats::new(WebsocketTransport::new(tunnel.clone()));
        Ok(Self {
            tunnel,
            beats,
            counters,
            told,
            hub,
        })
    }

    /// Heartbeats without a pause, in turns with the same messages and with as many echoes over a
    /// WebSocket that has nothing around it.
    async fn beside_bare_ones(&mut self) -> Outcome<()> {
        const SLICE: Duration = Duration::from_millis(100);
        const SLICES: usize = 45;
        let (echoing, answering) = (Other::start(other::ECHO)?, Other::start(other::EXCHANGE)?);
        let mut echo = Echo::connect(&echoing, self.beats.text()).await?;
        let mut exchange = Exchange::connect(&answering, self.beats.payload()).await?;
        let [mut ours, mut exchanges, mut echoes] = [const { Vec::new() }; 3];
        for slice in 0..=SLICES {
            let until = Instant::now() + SLICE;
            let mut beats = Vec::new();
            while Instant::now() < until {
                beats.push(self.beats.beat().await?);
            }
            let mut exchanged = exchange.until(Instant::now() + SLICE).await?;
            let mut echoed = echo.until(Instant::now() + SLICE).await?;
            // The first of each warms up.
            if slice > 0 {
                ours.push(quantile(&mut beats, 0.5));
                exchanges.push(quantile(&mut exchanged, 0.5));
                echoes.push(quantile(&mut echoed, 0.5));
            }
        }
        let [ours, exchange, echo] =
            [ours, exchanges, echoes].map(|mut all| quantile(&mut all, 0.5));
        let what = "one heartbeat, encode to acknowledged, p50";
        let same = "its messages over bare tungstenite";
        let bare = "bare tungstenite echo";
        Row::new(what, ours, "µs")
            .beside(bare, echo)
            .budget("≤ 1.2 ×")
            .print();
        // What of that is the protocol's, and what is ours.
        Row::new(same, exchange, "µs").beside(bare, echo).print();
        Row::new(what, ours, "µs").beside(same, exchange).print();
        Ok(())
    }

    async fn under_load(&mut self, duration: Duration) -> Outcome<()> {
        let memory = |hub: &Other| -> Outcome<[f64; 2]> {
            Ok([other::resident_kib("self")?, hub.resident_kib()?])
        };
        let before = memory(&self.hub)?;
        let mut idle = Vec::new();
        let mut measured = Vec::new();
        for load in Load::ALL {
            // The machine may be another one after a minute, so each load has its idle time.
            idle.extend(self.measure(Load::IDLE, duration / 2).await?.rtts);
            measured.push(self.measure(load, duration).await?);
        }
        let after = memory(&self.hub)?;
        let (p50, p99) = (quantile(&mut idle, 0.5), quantile(&mut idle, 0.99));
        Row::new("tunnel, idle: heartbeat rtt, p50", p50, "µs").print();
        Row::new("tunnel, idle: heartbeat rtt, p99", p99, "µs").print();
        for measured in measured {
            measured.print(p50, p99);
        }
        for (place, whose) in ["agent's", "hub's"].into_iter().enumerate() {
            let what = format!("tunnel: {whose} resident memory, end");
            Row::new(&what, after[place], "KiB")
                .beside("start", before[place])
                .print();
        }
        Ok(())
    }

    /// Beats while a load goes both ways, then asks the hub what it got.
    async fn measure(&mut self, load: Load, duration: Duration) -> Outcome<Measured> {
        self.tell(load.name).await?;
        self.counters.take();
        let sender = load.start(self.tunnel.clone());
        let began = Instant::now();
        let rtts = self.beats.until(began + duration).await?;
        sender.abort();
        let from_hub = self.counters.take();
        let seconds = began.elapsed().as_secs_f64();
        let to_hub = self.tell(Load::IDLE.name).await?;
        Ok(Measured {
            load,
            rtts,
            received: [to_hub / seconds, from_hub / seconds],
        })
    }

    /// Tells the hub which load to send from now on; it answers how much came since the last time.
    async fn tell(&mut self, load: &str) -> Outcome<f64> {
        let what = json!({ "load": load });
        let message = Message::with_payload(MessageType::Command, &what)?;
        self.tunnel.send(message).await?;
        let told = tokio::time::timeout(PATIENCE, self.told.recv()).await?;
        let told: Option<Value> = told.ok_or("the tunnel is closed")?.decode()?;
        let received = told.and_then(|told| told["received"].as_f64());
        Ok(received.ok_or("the hub tells no number")?)
    }
}

// === impl Measured ===

impl Measured {
    fn print(mut self, idle_p50: f64, idle_p99: f64) {
        let name = self.load.name;
        let what = |what: &str| format!("tunnel, {name}: {what}");
        for (way, received) in ["agent to hub", "hub to agent"].iter().zip(self.received) {
            Row::new(&what(&format!("received, {way}")), received, "/s")
                .beside("sent", self.load.per_second())
                .budget("≥ 0.99 ×")
                .print();
        }
        let count = self.rtts.len();
        let rtt = |share| quantile(&mut self.rtts, share);
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(rtt);
        Row::new(&what("heartbeat rtt, p50"), p50, "µs")
            .beside("idle", idle_p50)
            .print();
        Row::new(&what("heartbeat rtt, p99"), p99, "µs")
            .beside("idle", idle_p99)
            .budget("≤ 2 ×")
            .print();
        Row::new(
            &what(&format!("heartbeat rtt, most of {count}")),
            most,
            "µs",
        )
        .print();
    }
}

fn seconds() -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--seconds");
    let given = arguments.nth(1).and_then(|seconds| seconds.parse().ok());
    given.unwrap_or(SECONDS).max(2)
}
