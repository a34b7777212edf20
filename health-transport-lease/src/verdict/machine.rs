//! What to write next, and what its answer means.

mod answer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::Backoff;

use crate::call::ApiError;
use crate::call::Call;
use crate::call::ErrorKind;
use crate::call::Verb;
use crate::verdict::Bucket;
use crate::verdict::FlightId;
use crate::verdict::Standing;
use crate::verdict::VerdictConfig;
use crate::verdict::VerdictEvent;
use crate::verdict::VerdictInput;
use crate::verdict::VerdictOutput;
use crate::verdict::VerdictStatus;
use crate::verdict::Wish;
use crate::verdict::WishKind;
use crate::verdict::queue::Class;
use crate::verdict::queue::Queue;
use crate::verdict::target::Target;

/// Keeps the condition `HeartbeatHealthy` on the SyncTargets of one workspace.
///
/// ```text
/// Tell ─► (its turn: interval, rate) ─► Get ─┬─ it says so already ──► nothing is written
///                                            ├─ another keeps writing it ─► left to it
///                                            └─ it does not ─► Put ─► Written
///                                                               └─ Conflict ─► Get ─► ...
/// ```
///
/// Truth is what was told last, one entry a target; a server that is slow, or gone, delays what is
/// written and nothing else. The driver's contract: [`handle`](Self::handle) every input, then
/// [`poll`](Self::poll) until it gives nothing, then wait for a call's reply or for
/// [`poll_timeout`](Self::poll_timeout). Several calls are under way at a time, never two about one
/// target. Time is monotonic.
#[derive(Debug)]
pub struct VerdictMachine {
    config: VerdictConfig,
    active: bool,
    targets: BTreeMap<Arc<str>, Target>,
    queue: Queue,
    bucket: Bucket,
    flights: BTreeMap<FlightId, Flight>,
    next_flight: u64,
    /// Until when the server is left alone.
    paused: Option<Instant>,
    backoff: Backoff,
    /// What was told of the server's failures since its last answer.
    told: Option<ErrorKind>,
    seed: u64,
    /// Bounded: one input gives at most one event and [`IN_FLIGHT_MAX`] calls, and the driver
    /// empties it before the next.
    outputs: VecDeque<VerdictOutput>,
}

/// A call whose reply is awaited.
#[derive(Debug)]
struct Flight {
    target: Arc<str>,
    by: Instant,
    /// The call's number among those of this turn.
    calls: u32,
    step: Step,
    operation: &'static str,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Get,
    Put { kind: WishKind, reworded: bool },
}

/// So many targets are gone about at the same time: one that hangs holds up nobody, and a server
/// that hangs holds no more than these.
const IN_FLIGHT_MAX: usize = 8;
/// A turn makes at most that many calls: two lost races fit in.
const CALLS_MAX: u32 = 6;
/// The first wait after the server failed, doubling to the longest.
const PAUSE_BASE: Duration = Duration::from_millis(500);
const PAUSE_CAP: Duration = Duration::from_secs(30);
/// The first wait after something was wrong with one target, doubling to the longest.
const AGAIN_BASE: Duration = Duration::from_secs(5);
const AGAIN_CAP: Duration = Duration::from_secs(5 * 60);

// === impl VerdictMachine ===

impl VerdictMachine {
    /// A machine that is not active yet, with chance from `seed`.
    #[must_use]
    pub fn new(config: VerdictConfig, seed: u64) -> Self {
        Self {
            active: false,
            targets: BTreeMap::new(),
            queue: Queue::default(),
            bucket: Bucket::new(config.rate, config.burst),
            flights: BTreeMap::new(),
            next_flight: 0,
            paused: None,
            backoff: Backoff::new(PAUSE_BASE, PAUSE_CAP, seed),
            told: None,
            seed,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes an input in.
    pub fn handle(&mut self, input: VerdictInput, now: Instant) {
        match input {
            VerdictInput::Tell { target, wish } => self.tell(&target, wish, now),
            VerdictInput::Seen {
                target,
                uid,
                standing,
            } => self.see(&target, &uid, &standing, now),
            VerdictInput::Forget { target } => {
                self.queue.remove(&target);
                self.targets.remove(&target);
                self.flights.retain(|_, flight| flight.target != target);
            }
            VerdictInput::Active(active) => self.activate(active, now),
            VerdictInput::Reply {
                flight,
                reply,
                wall,
            } => self.settle(flight, reply, wall, now),
            VerdictInput::Timeout => self.time_out(now),
        }
        self.advance(now);
    }

    /// What the machine wants next.
    #[must_use]
    pub fn poll(&mut self) -> Option<VerdictOutput> {
        self.outputs.pop_front()
    }

    /// When the machine wants [`VerdictInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let flights = self.flights.values().map(|flight| flight.by);
        let free = self.active && self.flights.len() < self.in_flight_max();
        let turn = self.queue.next().filter(|_| free);
        let turn = turn.map(|at| {
            let allowed = self.bucket.next(at).max(at);
            self.paused.map_or(allowed, |paused| paused.max(allowed))
        });
        flights.chain(turn).min()
    }

    /// How the writing is getting on.
    #[must_use]
    pub fn status(&self, now: Instant) -> VerdictStatus {
        let contested = self.targets.values().filter(|it| it.contested);
        VerdictStatus {
            active: self.active,
            waiting: self.queue.len(),
            in_flight: self.flights.len(),
            contested: contested.count(),
            paused: self.paused.is_some_and(|until| now < until),
        }
    }

    fn tell(&mut self, name: &Arc<str>, wish: Wish, now: Instant) {
        if wish == Wish::Leave && !self.targets.contains_key(name) {
            return;
        }
        let target = self.targets.entry(Arc::clone(name));
        let target = target.or_insert_with(Target::new);
        let before = target.wish().kind();
        target.tell(wish);
        if target.wish().kind() != before {
            self.arrange(name, now);
        }
    }

    fn see(&mut self, name: &Arc<str>, uid: &str, standing: &Standing, now: Instant) {
        let target = self.targets.entry(Arc::clone(name));
        target.or_insert_with(Target::new).see(uid, standing);
        let Some(target) = self.targets.get(name) else {
            return;
        };
        // Whose turn is set already keeps it, so that being seen brings nobody forward.
        if !target.is_due() || !self.queue.contains(name) {
            self.arrange(name, now);
        }
    }

    fn activate(&mut self, active: bool, now: Instant) {
        let begins = active && !self.active;
        self.active = active;
        if !begins {
            return;
        }
        self.paused = None;
        self.backoff.reset();
        let names: Vec<_> = self.targets.keys().map(Arc::clone).collect();
        for name in names {
            // Another hub may have written it meanwhile.
            if let Some(target) = self.targets.get_mut(&name) {
                target.doubt_all();
            }
            self.arrange(&name, now);
        }
    }

    /// Gives the target its turn, if there is anything to look at or to write.
    fn arrange(&mut self, name: &Arc<str>, now: Instant) {
        let Some(target) = self.targets.get(name) else {
            return;
        };
        if target.flying || !target.is_due() {
            return self.queue.remove(name);
        }
        let class = match target.wish().kind() {
            _ if !target.is_news() => Class::Again,
            Some(WishKind::Lost) => Class::Lost,
            Some(WishKind::Alive | WishKind::Left) | None => Class::Other,
        };
        let at = self.turn(name, now);
        self.queue.put(name, class, at);
    }

    /// When the target may be gone about.
    fn turn(&self, name: &Arc<str>, now: Instant) -> Instant {
        let last = self.targets.get(name).and_then(|target| target.last_try);
        last.map_or(now, |last| now.max(last + self.config.min_interval))
    }

    fn time_out(&mut self, now: Instant) {
        let late = self.flights.iter().filter(|(_, flight)| now >= flight.by);
        let late: Vec<_> = late.map(|(id, _)| *id).collect();
        for id in late {
            if let Some(flight) = self.flights.remove(&id) {
                let error = ApiError::new(ErrorKind::Timeout, "no answer in time");
                self.fail(flight, error, now);
            }
        }
    }

    /// A server that failed is asked by one until it answers.
    const fn in_flight_max(&self) -> usize {
        if self.backoff.tries() == 0 {
            IN_FLIGHT_MAX
        } else {
            1
        }
    }

    /// Begins as many turns as there may be.
    fn advance(&mut self, now: Instant) {
        if self.paused.is_some_and(|until| now < until) {
            return;
        }
        self.paused = None;
        while self.active
            && self.flights.len() < self.in_flight_max()
            && self.queue.is_ready(now)
            && self.bucket.take(now)
        {
            let Some(name) = self.queue.pop() else {
                return;
            };
            if let Some(target) = self.targets.get_mut(&name) {
                target.last_try = Some(now);
                self.call(name, Verb::GetTarget, Step::Get, 1, now);
            }
        }
    }

    fn call(&mut self, target: Arc<str>, verb: Verb, step: Step, calls: u32, now: Instant) {
        let by = now + self.config.call_timeout;
        let id = FlightId(self.next_flight);
        self.next_flight += 1;
        if let Some(known) = self.targets.get_mut(&target) {
            known.flying = true;
        }
        let flight = Flight {
            target: Arc::clone(&target),
            by,
            calls,
            step,
            operation: verb.operation(),
        };
        self.flights.insert(id, flight);
        self.outputs.push_back(VerdictOutput::Call {
            flight: id,
            target,
            call: Call { verb, by },
        });
    }

    fn tell_of(&mut self, event: VerdictEvent) {
        self.outputs.push_back(VerdictOutput::Event(event));
    }
}
