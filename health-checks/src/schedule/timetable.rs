//! Who is due when: the pure half of the monitor.

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::hash::Hash;
use std::time::Duration;
use std::time::Instant;

use rustc_hash::FxHashMap;

use crate::Schedule;
use crate::schedule::Action;
use crate::schedule::Judgement;
use crate::schedule::Limits;
use crate::schedule::RunId;

/// Who is due when, who runs, and who does not come back.
///
/// Call any method whenever its event happens, [`handle_timeout`](Self::handle_timeout) at
/// [`poll_timeout`](Self::poll_timeout), and after each call [`poll`](Self::poll) until it is
/// empty. `now` must not run backwards.
///
/// ```text
///            due               place             result
/// Waiting ─────────▶ Queued ─────────▶ Running ─────────▶ Waiting
///            refresh    ▲                │  │
///                       └────────────────┘  │ deadline
///                        lost, or ended     ▼
///                        and refreshed
///                                         Stuck ────────▶ Waiting
///                                               end
/// ```
#[derive(Debug)]
pub(crate) struct Timetable<K> {
    epoch: Instant,
    limits: Limits,
    tasks: FxHashMap<K, Task>,
    /// The turns of those that wait, one each.
    turns: BTreeSet<(Instant, K)>,
    /// The deadlines of those that run or are stuck, one each. Few run at a time, so this is small
    /// however many there are.
    deadlines: BTreeSet<(Instant, K)>,
    queue: VecDeque<K>,
    /// Runs that hold a place in the pool.
    pooled: usize,
    /// Runs that hold a thread of their own, or block one of the pool's.
    apart: BTreeSet<RunId>,
    next_run: u64,
    actions: VecDeque<Action<K>>,
}

#[derive(Debug)]
struct Task {
    schedule: Schedule,
    phase: Duration,
    /// It blocked a thread once, and runs on one of its own from then on.
    solo: bool,
    /// It was refreshed while it ran. That run may have looked before whatever the refresh is for,
    /// so another one follows it.
    again: bool,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Its turn is later. To Queued at `due`, or when it is refreshed.
    Waiting { due: Instant },
    /// Its turn is now. To Running as soon as there is a place.
    Queued,
    /// To Waiting when it ends, to Stuck at `deadline`, to Queued when it is taken back or was
    /// refreshed.
    Running {
        run: RunId,
        since: Instant,
        deadline: Instant,
    },
    /// It was counted as timed out, was told to end and has not. Counts as timed out once more at
    /// `again`. To Waiting when it ends.
    Stuck {
        run: RunId,
        since: Instant,
        again: Instant,
    },
}

/// So many turns are taken together: who they are of is in the nearest cache still when each is.
const AHEAD: usize = 64;

// === impl Timetable ===

impl<K: Copy + Ord + Hash> Timetable<K> {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            epoch: now,
            limits,
            tasks: FxHashMap::default(),
            turns: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            queue: VecDeque::new(),
            pooled: 0,
            apart: BTreeSet::new(),
            next_run: 0,
            actions: VecDeque::new(),
        }
    }

    /// Adds a check. Its first run is now, the later ones are at its phase, which `hash` decides.
    pub(crate) fn add(&mut self, key: K, schedule: Schedule, hash: u64, now: Instant) {
        let schedule = Schedule::new(schedule.interval, schedule.timeout);
        let task = Task {
            schedule,
            phase: Duration::from_nanos(hash % nanos(schedule.interval)),
            solo: false,
            again: false,
            state: State::Queued,
        };
        self.tasks.insert(key, task);
        self.queue.push_back(key);
        self.fill(now);
    }

    /// Removes a check; a run of it is told to end.
    pub(crate) fn remove(&mut self, key: K, now: Instant) {
        let Some(task) = self.tasks.remove(&key) else {
            return;
        };
        self.stop_timer(key, task.state);
        match task.state {
            State::Running { run, .. } => {
                self.release(run);
                self.actions.push_back(Action::Abort { run });
            }
            State::Waiting { .. } | State::Queued | State::Stuck { .. } => {}
        }
        self.fill(now);
    }

    /// Makes it that check's turn now, or right after a run that is under way: however often it is
    /// asked for meanwhile, one follows. Says whether a result is to be expected.
    pub(crate) fn refresh(&mut self, key: K, now: Instant) -> bool {
        let Some(task) = self.tasks.get_mut(&key) else {
            return false;
        };
        match task.state {
            State::Waiting { .. } => {
                self.enqueue(key);
                self.fill(now);
                true
            }
            State::Queued => true,
            State::Running { .. } => {
                task.again = true;
                true
            }
            State::Stuck { .. } => false,
        }
    }

    /// A run ended at `at` with a result.
    pub(crate) fn ended(&mut self, key: K, run: RunId, at: Instant, now: Instant) -> Judgement {
        let Some((state, due)) = self.of_run(key, run, now) else {
            self.fill(now);
            return Judgement::Ignored;
        };
        self.change(key, State::Waiting { due });
        let judgement = match state {
            State::Running {
                since, deadline, ..
            } => {
                self.release(run);
                if at <= deadline {
                    Judgement::Counts
                } else {
                    self.actions.push_back(Action::TimedOut { key, since });
                    Judgement::Ignored
                }
            }
            State::Waiting { .. } | State::Queued | State::Stuck { .. } => Judgement::Ignored,
        };
        self.apart.remove(&run);
        if self.tasks.get(&key).is_some_and(|task| task.again) {
            self.enqueue(key);
        }
        self.fill(now);
        judgement
    }

    /// A run ended without a result and through no fault of its own: it was taken back from a
    /// runtime that was given up, or dropped with it. It gets another turn at once.
    pub(crate) fn lost(&mut self, key: K, run: RunId, now: Instant) {
        if let Some((state, due)) = self.of_run(key, run, now) {
            match state {
                State::Running { .. } => {
                    self.release(run);
                    // Those that wait have not had a turn yet.
                    self.enqueue(key);
                }
                State::Waiting { .. } | State::Queued | State::Stuck { .. } => {
                    self.change(key, State::Waiting { due });
                }
            }
        }
        self.apart.remove(&run);
        self.fill(now);
    }

    /// A run of the pool blocks its thread: its check gets a thread of its own from now on.
    pub(crate) fn blocked(&mut self, key: K, run: RunId, now: Instant) {
        if let Some(task) = self.tasks.get_mut(&key) {
            task.solo = true;
            if matches!(task.state, State::Running { run: its, .. } if its == run) {
                self.release(run);
            }
        }
        self.apart.insert(run);
        self.fill(now);
    }

    /// Whether one more thread may be given up to a check that blocks it.
    pub(crate) fn may_block_more(&self) -> bool {
        self.apart.len() < self.limits.apart
    }

    /// This process was stopped for `pause`: runs under way get that much longer.
    pub(crate) fn paused(&mut self, pause: Duration) {
        for (_, key) in self.deadlines.clone() {
            let mut state = self.tasks[&key].state;
            if let State::Running { deadline, .. } = &mut state {
                *deadline += pause;
                self.change(key, state);
            }
        }
    }

    /// The machine slept for `sleep`, in which `now` stood still: who would have had a turn has it
    /// now.
    pub(crate) fn slept(&mut self, sleep: Duration, now: Instant) {
        self.take_turns(now + sleep);
        self.fill(now);
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        while let Some(&(at, key)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.pop_first();
            self.out_of_time(key, now);
        }
        self.take_turns(now);
        self.fill(now);
    }

    /// Fetches what is known of runs that are about to end and of as many that then begin; see
    /// [`Board::look_ahead`](health_core::Board::look_ahead).
    pub(crate) fn look_ahead(&self, ending: impl ExactSizeIterator<Item = K>) {
        let beginning = self.queue.iter().copied().take(ending.len());
        self.look(ending.chain(beginning));
    }

    /// Who waits for a place, in their order.
    pub(crate) fn queued(&self) -> impl Iterator<Item = K> {
        self.queue.iter().copied()
    }

    #[must_use]
    pub(crate) fn poll(&mut self) -> Option<Action<K>> {
        self.actions.pop_front()
    }

    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let turn = self.turns.first().map(|(at, _)| *at);
        let deadline = self.deadlines.first().map(|(at, _)| *at);
        turn.into_iter().chain(deadline).min()
    }

    /// Queues whose turn is not later than `now`.
    fn take_turns(&mut self, now: Instant) {
        loop {
            let due = self.turns.iter().take_while(|(at, _)| *at <= now);
            let due = due.map(|(_, key)| *key).take(AHEAD);
            let count = self.look(due);
            if count == 0 {
                return;
            }
            for _ in 0..count {
                if let Some(&(_, key)) = self.turns.first() {
                    self.enqueue(key);
                }
            }
        }
    }

    /// Reads something of each of these, for nothing but to have read it, and says how many they are.
    fn look(&self, keys: impl Iterator<Item = K>) -> usize {
        let mut count = 0;
        for key in keys {
            std::hint::black_box(self.tasks.get(&key).map(|task| task.again));
            count += 1;
        }
        count
    }

    /// Its turn comes after those who wait for theirs already.
    fn enqueue(&mut self, key: K) {
        self.change(key, State::Queued);
        self.queue.push_back(key);
    }

    fn out_of_time(&mut self, key: K, now: Instant) {
        let task = &self.tasks[&key];
        let again = now + task.schedule.interval;
        let (run, since) = match task.state {
            State::Running { run, since, .. } => {
                // Whoever blocks a thread keeps it, but nobody else waits for it.
                if !self.apart.contains(&run) {
                    self.release(run);
                }
                self.actions.push_back(Action::TimedOut { key, since });
                self.actions.push_back(Action::Abort { run });
                (run, since)
            }
            State::Stuck { run, since, .. } => {
                self.actions.push_back(Action::TimedOut { key, since });
                (run, since)
            }
            // Neither has a deadline.
            State::Waiting { .. } | State::Queued => return,
        };
        self.change(key, State::Stuck { run, since, again });
    }

    /// Starts who is queued, as long as there is a place.
    fn fill(&mut self, now: Instant) {
        while self.pooled < self.limits.pooled {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let Some(task) = self.tasks.get(&key) else {
                continue;
            };
            let (solo, deadline) = (task.solo, now + task.schedule.timeout);
            if solo && !self.may_block_more() {
                let due = self.next_turn(task, now);
                self.change(key, State::Waiting { due });
                self.actions.push_back(Action::Refused { key });
                continue;
            }
            let run = RunId(self.next_run);
            self.next_run += 1;
            if solo {
                self.apart.insert(run);
            } else {
                self.pooled += 1;
            }
            let since = now;
            self.change(
                key,
                State::Running {
                    run,
                    since,
                    deadline,
                },
            );
            self.actions.push_back(Action::Start {
                key,
                run,
                solo,
                deadline,
            });
        }
    }

    /// Gives a run's place in the pool to the next one. A thread of its own is given back only
    /// when the run has really ended.
    fn release(&mut self, run: RunId) {
        if !self.apart.contains(&run) {
            self.pooled -= 1;
        }
    }

    /// The state and the next turn of `key`, if `run` is its run.
    fn of_run(&mut self, key: K, run: RunId, now: Instant) -> Option<(State, Instant)> {
        let task = self
            .tasks
            .get(&key)
            .filter(|task| task.state.run() == Some(run));
        let Some(task) = task else {
            // A removed check's run that held a thread has ended at last.
            self.apart.remove(&run);
            return None;
        };
        Some((task.state, self.next_turn(task, now)))
    }

    /// The first instant of the task's phase after `now`.
    fn next_turn(&self, task: &Task, now: Instant) -> Instant {
        let first = self.epoch + task.phase;
        let Some(passed) = now.checked_duration_since(first) else {
            return first;
        };
        let [interval, passed] = [task.schedule.interval, passed].map(nanos);
        now + Duration::from_nanos(interval - passed % interval)
    }

    fn change(&mut self, key: K, state: State) {
        let Some(task) = self.tasks.get_mut(&key) else {
            return;
        };
        task.again &= !matches!(state, State::Queued);
        let before = std::mem::replace(&mut task.state, state);
        self.stop_timer(key, before);
        match state {
            State::Waiting { due } => self.turns.insert((due, key)),
            State::Queued => false,
            State::Running { deadline: at, .. } | State::Stuck { again: at, .. } => {
                self.deadlines.insert((at, key))
            }
        };
    }

    fn stop_timer(&mut self, key: K, state: State) {
        match state {
            State::Waiting { due } => self.turns.remove(&(due, key)),
            State::Queued => false,
            State::Running { deadline: at, .. } | State::Stuck { again: at, .. } => {
                self.deadlines.remove(&(at, key))
            }
        };
    }
}

// === impl State ===

impl State {
    const fn run(&self) -> Option<RunId> {
        match self {
            Self::Waiting { .. } | Self::Queued => None,
            Self::Running { run, .. } | Self::Stuck { run, .. } => Some(*run),
        }
    }
}

/// Enough for five hundred years, in which an interval comes once.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
