//! The keeper's decisions: which call to make next, and what its answer means.

mod answer;
mod event;
mod task;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::Backoff;
use health_heartbeat::HolderIdentity;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;

use crate::call::ApiError;
use crate::call::Call;
use crate::call::ErrorKind;
use crate::call::Output;
use crate::call::Verb;
use crate::http_form::Objects;
use crate::plan::Claim;
use crate::plan::Observed;
use crate::plan::Plan;
use crate::plan::plan;
use crate::record::LeaseObject;
use crate::record::Renewal;
use crate::record::duration_seconds;
use crate::tenure::Tenure;

pub use self::event::LeaseEvent;
pub use self::event::LeaseInput;
pub use self::event::LeaseOutcome;
pub use self::event::LeaseOutput;
use self::task::Flight;
use self::task::Goal;
use self::task::Task;

/// Keeps one Lease: renews it, takes it over, stands by, releases it.
///
/// ```text
/// Beat ─► Put ──────────────────────────────────────────► Acknowledged      (the steady state)
///          └─ Conflict ─► Get ─┬─ ours, this very beat ──► Acknowledged
/// (first, or in doubt) ──► Get ┼─ ours, released, expired ► Put
///                              ├─ gone ─────────► Create ─► Acknowledged
///                              └─ another's, fresh ──────► StandingBy
/// ```
///
/// Call [`handle`](Self::handle) with every input, then [`poll`](Self::poll) until it gives
/// nothing, then wait for the call's reply or for [`poll_timeout`](Self::poll_timeout). Time is
/// monotonic. A new beat or a release abandons whatever is under way: what was sent may still
/// arrive, and the next step begins with a live read.
#[derive(Debug)]
pub struct LeaseMachine {
    objects: Objects,
    holder: HolderIdentity,
    /// Whether to look for the SyncTarget that is to own a created Lease.
    owned: bool,
    known: Option<Known>,
    /// Whether a write's outcome is unknown, so that what we know must be read again.
    doubt: bool,
    /// Whether any write was ever sent in this start of the agent.
    wrote: bool,
    newcomer: bool,
    /// The first write of a sequence whose answer never came.
    unanswered: Option<Unanswered>,
    tenure: Tenure,
    /// When another's Lease can be taken over, as last seen.
    follows_at: Option<Instant>,
    task: Option<Task>,
    flight: Option<Flight>,
    /// Until when the next call waits, after a conflict.
    wait: Option<Instant>,
    backoff: Backoff,
    outputs: VecDeque<LeaseOutput>,
}

/// The Lease as last read or written, and when its record was last seen to change.
#[derive(Debug, Clone)]
struct Known {
    /// Nothing where the Lease is not there.
    object: Option<LeaseObject>,
    changed_at: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Unanswered {
    sequence: Sequence,
    until: Instant,
}

/// A beat makes at most that many calls: two lost races and a creation fit in.
const CALLS_MAX: u32 = 6;
/// The first wait between lost races, doubling to the longest.
const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(1);
/// One call never takes longer, however long the beat may.
const CALL_MAX: Duration = Duration::from_secs(10);

// === impl LeaseMachine ===

impl LeaseMachine {
    /// A machine for the Lease of this agent, with chance from `seed`.
    #[must_use]
    pub fn new(objects: Objects, identity: &Identity, seed: u64) -> Self {
        Self {
            objects,
            holder: identity.holder(),
            owned: true,
            known: None,
            doubt: false,
            wrote: false,
            newcomer: true,
            unanswered: None,
            tenure: Tenure::default(),
            follows_at: None,
            task: None,
            flight: None,
            wait: None,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, seed),
            outputs: VecDeque::new(),
        }
    }

    /// Does not look for a SyncTarget to own the Lease.
    #[must_use]
    pub const fn without_owner(mut self) -> Self {
        self.owned = false;
        self
    }

    /// Who holds the Lease.
    #[must_use]
    pub const fn tenure(&self) -> &Tenure {
        &self.tenure
    }

    /// When the other's Lease can be taken over, unless it is seen to be renewed before; nothing
    /// while nobody else holds it.
    ///
    /// A beat at that time finds out at once, and one that is due a little earlier would not.
    #[must_use]
    pub const fn follows_at(&self) -> Option<Instant> {
        self.follows_at
    }

    /// Takes an input in.
    pub fn handle(&mut self, input: LeaseInput, now: Instant) {
        match input {
            LeaseInput::Beat { renewal, wall, by } => {
                self.begin(Goal::Renew(renewal), wall, by, now);
            }
            LeaseInput::Release { wall, by } => self.begin(Goal::Release, wall, by, now),
            LeaseInput::Reply(reply) => self.settle(reply, now),
            LeaseInput::Timeout => self.time_out(now),
            LeaseInput::Paused(pause) => self.pause(pause, now),
        }
    }

    /// What the machine wants next.
    #[must_use]
    pub fn poll(&mut self) -> Option<LeaseOutput> {
        self.outputs.pop_front()
    }

    /// When the machine wants [`LeaseInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let flight = self.flight.as_ref().map(|flight| flight.by);
        flight.into_iter().chain(self.wait).min()
    }

    fn begin(&mut self, goal: Goal, wall: SystemTime, by: Instant, now: Instant) {
        self.abandon();
        self.outputs.clear();
        self.wait = None;
        self.follows_at = None;
        self.backoff.reset();
        self.task = Some(Task::new(goal, wall, by, now));
        self.step(now);
    }

    /// Whoever waited for the flight is gone; what was written may still arrive.
    fn abandon(&mut self) {
        if let Some(flight) = self.flight.take() {
            self.doubt |= flight.write;
            self.remember(&flight);
        }
    }

    /// Of several writes of one sequence the first one counts: which one arrived is unknown.
    fn remember(&mut self, flight: &Flight) {
        let Some((sequence, until)) = flight.renews else {
            return;
        };
        if self
            .unanswered
            .is_none_or(|known| known.sequence != sequence)
        {
            self.unanswered = Some(Unanswered { sequence, until });
        }
    }

    fn time_out(&mut self, now: Instant) {
        if self.flight.as_ref().is_some_and(|flight| now >= flight.by) {
            let error = ApiError::new(ErrorKind::Timeout, "no answer in time");
            self.settle(Err(error), now);
        } else if self.wait.is_some_and(|wait| now >= wait) {
            self.wait = None;
            self.step(now);
        }
    }

    fn pause(&mut self, pause: Duration, now: Instant) {
        let shorten = |until: &mut Instant| *until = until.checked_sub(pause).unwrap_or(now);
        if let Some(held) = &mut self.tenure.held {
            shorten(&mut held.until);
        }
        if let Some((_, until)) = self
            .flight
            .as_mut()
            .and_then(|flight| flight.renews.as_mut())
        {
            shorten(until);
        }
        if let Some(unanswered) = &mut self.unanswered {
            shorten(&mut unanswered.until);
        }
        if let Some(known) = &mut self.known {
            // The other holder may have been stopped together with us: it gets its time again.
            known.changed_at = now;
        }
    }

    /// Makes the next call towards the task's goal, or ends it.
    fn step(&mut self, now: Instant) {
        let Some(task) = &self.task else {
            return;
        };
        if let Some(error) = ApiError::used_up(task.by, task.calls, CALLS_MAX, now) {
            return self.fail("update", error);
        }
        match task.goal.clone() {
            Goal::Renew(renewal) => self.step_renew(&renewal, now),
            Goal::Release => self.step_release(now),
        }
    }

    fn step_renew(&mut self, renewal: &Renewal, now: Instant) {
        let looked = self.task.as_ref().is_some_and(|task| task.looked);
        let Some(known) = self
            .known
            .clone()
            .filter(|known| self.is_current(known, looked))
        else {
            return self.call(Verb::GetLease, None, now);
        };
        let seen = known.object.as_ref().map_or(Observed::Absent, |object| {
            Observed::Lease(object.sight(known.changed_at))
        });
        let claim = Claim {
            holder: self.holder.clone(),
            newcomer: self.newcomer,
            duration: renewal.timeout,
        };
        let object = known.object;
        match plan(&seen, &claim, now) {
            Plan::Create => self.step_create(renewal, now),
            Plan::Renew if looked && self.credit(object.as_ref(), renewal.sequence) => {
                self.acknowledge();
            }
            Plan::Renew => self.write(object, None, renewal, now),
            Plan::TakeOver => self.write(object, Some(1), renewal, now),
            Plan::StandBy { holder, until } => {
                self.newcomer = false;
                self.follows_at = Some(until);
                self.tenure.other = Some(holder.clone());
                self.done(LeaseOutcome::StandingBy { holder });
            }
        }
    }

    /// Whether what we know may be acted upon: our own last write, or what this task read.
    fn is_current(&self, known: &Known, looked: bool) -> bool {
        let ours =
            || known.object.as_ref().and_then(LeaseObject::holder).as_ref() == Some(&self.holder);
        !self.doubt && (looked || ours())
    }

    fn step_create(&mut self, renewal: &Renewal, now: Instant) {
        let Some(task) = &mut self.task else {
            return;
        };
        if self.owned && !task.owner_asked {
            task.owner_asked = true;
            return self.call(Verb::GetTarget, None, now);
        }
        let mut object = LeaseObject::new(&self.objects.namespace, &self.objects.lease);
        if let Some(owner) = task.owner.take() {
            object.own(owner);
        }
        self.write(Some(object), Some(0), renewal, now);
    }

    /// Writes a renewal; `acquire` says how many transitions later it becomes ours.
    fn write(
        &mut self,
        object: Option<LeaseObject>,
        acquire: Option<i32>,
        renewal: &Renewal,
        now: Instant,
    ) {
        let (Some(mut object), Some(task)) = (object, &self.task) else {
            return;
        };
        let wall = task.wall(now);
        if let Some(transitions) = acquire {
            object.acquire(&self.holder, transitions, wall);
        }
        object.renew(renewal, &self.objects.target, wall);
        let seconds = duration_seconds(renewal.timeout).unsigned_abs();
        let until = now + Duration::from_secs(seconds.into());
        // From here on others may read the new duration, which may be shorter than the old one.
        if let Some(held) = &mut self.tenure.held {
            held.until = held.until.min(until);
        }
        let verb = if acquire == Some(0) {
            Verb::CreateLease(object.into())
        } else {
            Verb::PutLease(object.into())
        };
        self.call(verb, Some((renewal.sequence, until)), now);
    }

    fn step_release(&mut self, now: Instant) {
        self.tenure.held = None;
        let object = match (&self.known, self.doubt) {
            _ if !self.wrote => return self.done(LeaseOutcome::Released),
            (None, _) | (_, true) => return self.call(Verb::GetLease, None, now),
            (Some(known), false) => known.object.clone(),
        };
        let Some(mut object) =
            object.filter(|object| object.holder().as_ref() == Some(&self.holder))
        else {
            return self.done(LeaseOutcome::Released);
        };
        if let Some(task) = &self.task {
            object.release(task.wall(now));
        }
        self.call(Verb::PutLease(object.into()), None, now);
    }

    fn call(&mut self, verb: Verb, renews: Option<(Sequence, Instant)>, now: Instant) {
        let Some(task) = &mut self.task else {
            return;
        };
        task.calls += 1;
        let left = task.by.saturating_duration_since(now);
        // Nobody waits for the owner: the Lease is created without one as well.
        let by = if verb == Verb::GetTarget {
            now + left / 3
        } else {
            now + left.min(CALL_MAX)
        };
        self.wrote |= verb.is_write();
        self.flight = Some(Flight::new(&verb, by, renews));
        self.outputs.push_back(Output::Call(Call { verb, by }));
    }
}
