//! An accept loop around a service.
//!
//! `axum::serve` has no limit on the time that a request's head may take, so a client that sends a
//! byte a minute would hold its connection for ever.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use hyper::Request;
use hyper::Response;
use hyper::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::sync::watch;

use super::stall::StallGuard;
use super::timer::CoarseTimer;
use super::timer::TICK;

/// A request's head must have arrived within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What connections under way get when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// How much a server takes at once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
}

/// Serves `service` until `stop` turns true, and then lets requests under way end for a second.
///
/// Connections that were upgraded are not waited for: they belong to who took them.
pub(crate) async fn serve<S, B>(
    listener: TcpListener,
    service: S,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut http = http1::Builder::new();
    http.header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of files, most likely: it passes, and spinning would not help.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        // A small answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let clock = CoarseTimer::new(Instant::now());
        let connection = http
            .clone()
            .timer(clock.clone())
            .serve_connection(TokioIo::new(StallGuard::new(stream)), service.clone())
            .with_upgrades();
        let mut stop = stop.clone();
        tokio::spawn(async move {
            let _place = place;
            let mut connection = std::pin::pin!(connection);
            let mut ticks = tokio::time::interval(TICK);
            // The first is at once.
            ticks.tick().await;
            loop {
                tokio::select! {
                    biased;
                    // A client that hangs up is its own business.
                    _ = connection.as_mut() => return,
                    // The connection is polled anew, and its timer with it.
                    _ = ticks.tick() => clock.tick(),
                    () = stopped(&mut stop) => break,
                }
            }
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(STOP_TIMEOUT, connection).await;
        });
    }
    drop(listener);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(STOP_TIMEOUT, places.acquire_many(all)).await;
}

/// Waits until it is told to stop, or nobody can tell any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
