//! Waiting for what tells nobody when it changes.

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

/// Waits until `look` finds something, looking again and again; says what was missing if it never
/// does. Only for what tells nobody when it changes: other processes.
#[track_caller]
pub(crate) fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let what = what.to_owned();
    eventually_or(move || what, within, look)
}

/// The same, where what is missing is known in the end only.
#[track_caller]
pub(crate) fn eventually_or<T, F: Future<Output = Option<T>>>(
    what: impl FnOnce() -> String,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            if began.elapsed() >= within {
                panic!("{place}: not within {within:?}: {}", what());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
