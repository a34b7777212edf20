//! One transport's loop: it does what the machine says, and decides nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_core::PauseDetector;
use health_core::Pulse;
use health_core::Revision;
use tokio::sync::broadcast;
use tokio::sync::watch;
use tracing::Instrument;
use tracing::Span;

use super::HeartbeaterConfig;
use super::Stage;
use super::TransportSetup;
use super::boot;
use super::counters::Counters;
use super::heartbeat;
use super::now;
use super::telling::Telling;
use super::unless_it_panics;
use crate::AgentInput;
use crate::AgentMachine;
use crate::AgentOutput;
use crate::AttemptOutcome;
use crate::EventKind;
use crate::Heartbeat;
use crate::HeartbeatEvent;
use crate::HeartbeatTransport;
use crate::Sequence;
use crate::TransportName;
use crate::TransportSnapshot;

/// Each loop wakes up at least this often, to show its pulse and to notice a pause.
const TICK: Duration = Duration::from_secs(1);

/// What the loops share.
pub(super) struct Shared {
    pub(super) config: HeartbeaterConfig,
    pub(super) events: broadcast::Sender<HeartbeatEvent>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) release: watch::Receiver<Stage>,
    pub(super) leaves_at: Stage,
    /// The interval that any transport was last told.
    pub(super) told: Arc<watch::Sender<Option<Duration>>>,
}

/// Starts the loop; its snapshots end when it does.
pub(super) fn spawn(
    setup: TransportSetup,
    seed: u64,
    shared: Shared,
) -> watch::Receiver<TransportSnapshot> {
    let machine = AgentMachine::new(setup.config, seed, now());
    let name = setup.transport.name();
    let (snapshots, receiver) = watch::channel(machine.snapshot(name));
    let told = shared.told.subscribe();
    let changes = shared.config.changes.clone();
    let beating = Beating {
        machine,
        pauses: PauseDetector::new(now(), boot()),
        asked: now() + TICK,
        name,
        prompt: setup.prompt,
        telling: Telling::new(setup.prompt),
        counters: Counters::of(name),
        beat: Span::none(),
        snapshots,
        told,
        changes,
        shared,
    };
    tokio::spawn(beating.run(setup.transport).in_current_span());
    receiver
}

struct Beating {
    machine: AgentMachine,
    name: TransportName,
    prompt: bool,
    telling: Telling,
    counters: Counters,
    /// The beat under way, through all its attempts.
    beat: Span,
    pauses: PauseDetector,
    /// When the loop last asked to be woken.
    asked: Instant,
    snapshots: watch::Sender<TransportSnapshot>,
    told: watch::Receiver<Option<Duration>>,
    changes: watch::Receiver<Revision>,
    shared: Shared,
}

/// What the machine asks for; its events are told on the way.
enum Action {
    Send {
        sequence: Sequence,
        attempt: u32,
        by: Instant,
    },
    Release {
        by: Instant,
    },
}

/// Indicates that every handle is gone, so nobody wants the heartbeats any more.
struct Abandoned;

impl Beating {
    async fn run(mut self, mut transport: Box<dyn HeartbeatTransport>) {
        let mut action = self.drain();
        loop {
            let ended = match action {
                None => self.resting(transport.as_mut()).await,
                Some(Action::Send {
                    sequence,
                    attempt,
                    by,
                }) => {
                    let span =
                        tracing::debug_span!(parent: &self.beat, "attempt", number = attempt);
                    self.attempting(transport.as_mut(), sequence, by, span)
                        .await
                }
                Some(Action::Release { by }) => {
                    return self.goodbye(transport.as_mut(), by).await;
                }
            };
            match ended {
                Ok(next) => action = next,
                Err(Abandoned) => return,
            }
        }
    }

    /// Waits for the next input while no attempt is under way.
    async fn resting(
        &mut self,
        transport: &mut dyn HeartbeatTransport,
    ) -> Result<Option<Action>, Abandoned> {
        let input = tokio::select! {
            Some(()) = unless_it_panics(transport.reconnected()) => Some(AgentInput::Reconnected),
            input = self.input() => input?,
        };
        Ok(self.take(input))
    }

    /// Makes an attempt, and takes what else happens meanwhile.
    async fn attempting(
        &mut self,
        transport: &mut dyn HeartbeatTransport,
        sequence: Sequence,
        by: Instant,
        span: Span,
    ) -> Result<Option<Action>, Abandoned> {
        let beat = heartbeat(&self.shared.config, self.machine.config(), sequence, now());
        self.telling.said(&beat.carried);
        let mut attempt = pin!(attempt(transport, beat, by).instrument(span));
        loop {
            let input = tokio::select! {
                outcome = &mut attempt => Some(AgentInput::Outcome(outcome)),
                input = self.input() => input?,
            };
            let over = matches!(input, Some(AgentInput::Outcome(_)));
            let action = self.take(input);
            if over || action.is_some() {
                return Ok(action);
            }
        }
    }

    /// The next input but for an attempt's end. Cancel safe: nothing is taken until it is returned.
    async fn input(&mut self) -> Result<Option<AgentInput>, Abandoned> {
        let tick = now() + TICK;
        let wake = self.machine.poll_timeout().map_or(tick, |at| at.min(tick));
        self.asked = wake;
        let leaves_at = self.shared.leaves_at;
        let (source, telling) = (&self.shared.config.source, &self.telling);
        let input = tokio::select! {
            released = self.shared.release.wait_for(|stage| *stage >= leaves_at) => {
                released.map_err(|_| Abandoned)?;
                Some(AgentInput::Release)
            }
            Ok(()) = self.told.changed(), if !self.prompt => {
                self.told.borrow_and_update().map(AgentInput::Interval)
            }
            Ok(()) = self.changes.changed(), if telling.listens() => {
                telling.tells(&source.carried(now())).then_some(AgentInput::Prompt)
            }
            () = tokio::time::sleep_until(wake.into()) => Some(AgentInput::Timeout),
        };
        Ok(input)
    }

    fn take(&mut self, input: Option<AgentInput>) -> Option<Action> {
        if let Some(pause) = self.pauses.observe(self.asked, now(), boot()) {
            self.machine.handle(AgentInput::Paused(pause), now());
        }
        if let Some(input) = input {
            self.machine.handle(input, now());
        }
        self.drain()
    }

    fn drain(&mut self) -> Option<Action> {
        let mut action = None;
        while let Some(output) = self.machine.poll() {
            match output {
                AgentOutput::Event(event) => self.tell(event),
                AgentOutput::Send {
                    sequence,
                    attempt,
                    by,
                } => {
                    action = Some(Action::Send {
                        sequence,
                        attempt,
                        by,
                    });
                }
                AgentOutput::Release { by } => action = Some(Action::Release { by }),
            }
        }
        self.snapshots
            .send_replace(self.machine.snapshot(self.name));
        self.shared.pulse.beat(now());
        action
    }

    async fn goodbye(&mut self, transport: &mut dyn HeartbeatTransport, by: Instant) {
        let span = tracing::debug_span!("goodbye", transport = %self.name);
        let release = unless_it_panics(transport.release(by)).instrument(span);
        let acknowledged = match tokio::time::timeout_at(by.into(), release).await {
            Ok(Some(Ok(()))) => true,
            Ok(Some(Err(error))) => {
                tracing::warn!(transport = %self.name, "goodbye failed: {}", error.chain());
                false
            }
            Ok(None) | Err(_) => false,
        };
        self.machine
            .handle(AgentInput::Released { acknowledged }, now());
        self.drain();
    }

    /// Logs an event in the span of its beat, which begins with its first attempt.
    fn log(&mut self, kind: &EventKind) {
        if let EventKind::Sent {
            sequence,
            attempt: 1,
        } = kind
        {
            self.beat = tracing::debug_span!("heartbeat", transport = %self.name, %sequence);
        }
        self.beat.in_scope(|| log(self.name, kind));
        let is_over = matches!(
            kind,
            EventKind::Acknowledged { .. } | EventKind::Missed { .. } | EventKind::StoodBy { .. }
        );
        if is_over {
            self.beat = Span::none();
        }
    }

    fn tell(&mut self, kind: EventKind) {
        self.counters.count(&kind);
        self.log(&kind);
        if let EventKind::IntervalChanged { interval } = kind {
            self.shared
                .told
                .send_if_modified(|told| told.replace(interval) != Some(interval));
        }
        // Nobody listening is no error.
        let _ = self.shared.events.send(HeartbeatEvent {
            transport: self.name,
            kind,
        });
    }
}

/// One attempt, dropped at `by`; a panic in the transport is a failure like any other.
async fn attempt(
    transport: &mut dyn HeartbeatTransport,
    heartbeat: Heartbeat,
    by: Instant,
) -> AttemptOutcome {
    let beat = unless_it_panics(transport.beat(&heartbeat, by));
    let failed = |error: &str| AttemptOutcome::Failed {
        error: error.to_owned(),
        retry_after: None,
    };
    match tokio::time::timeout_at(by.into(), beat).await {
        Ok(Some(Ok(acknowledgement))) => AttemptOutcome::Acknowledged(acknowledgement),
        Ok(Some(Err(error))) => AttemptOutcome::Failed {
            error: error.chain(),
            retry_after: error.retry_after(),
        },
        Ok(None) => failed("the transport panicked"),
        Err(_) => failed("no answer in time"),
    }
}

/// One line for each transition; what happens at every beat is for debugging only.
fn log(transport: TransportName, event: &EventKind) {
    match event {
        EventKind::Sent { sequence, attempt } => {
            tracing::trace!(%transport, %sequence, attempt, "heartbeat sent");
        }
        EventKind::Acknowledged {
            sequence,
            round_trip,
        } => {
            tracing::debug!(%transport, %sequence, ?round_trip, "heartbeat acknowledged");
        }
        EventKind::AttemptFailed {
            error,
            is_news: true,
            ..
        } => {
            tracing::warn!(%transport, "heartbeat attempt failed: {error}");
        }
        EventKind::AttemptFailed {
            sequence,
            attempt,
            error,
            is_news: false,
        } => {
            tracing::debug!(%transport, %sequence, attempt, "heartbeat attempt failed: {error}");
        }
        EventKind::Missed { consecutive: 1 } => tracing::info!(%transport, "heartbeat missed"),
        EventKind::Missed { consecutive } => {
            tracing::debug!(%transport, consecutive, "heartbeat missed");
        }
        EventKind::Failed { silent } => {
            let silent = format_args!("{silent:.1?}");
            tracing::warn!(%transport, %silent, "heartbeat failed: nothing was acknowledged");
        }
        EventKind::Recovered { silent } => {
            let silent = format_args!("{silent:.1?}");
            tracing::info!(%transport, %silent, "heartbeat recovered");
        }
        EventKind::StoodBy { holder } => {
            tracing::info!(%transport, %holder, "standing by: another agent holds the target");
        }
        EventKind::TookOver => {
            tracing::info!(%transport, "took over: this agent holds the target now");
        }
        EventKind::IntervalChanged { interval } => {
            tracing::info!(%transport, ?interval, "heartbeat interval changed");
        }
        EventKind::Paused { pause } => {
            tracing::warn!(%transport, ?pause, "this process stood still; its deadlines moved");
        }
        EventKind::Released { acknowledged } => {
            tracing::info!(%transport, acknowledged, "heartbeats ended with a goodbye");
        }
    }
}
