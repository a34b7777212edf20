//! Where checks run: a runtime of their own, which is given up when a check blocks its thread.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::AbortHandle;
use health_core::ComponentId;
use health_core::ComponentName;
use rustc_hash::FxHashMap;
use tokio::runtime::Builder;
use tokio::sync::mpsc;

use crate::CheckContext;
use crate::HealthChecker;
use crate::schedule::RunId;

mod mark;
mod run;

use mark::Mark;
pub(crate) use run::End;
pub(crate) use run::Ending;
use run::Run;

/// A poll that takes longer blocks its thread: everything else on it stands still meanwhile.
const PATIENCE: Duration = Duration::from_millis(250);

/// So many threads for the blocking calls of all pooled checks (name resolution is one).
const BLOCKING_THREADS_MAX: usize = 32;

/// So many runs are put on the shared runtime together.
const TOGETHER: usize = 16;

/// The runs under way, and the threads they are on.
pub(crate) struct Pool {
    workers: usize,
    /// Made when the first check runs, and anew after each that blocked.
    runtime: Option<Owned>,
    generation: u64,
    runs: FxHashMap<RunId, InFlight>,
    /// Those for the shared runtime that are not on it yet.
    ready: Vec<Run>,
    ends: mpsc::UnboundedSender<End>,
}

/// What one run needs.
pub(crate) struct Start {
    pub(crate) key: ComponentId,
    pub(crate) name: ComponentName,
    pub(crate) run: RunId,
    pub(crate) checker: Arc<dyn HealthChecker>,
    pub(crate) context: CheckContext,
    pub(crate) solo: bool,
}

/// What was found and done about runs that block their threads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Blockage {
    /// These block; they still may end in time.
    pub(crate) blocked: Vec<(ComponentId, RunId)>,
    /// These shared a runtime with them and were taken back.
    pub(crate) revoked: Vec<(ComponentId, RunId)>,
}

struct InFlight {
    key: ComponentId,
    abort: AbortHandle,
    mark: Arc<Mark>,
    patience: Duration,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the shared runtime of that generation.
    Pool(u64),
    /// On a thread of its own, or known to block one.
    Apart,
}

/// A runtime that may be dropped anywhere: what is still on it is not waited for.
struct Owned(Option<tokio::runtime::Runtime>);

// === impl Pool ===

impl Pool {
    /// The ends of runs go to `ends`: one for each run, so it holds no more than there are runs.
    pub(crate) fn new(workers: usize, ends: mpsc::UnboundedSender<End>) -> Self {
        Self {
            workers: workers.max(1),
            runtime: None,
            generation: 0,
            runs: FxHashMap::default(),
            ready: Vec::new(),
            ends,
        }
    }

    /// Starts a run at `now`; one of the shared runtime begins with the next [`launch`](Self::launch)
    /// at the latest.
    ///
    /// # Errors
    ///
    /// The operating system gives no thread.
    pub(crate) fn start(&mut self, start: Start, now: Instant) -> io::Result<()> {
        let mark = Arc::new(Mark::new(now));
        let (abort, registration) = AbortHandle::new_pair();
        let (key, id, solo) = (start.key, start.run, start.solo);
        let patience = PATIENCE.min(start.context.timeout);
        let run = Run::new(start, registration, Arc::clone(&mark), self.ends.clone());
        let place = if solo {
            spawn_apart(run)?;
            Place::Apart
        } else {
            self.runtime()?;
            self.ready.push(run);
            if self.ready.len() == TOGETHER {
                self.launch();
            }
            Place::Pool(self.generation)
        };
        let in_flight = InFlight {
            key,
            abort,
            mark,
            patience,
            place,
        };
        self.runs.insert(id, in_flight);
        Ok(())
    }

    /// Puts those that were started on the shared runtime, as one task that spawns theirs: a task is
    /// dear to make for whoever does nothing else, and its workers have the time.
    pub(crate) fn launch(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let mut ready = std::mem::replace(&mut self.ready, Vec::with_capacity(TOGETHER));
        // A worker runs what it spawned last next, and the others in their order.
        ready.rotate_left(1);
        if let Ok(runtime) = self.runtime() {
            runtime.spawn(async move {
                for run in ready {
                    tokio::spawn(run);
                }
            });
        }
    }

    /// Tells a run to end. Its [`End`] comes when it has.
    pub(crate) fn abort(&self, run: RunId) {
        if let Some(in_flight) = self.runs.get(&run) {
            in_flight.abort.abort();
        }
    }

    /// The end of `run` was seen.
    pub(crate) fn forget(&mut self, run: RunId) {
        self.runs.remove(&run);
    }

    /// Whether any run is under way that could block others.
    pub(crate) fn is_busy(&self) -> bool {
        let shared = Place::Pool(self.generation);
        self.runs.values().any(|run| run.place == shared)
    }

    /// Looks for runs that block their threads. If there are any, and `may_give_up` allows it, the
    /// shared runtime is given up: the others on it are taken back, so that they can be started on
    /// a fresh one.
    pub(crate) fn look(&mut self, may_give_up: bool, now: Instant) -> Blockage {
        let mut blockage = Blockage::default();
        let shared = Place::Pool(self.generation);
        for (id, run) in &mut self.runs {
            if run.place == shared && run.mark.polled_for(now) > Some(run.patience) {
                blockage.blocked.push((run.key, *id));
            }
        }
        if blockage.blocked.is_empty() || !may_give_up {
            return Blockage::default();
        }
        for (_, id) in &blockage.blocked {
            if let Some(run) = self.runs.get_mut(id) {
                run.place = Place::Apart;
            }
        }
        // One that is inside a poll right now cannot be taken back: it ends, or is dropped with
        // its runtime once it is out of the poll, and either way its end comes.
        self.runs.retain(|id, run| {
            let revoked = run.place == shared && run.mark.revoke();
            if revoked {
                run.abort.abort();
                blockage.revoked.push((run.key, *id));
            }
            !revoked
        });
        // In the order of their first start.
        blockage.revoked.sort_unstable_by_key(|(_, run)| *run);
        self.runtime = None;
        self.generation += 1;
        blockage
    }

    fn runtime(&mut self) -> io::Result<&tokio::runtime::Runtime> {
        if self.runtime.is_none() {
            let runtime = Builder::new_multi_thread()
                .worker_threads(self.workers)
                .max_blocking_threads(BLOCKING_THREADS_MAX)
                .thread_name("health-work")
                .enable_all()
                .build()?;
            self.runtime = Some(Owned(Some(runtime)));
        }
        self.runtime
            .as_ref()
            .and_then(|owned| owned.0.as_ref())
            .ok_or_else(|| io::Error::other("the runtime is gone"))
    }
}

/// Runs on a new thread that ends with the run.
fn spawn_apart(run: Run) -> io::Result<()> {
    let runtime = Builder::new_current_thread()
        .max_blocking_threads(1)
        .enable_all()
        .build()?;
    let owned = Owned(Some(runtime));
    thread::Builder::new()
        .name("health-solo".to_owned())
        .spawn(move || {
            if let Some(runtime) = &owned.0 {
                runtime.block_on(run);
            }
        })?;
    Ok(())
}

// === impl Owned ===

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests;
