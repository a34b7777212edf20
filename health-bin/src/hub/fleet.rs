//! The fleet's shell: it hands in what was heard, wakes at deadlines, and tells what was decided.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_core::PauseDetector;
use health_core::Pulse;
use health_heartbeat::AgentId;
use health_heartbeat::AgentKey;
use health_heartbeat::AgentView;
use health_heartbeat::Evidence;
use health_heartbeat::Fleet;
use health_heartbeat::FleetOutput;
use health_heartbeat::FleetReason;
use health_heartbeat::FleetTerms;
use health_heartbeat::FleetVerdict;
use health_heartbeat::FlightLimits;
use health_heartbeat::Identity;
use health_heartbeat::TunnelId;
use health_transport_ws::CloseReason;
use health_transport_ws::ConnectionId;
use health_transport_ws::Heard;
use health_transport_ws::TunnelEvent;
use metrics::Counter;
use metrics::Histogram;
use serde_json::value::RawValue;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio::sync::watch;

use super::auth::TargetChanges;
use super::ops::stream::Stream;
use super::ops::stream::Transition;
use super::plane::ControlPlane;
use super::registry::Registry;
use super::rivals::Rivals;
use super::seldom::Seldom;

/// Heard and not taken yet, of all tunnels together: each tunnel keeps its own latest beyond that.
pub(super) const EVENTS_MAX: usize = 4096;

/// The loop wakes up at least this often, to show its pulse and to notice a pause.
const TICK: Duration = Duration::from_secs(1);

/// A loop that is silent for this long has died or hangs.
const PULSE_ALLOWANCE: Duration = Duration::from_secs(10);

/// How far agents' clocks are from the hub's, ahead or behind.
pub(crate) const CLOCK_SKEW_SECONDS: &str = "syncer_hub_clock_skew_seconds";

/// A report that is longer is not kept: agents cut theirs to 32 KiB.
const REPORT_BYTES_MAX: usize = 64 * 1024;

/// The fleet as the loop, the endpoint and the answers share it.
#[derive(Debug)]
pub(super) struct SharedFleet {
    inner: Mutex<Inner>,
    pulse: Pulse,
    heartbeats: Counter,
    /// In the order of [`FleetVerdict::ALL`], each from the start: a rate misses a first one that
    /// comes with its series.
    verdicts: [Counter; FleetVerdict::ALL.len()],
    skew: Histogram,
    stream: Arc<Stream>,
    registry: Arc<Registry>,
    plane: OnceLock<Arc<dyn ControlPlane>>,
    /// Somebody has told the fleet something.
    told: Notify,
}

/// What is shared.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) fleet: Fleet,
    /// Whose each open tunnel is.
    tunnels: BTreeMap<ConnectionId, AgentKey>,
    reports: BTreeMap<AgentKey, Report>,
    rivals: Rivals,
    rivals_told: Seldom,
}

/// What an agent last said of itself: as of when it arrived, whatever has become of the agent.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) text: Arc<RawValue>,
    pub(super) at: Instant,
}

// === impl SharedFleet ===

impl SharedFleet {
    pub(super) fn new(
        terms: FleetTerms,
        recorder: Option<FlightLimits>,
        stream: Arc<Stream>,
        registry: Arc<Registry>,
    ) -> Arc<Self> {
        metrics::describe_counter!("syncer_hub_heartbeats_total", "Heartbeats that arrived.");
        metrics::describe_counter!("syncer_hub_verdicts_total", "Verdicts that were given.");
        metrics::describe_histogram!(
            CLOCK_SKEW_SECONDS,
            metrics::Unit::Seconds,
            "How far agents' clocks are from the hub's, ahead or behind."
        );
        let mut fleet = Fleet::new(terms, Instant::now());
        if let Some(limits) = recorder {
            fleet = fleet.with_recorder(limits);
        }
        Arc::new(Self {
            inner: Mutex::new(Inner {
                fleet,
                tunnels: BTreeMap::new(),
                reports: BTreeMap::new(),
                rivals: Rivals::default(),
                rivals_told: Seldom::default(),
            }),
            pulse: Pulse::new("fleet", PULSE_ALLOWANCE, Instant::now()),
            heartbeats: metrics::counter!("syncer_hub_heartbeats_total"),
            verdicts: FleetVerdict::ALL.map(|verdict| {
                metrics::counter!("syncer_hub_verdicts_total", "verdict" => verdict.label())
            }),
            skew: metrics::histogram!(CLOCK_SKEW_SECONDS),
            stream,
            registry,
            plane: OnceLock::new(),
            told: Notify::new(),
        })
    }

    /// From now on verdicts are told there, and objects are looked at.
    #[cfg_attr(
        not(feature = "transport-lease"),
        expect(dead_code, reason = "without that transport there is no API server")
    )]
    pub(super) fn set_plane(&self, plane: Arc<dyn ControlPlane>) {
        if self.plane.set(plane).is_err() {
            tracing::warn!("there is a control plane already");
        }
    }

    /// Tells the fleet something, and what follows from it soon.
    #[cfg_attr(
        not(feature = "transport-lease"),
        expect(dead_code, reason = "without that transport there is no API server")
    )]
    pub(super) fn with(&self, tell: impl FnOnce(&mut Fleet)) {
        tell(&mut self.lock().fleet);
        self.told.notify_one();
    }

    /// Expects the agents that have a token now, as far as there is room, and no more those that
    /// have none any more. They are known from the same moment on, so that they are listed by their
    /// names.
    pub(super) fn expect(&self, changes: &TargetChanges) {
        let mut inner = self.lock();
        for id in &changes.removed {
            if let Some(agent) = inner.fleet.find(id) {
                inner.fleet.unexpect(agent);
            }
        }
        let now = Instant::now();
        for id in &changes.added {
            if let Some(agent) = inner.fleet.admit(id.clone(), now) {
                inner.fleet.expect(agent);
            }
        }
        drop(inner);
        self.told.notify_one();
    }

    /// From now on, what is heard of `connection` is heard of `id`; not where there is no room for
    /// another agent.
    pub(super) fn assign(&self, connection: ConnectionId, id: AgentId) -> bool {
        let mut inner = self.lock();
        let agent = inner.fleet.admit(id, Instant::now());
        if let Some(agent) = agent {
            inner.tunnels.insert(connection, agent);
        }
        agent.is_some()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) const fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// Runs until the last tunnel and the endpoint are gone. Nobody is convicted by a hub that
    /// does not lead, and a hub that begins to gives everybody a full allowance.
    pub(super) async fn run(
        self: Arc<Self>,
        mut events: mpsc::Receiver<TunnelEvent>,
        mut leads: watch::Receiver<bool>,
    ) {
        let mut heard = Vec::new();
        let mut led = *leads.borrow_and_update();
        let mut pauses = PauseDetector::new(Instant::now(), crate::clock::boot());
        loop {
            let tick = Instant::now() + TICK;
            let next = self.lock().fleet.poll_timeout().filter(|_| led);
            let wake = next.map_or(tick, |at| at.min(tick));
            tokio::select! {
                count = events.recv_many(&mut heard, EVENTS_MAX) => if count == 0 { return },
                () = self.told.notified() => {}
                Ok(()) = leads.changed() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
            let now = Instant::now();
            let mut inner = self.lock();
            if let Some(pause) = pauses.observe(wake, now, crate::clock::boot()) {
                tracing::warn!(?pause, "this hub stood still; every deadline moved");
                inner.fleet.paused(pause, now);
            }
            let agents = heard.iter().map(|event| event.connection);
            let agents = agents.filter_map(|connection| inner.tunnels.get(&connection));
            inner.fleet.look_ahead(agents.copied());
            // What came in while we slept is heard before anybody is judged.
            for event in heard.drain(..) {
                self.hear(&mut inner, event);
            }
            let leads = *leads.borrow();
            if leads && !led {
                inner.fleet.take_over(now);
                self.tell(&mut inner);
            }
            if leads != std::mem::replace(&mut led, leads)
                && let Some(plane) = self.plane.get()
            {
                plane.lead(leads);
            }
            if leads {
                inner.fleet.handle_timeout(now);
            }
            self.tell(&mut inner);
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
        let Some(agent) = inner.tunnels.get(&connection).copied() else {
            return;
        };
        let tunnel = TunnelId(connection.0);
        let heartbeat;
        let evidence = match what {
            Heard::Opened(handshake) => Evidence::Opened {
                tunnel,
                heartbeats: handshake.can(health_transport_ws::protocol::CAPABILITY_HEARTBEAT),
            },
            Heard::Heartbeat { payload, sent } => {
                self.heartbeats.increment(1);
                let skew_ms = sent.map(|sent| skew_ms(sent, at));
                if let Some(skew_ms) = skew_ms {
                    self.skew.record(skew_ms.unsigned_abs() as f64 / 1e3);
                }
                heartbeat = payload;
                Evidence::Heartbeat {
                    tunnel,
                    payload: &heartbeat,
                    skew_ms,
                }
            }
            Heard::Frame => Evidence::Frame { tunnel },
            Heard::Status(report) => {
                if report.get().len() <= REPORT_BYTES_MAX {
                    let text = report.into();
                    inner.reports.insert(agent, Report { text, at });
                }
                Evidence::Frame { tunnel }
            }
            Heard::Goodbye { reason } => {
                tracing::info!(agent = inner.named(agent), reason, "goodbye");
                Evidence::Goodbye { tunnel }
            }
            Heard::Closed { why } => {
                inner.tunnels.remove(&connection);
                tracing::debug!(agent = inner.named(agent), %why, "tunnel closed");
                Evidence::Closed { tunnel }
            }
        };
        inner.fleet.evidence(agent, evidence, at);
    }

    /// Has everything done that the fleet wants.
    fn tell(&self, inner: &mut Inner) {
        while let Some(output) = inner.fleet.poll() {
            match output {
                FleetOutput::Verdict {
                    agent,
                    from,
                    verdict,
                    reason,
                } => {
                    if let Some(view) = inner.fleet.view(agent) {
                        self.judged(view, from, verdict, reason);
                    }
                }
                FleetOutput::Confirm { agent, by } => {
                    let plane = self.plane.get().zip(inner.fleet.view(agent));
                    if let Some((plane, view)) = plane {
                        plane.look(agent, view.id(), by);
                    }
                }
                FleetOutput::Replace {
                    agent,
                    tunnel,
                    by,
                    stay_away,
                } => {
                    inner.replaced(agent, &by);
                    let connection = ConnectionId(tunnel.0);
                    let reason = CloseReason::Replaced;
                    self.registry.close(connection, reason, Some(stay_away));
                }
                FleetOutput::MassSilence { silent, of } => tracing::warn!(
                    silent,
                    of,
                    reason = "MassSilence",
                    "so many fell silent at once that the fault may be this hub's; \
                     their verdicts wait for one more timeout"
                ),
                FleetOutput::MassSilenceOver => tracing::info!("the mass silence is over"),
                FleetOutput::Forgotten { agent, id } => {
                    inner.reports.remove(&agent);
                    if let Some(plane) = self.plane.get() {
                        plane.forgotten(&id);
                    }
                    tracing::info!(agent = %id, "forgotten: nobody expects it, and it is gone");
                }
            }
        }
    }

    /// One log line, one count and one event for each verdict.
    fn judged(
        &self,
        view: AgentView<'_>,
        from: FleetVerdict,
        verdict: FleetVerdict,
        reason: FleetReason,
    ) {
        self.stream
            .publish(Transition::of(view, from, verdict, reason));
        if let Some(plane) = self.plane.get() {
            plane.judged(view);
        }
        self.verdicts[verdict as usize].increment(1);
        let agent = view.id();
        match verdict {
            FleetVerdict::Lost => tracing::warn!(%agent, %verdict, %reason),
            FleetVerdict::Pending
            | FleetVerdict::Alive
            | FleetVerdict::Suspect
            | FleetVerdict::Left => tracing::info!(%agent, %verdict, %reason),
        }
    }
}

// === impl Inner ===

impl Inner {
    /// The report that an agent last sent.
    pub(super) fn report(&self, agent: AgentKey) -> Option<Report> {
        self.reports.get(&agent).cloned()
    }

    /// A newer tunnel of `by` closes an older one of the same slot, which tells once in a while
    /// where two processes do that to each other.
    fn replaced(&mut self, agent: AgentKey, by: &Identity) {
        if !self.rivals.took_over(agent, by) {
            return;
        }
        let untold = self.rivals_told.tell((agent, &by.slot), Instant::now());
        if let Some(untold) = untold {
            tracing::warn!(
                agent = self.named(agent),
                slot = by.slot.as_str(),
                untold,
                "two processes with one identity close each other's tunnels: give each its own \
                 `identity`, or end one"
            );
        }
    }

    /// An agent's name, for logs.
    fn named(&self, agent: AgentKey) -> String {
        let view = self.fleet.view(agent);
        view.map_or_else(String::new, |view| view.id().to_string())
    }

    /// Whose a tunnel is, for logs; nothing where its handshake has not come yet.
    pub(super) fn owner(&self, connection: ConnectionId) -> Option<String> {
        let agent = self.tunnels.get(&connection)?;
        Some(self.named(*agent))
    }

    /// How many tunnels are open.
    pub(super) fn tunnels(&self) -> usize {
        self.tunnels.len()
    }
}

/// How far the clock is ahead that says that it was `sent` when it was received `at`.
fn skew_ms(sent: SystemTime, at: Instant) -> i64 {
    let received = SystemTime::now() - at.elapsed();
    let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match sent.duration_since(received) {
        Ok(ahead) => millis(ahead),
        Err(behind) => -millis(behind.duration()),
    }
}
