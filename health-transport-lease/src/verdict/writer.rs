//! Writes the verdicts on the SyncTargets of one workspace.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Instant;
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::task::JoinSet;
use tracing::Instrument;

use crate::api::BODY_MAX;
use crate::api::now;
use crate::call::Call;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::error::Subject;
use crate::error::describe;
use crate::exchange::Exchange;
use crate::http_form::Objects;
use crate::keeper::WallClock;
use crate::names;
use crate::verdict::FlightId;
use crate::verdict::Standing;
use crate::verdict::VerdictConfig;
use crate::verdict::VerdictEvent;
use crate::verdict::VerdictInput;
use crate::verdict::VerdictMachine;
use crate::verdict::VerdictOutput;
use crate::verdict::VerdictStatus;
use crate::verdict::Wish;
use crate::watch::TargetSight;

/// Keeps the condition `HeartbeatHealthy` on the SyncTargets of one workspace, in the background.
///
/// A cheap handle; when the last one is dropped the writing ends. What to do is
/// [`VerdictMachine`]'s decision; this makes its calls. Nothing here waits: what is told is
/// remembered, the newest of each target, however slow the server is.
#[derive(Clone)]
pub struct VerdictWriter(Arc<Handle>);

/// Ends the task with the last handle.
struct Handle {
    shared: Arc<Shared>,
    task: AbortHandle,
}

struct Shared {
    machine: Mutex<VerdictMachine>,
    /// That the machine was told something.
    told: Notify,
    exchange: Arc<Exchange>,
    wall: WallClock,
}

// === impl VerdictWriter ===

impl VerdictWriter {
    /// Starts to write on the current tokio runtime, as soon as it is
    /// [active](Self::set_active), with chance from `seed`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn spawn(cluster: Cluster, config: VerdictConfig, seed: u64) -> Self {
        Self::spawn_with_wall_clock(cluster, config, seed, Arc::new(SystemTime::now))
    }

    /// The same, with times of this clock instead of the system's.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn spawn_with_wall_clock(
        cluster: Cluster,
        config: VerdictConfig,
        seed: u64,
        wall: WallClock,
    ) -> Self {
        let shared = Arc::new(Shared {
            machine: Mutex::new(VerdictMachine::new(config, seed)),
            told: Notify::new(),
            exchange: Arc::new(Exchange::new(cluster)),
            wall,
        });
        let task = tokio::spawn(run(Arc::clone(&shared))).abort_handle();
        Self(Arc::new(Handle { shared, task }))
    }

    /// Wishes for what is to stand on that target from now on; the newest wish counts.
    pub fn tell(&self, target: &str, wish: Wish) {
        let target = target.into();
        self.hand_in(VerdictInput::Tell { target, wish });
    }

    /// Hands in a SyncTarget as a watch saw it: what says so already is not written, and who
    /// writes over a verdict is noticed. Without it both are found out when there is something to
    /// write.
    pub fn seen(&self, target: &str, sight: &TargetSight) {
        let Some(uid) = &sight.uid else {
            return;
        };
        self.hand_in(VerdictInput::Seen {
            target: target.into(),
            uid: uid.clone(),
            standing: Standing::seen(sight.heartbeat_healthy.as_ref()),
        });
    }

    /// Forgets that target, as one that was deleted; there is one entry for each that was told of
    /// or seen, until then.
    pub fn forget(&self, target: &str) {
        let target = target.into();
        self.hand_in(VerdictInput::Forget { target });
    }

    /// Writes from now on, or does not: one of several hubs does. What is told meanwhile is
    /// remembered. A write that was sent already is not called back; it changes nothing that
    /// another has written since.
    pub fn set_active(&self, active: bool) {
        self.hand_in(VerdictInput::Active(active));
    }

    /// How the writing is getting on.
    #[must_use]
    pub fn status(&self) -> VerdictStatus {
        self.0.shared.machine().status(now())
    }

    fn hand_in(&self, input: VerdictInput) {
        self.0.shared.machine().handle(input, now());
        self.0.shared.told.notify_one();
    }
}

impl fmt::Debug for VerdictWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerdictWriter")
            .field("server", &self.0.shared.exchange.server())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Shared ===

impl Shared {
    fn machine(&self) -> MutexGuard<'_, VerdictMachine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the machine wants; says when it wants to be woken.
    fn drain(&self, calls: &mut JoinSet<(FlightId, Reply)>) -> Option<Instant> {
        let mut machine = self.machine();
        while let Some(output) = machine.poll() {
            match output {
                VerdictOutput::Call {
                    flight,
                    target,
                    call,
                } => {
                    let exchange = Arc::clone(&self.exchange);
                    calls.spawn(make(exchange, flight, target, call));
                }
                VerdictOutput::Event(event) => self.log(&event),
            }
        }
        machine.poll_timeout()
    }

    fn log(&self, event: &VerdictEvent) {
        match event {
            VerdictEvent::Written { target, kind } => tracing::info!(
                target_name = &**target,
                status = kind.status().as_str(),
                reason = kind.reason(),
                "wrote {} on the SyncTarget",
                names::HEARTBEAT_HEALTHY
            ),
            VerdictEvent::Contested { target, theirs } => tracing::warn!(
                target_name = &**target,
                %theirs,
                "another controller keeps writing {} on this SyncTarget: it is left alone from \
                 now on; stop the other one, or set cluster.writeConditions to false",
                names::HEARTBEAT_HEALTHY
            ),
            VerdictEvent::Recreated { target } => {
                tracing::warn!(target_name = &**target, "the SyncTarget was recreated");
            }
            VerdictEvent::Failed {
                target,
                operation,
                error,
            } => {
                let objects = objects(target);
                let server = self.exchange.server();
                let line = describe(Subject::Verdict, operation, &objects, server, error);
                tracing::warn!("{line}");
            }
        }
    }
}

async fn run(shared: Arc<Shared>) {
    let mut calls = JoinSet::new();
    loop {
        let wake = shared.drain(&mut calls);
        let wake = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let input = tokio::select! {
            Some(ended) = calls.join_next() => ended.ok().map(|(flight, reply)| {
                let wall = (shared.wall)();
                VerdictInput::Reply { flight, reply, wall }
            }),
            () = shared.told.notified() => None,
            () = wake => Some(VerdictInput::Timeout),
        };
        if let Some(input) = input {
            shared.machine().handle(input, now());
        }
    }
}

async fn make(
    exchange: Arc<Exchange>,
    flight: FlightId,
    target: Arc<str>,
    call: Call,
) -> (FlightId, Reply) {
    let operation = call.verb.operation();
    let span = tracing::debug_span!("verdict", target_name = &*target, operation);
    let request = call.verb.request(&objects(&target));
    let ask = exchange.ask_until(request, BODY_MAX, call.by);
    (flight, ask.instrument(span).await)
}

fn objects(target: &str) -> Objects {
    Objects {
        namespace: String::new(),
        lease: String::new(),
        target: target.to_owned(),
    }
}
