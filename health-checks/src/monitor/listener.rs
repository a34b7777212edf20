//! Who wants to hear of each transition.

use std::panic::AssertUnwindSafe;
use std::panic::catch_unwind;
use std::sync::Arc;

use health_core::Transition;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Calls `listener` for each transition, one at a time, until the monitor has ended.
///
/// It runs where it may block, so it holds up nobody; what it cannot keep up with it misses, and
/// the log says how much. A panic of it is logged, and it goes on.
pub(super) async fn listen<L>(mut transitions: broadcast::Receiver<Arc<Transition>>, listener: L)
where
    L: FnMut(&Transition) + Send + 'static,
{
    let mut listener = Some(listener);
    loop {
        let transition = match transitions.recv().await {
            Ok(transition) => transition,
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "a listener is too slow for the transitions");
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let Some(mut listens) = listener.take() else {
            return;
        };
        let told = tokio::task::spawn_blocking(move || {
            let told = catch_unwind(AssertUnwindSafe(|| listens(&transition)));
            if told.is_err() {
                let component = transition.component.as_str();
                tracing::error!(component, "a listener panicked at a transition");
            }
            listens
        });
        // The runtime is on its way out if there is none.
        listener = told.await.ok();
    }
}
