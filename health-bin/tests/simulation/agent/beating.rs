//! The glue of one heartbeat machine: what `driver/beating.rs` does.

use std::time::Instant;

use health_core::PauseDetector;
use health_heartbeat::AgentInput;
use health_heartbeat::AgentMachine;
use health_heartbeat::AgentOutput;
use health_heartbeat::AgentState;
use health_heartbeat::EventKind;
use health_heartbeat::HeartbeatConfig;
use health_heartbeat::Sequence;
use health_heartbeat::TransportName;

use super::Here;
use super::Lane;
use crate::log::Who;

/// One transport's loop.
#[derive(Debug)]
pub(crate) struct Beating {
    pub(super) lane: Lane,
    pub(crate) machine: AgentMachine,
    pauses: PauseDetector,
    /// When it had asked to be woken, if it stood still since.
    asked: Option<Instant>,
    pub(super) attempt: Option<Attempt>,
    pub(super) left: bool,
}

/// What is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    /// When the driver drops it.
    pub(super) by: Instant,
    pub(super) releasing: bool,
}

/// What the machine asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Send { sequence: Sequence, by: Instant },
    Release { by: Instant },
}

const NAME: TransportName = TransportName("simulated");

// === impl Beating ===

impl Beating {
    pub(super) fn new(lane: Lane, config: HeartbeatConfig, seed: u64, here: &Here<'_>) -> Self {
        Self {
            lane,
            machine: AgentMachine::new(config, seed, here.now),
            pauses: PauseDetector::new(here.now, here.boot),
            asked: None,
            attempt: None,
            left: false,
        }
    }

    /// The process stands still from now on; its next tick would have been at `tick`.
    pub(super) fn halted(&mut self, tick: Instant) {
        let wake = self.machine.poll_timeout().map_or(tick, |at| at.min(tick));
        self.asked = Some(wake);
    }

    /// Whether the transport does its job, right now.
    pub(crate) fn is_well(&self) -> bool {
        matches!(self.state(), AgentState::Alive | AgentState::StandingBy)
    }

    pub(crate) const fn lane(&self) -> Lane {
        self.lane
    }

    pub(crate) fn state(&self) -> AgentState {
        self.machine.snapshot(NAME).state
    }

    /// Hands an input in, and tells what the machine wants done and at which interval all are to
    /// beat, if it was told one.
    pub(super) fn take(
        &mut self,
        input: Option<AgentInput>,
        here: &mut Here<'_>,
    ) -> (Option<Action>, Option<std::time::Duration>) {
        if let Some(asked) = self.asked.take()
            && let Some(pause) = self.pauses.observe(asked, here.now, here.boot)
        {
            self.machine.handle(AgentInput::Paused(pause), here.now);
        }
        if let Some(input) = input {
            self.machine.handle(input, here.now);
        }
        self.drain(here)
    }

    fn drain(&mut self, here: &mut Here<'_>) -> (Option<Action>, Option<std::time::Duration>) {
        let (mut action, mut told, mut polled) = (None, None, 0);
        let lane = self.lane;
        while let Some(output) = self.machine.poll() {
            polled += 1;
            match output {
                AgentOutput::Event(event) => {
                    let (now, who) = (here.core.now, Who::Agent(here.agent));
                    here.core
                        .log
                        .note(now, who, name(&event), || format!("{lane:?} {event:?}"));
                    match event {
                        EventKind::IntervalChanged { interval } => told = Some(interval),
                        EventKind::Released { acknowledged } => {
                            self.left = true;
                            here.core.facts.released(here.agent, lane, acknowledged);
                        }
                        EventKind::Sent { .. }
                        | EventKind::Acknowledged { .. }
                        | EventKind::AttemptFailed { .. }
                        | EventKind::Missed { .. }
                        | EventKind::Failed { .. }
                        | EventKind::Recovered { .. }
                        | EventKind::StoodBy { .. }
                        | EventKind::TookOver
                        | EventKind::Paused { .. } => {}
                    }
                }
                AgentOutput::Send { sequence, by, .. } => {
                    action = Some(Action::Send { sequence, by });
                }
                AgentOutput::Release { by } => action = Some(Action::Release { by }),
            }
        }
        // Two events of what came in, four of what follows from it, and the attempt.
        here.core
            .facts
            .queue("outputs of a heartbeat machine", polled, 8);
        (action, told)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let by = self.attempt.map(|attempt| attempt.by);
        [self.machine.poll_timeout(), by]
            .into_iter()
            .flatten()
            .min()
    }
}

const fn name(event: &EventKind) -> &'static str {
    match event {
        EventKind::Sent { .. } => "sent",
        EventKind::Acknowledged { .. } => "acknowledged",
        EventKind::AttemptFailed { .. } => "attempt failed",
        EventKind::Missed { .. } => "missed",
        EventKind::Failed { .. } => "failed",
        EventKind::Recovered { .. } => "recovered",
        EventKind::StoodBy { .. } => "stood by",
        EventKind::TookOver => "took over",
        EventKind::IntervalChanged { .. } => "interval changed",
        EventKind::Paused { .. } => "paused",
        EventKind::Released { .. } => "released",
    }
}
