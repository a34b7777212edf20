//! An accept loop.
//!
//! `axum::serve` has no limit on the time that a request's head may take, so a client that sends a
//! byte a minute would hold its connection for ever.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;
use tokio::sync::watch;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

use super::front::Front;
use super::stall::StallGuard;
use super::timer::CoarseTimer;
use super::timer::TICK;

/// A request's head must have arrived within this time.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// What connections under way get when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// What a server's connections are told. All of them hear it by one channel: what each waits for
/// beside its next request, it looks at with each request.
#[derive(Debug, Clone, Copy)]
enum News {
    /// One more [`TICK`] has passed.
    Tick,
    /// The server stops.
    Stop,
}

/// How much a server takes at once, and how much it gives.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections at once; more wait in the kernel's queue.
    pub(crate) connections: usize,
    pub(crate) answers: Answers,
}

/// How large a server's answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// They are copied behind their heads and written in one piece, which is a twentieth of what a
    /// probe's answer costs. Each connection keeps what its largest one took.
    Small,
    /// They are written from where they are, so that many connections share one.
    Large,
}

/// Serves `front` until `stop` turns true, and then lets requests under way end for a second.
pub(crate) async fn serve(
    listener: TcpListener,
    front: Front,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let clock = CoarseTimer::new(Instant::now().into());
    let mut http = http1::Builder::new();
    http.timer(clock.clone())
        .header_read_timeout(HEADER_TIMEOUT)
        .writev(limits.answers == Answers::Large)
        .max_buf_size(16 * 1024);
    let mut ticks = tokio::time::interval_at(Instant::now() + TICK, TICK);
    let tell = watch::Sender::new(News::Tick);
    loop {
        let (place, stream) = tokio::select! {
            accepted = accept(&listener, &places) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of files, most likely: it passes, and spinning would not help.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            _ = ticks.tick() => {
                clock.tick();
                tell.send_replace(News::Tick);
                continue;
            }
            () = stopped(&mut stop) => break,
        };
        // A small answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let stream = TokioIo::new(StallGuard::new(stream));
        let connection = http.serve_connection(stream, front.clone());
        let mut told = tell.subscribe();
        tokio::spawn(async move {
            let _place = place;
            let mut connection = std::pin::pin!(connection);
            loop {
                match until_news(connection.as_mut(), &mut told).await {
                    // A client that hangs up is its own business.
                    None => return,
                    // The connection is polled anew, and its timer with it.
                    Some(News::Tick) => {}
                    Some(News::Stop) => break,
                }
            }
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(STOP_TIMEOUT, connection).await;
        });
    }
    drop(listener);
    tell.send_replace(News::Stop);
    let all = u32::try_from(limits.connections).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(STOP_TIMEOUT, places.acquire_many(all)).await;
}

/// Drives a connection until there is news, or until it ends, which gives `None`.
///
/// It is polled with each request, so who waits for news already only looks whether there is some:
/// to wait once more takes the channel's lock.
async fn until_news<C: Future>(
    mut connection: Pin<&mut C>,
    told: &mut watch::Receiver<News>,
) -> Option<News> {
    let look = told.clone();
    let news = async {
        match told.changed().await {
            Ok(()) => *told.borrow_and_update(),
            Err(_) => News::Stop,
        }
    };
    // Without tokio's budget: where the connection has used it up, this would not wait yet.
    let mut news = std::pin::pin!(unconstrained(news));
    let mut waits = false;
    std::future::poll_fn(|cx| {
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if waits && look.has_changed().is_ok_and(|changed| !changed) {
            return Poll::Pending;
        }
        waits = true;
        news.as_mut().poll(cx).map(Some)
    })
    .await
}

/// The next connection, once there is a place for it.
///
/// # Cancel safety
///
/// Whoever stops waiting loses no connection.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(OwnedSemaphorePermit, TcpStream)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((place, stream))
}

/// Waits until it is told to stop, or nobody can tell any more.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

#[cfg(test)]
mod tests {
    use tokio::task::coop;

    use super::*;

    /// One that has read as much as a task may in one turn is told like any other.
    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_always_busy_hears_the_news() {
        let tell = watch::Sender::new(News::Tick);
        let mut told = tell.subscribe();
        let heard = tokio::spawn(async move {
            let mut is_first = true;
            let connection = std::future::poll_fn(move |cx| {
                if std::mem::take(&mut is_first) {
                    while let Poll::Ready(one) = coop::poll_proceed(cx) {
                        one.made_progress();
                    }
                }
                Poll::<()>::Pending
            });
            until_news(std::pin::pin!(connection), &mut told).await
        });
        tokio::time::sleep(TICK).await;
        tell.send_replace(News::Stop);
        let heard = tokio::time::timeout(TICK, heard).await;
        let heard = heard.expect("it is told").expect("nothing panics");
        assert!(matches!(heard, Some(News::Stop)));
    }
}
