//! A thousand agents whose hub restarts: how many dial at once, and when the last one is back.

mod law;

mod model;

use std::time::Duration;
use std::time::Instant;

use health_core::ConnectionState;
use health_heartbeat::HeartbeatConfig;
use health_transport_ws::Tunnel;
use health_transport_ws::TunnelConfig;
use rustix::process::Resource;
use rustix::process::Rlimit;
use rustix::process::getrlimit;
use rustix::process::setrlimit;
use tokio::task::JoinSet;

use crate::Outcome;
use crate::PATIENCE;
use crate::other;
use crate::other::Other;
use crate::support::Row;
use model::Death;

const AGENTS: usize = 1_000;

/// In which dials are counted.
const WINDOW: Duration = Duration::from_millis(100);

/// After that the herd that is simulated is back, or never will be.
const HORIZON: Duration = Duration::from_secs(60);

/// How long the real hub is away, and how long its agents had been connected before.
const AWAY: Duration = Duration::from_secs(2);
const STOOD: Duration = Duration::from_secs(11);

/// Dials, and the end of the waiting, since the hub was gone.
#[derive(Debug, Default)]
struct Seen {
    dials: Vec<Duration>,
    back: Vec<Duration>,
}

/// The pure machines under a virtual clock.
pub(crate) fn simulated() {
    for (death, away) in [
        (Death::Killed, Duration::ZERO),
        (Death::Killed, Duration::from_secs(10)),
        (Death::Goodbye(Duration::from_secs(1)), Duration::ZERO),
    ] {
        let what = match death {
            Death::Killed => format!("herd, simulated, hub killed, away {} s", away.as_secs()),
            Death::Goodbye(_) => "herd, simulated, hub says goodbye".to_owned(),
        };
        model::run(death, away).print(&what, away + death.asked());
    }
}

/// A thousand tunnels of one process, whose hub is killed and started again.
pub(crate) async fn real() -> Outcome<()> {
    raise_open_files();
    let hub = Other::start(other::HUB)?;
    let address = hub.address;
    let mut states = Vec::new();
    // Whoever drops the last handle drops the tunnel.
    let mut tunnels = Vec::new();
    for seed in 0..AGENTS {
        let url = format!("ws://{address}/tunnel").parse()?;
        let mut config = TunnelConfig::new(url, format!("edge-{seed}"));
        config.seed = seed as u64;
        let tunnel = Tunnel::spawn(config, None);
        let mut state = tunnel.state();
        let connected = state.wait_for(ConnectionState::is_connected);
        tokio::time::timeout(PATIENCE, connected).await??;
        tunnels.push(tunnel);
        states.push(state);
    }
    // A connection that has stood for an interval begins the backoff anew.
    tokio::time::sleep(STOOD).await;
    drop(hub);
    let began = Instant::now();
    let mut watching = JoinSet::new();
    for mut state in states {
        watching.spawn(async move {
            let mut seen = Seen::default();
            // The end of the connection is no dial; after it, each change is the end of one.
            let gone = state.wait_for(|state| !state.is_connected()).await;
            drop(gone?);
            while !state.borrow_and_update().is_connected() {
                state.changed().await?;
                seen.dials.push(began.elapsed());
            }
            seen.back.push(began.elapsed());
            Ok::<_, tokio::sync::watch::error::RecvError>(seen)
        });
    }
    tokio::time::sleep(AWAY).await;
    // Waiting for it here would hold up everybody's clock.
    let again = tokio::task::spawn_blocking(move || Other::start_at(address, other::HUB));
    let _hub = again.await??;
    let mut all = Seen::default();
    while let Some(seen) = tokio::time::timeout(PATIENCE, watching.join_next()).await? {
        let seen = seen??;
        all.dials.extend(seen.dials);
        all.back.extend(seen.back);
    }
    all.print(
        &format!("herd, real, hub killed, away {} s", AWAY.as_secs()),
        AWAY,
    );
    Ok(())
}

/// The usual soft limit is less than a thousand connections need.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Without it the dials fail, and say so.
    let _ = setrlimit(Resource::Nofile, raised);
}

// === impl Seen ===

impl Seen {
    /// Most dials in a window beside what the law of the backoff lets expect, and the last return.
    fn print(&self, what: &str, away: Duration) {
        let mut windows = vec![0_u32; HORIZON.div_duration_f64(WINDOW) as usize + 1];
        for at in &self.dials {
            windows[at.div_duration_f64(WINDOW) as usize] += 1;
        }
        let peak = windows.into_iter().max().unwrap_or_default();
        let expected = law::most_expected();
        // Five standard deviations: the count is a sum of independent chances.
        let bound = (expected + 5.0 * expected.sqrt()).ceil();
        Row::new(
            &format!("{what}: most dials in 100 ms, of {AGENTS} agents"),
            f64::from(peak),
            "",
        )
        .beside("most expected", expected.round())
        .budget(&format!("≤ {bound}"))
        .print();
        let last = self.back.iter().max().copied().unwrap_or_default();
        let complete = if self.back.len() == AGENTS {
            last.as_secs_f64()
        } else {
            f64::INFINITY
        };
        // Nobody waits longer than an interval; a busy machine may take a second to let all in.
        let limit = away + HeartbeatConfig::default().interval() + Duration::from_secs(1);
        Row::new(
            &format!("{what}: the last one is back after"),
            complete,
            "s",
        )
        .budget(&format!("≤ {}", limit.as_secs_f64()))
        .print();
    }
}
