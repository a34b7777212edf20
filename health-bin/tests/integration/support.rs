//! What the tests share: the program as a process, HTTP, a service to check, and waiting.

use std::future::Future;
use std::time::Duration;
use std::time::Instant;

mod http;

mod program;

mod service;

#[cfg(feature = "transport-ws")]
mod tunnel;

#[cfg(feature = "transport-lease")]
mod cluster;

#[cfg(feature = "transport-lease")]
mod proxy;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod relay;

#[cfg(feature = "transport-lease")]
pub(crate) use cluster::Cluster;
pub(crate) use http::Answer;
#[cfg(feature = "hub")]
pub(crate) use http::ask;
pub(crate) use http::get;
#[cfg(feature = "hub")]
pub(crate) use http::head;
pub(crate) use program::Program;
pub(crate) use program::run_to_end;
#[cfg(feature = "transport-lease")]
pub(crate) use proxy::Fault;
#[cfg(feature = "transport-lease")]
pub(crate) use proxy::Passed;
#[cfg(feature = "transport-lease")]
pub(crate) use proxy::Proxy;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use relay::Relay;
pub(crate) use service::Service;
#[cfg(feature = "transport-ws")]
pub(crate) use tunnel::Acceptor;

/// Waits until `look` finds something, looking again and again; says what was missing if it never
/// does. Only for what tells nobody when it changes: other processes.
#[track_caller]
pub(crate) fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    within: Duration,
    mut look: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let place = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let began = Instant::now();
        loop {
            if let Some(found) = look().await {
                return found;
            }
            assert!(
                began.elapsed() < within,
                "{place}: not within {within:?}: {what}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
