//! The fleet's shell: it hands in what was heard, wakes at deadlines, and tells what was decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_core::PauseDetector;
use health_core::Pulse;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::Channel;
use health_heartbeat::Evidence;
use health_heartbeat::Fleet;
use health_heartbeat::FleetOutput;
use health_heartbeat::FleetTerms;
use health_heartbeat::FleetVerdict;
use health_transport_ws::ConnectionId;
use health_transport_ws::Heard;
use health_transport_ws::TunnelEvent;
use metrics::Counter;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// Heard and not taken yet, of all tunnels together: each tunnel keeps its own latest beyond that.
pub(super) const EVENTS_MAX: usize = 4096;

/// The loop wakes up at least this often, to show its pulse and to notice a pause.
const TICK: Duration = Duration::from_secs(1);

/// A loop that is silent for this long has died or hangs.
const PULSE_ALLOWANCE: Duration = Duration::from_secs(10);

/// A report that is longer is not kept: agents cut theirs to 32 KiB.
const REPORT_BYTES_MAX: usize = 64 * 1024;

/// The fleet as the loop, the endpoint and the answers share it.
#[derive(Debug)]
pub(super) struct SharedFleet {
    inner: Mutex<Inner>,
    pulse: Pulse,
    heartbeats: Counter,
}

/// What is shared.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) fleet: Fleet,
    tunnels: BTreeMap<ConnectionId, Tunnel>,
    reports: BTreeMap<AgentKey, Arc<RawValue>>,
}

#[derive(Debug)]
struct Tunnel {
    agent: AgentKey,
    said_goodbye: bool,
}

// === impl SharedFleet ===

impl SharedFleet {
    pub(super) fn new(terms: FleetTerms) -> Arc<Self> {
        metrics::describe_counter!("syncer_hub_heartbeats_total", "Heartbeats that arrived.");
        metrics::describe_counter!("syncer_hub_verdicts_total", "Verdicts that were given.");
        Arc::new(Self {
            inner: Mutex::new(Inner {
                fleet: Fleet::new(terms),
                tunnels: BTreeMap::new(),
                reports: BTreeMap::new(),
            }),
            pulse: Pulse::new("fleet", PULSE_ALLOWANCE, Instant::now()),
            heartbeats: metrics::counter!("syncer_hub_heartbeats_total"),
        })
    }

    /// Expects an agent.
    pub(super) fn expect(&self, id: AgentId) {
        self.lock().fleet.admit(id, Instant::now());
    }

    /// From now on, what is heard of `connection` is heard of `id`.
    pub(super) fn assign(&self, connection: ConnectionId, id: AgentId) {
        let mut inner = self.lock();
        let agent = inner.fleet.admit(id, Instant::now());
        inner.tunnels.insert(
            connection,
            Tunnel {
                agent,
                said_goodbye: false,
            },
        );
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Runs until the last tunnel and the endpoint are gone.
    pub(super) async fn run(self: Arc<Self>, mut events: mpsc::Receiver<TunnelEvent>) {
        let mut heard = Vec::new();
        let mut pauses = PauseDetector::new(Instant::now(), crate::clock::boot());
        loop {
            let tick = Instant::now() + TICK;
            let wake = self
                .lock()
                .fleet
                .poll_timeout()
                .map_or(tick, |at| at.min(tick));
            tokio::select! {
                count = events.recv_many(&mut heard, EVENTS_MAX) => if count == 0 { return },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            let now = Instant::now();
            let mut inner = self.lock();
            if let Some(pause) = pauses.observe(wake, now, crate::clock::boot()) {
                tracing::warn!(?pause, "this hub stood still; every deadline moved");
                inner.fleet.paused(pause, now);
            }
            // What came in while we slept is heard before anybody is judged.
            for event in heard.drain(..) {
                self.hear(&mut inner, event);
            }
            inner.fleet.handle_timeout(now);
            tell(&mut inner.fleet);
            drop(inner);
            self.pulse.beat(now);
        }
    }

    fn hear(&self, inner: &mut Inner, event: TunnelEvent) {
        let TunnelEvent {
            connection,
            at,
            what,
        } = event;
        let Some(tunnel) = inner.tunnels.get_mut(&connection) else {
            return;
        };
        let agent = tunnel.agent;
        let evidence = match what {
            Heard::Opened(handshake) => Evidence::Opened {
                heartbeats: handshake
                    .capabilities
                    .iter()
                    .any(|name| name == health_transport_ws::protocol::CAPABILITY_HEARTBEAT),
            },
            Heard::Heartbeat { payload, .. } => {
                self.heartbeats.increment(1);
                Evidence::Heartbeat {
                    channel: Channel::Tunnel,
                    payload: Box::new(payload),
                }
            }
            Heard::Frame => Evidence::Sign {
                channel: Channel::Tunnel,
            },
            Heard::Status(report) => {
                if report.get().len() <= REPORT_BYTES_MAX {
                    inner.reports.insert(agent, report.into());
                }
                Evidence::Sign {
                    channel: Channel::Tunnel,
                }
            }
            Heard::Goodbye { reason } => {
                tracing::info!(agent = %inner.fleet.view(agent).id(), reason, "goodbye");
                tunnel.said_goodbye = true;
                return;
            }
            Heard::Closed { why } => {
                let goodbye = tunnel.said_goodbye;
                inner.tunnels.remove(&connection);
                tracing::debug!(agent = %inner.fleet.view(agent).id(), %why, "tunnel closed");
                if goodbye {
                    Evidence::Goodbye
                } else {
                    Evidence::Closed
                }
            }
        };
        inner.fleet.evidence(agent, evidence, at);
    }
}

// === impl Inner ===

impl Inner {
    /// The report that an agent last sent.
    pub(super) fn report(&self, agent: AgentKey) -> Option<Arc<RawValue>> {
        self.reports.get(&agent).cloned()
    }

    /// How many tunnels are open.
    pub(super) fn tunnels(&self) -> usize {
        self.tunnels.len()
    }
}

/// One log line and one count for each verdict.
fn tell(fleet: &mut Fleet) {
    while let Some(FleetOutput::Verdict {
        agent,
        verdict,
        reason,
    }) = fleet.poll()
    {
        metrics::counter!("syncer_hub_verdicts_total", "verdict" => verdict.label()).increment(1);
        let agent = fleet.view(agent).id();
        match verdict {
            FleetVerdict::Lost => tracing::warn!(%agent, %verdict, reason),
            FleetVerdict::Pending
            | FleetVerdict::Alive
            | FleetVerdict::Suspect
            | FleetVerdict::Left => tracing::info!(%agent, %verdict, reason),
        }
    }
}
