//! The loop: it only waits, starts runs and passes on what came.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_core::Transition;
use tokio::sync::broadcast;
use tokio::sync::mpsc;
use tokio::sync::watch;

use crate::CheckError;
use crate::clock::SleepWatch;
use crate::monitor::Shared;
use crate::monitor::state::Step;
use crate::reasons;
use crate::work::Blockage;
use crate::work::End;
use crate::work::Ending;
use crate::work::Pool;

/// The loop beats at least this often.
const BEAT: Duration = Duration::from_secs(1);

/// While checks are under way, it looks this often for one that blocks its thread.
const LOOK: Duration = Duration::from_millis(100);

/// So many ends are taken at a time: others need the thread and the lock too.
const BATCH: usize = 256;

/// Runs until the shared state is closed.
pub(super) async fn drive(
    shared: Arc<Shared>,
    mut pool: Pool,
    mut ended_runs: mpsc::UnboundedReceiver<End>,
    transitions: broadcast::Sender<Arc<Transition>>,
    ended: watch::Sender<bool>,
) {
    let mut sleep_watch = SleepWatch::new();
    let mut ends: Vec<End> = Vec::with_capacity(BATCH);
    let mut steps = Vec::new();
    let mut fresh = Vec::new();
    let mut next_transition = 0;
    let mut look_at = Instant::now();
    let timer = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(timer);
    loop {
        let slept = sleep_watch.slept();
        let now = Instant::now();
        shared.pulse.beat(now);
        let round = shared.with(|state| {
            if state.closed {
                return None;
            }
            state.woke(slept, now);
            state.look_ahead(&ends);
            for end in ends.drain(..) {
                pool.forget(end.run);
                state.ended(end, now);
            }
            if now >= look_at {
                look_at = now + LOOK;
                let Blockage { blocked, revoked } = pool.look(state.may_block_more(), now);
                for (key, run) in blocked {
                    state.blocked(key, run, now);
                }
                for (key, run) in revoked {
                    state.revoked(key, run, now);
                }
            }
            state.handle_timeout(now);
            steps.extend(std::iter::from_fn(|| state.poll(now)));
            let busy = pool.is_busy() || !steps.is_empty();
            let latest = now + if busy { LOOK } else { BEAT };
            let wake_at = state.poll_timeout().map_or(latest, |at| at.min(latest));
            state.back_at(wake_at);
            let history = state.board.history();
            if transitions.receiver_count() > 0 {
                fresh.extend(history.since(next_transition).cloned());
            }
            next_transition = history.next_number();
            Some((wake_at, state.board.revision()))
        });
        let Some((wake_at, revision)) = round else {
            break;
        };
        shared.publish(revision);
        for transition in fresh.drain(..) {
            // An error only says that whoever listened is gone.
            transitions.send(transition).ok();
        }
        for step in steps.drain(..) {
            match step {
                Step::Start(start) => {
                    let (key, run) = (start.key, start.run);
                    if let Err(source) = pool.start(start, now) {
                        let error = CheckError::new(reasons::NO_THREAD, "no thread to run it on");
                        ends.push(End {
                            key,
                            run,
                            at: now,
                            duration: Duration::ZERO,
                            ending: Ending::Result(Err(error.with_source(source))),
                        });
                    }
                }
                Step::Abort(run) => pool.abort(run),
            }
        }
        pool.launch();
        if !ends.is_empty() {
            tokio::task::yield_now().await;
            continue;
        }
        timer.as_mut().reset(wake_at.into());
        tokio::select! {
            () = shared.wake.notified() => {}
            _ = ended_runs.recv_many(&mut ends, BATCH) => {}
            () = &mut timer => {}
        }
    }
    // Every run is dropped, or left behind where it blocks.
    drop(pool);
    ended.send_replace(true);
}
