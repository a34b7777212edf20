//! The board, the timetable and the checks, kept in step.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_core::AggregationPolicy;
use health_core::Board;
use health_core::Carried;
use health_core::ComponentId;
use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::HealthReport;
use health_core::HealthStatus;
use health_core::LoopState;
use health_core::NameTaken;
use health_core::Outcome;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::ProbeRules;
use health_core::Query;
use health_core::Rule;
use health_core::Scope;
use health_core::Verdict;
use rustc_hash::FxHashMap;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::MonitorConfig;
use crate::Schedule;
use crate::reasons;
use crate::schedule::Action;
use crate::schedule::Judgement;
use crate::schedule::Limits;
use crate::schedule::RunId;
use crate::schedule::Timetable;
use crate::telemetry::Telemetry;
use crate::work::End;
use crate::work::Ending;
use crate::work::Start;

/// A loop that is later than this was stopped, and with it everything else.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// So long after the end of a pause the loop may take to notice it, while answers are as of its
/// beginning.
const NOTICE_MAX: Duration = Duration::from_secs(1);

/// The board, the timetable and the checks, kept in step. It does no I/O and reads no clock.
pub(crate) struct State {
    pub(crate) board: Board,
    timetable: Timetable<ComponentId>,
    checks: FxHashMap<ComponentId, Check>,
    seed: u64,
    telemetry: Telemetry,
    pub(super) closed: bool,
    /// When the loop said that it would be back.
    back_at: Instant,
    /// When somebody first asked while the loop was late.
    missed_at: Option<Instant>,
}

/// What the shell is to do.
pub(super) enum Step {
    Start(Start),
    Abort(RunId),
}

/// What an answer is made of.
pub(super) struct View<'a> {
    pub(super) board: &'a mut Board,
    /// As of when results are judged.
    pub(super) now: Instant,
    /// When it was asked.
    pub(super) asked: Instant,
    pub(super) stalled: Option<Duration>,
    pub(super) rules: ProbeRules,
    pub(super) heartbeat: &'a ComponentName,
}

struct Check {
    name: ComponentName,
    checker: Arc<dyn HealthChecker>,
    timeout: Duration,
}

// === impl State ===

impl State {
    pub(super) fn new(
        config: MonitorConfig,
        policy: Box<dyn AggregationPolicy>,
        now: Instant,
    ) -> Self {
        let limits = Limits {
            pooled: config.concurrency.max(1),
            apart: config.blocked_max.max(1),
        };
        Self {
            board: Board::with_policy(policy, now),
            timetable: Timetable::new(limits, now),
            checks: FxHashMap::default(),
            seed: config.seed,
            telemetry: Telemetry::new(),
            closed: false,
            back_at: now,
            missed_at: None,
        }
    }

    pub(super) fn register(
        &mut self,
        spec: ComponentSpec,
        schedule: Schedule,
        checker: Arc<dyn HealthChecker>,
        now: Instant,
    ) -> Result<ComponentId, NameTaken> {
        let hash = hash(spec.name.as_str(), self.seed);
        let name = spec.name.clone();
        let id = self.board.register(spec, now)?;
        let check = Check {
            name,
            checker,
            timeout: schedule.timeout,
        };
        self.checks.insert(id, check);
        self.timetable.add(id, schedule, hash, now);
        Ok(id)
    }

    /// Removes a component. Its checker is given back, to be dropped where nobody waits.
    pub(crate) fn remove(
        &mut self,
        id: ComponentId,
        now: Instant,
    ) -> (bool, Option<Arc<dyn HealthChecker>>) {
        self.timetable.remove(id, now);
        let checker = self.checks.remove(&id).map(|check| check.checker);
        (self.board.remove(id), checker)
    }

    pub(super) fn refresh(&mut self, name: &str, now: Instant) -> bool {
        let id = self.board.id(name);
        id.is_some_and(|id| self.timetable.refresh(id, now))
    }

    /// The loop is back.
    pub(super) fn woke(&mut self, slept: Option<Duration>, now: Instant) {
        let late = now.saturating_duration_since(self.back_at);
        if late >= PAUSE_MIN {
            tracing::info!(
                ?late,
                "the process was stopped; checks run before results age"
            );
            self.board.paused(late);
            self.timetable.paused(late);
        }
        if let Some(slept) = slept {
            tracing::info!(?slept, "the machine slept; checks run again");
            self.timetable.slept(slept, now);
        }
        self.missed_at = None;
        // Until the loop says more: it is at work.
        self.back_at = now;
    }

    pub(super) const fn back_at(&mut self, at: Instant) {
        self.back_at = at;
    }

    /// As of when to judge for somebody who asks at `now`. After a pause of the whole process a
    /// probe may come before the loop: it is answered as of the pause's beginning.
    pub(super) fn asked_at(&mut self, now: Instant) -> Instant {
        if now < self.back_at + PAUSE_MIN {
            return now;
        }
        let missed_at = *self.missed_at.get_or_insert(now);
        if now < missed_at + NOTICE_MAX {
            self.back_at
        } else {
            now
        }
    }

    /// A result came from outside.
    pub(crate) fn reported(&mut self, id: ComponentId, outcome: Outcome, now: Instant) -> bool {
        let at = self.asked_at(now);
        self.board.record(id, outcome, Duration::ZERO, at)
    }

    /// Fetches what is known of checks whose runs are about to end, and of as many that then begin.
    pub(super) fn look_ahead(&self, ends: &[End]) {
        self.timetable.look_ahead(ends.iter().map(|end| end.key));
        let beginning = self.timetable.queued().take(ends.len());
        let checks = beginning.filter_map(|key| self.checks.get(&key));
        std::hint::black_box(checks.map(Check::look).fold(0, usize::wrapping_add));
        self.board.look_ahead(ends.iter().map(|end| end.key));
    }

    pub(super) fn ended(&mut self, end: End, now: Instant) {
        let End {
            key,
            run,
            at,
            duration,
            ending,
        } = end;
        let outcome = match ending {
            Ending::Result(Ok(outcome)) => outcome,
            Ending::Result(Err(error)) => error.into(),
            Ending::Panicked(text) => Outcome::new(
                HealthStatus::Unhealthy,
                health_core::reasons::PANICKED,
                format!("the check panicked: {text}"),
            ),
            Ending::Dropped => return self.timetable.lost(key, run, now),
        };
        match self.timetable.ended(key, run, at, now) {
            Judgement::Counts => self.record(key, outcome, duration, now),
            Judgement::Ignored => {}
        }
    }

    pub(super) fn blocked(&mut self, key: ComponentId, run: RunId, now: Instant) {
        if let Some(name) = self.name(key) {
            tracing::warn!(
                component = name,
                "a check blocks its thread; it gets its own"
            );
        }
        self.timetable.blocked(key, run, now);
    }

    pub(super) fn revoked(&mut self, key: ComponentId, run: RunId, now: Instant) {
        self.timetable.lost(key, run, now);
    }

    pub(super) fn may_block_more(&self) -> bool {
        self.timetable.may_block_more()
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.timetable.handle_timeout(now);
        self.board.advance(now);
    }

    /// Records what needs no shell, and gives what does.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Step> {
        while let Some(action) = self.timetable.poll() {
            match action {
                Action::Start {
                    key,
                    run,
                    solo,
                    deadline,
                } => {
                    let Some(check) = self.checks.get(&key) else {
                        continue;
                    };
                    return Some(Step::Start(Start {
                        key,
                        name: check.name.clone(),
                        run,
                        checker: Arc::clone(&check.checker),
                        context: CheckContext {
                            deadline,
                            timeout: check.timeout,
                        },
                        solo,
                    }));
                }
                Action::Abort { run } => return Some(Step::Abort(run)),
                Action::TimedOut { key, since } => self.timed_out(key, since, now),
                Action::Refused { key } => {
                    let error = CheckError::new(
                        reasons::NO_THREAD,
                        "it is known to block, and too many checks that block are under way",
                    );
                    self.record(key, error.into(), Duration::ZERO, now);
                }
            }
        }
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let expiry = self.board.next_expiry();
        self.timetable
            .poll_timeout()
            .into_iter()
            .chain(expiry)
            .min()
    }

    fn timed_out(&mut self, key: ComponentId, since: Instant, now: Instant) {
        let Some(check) = self.checks.get(&key) else {
            return;
        };
        let timeout = check.timeout;
        let running = now.saturating_duration_since(since);
        let mut message = format!("no answer within {timeout:?}");
        if running > timeout + PAUSE_MIN {
            message += &format!("; stuck for {running:.0?}");
        }
        let outcome = Outcome::new(
            HealthStatus::Unhealthy,
            health_core::reasons::TIMEOUT,
            message,
        );
        self.record(key, outcome, running, now);
    }

    fn record(&mut self, key: ComponentId, outcome: Outcome, duration: Duration, now: Instant) {
        let status = outcome.status;
        if self.board.record(key, outcome, duration, now) {
            self.telemetry.count(status, duration);
        }
    }

    fn name(&self, key: ComponentId) -> Option<&str> {
        self.board
            .components()
            .find(|health| self.board.id(health.name.as_str()) == Some(key))
            .map(|health| health.name.as_str())
    }
}

// === impl Check ===

impl Check {
    /// Reads something of each line of memory that a start needs, for nothing but to have read it.
    fn look(&self) -> usize {
        let name = self.name.as_str().as_bytes().first();
        usize::from(name.copied().unwrap_or_default()) + Arc::strong_count(&self.checker)
    }
}

// === impl View ===

impl View<'_> {
    pub(super) fn verdict(&mut self, query: &Query<'_>) -> Verdict {
        if self.stalled.is_some() {
            return Verdict::by_rule(Rule::MonitorStalled);
        }
        self.board.verdict(query, self.now)
    }

    pub(super) fn probe(
        &mut self,
        probe: Probe,
        rules: ProbeRules,
        exclude: &[ComponentName],
        loops: &[LoopState],
    ) -> ProbeAnswer {
        match (probe, self.stalled) {
            (Probe::Readiness, Some(_)) => ProbeAnswer {
                probe,
                holds: false,
                verdict: Verdict::by_rule(Rule::MonitorStalled),
                stalled: Vec::new(),
            },
            (Probe::Liveness | Probe::Readiness | Probe::Startup, _) => {
                self.board.probe(probe, rules, exclude, loops, self.now)
            }
        }
    }

    pub(super) fn report(&mut self) -> HealthReport {
        let mut report = self.board.report(self.now);
        report.at = self.asked;
        if self.stalled.is_some() {
            report.verdict = Verdict::by_rule(Rule::MonitorStalled);
        }
        report
    }

    pub(super) fn carried(&mut self) -> Carried {
        let exclude = [self.heartbeat.clone()];
        let all = Query {
            scope: Scope::All,
            exclude: &exclude,
        };
        Carried {
            verdict: self.verdict(&all),
            readiness: self.probe(Probe::Readiness, self.rules, &exclude, &[]),
            age: self
                .asked
                .saturating_duration_since(self.board.last_result()),
        }
    }
}

/// FNV-1a, so that a check's turn is the same in every build and on every machine.
fn hash(name: &str, seed: u64) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = seed.to_le_bytes().into_iter().chain(name.bytes());
    let hash = bytes.fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    // Its last bytes hardly reach the high bits, and intervals are round numbers.
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests;
