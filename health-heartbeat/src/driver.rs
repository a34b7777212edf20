//! The one tokio driver of the agent's machines.

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthSource;
use health_core::Pulse;
use health_core::Revision;
use tokio::sync::broadcast;
use tokio::sync::watch;

use crate::Heartbeat;
use crate::HeartbeatConfig;
use crate::HeartbeatEvent;
use crate::HeartbeatSnapshot;
use crate::HeartbeatTransport;
use crate::Identity;
use crate::Requirement;
use crate::TransportSnapshot;

mod beating;

mod counters;

mod telling;

/// Listeners that lag by more events than this lose the oldest; the loops never wait for them.
const EVENTS_KEPT: usize = 256;

/// A loop that is silent for this long has died or hangs; each wakes up at least once a second.
const PULSE_ALLOWANCE: Duration = Duration::from_secs(10);

/// What the heartbeats need to know about the agent.
#[derive(Clone)]
pub struct HeartbeaterConfig {
    /// Who is beating.
    pub identity: Identity,
    /// What is required of several transports together.
    pub requirement: Requirement,
    /// Decides jitter and backoff.
    pub seed: u64,
    /// Who knows the agent's health.
    pub source: Arc<dyn HealthSource>,
    /// Moves when the agent's health does.
    pub changes: watch::Receiver<Revision>,
}

/// One transport and its pace.
pub struct TransportSetup {
    /// The transport.
    pub transport: Box<dyn HeartbeatTransport>,
    /// How often it beats.
    pub config: HeartbeatConfig,
    /// Whether every change of the agent's health brings its next beat forward, and not only the
    /// first results of its checks. Such a transport keeps its own interval, whatever another one is
    /// told, and limits its own rate.
    pub prompt: bool,
}

/// Beats over every transport until it is released: the shell around one
/// [`AgentMachine`](crate::AgentMachine) each.
///
/// A cheap handle; when the last one is dropped the loops end without a goodbye.
#[derive(Clone)]
pub struct Heartbeater {
    requirement: Requirement,
    transports: Arc<[Loop]>,
    events: broadcast::Sender<HeartbeatEvent>,
    release: Arc<watch::Sender<Stage>>,
}

/// How far the goodbyes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Nobody leaves.
    Running,
    /// Those that tell health leave: what they say last must be said while the others still beat.
    Tellers,
    /// All leave.
    All,
}

struct Loop {
    leaves_at: Stage,
    snapshot: watch::Receiver<TransportSnapshot>,
    pulse: Arc<Pulse>,
}

// === impl Heartbeater ===

impl Heartbeater {
    /// Starts one loop for each transport on the current tokio runtime.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn spawn(config: &HeartbeaterConfig, transports: Vec<TransportSetup>) -> Self {
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let (release, released) = watch::channel(Stage::Running);
        let (told, _) = watch::channel(None);
        let told = Arc::new(told);
        let loops = transports.into_iter().enumerate().map(|(number, setup)| {
            let pulse = Pulse::new(setup.transport.name().0, PULSE_ALLOWANCE, now());
            let pulse = Arc::new(pulse);
            let seed = config.seed.wrapping_add(number as u64);
            let leaves_at = if setup.prompt {
                Stage::Tellers
            } else {
                Stage::All
            };
            let shared = beating::Shared {
                config: config.clone(),
                events: events.clone(),
                pulse: Arc::clone(&pulse),
                release: released.clone(),
                leaves_at,
                told: Arc::clone(&told),
            };
            let snapshot = beating::spawn(setup, seed, shared);
            Loop {
                leaves_at,
                snapshot,
                pulse,
            }
        });
        let transports = loops.collect();
        Self {
            requirement: config.requirement,
            transports,
            events,
            release: Arc::new(release),
        }
    }

    /// How all transports are, from memory.
    #[must_use]
    pub fn snapshot(&self) -> HeartbeatSnapshot {
        HeartbeatSnapshot {
            requirement: self.requirement,
            transports: self
                .transports
                .iter()
                .map(|one| one.snapshot.borrow().clone())
                .collect(),
        }
    }

    /// Everything that happens from now on. A listener that lags loses the oldest events.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<HeartbeatEvent> {
        self.events.subscribe()
    }

    /// The marks of the loops, for liveness.
    pub fn pulses(&self) -> impl Iterator<Item = &Arc<Pulse>> {
        self.transports.iter().map(|one| &one.pulse)
    }

    /// Says goodbye on every transport, and ends their loops: first on those that tell health
    /// (`prompt`), then on the others, each of the two bounded by the machines to 5 s.
    ///
    /// # Cancel safety
    ///
    /// The goodbyes that were begun go on when this future is dropped.
    pub async fn release(&self) {
        for stage in [Stage::Tellers, Stage::All] {
            self.release.send_replace(stage);
            for one in self.transports.iter().filter(|one| one.leaves_at <= stage) {
                let mut snapshot = one.snapshot.clone();
                while snapshot.changed().await.is_ok() {}
            }
        }
    }
}

impl fmt::Debug for Heartbeater {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Heartbeater")
            .field("snapshot", &self.snapshot())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HeartbeaterConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeartbeaterConfig")
            .field("identity", &self.identity)
            .field("requirement", &self.requirement)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TransportSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportSetup")
            .field("transport", &self.transport.name())
            .field("config", &self.config)
            .field("prompt", &self.prompt)
            .finish()
    }
}

/// The clock, read here only; tokio's, so that paused time is honoured.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The clock that runs through suspend, as a time since boot.
fn boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::try_from(time).unwrap_or_default()
}

/// Runs a future to its end, and gives nothing if it panics.
async fn unless_it_panics<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    std::future::poll_fn(move |cx| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx)));
        polled.map_or(std::task::Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

/// One heartbeat that leaves now.
fn heartbeat(
    config: &HeartbeaterConfig,
    terms: &HeartbeatConfig,
    sequence: crate::Sequence,
    now: Instant,
) -> Heartbeat {
    Heartbeat {
        identity: config.identity.clone(),
        sequence,
        interval: terms.interval(),
        timeout: terms.timeout(),
        carried: config.source.carried(now),
    }
}

#[cfg(test)]
mod tests;
