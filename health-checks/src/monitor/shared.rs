//! What the handles and the loop share.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_core::AggregationPolicy;
use health_core::ComponentName;
use health_core::ProbeRules;
use health_core::Pulse;
use health_core::Revision;
use health_core::Transition;
use tokio::sync::Notify;
use tokio::sync::broadcast;
use tokio::sync::watch;

use crate::MonitorConfig;
use crate::monitor::state::State;
use crate::monitor::state::View;
use crate::names;

/// The loop beats every second; ten times that is no mere load.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// What the handles and the loop share.
pub(crate) struct Shared {
    /// Held for short sections, never across an await.
    state: Mutex<State>,
    /// Wakes the loop.
    pub(super) wake: Notify,
    pub(super) revision: watch::Sender<Revision>,
    /// The loop has the strong one, so that whoever listens ends with it.
    transitions: broadcast::WeakSender<Arc<Transition>>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) probe_rules: ProbeRules,
    heartbeat: ComponentName,
}

// === impl Shared ===

impl Shared {
    pub(super) fn new(
        config: MonitorConfig,
        policy: Box<dyn AggregationPolicy>,
        transitions: broadcast::WeakSender<Arc<Transition>>,
        now: Instant,
    ) -> Self {
        let heartbeat = names::HEARTBEAT
            .parse()
            .expect("a word of lower case letters is a name");
        Self {
            state: Mutex::new(State::new(config, policy, now)),
            wake: Notify::new(),
            revision: watch::Sender::default(),
            transitions,
            pulse: Arc::new(Pulse::new("monitor", SILENCE_MAX, now)),
            probe_rules: config.probe_rules,
            heartbeat,
        }
    }

    /// Changes something, and has the loop look at it.
    pub(crate) fn waking<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let value = self.with(change);
        self.wake.notify_one();
        value
    }

    /// Reads something.
    pub(super) fn ask<T>(&self, now: Instant, ask: impl FnOnce(&mut View<'_>) -> T) -> T {
        self.with(|state| {
            let judged_at = state.asked_at(now);
            let stalled = (judged_at == now)
                .then(|| self.pulse.stalled(now))
                .flatten();
            ask(&mut View {
                board: &mut state.board,
                now: judged_at,
                asked: now,
                stalled,
                rules: self.probe_rules,
                heartbeat: &self.heartbeat,
            })
        })
    }

    pub(super) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.lock())
    }

    /// Tells who waits for changes. Only the loop does: whoever looks at what came of a change does
    /// so while holding the channel, and may ask from there.
    pub(super) fn publish(&self, revision: Revision) {
        self.revision
            .send_if_modified(|last| std::mem::replace(last, revision) != revision);
    }

    /// The transitions from now on; none once the loop has ended.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Transition>> {
        match self.transitions.upgrade() {
            Some(transitions) => transitions.subscribe(),
            None => broadcast::Sender::new(1).subscribe(),
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_one();
    }

    /// A panic while it was held has left every step of it whole or not begun.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
