//! An accept loop around HTTP/2, with a limit on everything.

use std::io;
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::body::Body;

use super::answer::Truth;
use super::service::service;
use super::watched::Bell;
use super::watched::Watched;
use crate::http::StallGuard;
use crate::lobby::GuestId;
use crate::lobby::Lobby;

/// Where gRPC health is asked for.
#[derive(Debug)]
pub(crate) struct Server(TcpListener);

/// Connections at once. Probes have one for a moment each, a mesh or a client keeps one; each costs
/// memory. When all are taken, the oldest of whoever has most of them is closed.
const CONNECTIONS_MAX: usize = 128;

/// Calls at once on a connection, so that there are at most 2,048 watchers. A client asks for one
/// or a few services; further calls wait on its side.
const CALLS_MAX: u32 = 16;

/// A request's headers are no longer; those of a client with a token or a trace fit.
const HEADERS_MAX: u32 = 8 * 1024;

/// So much of a connection's bodies is received before somebody reads it; requests are small.
/// HTTP/2 allows no less for a connection.
const WINDOW: u32 = 64 * 1024;

/// So much of an answer waits to be sent: a full list needs little more.
const SEND_BUFFER: usize = 64 * 1024;

/// What HTTP/2 begins with.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// It must have arrived within this time.
const PREFACE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was silent for so long is asked whether it is still there.
const PING_AFTER: Duration = Duration::from_secs(30);

/// It must say so within this time. In the midst of a frame it cannot: nobody sends one for ever.
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// What calls under way get when the server stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// After a connection that could not be accepted; it passes, and spinning would not help.
const REFUSED_BY_KERNEL: Duration = Duration::from_millis(100);

// === impl Server ===

impl Server {
    /// Listens on `bind`, if there is one, which the configuration's `key` says.
    pub(crate) async fn bind(key: &str, bind: Option<SocketAddr>) -> anyhow::Result<Option<Self>> {
        let Some(bind) = bind else {
            return Ok(None);
        };
        let listener = TcpListener::bind(bind)
            .await
            .with_context(|| format!("{key}: cannot listen on {bind}"))?;
        tracing::info!(grpc = %listener.local_addr()?, "gRPC health is answered");
        Ok(Some(Self(listener)))
    }

    /// Serves until `stop` turns true. Then each watch is told how its service is for the last time,
    /// and ends; other calls under way have a second.
    ///
    /// The listener never waits, neither for a handshake nor for a place.
    pub(crate) async fn serve(
        self,
        truth: Arc<dyn Truth>,
        bell: Bell,
        stop: watch::Receiver<bool>,
    ) {
        let watched = Arc::new(Watched::new(Arc::clone(&truth)));
        let service = service(truth, Arc::clone(&watched));
        // In one task: no watch outlives the loop that tells it of changes.
        tokio::join!(
            watched.run(bell, stop.clone()),
            accept(self.0, service, stop)
        );
    }
}

async fn accept<S>(listener: TcpListener, service: S, mut stop: watch::Receiver<bool>)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error: Send, Future: Send + 'static>,
    S: Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut lobby = Lobby::new(CONNECTIONS_MAX);
    let mut connections = JoinSet::<GuestId>::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = connections.join_next() => {
                // The place of one that panicked is taken back as any other is.
                if let Ok(id) = ended {
                    lobby.leave(id);
                }
                continue;
            }
            _ = stop.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((stream, from)) => {
                // A small answer must not wait for the acknowledgement of the one before.
                let _ = stream.set_nodelay(true);
                let (place, taken_back) = oneshot::channel::<()>();
                // Whoever must leave notices that its place is dropped.
                let (id, _evicted) = lobby.enter(from.ip(), place);
                let (service, stop) = (service.clone(), stop.clone());
                connections.spawn(async move {
                    let end = tokio::select! {
                        biased;
                        _ = taken_back => Err(io::Error::other("another one needs its place")),
                        end = connection(stream, service, stop) => end,
                    };
                    if let Err(error) = end {
                        tracing::debug!(%from, %error, "a connection ended");
                    }
                    id
                });
            }
            Err(error) => {
                // Out of files, most likely: a place that is taken back gives one.
                tracing::warn!(%error, open = lobby.len(), "cannot accept a connection");
                drop(lobby.evict());
                tokio::time::sleep(REFUSED_BY_KERNEL).await;
            }
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    // Whoever is left is dropped with the set.
    let _ = timeout(STOP_TIMEOUT, rest).await;
}

/// Serves one connection until either side ends it.
async fn connection<C, S>(stream: C, service: S, mut stop: watch::Receiver<bool>) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite + Send + 'static,
    S: Service<Request<Incoming>, Response = Response<Body>, Error: Send, Future: Send + 'static>,
    S: Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (mut read, write) = tokio::io::split(stream);
    let mut begin = [0; PREFACE.len()];
    tokio::select! {
        read = timeout(PREFACE_TIMEOUT, read.read_exact(&mut begin)) => read??,
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    };
    if begin != PREFACE {
        return Err(io::Error::other("it does not speak HTTP/2"));
    }
    let stream = tokio::io::join(Cursor::new(begin).chain(read), write);
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(CALLS_MAX)
        .max_header_list_size(HEADERS_MAX)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(StallGuard::new(stream)), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        end = connection.as_mut() => return end.map_err(io::Error::other),
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::service::service_fn;
    use tokio::io::AsyncWriteExt;
    use tokio::io::DuplexStream;
    use tokio::time::Instant;

    use super::*;

    /// The preface, and an empty frame of settings.
    const BEGIN: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

    /// The first half of a frame of headers.
    const HALF: &[u8] = b"\0\0\x20\x01\x05\0\0\0\x01\x82";

    #[tokio::test(start_paused = true)]
    async fn whoever_says_nothing_or_half_of_it_is_left_in_time() {
        let begun = PING_AFTER + PING_TIMEOUT;
        for (said, by) in [
            (&b""[..], PREFACE_TIMEOUT),
            (&BEGIN[..10], PREFACE_TIMEOUT),
            (&BEGIN[..PREFACE.len()], begun),
            (&[BEGIN, &HALF[..3]].concat(), begun),
            (&[BEGIN, HALF].concat(), begun),
        ] {
            let (mut theirs, _end, served) = connected();
            theirs.write_all(said).await.unwrap();
            let began = Instant::now();
            let ended = timeout(by + Duration::from_secs(1), served).await;
            let ended = ended.unwrap_or_else(|_| panic!("{said:?}: it is still served"));
            assert!(ended.unwrap().is_err(), "{said:?}");
            assert!(began.elapsed() >= by, "{said:?}: {:?}", began.elapsed());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_says_nothing_holds_up_the_end() {
        for said in [&b""[..], &BEGIN[..10]] {
            let (mut theirs, end, served) = connected();
            theirs.write_all(said).await.unwrap();
            end.send_replace(true);
            let began = Instant::now();
            served.await.unwrap().unwrap();
            assert_eq!(began.elapsed(), Duration::ZERO);
        }
    }

    type Served = tokio::task::JoinHandle<io::Result<()>>;

    /// The other end, what ends the server, and the connection as it is served.
    fn connected() -> (DuplexStream, watch::Sender<bool>, Served) {
        let (theirs, ours) = tokio::io::duplex(1 << 16);
        let (end, stop) = watch::channel(false);
        let service = service_fn(async |_| Ok::<_, Infallible>(Response::new(Body::empty())));
        let served = tokio::spawn(connection(ours, service, stop));
        (theirs, end, served)
    }
}
