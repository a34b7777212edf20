//! Runs checks in the background and answers from memory.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_core::AggregationPolicy;
use health_core::Carried;
use health_core::ComponentHealth;
use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::HealthReport;
use health_core::HealthSource;
use health_core::LoopState;
use health_core::NameTaken;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::ProbeLine;
use health_core::ProbeRules;
use health_core::Pulse;
use health_core::Query;
use health_core::Revision;
use health_core::Scope;
use health_core::Transition;
use health_core::Verdict;
use health_core::WorstOf;
use tokio::runtime::Handle as RuntimeHandle;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::HealthChecker;
use crate::Registration;
use crate::Reporter;
use crate::Schedule;
use crate::work::Pool;

mod shared;

mod state;

mod driver;

mod listener;

pub(crate) use shared::Shared;

/// What a monitor is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorConfig {
    /// The rules of the readiness that heartbeats carry. Default: strict.
    pub probe_rules: ProbeRules,
    /// How many checks run at a time. Default: 256: enough that slow ones do not hold up a first
    /// round, and few enough to bound sockets and memory. 0 counts as 1.
    pub concurrency: usize,
    /// How many threads the checks share. Default: 4, so that two checks that block at once leave as
    /// many for the others until they are found out. 0 counts as 1.
    pub workers: usize,
    /// How many checks may hold or block a thread of their own at a time; further ones that are
    /// known to block are not run and become Unknown, `NoThread`. Default: 64. 0 counts as 1.
    pub blocked_max: usize,
    /// Decides, with its name, a check's turn within its interval. Default: 0.
    pub seed: u64,
}

/// A cheap handle to the loop that runs checks and to the board that holds their results.
///
/// Everything that is asked is answered from memory; nothing here ever runs a check for the asker.
/// The loop ends with [`shutdown`](Self::shutdown) and when the last handle is dropped.
///
/// ```text
///   register ──▶ timetable ──start──▶ work runtime ──end──▶ board ──▶ verdict, probe, report
///                    ▲    └──deadline──────────────────────▶  │
///                    └──────────── pulse runtime ─────────────┘
/// ```
///
/// Metrics are counted with the recorder that is installed when the monitor is spawned.
#[derive(Debug, Clone)]
pub struct Monitor {
    handle: Arc<Handle>,
}

/// Ends the loop when the last of them is dropped.
#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    ended: watch::Receiver<bool>,
    pulse_runtime: RuntimeHandle,
}

/// How long a shutdown waits for the loop, which only has to finish the step it is in.
const SHUTDOWN_MAX: Duration = Duration::from_secs(1);

/// So many transitions wait for whoever listens slowly.
const TRANSITIONS_MAX: usize = 1024;

// === impl MonitorConfig ===

impl MonitorConfig {
    /// Sets the rules of the readiness that heartbeats carry.
    #[must_use]
    pub const fn with_probe_rules(mut self, probe_rules: ProbeRules) -> Self {
        self.probe_rules = probe_rules;
        self
    }

    /// Sets how many checks run at a time.
    #[must_use]
    pub const fn with_concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// Sets how many threads the checks share.
    #[must_use]
    pub const fn with_workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets how many checks may hold or block a thread of their own at a time.
    #[must_use]
    pub const fn with_blocked_max(mut self, blocked_max: usize) -> Self {
        self.blocked_max = blocked_max;
        self
    }

    /// Sets what decides, with its name, a check's turn within its interval.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl Default for MonitorConfig {
    fn default() -> Self {
        Self {
            probe_rules: ProbeRules::default(),
            concurrency: 256,
            workers: 4,
            blocked_max: 64,
            seed: 0,
        }
    }
}

// === impl Monitor ===

impl Monitor {
    /// Starts a monitor whose loop runs on the current runtime, the *pulse* runtime; checks run on
    /// threads of the monitor's own.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime, or in one without its timer.
    #[must_use]
    pub fn spawn(config: MonitorConfig) -> Self {
        Self::spawn_with_policy(config, Box::new(WorstOf))
    }

    /// As [`spawn`](Self::spawn), with another policy of aggregation.
    ///
    /// # Panics
    ///
    /// As [`spawn`](Self::spawn).
    #[must_use]
    pub fn spawn_with_policy(config: MonitorConfig, policy: Box<dyn AggregationPolicy>) -> Self {
        let transitions = broadcast::Sender::new(TRANSITIONS_MAX);
        let heard = transitions.downgrade();
        let shared = Arc::new(Shared::new(config, policy, heard, Instant::now()));
        let (ends, ended_runs) = mpsc::unbounded_channel();
        let pool = Pool::new(config.workers, ends);
        let (ended_tx, ended) = watch::channel(false);
        tokio::spawn(driver::drive(
            Arc::clone(&shared),
            pool,
            ended_runs,
            transitions,
            ended_tx,
        ));
        let handle = Arc::new(Handle {
            shared,
            ended,
            pulse_runtime: RuntimeHandle::current(),
        });
        Self { handle }
    }

    /// Adds a component whose check runs in the background: now, and then at its turns.
    ///
    /// # Errors
    ///
    /// [`NameTaken`] if a component of that name is registered.
    pub fn register(
        &self,
        spec: ComponentSpec,
        schedule: Schedule,
        checker: Arc<dyn HealthChecker>,
    ) -> Result<Registration, NameTaken> {
        let name = spec.name.clone();
        let now = Instant::now();
        let id = self
            .shared()
            .waking(|state| state.register(spec, schedule, checker, now))?;
        Ok(Registration::new(name, id, Arc::clone(self.shared())))
    }

    /// Adds a component whose results are set through the handle that this gives.
    ///
    /// # Errors
    ///
    /// [`NameTaken`] if a component of that name is registered.
    pub fn register_reported(&self, spec: ComponentSpec) -> Result<Reporter, NameTaken> {
        let name = spec.name.clone();
        let now = Instant::now();
        let id = self
            .shared()
            .waking(|state| state.board.register(spec, now))?;
        Ok(Reporter::new(name, id, Arc::clone(self.shared())))
    }

    /// Makes it that check's turn now. A run that is queued is that turn. One that is under way may
    /// have looked already, so another follows it: one, however many refreshes come meanwhile.
    ///
    /// Says whether a result is to be expected: not for a name that is not registered or whose
    /// results are reported, and not while a run is stuck.
    pub fn refresh(&self, name: &ComponentName) -> bool {
        let now = Instant::now();
        self.shared()
            .waking(|state| state.refresh(name.as_str(), now))
    }

    /// The verdict over the components of `scope`, in constant time. Unknown, `MonitorStalled`,
    /// when the loop makes no progress.
    #[must_use]
    pub fn verdict(&self, scope: Scope, now: Instant) -> Verdict {
        self.shared()
            .ask(now, |view| view.verdict(&Query::of(scope)))
    }

    /// Answers a probe, leaving out the components that `exclude` names. `loops` are the program's
    /// own loops; only liveness looks at them.
    #[must_use]
    pub fn probe(
        &self,
        probe: Probe,
        rules: ProbeRules,
        exclude: &[ComponentName],
        loops: &[LoopState],
        now: Instant,
    ) -> ProbeAnswer {
        self.shared()
            .ask(now, |view| view.probe(probe, rules, exclude, loops))
    }

    /// One line for each component of the probe, by name.
    #[must_use]
    pub fn probe_lines(&self, probe: Probe, rules: ProbeRules, now: Instant) -> Vec<ProbeLine> {
        self.shared()
            .ask(now, |view| view.board.probe_lines(probe, rules, view.now))
    }

    /// How one component is.
    #[must_use]
    pub fn component(&self, name: &str, now: Instant) -> Option<Arc<ComponentHealth>> {
        self.shared().ask(now, |view| {
            view.board.advance(view.now);
            view.board.component(name).cloned()
        })
    }

    /// How everything is.
    #[must_use]
    pub fn report(&self, now: Instant) -> HealthReport {
        self.shared().ask(now, |view| view.report())
    }

    /// Moves when a status or a reason changes, and when a component comes or goes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Revision> {
        self.shared().revision.subscribe()
    }

    /// Gives each change of a component's status, from now on, until the loop has ended. Whoever
    /// falls behind by more than 1,024 misses the oldest and is told how many.
    #[must_use]
    pub fn transitions(&self) -> broadcast::Receiver<Arc<Transition>> {
        self.shared().subscribe()
    }

    /// Calls `listener` at each change of a component's status, from now on, until the loop has
    /// ended: one at a time, in order, and where it may block.
    ///
    /// A panic of it is logged, and it is called again at the next change. One that never returns
    /// holds a thread of the pulse runtime's, whose own end waits for it.
    pub fn listen(&self, listener: impl FnMut(&Transition) + Send + 'static) {
        let transitions = self.transitions();
        let runtime = &self.handle.pulse_runtime;
        runtime.spawn(listener::listen(transitions, listener));
    }

    /// The newest changes of status, from old to new, at most
    /// [`History::MAX`](health_core::History::MAX).
    #[must_use]
    pub fn history(&self, now: Instant) -> Vec<Arc<Transition>> {
        self.shared().ask(now, |view| {
            view.board.advance(view.now);
            view.board.history().iter().cloned().collect()
        })
    }

    /// The mark of the monitor's loop.
    #[must_use]
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.shared().pulse
    }

    /// The rules that it was started with.
    #[must_use]
    pub fn probe_rules(&self) -> ProbeRules {
        self.shared().probe_rules
    }

    /// Ends the loop and every check. Waits at most a second, and not for checks that block. What
    /// is in memory stays to be asked, until it is too old.
    ///
    /// # Cancel safety
    ///
    /// Once this was polled the loop ends, whether it is waited for or not.
    pub async fn shutdown(&self) {
        self.shared().close();
        let mut ended = self.handle.ended.clone();
        let ended = ended.wait_for(|ended| *ended);
        if tokio::time::timeout(SHUTDOWN_MAX, ended).await.is_err() {
            tracing::warn!("the monitor's loop did not end in time");
        }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }
}

impl HealthSource for Monitor {
    fn carried(&self, now: Instant) -> Carried {
        self.shared().ask(now, |view| view.carried())
    }
}

// === impl Handle ===

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

// === impl Shared ===

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Monitor").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
