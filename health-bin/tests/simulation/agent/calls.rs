//! The glue of the API's machines: what `api.rs` does, as `keeper.rs` and `publisher.rs` use it.

use std::time::Duration;
use std::time::Instant;

use health_transport_lease::ApiError;
use health_transport_lease::ErrorKind;
use health_transport_lease::LeaseEvent;
use health_transport_lease::LeaseInput;
use health_transport_lease::LeaseMachine;
use health_transport_lease::LeaseOutcome;
use health_transport_lease::LeaseOutput;
use health_transport_lease::Output;
use health_transport_lease::Reply;
use health_transport_lease::StatusEvent;
use health_transport_lease::StatusInput;
use health_transport_lease::StatusMachine;
use health_transport_lease::StatusOutcome;
use health_transport_lease::StatusOutput;
use health_transport_lease::Tenure;
use health_transport_lease::Verb;
use serde_json::Value;

use super::Here;
use super::Lane;
use crate::log::Who;
use crate::mutations::Fence;

/// A machine whose calls are made, one at a time.
#[derive(Debug)]
pub(super) struct Calls<M> {
    pub(super) machine: M,
    lane: Lane,
    waiting: Option<Waiting>,
    /// Whether somebody waits for the machine's outcome.
    busy: bool,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    by: Instant,
    /// What is written, if anything is.
    written: Option<Value>,
}

/// What `api.rs` asks of a machine.
pub(super) trait Machine {
    type Event: std::fmt::Debug;
    type Input;
    type Outcome: std::fmt::Debug;

    fn handle(&mut self, input: Self::Input, here: &Here<'_>);
    fn reply(&mut self, reply: Reply, here: &Here<'_>);
    fn time_out(&mut self, here: &Here<'_>);
    fn poll(&mut self) -> Option<Output<Self::Event, Self::Outcome>>;
    fn poll_timeout(&self) -> Option<Instant>;
    fn publish(&mut self, here: &Here<'_>);
}

/// The Lease's machine with what `keeper.rs` knows beside it.
#[derive(Debug)]
pub(super) struct Keeper {
    pub(super) machine: LeaseMachine,
    pub(super) slept: Duration,
    pub(super) tenure: Tenure,
    pub(super) fence: Fence,
}

/// The two clocks are not read at the same time: a shorter sleep is none.
const SLEEP_MIN: Duration = Duration::from_millis(100);

// === impl Calls ===

impl<M: Machine> Calls<M> {
    pub(super) const fn new(lane: Lane, machine: M) -> Self {
        Self {
            machine,
            lane,
            waiting: None,
            busy: false,
        }
    }

    pub(super) fn begin(&mut self, input: M::Input, here: &mut Here<'_>) -> Option<M::Outcome> {
        self.waiting = None;
        self.busy = true;
        self.machine.handle(input, here);
        self.drive(here)
    }

    /// An answer came; nobody may wait for it any more.
    pub(super) fn reply(
        &mut self,
        number: u64,
        reply: Reply,
        here: &mut Here<'_>,
    ) -> Option<M::Outcome> {
        self.waiting.take_if(|waiting| waiting.number == number)?;
        let reply = here.core.tamper.reply(reply);
        self.machine.reply(reply, here);
        self.drive(here)
    }

    pub(super) fn wake(&mut self, here: &mut Here<'_>) -> Option<M::Outcome> {
        if let Some(waiting) = self.waiting.take_if(|waiting| waiting.by <= here.now) {
            let late = Err(ApiError::new(ErrorKind::Timeout, "no answer in time"));
            let reply = here.core.tamper.late(late, waiting.written);
            self.machine.reply(reply, here);
            self.drive(here)
        } else if self.next().is_some_and(|at| at <= here.now) {
            self.machine.time_out(here);
            self.drive(here)
        } else {
            None
        }
    }

    /// Whoever waited is gone.
    pub(super) fn abandon(&mut self) {
        self.waiting = None;
        self.busy = false;
    }

    pub(super) fn next(&self) -> Option<Instant> {
        let timer = || self.machine.poll_timeout().filter(|_| self.busy);
        self.waiting
            .as_ref()
            .map_or_else(timer, |waiting| Some(waiting.by))
    }

    fn drive(&mut self, here: &mut Here<'_>) -> Option<M::Outcome> {
        let (mut call, mut done, mut polled) = (None, None, 0);
        while let Some(output) = self.machine.poll() {
            polled += 1;
            match output {
                Output::Call(next) => call = Some(next),
                Output::Event(event) => {
                    let (now, who) = (here.core.now, Who::Agent(here.agent));
                    here.core.log.note(now, who, "api", || format!("{event:?}"));
                }
                Output::Done(outcome) => done = Some(outcome),
            }
        }
        here.core
            .facts
            .queue("outputs of an API machine", polled, 8);
        self.machine.publish(here);
        if done.is_some() {
            self.abandon();
        } else if let Some(call) = call {
            let number = here.core.call(here.agent, here.start, self.lane, &call);
            let written = match call.verb {
                Verb::CreateLease(body) | Verb::PutLease(body) | Verb::PutStatus(body) => {
                    Some(body)
                }
                Verb::GetLease | Verb::GetTarget | Verb::DryRunStatus(_) => None,
            };
            let by = call.by;
            self.waiting = Some(Waiting {
                number,
                by,
                written,
            });
        }
        done
    }
}

// === impl Keeper ===

impl Keeper {
    fn take(&mut self, input: LeaseInput, here: &Here<'_>) {
        let pause = here.slept.saturating_sub(self.slept);
        if pause >= SLEEP_MIN {
            self.slept = here.slept;
            if here.core.tamper.tells_pauses() {
                self.machine.handle(LeaseInput::Paused(pause), here.now);
            }
        }
        self.machine.handle(input, here.now);
    }
}

impl Machine for Keeper {
    type Event = LeaseEvent;
    type Input = LeaseInput;
    type Outcome = LeaseOutcome;

    fn handle(&mut self, input: LeaseInput, here: &Here<'_>) {
        self.take(input, here);
    }

    fn reply(&mut self, reply: Reply, here: &Here<'_>) {
        self.take(LeaseInput::Reply(reply), here);
    }

    fn time_out(&mut self, here: &Here<'_>) {
        self.take(LeaseInput::Timeout, here);
    }

    fn poll(&mut self) -> Option<LeaseOutput> {
        self.machine.poll()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn publish(&mut self, here: &Here<'_>) {
        let mut tenure = Tenure {
            slept: self.slept,
            ..self.machine.tenure().clone()
        };
        here.core
            .tamper
            .fence(&mut tenure, &mut self.fence, here.now);
        self.tenure = tenure;
    }
}

impl Machine for StatusMachine {
    type Event = StatusEvent;
    type Input = StatusInput;
    type Outcome = StatusOutcome;

    fn handle(&mut self, input: StatusInput, here: &Here<'_>) {
        self.handle(input, here.now);
    }

    fn reply(&mut self, reply: Reply, here: &Here<'_>) {
        self.handle(StatusInput::Reply(reply), here.now);
    }

    fn time_out(&mut self, here: &Here<'_>) {
        self.handle(StatusInput::Timeout, here.now);
    }

    fn poll(&mut self) -> Option<StatusOutput> {
        self.poll()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.poll_timeout()
    }

    fn publish(&mut self, _: &Here<'_>) {}
}
