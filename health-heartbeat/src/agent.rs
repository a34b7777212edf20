//! The agent's machine: when to beat, what a silence means.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

use crate::Acknowledgement;
use crate::Backoff;
use crate::EventKind;
use crate::HeartbeatConfig;
use crate::Sequence;
use crate::Standing;
use crate::TransportName;
use crate::TransportSnapshot;

/// Beats are late by up to this share of the interval, so that a fleet's writes spread
/// (Kubernetes #101652 measured 4 %).
const JITTER: f64 = 0.04;

/// At most this many attempts are made at one beat: the rest of a bad interval is left in peace
/// (component-helpers retries five times too, but without a wait).
const ATTEMPTS_MAX: u32 = 5;

/// So many errors are remembered as told; one that nobody has heard of for longer is news again.
const TOLD_MAX: usize = 8;

/// A goodbye may take this long.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// One transport's machine: when to beat, and what a silence means.
///
/// It never ends by itself and never gives up. The driver's contract:
/// 1. [`poll`](Self::poll) until it is empty, doing what it says;
/// 2. wait for [`poll_timeout`](Self::poll_timeout) or for the end of the attempt that `poll` asked
///    for, whichever is first; an attempt is dropped at its `by`;
/// 3. [`handle`](Self::handle) what came, with a `now` that does not run backwards; begin again.
///
/// At most one attempt is under way at a time.
#[derive(Debug)]
pub struct AgentMachine {
    config: HeartbeatConfig,
    chance: fastrand::Rng,
    backoff: Backoff,
    state: AgentState,
    beat: Option<Beat>,
    in_flight: Option<InFlight>,
    next_beat: Instant,
    retry_at: Option<Instant>,
    /// Until when the other side asked to be left alone.
    alone_until: Option<Instant>,
    /// Whether something changed since the attempt under way was made.
    prompted: bool,
    /// Since when nothing was acknowledged, less the pauses of the process itself.
    silent_since: Instant,
    sequence: Sequence,
    last_success: Option<Instant>,
    consecutive_missed: u32,
    consecutive_failures: u32,
    missed: u64,
    round_trip: Option<Duration>,
    error: Option<String>,
    /// What was told of failures since the last beat that arrived at its first attempt; bounded.
    told: VecDeque<String>,
    leaving: Leaving,
    /// Bounded: one input gives at most four outputs, and the driver empties it before the next.
    outputs: VecDeque<AgentOutput>,
}

/// Where a transport stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentState {
    /// Nothing was acknowledged yet. Becomes Alive or StandingBy with the first answer, Failed
    /// after the threshold or the timeout.
    Pending,
    /// The last beat was acknowledged. Becomes Missed when one is not, StandingBy when another
    /// agent is found to hold.
    Alive,
    /// So many beats in a row were missed. Becomes Alive or StandingBy with an answer, Failed after
    /// the threshold or the timeout.
    Missed(u32),
    /// Too many were missed, or the timeout passed. Becomes Alive or StandingBy with an answer.
    Failed,
    /// Another agent holds the target. Becomes Alive when this one takes over, Missed when a beat
    /// is not answered.
    StandingBy,
}

/// What a driver tells the machine.
#[derive(Debug)]
pub enum AgentInput {
    /// [`AgentMachine::poll_timeout`] has come.
    Timeout,
    /// The attempt that was under way has ended.
    Outcome(AttemptOutcome),
    /// What is carried has changed, and this transport wants to tell it soon.
    Prompt,
    /// Whoever receives the heartbeats may not know this agent: the connection is a new one.
    Reconnected,
    /// Another transport was told this interval; it is valid for all.
    Interval(Duration),
    /// The process itself was stopped or suspended.
    Paused(Duration),
    /// The agent leaves on purpose.
    Release,
    /// The goodbye ended; it is known to have arrived or not.
    Released {
        /// Whether it is known to have arrived.
        acknowledged: bool,
    },
}

/// How an attempt ended.
#[derive(Debug)]
pub enum AttemptOutcome {
    /// It arrived.
    Acknowledged(Acknowledgement),
    /// It is not known to have arrived.
    Failed {
        /// Why, with all causes.
        error: String,
        /// The time that the other side asked to be left alone for.
        retry_after: Option<Duration>,
    },
}

/// What the machine asks of its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentOutput {
    /// Make an attempt.
    Send {
        /// The attempt at this heartbeat, from 1.
        attempt: u32,
        /// The heartbeat.
        sequence: Sequence,
        /// When to drop the attempt.
        by: Instant,
    },
    /// Tell the listeners.
    Event(EventKind),
    /// Drop the attempt that is under way and say goodbye.
    Release {
        /// When to drop the goodbye.
        by: Instant,
    },
}

/// The beat of the current interval.
#[derive(Debug, Clone, Copy)]
struct Beat {
    attempts: u32,
    acknowledged: bool,
    /// The process itself was paused meanwhile, so a silence says nothing.
    excused: bool,
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    attempt: u32,
    sent: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    Goodbye,
    Gone,
}

// === impl AgentMachine ===

impl AgentMachine {
    /// A machine whose first beat is due at once. `seed` decides jitter and backoff.
    #[must_use]
    pub fn new(config: HeartbeatConfig, seed: u64, now: Instant) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let backoff = Backoff::new(
            config.interval() / 40,
            config.interval() / 2,
            chance.u64(..),
        );
        let mut machine = Self {
            config,
            chance,
            backoff,
            state: AgentState::Pending,
            beat: None,
            in_flight: None,
            next_beat: now,
            retry_at: None,
            alone_until: None,
            prompted: false,
            silent_since: now,
            sequence: Sequence::default(),
            last_success: None,
            consecutive_missed: 0,
            consecutive_failures: 0,
            missed: 0,
            round_trip: None,
            error: None,
            told: VecDeque::new(),
            leaving: Leaving::No,
            outputs: VecDeque::new(),
        };
        machine.handle(AgentInput::Timeout, now);
        machine
    }

    /// Takes what happened.
    pub fn handle(&mut self, input: AgentInput, now: Instant) {
        match (input, self.leaving) {
            (AgentInput::Released { acknowledged }, Leaving::Goodbye) => {
                self.leaving = Leaving::Gone;
                self.emit(EventKind::Released { acknowledged });
            }
            (_, Leaving::Goodbye | Leaving::Gone) | (AgentInput::Released { .. }, Leaving::No) => {}
            (AgentInput::Timeout, Leaving::No) => self.timeout(now),
            (AgentInput::Outcome(outcome), Leaving::No) => self.outcome(outcome, now),
            (AgentInput::Prompt, Leaving::No) => self.prompt(now),
            (AgentInput::Reconnected, Leaving::No) => self.reconnected(now),
            (AgentInput::Interval(interval), Leaving::No) => self.set_interval(interval, now),
            (AgentInput::Paused(pause), Leaving::No) => self.paused(pause, now),
            (AgentInput::Release, Leaving::No) => {
                self.leaving = Leaving::Goodbye;
                self.in_flight = None;
                self.outputs.push_back(AgentOutput::Release {
                    by: now + RELEASE_TIMEOUT,
                });
            }
        }
    }

    /// The next thing to do.
    #[must_use]
    pub fn poll(&mut self) -> Option<AgentOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle`](Self::handle) with a timeout; nothing once the agent has left.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.leaving != Leaving::No {
            return None;
        }
        let idle = self.in_flight.is_none();
        let beat = idle.then_some(self.next_beat);
        let retry = self.retry_at.filter(|_| idle);
        [beat, retry, self.fails_at()].into_iter().flatten().min()
    }

    /// How the transport is.
    #[must_use]
    pub fn snapshot(&self, name: TransportName) -> TransportSnapshot {
        TransportSnapshot {
            name,
            state: self.state,
            sequence: self.sequence,
            last_success: self.last_success,
            consecutive_failures: self.consecutive_failures,
            missed: self.missed,
            round_trip: self.round_trip,
            error: self.error.clone(),
            interval: self.config.interval(),
        }
    }

    /// The configuration that is in force, after what the other side told.
    #[must_use]
    pub const fn config(&self) -> &HeartbeatConfig {
        &self.config
    }

    fn timeout(&mut self, now: Instant) {
        if self.fails_at().is_some_and(|at| now >= at) {
            self.fail(now);
        }
        if self.in_flight.is_some() {
            return;
        }
        if now >= self.next_beat {
            self.close_beat(now);
            self.sequence.0 += 1;
            self.beat = Some(Beat {
                attempts: 0,
                acknowledged: false,
                excused: false,
            });
            self.next_beat = now + self.jittered_interval();
            self.attempt(now);
        } else if self.retry_at.is_some_and(|at| now >= at) {
            self.attempt(now);
        }
    }

    fn attempt(&mut self, now: Instant) {
        self.retry_at = None;
        self.prompted = false;
        let Some(beat) = &mut self.beat else { return };
        beat.attempts += 1;
        let attempt = beat.attempts;
        let by = (now + self.config.attempt_deadline()).min(self.next_beat.max(now));
        self.in_flight = Some(InFlight { attempt, sent: now });
        self.outputs.push_back(AgentOutput::Send {
            attempt,
            sequence: self.sequence,
            by,
        });
        self.emit(EventKind::Sent {
            sequence: self.sequence,
            attempt,
        });
    }

    fn outcome(&mut self, outcome: AttemptOutcome, now: Instant) {
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        match outcome {
            AttemptOutcome::Acknowledged(ack) => self.acknowledged(in_flight, ack, now),
            AttemptOutcome::Failed { error, retry_after } => {
                self.attempt_failed(in_flight, error, retry_after, now);
            }
        }
    }

    fn acknowledged(&mut self, in_flight: InFlight, ack: Acknowledgement, now: Instant) {
        let round_trip = now.saturating_duration_since(in_flight.sent);
        let silent = now.saturating_duration_since(self.silent_since);
        self.emit(EventKind::Acknowledged {
            sequence: self.sequence,
            round_trip,
        });
        if self.state == AgentState::Failed {
            self.emit(EventKind::Recovered { silent });
        }
        self.state = match ack.standing {
            Standing::Beating => {
                if self.state == AgentState::StandingBy {
                    self.emit(EventKind::TookOver);
                }
                AgentState::Alive
            }
            Standing::StandingBy { holder } => {
                if self.state != AgentState::StandingBy {
                    self.emit(EventKind::StoodBy { holder });
                }
                AgentState::StandingBy
            }
        };
        if let Some(beat) = &mut self.beat {
            beat.acknowledged = true;
        }
        self.last_success = Some(now);
        self.silent_since = now;
        self.round_trip = Some(round_trip);
        self.error = None;
        if in_flight.attempt == 1 {
            self.told.clear();
        }
        self.consecutive_missed = 0;
        self.consecutive_failures = 0;
        self.backoff.reset();
        if let Some(interval) = ack.interval {
            self.set_interval(interval, now);
        }
        if let Some(within) = ack.again_within {
            self.bring_forward(now + within);
        }
        self.leave_alone(ack.retry_after, now);
        if self.prompted {
            self.bring_forward(now);
        }
    }

    fn attempt_failed(
        &mut self,
        in_flight: InFlight,
        error: String,
        retry_after: Option<Duration>,
        now: Instant,
    ) {
        self.consecutive_failures = self.consecutive_failures.saturating_add(1);
        let is_news = self.is_news(&error);
        self.error = Some(error.clone());
        let (sequence, attempt) = (self.sequence, in_flight.attempt);
        self.emit(EventKind::AttemptFailed {
            sequence,
            attempt,
            error,
            is_news,
        });
        let wait = self.backoff.next_delay().max(self.bounded(retry_after));
        // A retry that the end of the interval would cut short is not worth making.
        let retry_at = now + wait;
        let worthwhile = retry_at + self.config.attempt_deadline() / 4 <= self.next_beat;
        self.retry_at = (attempt < ATTEMPTS_MAX && worthwhile).then_some(retry_at);
        self.leave_alone(retry_after, now);
    }

    /// Whether an error was not told yet: a server that comes back often fails in a few ways in
    /// turn, and one may fail at each beat and take the next attempt; each is told once.
    fn is_news(&mut self, error: &str) -> bool {
        let is_news = !self.told.iter().any(|told| told == error);
        if is_news {
            self.told.truncate(TOLD_MAX - 1);
            self.told.push_front(error.to_owned());
        }
        is_news
    }

    /// Obeys a Retry-After, up to half the timeout.
    fn leave_alone(&mut self, retry_after: Option<Duration>, now: Instant) {
        self.alone_until = retry_after.map(|_| now + self.bounded(retry_after));
        if let Some(until) = self.alone_until {
            self.next_beat = self.next_beat.max(until);
        }
    }

    /// Lets the next beat come no later than `at`, but for a Retry-After.
    fn bring_forward(&mut self, at: Instant) {
        let at = self.alone_until.map_or(at, |until| at.max(until));
        self.next_beat = self.next_beat.min(at);
    }

    fn bounded(&self, retry_after: Option<Duration>) -> Duration {
        retry_after
            .unwrap_or_default()
            .min(self.config.timeout() / 2)
    }

    /// The interval is over: was its beat acknowledged?
    fn close_beat(&mut self, now: Instant) {
        let Some(beat) = self.beat.take() else { return };
        if beat.acknowledged || beat.excused {
            return;
        }
        self.missed += 1;
        self.consecutive_missed = self.consecutive_missed.saturating_add(1);
        self.emit(EventKind::Missed {
            consecutive: self.consecutive_missed,
        });
        match self.state {
            AgentState::Failed => {}
            _ if self.consecutive_missed >= self.config.failure_threshold() => self.fail(now),
            AgentState::Pending => {}
            AgentState::Alive | AgentState::Missed(_) | AgentState::StandingBy => {
                self.state = AgentState::Missed(self.consecutive_missed);
            }
        }
    }

    fn fail(&mut self, now: Instant) {
        self.state = AgentState::Failed;
        let silent = now.saturating_duration_since(self.silent_since);
        self.emit(EventKind::Failed { silent });
    }

    /// When the timeout without an acknowledgement has passed.
    fn fails_at(&self) -> Option<Instant> {
        (self.state != AgentState::Failed).then(|| self.silent_since + self.config.timeout())
    }

    fn prompt(&mut self, now: Instant) {
        if self.beat.is_some_and(|beat| beat.acknowledged) {
            self.bring_forward(now);
        } else {
            self.prompted = true;
        }
    }

    /// Whoever is new to this agent has its terms and its health at once: with the beat that waits
    /// for another attempt, or else with the next one.
    fn reconnected(&mut self, now: Instant) {
        let failed = self.beat.is_some_and(|beat| !beat.acknowledged);
        if failed && self.in_flight.is_none() {
            self.retry_at = Some(self.alone_until.map_or(now, |until| now.max(until)));
        } else {
            self.prompt(now);
        }
    }

    fn set_interval(&mut self, interval: Duration, now: Instant) {
        let config = self.config.with_interval(interval);
        if config == self.config {
            return;
        }
        self.config = config;
        self.backoff.set_cap(config.interval() / 2);
        let next = now + self.jittered_interval();
        self.bring_forward(next);
        self.emit(EventKind::IntervalChanged {
            interval: config.interval(),
        });
    }

    fn paused(&mut self, pause: Duration, now: Instant) {
        self.silent_since = (self.silent_since + pause).min(now);
        self.bring_forward(now);
        self.retry_at = None;
        if let Some(beat) = &mut self.beat {
            beat.excused = true;
        }
        self.emit(EventKind::Paused { pause });
    }

    fn jittered_interval(&mut self) -> Duration {
        self.config
            .interval()
            .mul_f64(1.0 + JITTER * self.chance.f64())
    }

    fn emit(&mut self, event: EventKind) {
        self.outputs.push_back(AgentOutput::Event(event));
    }
}

// === impl AgentState ===

impl AgentState {
    /// Whether a transport in this state does its job: standing by is doing it.
    #[must_use]
    pub const fn meets_requirement(self) -> bool {
        match self {
            Self::Alive | Self::Missed(_) | Self::StandingBy => true,
            Self::Pending | Self::Failed => false,
        }
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pending => f.write_str("Pending"),
            Self::Alive => f.write_str("Alive"),
            Self::Missed(count) => write!(f, "Missed({count})"),
            Self::Failed => f.write_str("Failed"),
            Self::StandingBy => f.write_str("StandingBy"),
        }
    }
}

#[cfg(test)]
mod tests;
