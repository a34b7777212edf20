//! The publisher's decisions: which call to make next, and what its answer means.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::Backoff;
use health_heartbeat::HolderIdentity;
use health_heartbeat::Identity;
use serde_json::Value;

use crate::call::ApiError;
use crate::call::Call;
use crate::call::ErrorKind;
use crate::call::Output;
use crate::call::Reply;
use crate::call::Verb;
use crate::config::SyncTargetConfig;
use crate::record::object;
use crate::record::whole_seconds;
use crate::synctarget::Condition;
use crate::synctarget::Decision;
use crate::synctarget::Dialect;
use crate::synctarget::StatusEvent;
use crate::synctarget::StatusInput;
use crate::synctarget::StatusOutcome;
use crate::synctarget::StatusOutput;
use crate::synctarget::WriteLimiter;
use crate::synctarget::condition::merge;
use crate::synctarget::dialect::Search;

/// Keeps one SyncTarget's status: the heartbeat's time and the condition `SyncerReady`.
///
/// ```text
/// Beat ─► (wait for the limiter) ─► Put ──────────────► Written      (the steady state)
///                                    └─ Conflict ─► Get ─► Put
/// (first, or another uid) ─► Get ─► DryRun, dialect by dialect ─► Put
/// ```
///
/// The order of calls is that of [`LeaseMachine`](crate::LeaseMachine).
#[derive(Debug)]
pub struct StatusMachine {
    holder: HolderIdentity,
    config: SyncTargetConfig,
    limiter: WriteLimiter,
    /// The SyncTarget as last read or written; nothing where that is in doubt.
    known: Option<Value>,
    /// Which SyncTarget we wrote: one of another uid is another one, whatever its name.
    uid: Option<String>,
    dialect: Option<Dialect>,
    search: Search,
    written: Option<Condition>,
    task: Option<Task>,
    flight: Option<Flight>,
    wait: Option<Instant>,
    /// When the first beat came.
    began: Option<Instant>,
    backoff: Backoff,
    outputs: VecDeque<StatusOutput>,
}

#[derive(Debug)]
struct Task {
    condition: Condition,
    leaving: bool,
    wall: SystemTime,
    began: Instant,
    by: Instant,
    calls: u32,
    races: u32,
    /// Whether this task's write was counted by the limiter.
    counted: bool,
}

#[derive(Debug)]
struct Flight {
    by: Instant,
    sent: Instant,
    operation: &'static str,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Get,
    DryRun(Dialect),
    Put,
}

/// So long an agent that has just started has for the first results of its checks: as long as a
/// check may take by default.
const PENDING_GRACE: Duration = Duration::from_secs(10);

/// A beat makes at most that many calls: a read, three dry runs, a write and two lost races.
const CALLS_MAX: u32 = 9;
/// The first wait between lost races, doubling to the longest.
const BACKOFF_BASE: Duration = Duration::from_millis(50);
const BACKOFF_CAP: Duration = Duration::from_secs(1);

// === impl StatusMachine ===

impl StatusMachine {
    /// A machine for the SyncTarget of this agent, with chance from `seed`.
    #[must_use]
    pub fn new(config: SyncTargetConfig, identity: &Identity, seed: u64) -> Self {
        Self {
            holder: identity.holder(),
            limiter: WriteLimiter::new(config.min_interval, config.heartbeat_interval),
            search: Search::new(config.heartbeat_field),
            config,
            known: None,
            uid: None,
            dialect: None,
            written: None,
            task: None,
            flight: None,
            wait: None,
            began: None,
            backoff: Backoff::new(BACKOFF_BASE, BACKOFF_CAP, seed),
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input in.
    pub fn handle(&mut self, input: StatusInput, now: Instant) {
        match input {
            StatusInput::Beat {
                condition,
                wall,
                by,
            } => self.begin(condition, false, wall, by, now),
            StatusInput::Release { wall, by } => {
                self.begin(Condition::shutting_down(), true, wall, by, now);
            }
            StatusInput::Reply(reply) => self.settle(reply, now),
            StatusInput::Timeout => self.time_out(now),
        }
    }

    /// What the machine wants next.
    #[must_use]
    pub fn poll(&mut self) -> Option<StatusOutput> {
        self.outputs.pop_front()
    }

    /// When the machine wants [`StatusInput::Timeout`].
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let flight = self.flight.as_ref().map(|flight| flight.by);
        flight.into_iter().chain(self.wait).min()
    }

    fn begin(
        &mut self,
        condition: Condition,
        leaving: bool,
        wall: SystemTime,
        by: Instant,
        now: Instant,
    ) {
        if self
            .flight
            .take()
            .is_some_and(|flight| flight.step == Step::Put)
        {
            self.known = None;
        }
        self.outputs.clear();
        self.wait = None;
        self.began.get_or_insert(now);
        self.backoff.reset();
        let changed = self
            .written
            .as_ref()
            .is_none_or(|it| condition.is_transition_from(it));
        self.task = Some(Task {
            condition,
            leaving,
            wall,
            began: now,
            by,
            calls: 0,
            races: 0,
            counted: leaving,
        });
        if leaving {
            return self.step(now);
        }
        match self.limiter.offer(changed, now) {
            Decision::Suppress(until) => self.done(StatusOutcome::Suppressed { until }),
            Decision::At(at) if at <= now => self.step(now),
            Decision::At(at) if at < by => self.wait = Some(at),
            Decision::At(_) => {
                let min = self.config.min_interval;
                let held = format!("held back: at most one write in {min:?} (minInterval)");
                self.fail(
                    "update the status of",
                    ApiError::new(ErrorKind::Timeout, held),
                );
            }
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

    /// Makes the next call towards the written status.
    fn step(&mut self, now: Instant) {
        let Some(task) = &self.task else {
            return;
        };
        if let Some(error) = ApiError::used_up(task.by, task.calls, CALLS_MAX, now) {
            return self.fail("update the status of", error);
        }
        let leaving = task.leaving;
        let Some(known) = &self.known else {
            return self.call(Verb::GetTarget, Step::Get, now);
        };
        if leaving || self.dialect.is_some() {
            if let Some(until) = self.pends_until(now) {
                return self.done(StatusOutcome::Suppressed { until });
            }
            let Some(draft) = self.draft(known.clone(), self.dialect, now) else {
                return;
            };
            return self.call(Verb::PutStatus(draft), Step::Put, now);
        }
        match self.search.candidate() {
            Some(dialect) => {
                let Some(draft) = self.draft(known.clone(), Some(dialect), now) else {
                    return;
                };
                self.call(Verb::DryRunStatus(draft), Step::DryRun(dialect), now);
            }
            None => self.fail_without_dialect(None),
        }
    }

    /// Until when nothing is written, since the checks have no results yet: each restart would show
    /// Unknown for a moment, and what is so only after the shortest interval.
    fn pends_until(&self, now: Instant) -> Option<Instant> {
        let (task, began) = (self.task.as_ref()?, self.began?);
        let until = began + PENDING_GRACE;
        let pends = self.written.is_none() && task.condition.is_pending();
        (pends && now < until).then_some(until)
    }

    /// The SyncTarget with the status that is to be written. A goodbye is no heartbeat.
    fn draft(&self, mut target: Value, dialect: Option<Dialect>, now: Instant) -> Option<Value> {
        let task = self.task.as_ref()?;
        let since = now.saturating_duration_since(task.began);
        let wall = task.wall.checked_add(since).unwrap_or(task.wall);
        let time = whole_seconds(wall);
        let status = object(object(&mut target).entry("status").or_insert(Value::Null));
        if let Some(dialect) = dialect.filter(|_| !task.leaving) {
            status.insert(dialect.heartbeat_field().to_owned(), (&*time).into());
            if let Some(field) = dialect.identity_field() {
                status.insert(field.to_owned(), self.holder.as_str().into());
            }
        }
        let conditions = status.entry("conditions").or_insert(Value::Null);
        let _ = merge(conditions, &task.condition, &time);
        Some(target)
    }

    fn call(&mut self, verb: Verb, step: Step, now: Instant) {
        let Some(task) = &mut self.task else {
            return;
        };
        task.calls += 1;
        if step == Step::Put && !task.counted {
            task.counted = true;
            self.limiter.tried(now);
        }
        self.flight = Some(Flight {
            by: task.by,
            sent: now,
            operation: verb.operation(),
            step,
        });
        let by = task.by;
        self.outputs.push_back(Output::Call(Call { verb, by }));
    }

    fn settle(&mut self, reply: Reply, now: Instant) {
        let Some(flight) = self.flight.take() else {
            return;
        };
        match (reply, flight.step) {
            (Ok(target), Step::Get) => {
                self.see(target);
                self.step(now);
            }
            (Ok(_), Step::DryRun(dialect)) => {
                self.dialect = Some(dialect);
                self.outputs
                    .push_back(Output::Event(StatusEvent::Speaks(dialect)));
                self.step(now);
            }
            (Ok(target), Step::Put) => {
                self.known = Some(target);
                self.limiter.succeeded(flight.sent);
                self.written = self.task.as_ref().map(|task| task.condition.clone());
                self.done(StatusOutcome::Written);
            }
            (Err(error), _) => self.settle_error(&flight, error, now),
        }
    }

    /// Takes in the SyncTarget as the server has it.
    fn see(&mut self, target: Value) {
        let uid = target["metadata"]["uid"].as_str().map(str::to_owned);
        if self.uid != uid {
            if self.uid.is_some() {
                self.outputs
                    .push_back(Output::Event(StatusEvent::Recreated));
            }
            self.uid = uid;
            self.dialect = None;
            self.search = Search::new(self.config.heartbeat_field);
            self.limiter.forget();
        }
        self.known = Some(target);
    }

    fn settle_error(&mut self, flight: &Flight, error: ApiError, now: Instant) {
        match (error.kind, flight.step) {
            (ErrorKind::Conflict, Step::DryRun(_) | Step::Put) => {
                self.known = None;
                self.retry(now);
            }
            (ErrorKind::Invalid, Step::DryRun(_)) if error.is_unknown_field() => {
                self.search.refused();
                if self.search.candidate().is_some() {
                    self.step(now);
                } else {
                    self.fail_without_dialect(Some(error));
                }
            }
            (ErrorKind::Invalid, Step::Put) if error.is_unknown_field() => {
                // The definition is another one than the dialect was found for.
                self.known = None;
                self.dialect = None;
                self.search = Search::new(self.config.heartbeat_field);
                self.retry(now);
            }
            (kind, step) => {
                // What is known of a target that refuses a write, or may have taken one, is old.
                if step != Step::Get {
                    self.known = None;
                }
                if kind == ErrorKind::ResourceMissing {
                    // The definition is gone: ask again from the beginning.
                    self.dialect = None;
                    self.search = Search::new(self.config.heartbeat_field);
                }
                self.fail(flight.operation, error);
            }
        }
    }

    /// After the first lost race at once, after each further one a little later.
    fn retry(&mut self, now: Instant) {
        let Some(task) = &mut self.task else {
            return;
        };
        task.races += 1;
        if task.races == 1 {
            self.step(now);
        } else {
            self.wait = Some(task.by.min(now + self.backoff.next_delay()));
        }
    }

    fn fail_without_dialect(&mut self, error: Option<ApiError>) {
        let said = error.map_or_else(String::new, |error| format!(": {error}"));
        let message = format!(
            "the server takes none of the heartbeat fields {} in its status; set \
             syncTargetStatus.heartbeatField, or install a CRD that has one \
             (run: syncer-health manifests crd){said}",
            self.search.fields()
        );
        // The definition may be mended: the next beat asks again.
        self.search = Search::new(self.config.heartbeat_field);
        self.known = None;
        let error = ApiError::new(ErrorKind::Invalid, message);
        self.fail("update the status of", error);
    }

    fn fail(&mut self, operation: &'static str, error: ApiError) {
        self.done(StatusOutcome::Failed { operation, error });
    }

    fn done(&mut self, outcome: StatusOutcome) {
        self.task = None;
        self.wait = None;
        self.outputs.push_back(Output::Done(outcome));
    }
}
