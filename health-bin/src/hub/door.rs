//! The door of `server`: TLS, HTTP and the way to a tunnel, within one deadline and few places.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use axum::Router;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;
use hyper::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio::time::timeout_at;
use tracing::Instrument;

use super::tls::Certified;
use super::tls::ServerTls;
use crate::lobby::GuestId;
use crate::lobby::Lobby;

/// What the door lets in, and how.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) tls: Option<ServerTls>,
    pub(super) router: Router,
    /// From the connection to the accepted tunnel.
    pub(super) handshake: Duration,
    /// Places for those that are no tunnels yet.
    pub(super) places: usize,
}

/// One connection that is no tunnel yet. The request carries it, shared; its place is free again
/// when the last one that shares it has dropped it, or when it has become a tunnel.
#[derive(Debug)]
pub(super) struct Guest {
    id: GuestId,
    from: SocketAddr,
    lobby: Arc<Shared>,
    standing: watch::Receiver<Standing>,
    by: Instant,
    certified: Option<Certified>,
}

/// How a guest stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It has its place.
    Waiting,
    /// It is a tunnel, which has a place of its own.
    In,
    /// Another one needs its place.
    Out,
}

/// The places, as the door and the guests share them.
#[derive(Debug)]
struct Shared(Mutex<Places>);

#[derive(Debug)]
struct Places {
    lobby: Lobby<watch::Sender<Standing>>,
    evicted: u64,
    tell_at: Instant,
}

/// What requests under way get when the hub stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// A request's head is no longer.
const HEAD_MAX: usize = 16 * 1024;

/// After a connection that could not be accepted; it passes, and spinning would not help.
const REFUSED_BY_KERNEL: Duration = Duration::from_millis(100);

/// That connections were closed early is told so often at most.
const TELL_EVERY: Duration = Duration::from_secs(60);

// === impl Door ===

impl Door {
    /// Lets in until `stop` turns true, and then lets requests under way end for a second.
    ///
    /// The listener never waits: not for a handshake, and not for a place.
    pub(super) async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let lobby = Arc::new(Shared(Mutex::new(Places {
            lobby: Lobby::new(self.places),
            evicted: 0,
            tell_at: Instant::now(),
        })));
        let door = Arc::new(self);
        let mut guests = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = guests.join_next() => continue,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            match accepted {
                Ok((stream, from)) => {
                    // A small answer must not wait for the acknowledgement of the one before.
                    let _ = stream.set_nodelay(true);
                    let guest = lobby.enter(from, door.handshake);
                    let (door, stop) = (Arc::clone(&door), stop.clone());
                    let span = tracing::debug_span!("guest", peer = %from);
                    let welcome = async move { door.welcome(stream, guest, stop).await };
                    guests.spawn(welcome.instrument(span));
                }
                Err(error) => lobby.could_not_accept(&error).await,
            }
        }
        drop(listener);
        let rest = async { while guests.join_next().await.is_some() {} };
        // Whoever is left is dropped with the set.
        let _ = timeout(STOP_TIMEOUT, rest).await;
    }

    /// Sees one connection to its tunnel, to its answer, or to its end.
    async fn welcome(&self, stream: TcpStream, guest: Guest, stop: watch::Receiver<bool>) {
        tracing::debug!("somebody came");
        let (by, mut standing) = (guest.by, guest.standing.clone());
        let served = self.serve_guest(stream, guest, stop);
        let end = tokio::select! {
            biased;
            () = evicted(&mut standing) => Err(io::Error::other("another one needs its place")),
            served = timeout_at(by.into(), served) => match served {
                Ok(served) => served,
                Err(_) => Err(io::Error::other("it took too long")),
            },
        };
        if let Err(error) = end {
            tracing::debug!(%error, "a connection ended before it was a tunnel");
        }
    }

    async fn serve_guest(
        &self,
        stream: TcpStream,
        mut guest: Guest,
        stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        match &self.tls {
            None => self.answer(stream, guest, stop).await,
            Some(tls) => {
                let (stream, certified) = tls.accept(stream, Instant::now()).await?;
                guest.certified = certified;
                self.answer(stream, guest, stop).await
            }
        }
    }

    /// Answers one request; an upgraded stream belongs to who took it.
    async fn answer<S>(
        &self,
        stream: S,
        guest: Guest,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let (guest, service) = (
            Arc::new(guest),
            TowerToHyperService::new(self.router.clone()),
        );
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Arc::clone(&guest));
            let answer = service.call(request);
            async move { answer.await.map(last_answer) }
        });
        let mut http = http1::Builder::new();
        // The deadline is the door's own, over all of it.
        http.header_read_timeout(None).max_buf_size(HEAD_MAX);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(connection.with_upgrades());
        tokio::select! {
            biased;
            end = connection.as_mut() => return end.map_err(io::Error::other),
            _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        connection.await.map_err(io::Error::other)
    }
}

// === impl Guest ===

impl Guest {
    /// Whence it came.
    pub(super) const fn from(&self) -> SocketAddr {
        self.from
    }

    /// Whom the certificate names that the connection showed.
    pub(super) const fn certified(&self) -> Option<&Certified> {
        self.certified.as_ref()
    }

    /// What is left of the time that it has to become a tunnel.
    pub(super) fn time_left(&self, now: Instant) -> Duration {
        self.by.saturating_duration_since(now)
    }

    /// It became a tunnel: its place here is free.
    pub(super) fn is_in(&self) {
        self.lobby.leave(self.id, Standing::In);
    }

    /// Waits until it has become a tunnel (true) or lost its place (false).
    pub(super) async fn settled(&self) -> bool {
        let mut standing = self.standing.clone();
        let settled = standing.wait_for(|standing| *standing != Standing::Waiting);
        settled
            .await
            .is_ok_and(|standing| *standing == Standing::In)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.lobby.leave(self.id, Standing::Out);
    }
}

// === impl Shared ===

impl Shared {
    fn enter(self: &Arc<Self>, from: SocketAddr, handshake: Duration) -> Guest {
        let (sender, standing) = watch::channel(Standing::Waiting);
        let now = Instant::now();
        let mut places = self.lock();
        let (id, evicted) = places.lobby.enter(from.ip(), sender);
        if let Some(evicted) = evicted {
            places.send_away(&evicted, now);
        }
        Guest {
            id,
            from,
            lobby: Arc::clone(self),
            standing,
            by: now + handshake,
            certified: None,
        }
    }

    fn leave(&self, id: GuestId, standing: Standing) {
        if let Some(guest) = self.lock().lobby.leave(id) {
            guest.send_replace(standing);
        }
    }

    /// Out of files, most likely: a place that is taken back gives one.
    async fn could_not_accept(&self, error: &io::Error) {
        tracing::warn!(%error, "cannot accept a connection");
        {
            let mut places = self.lock();
            if let Some(evicted) = places.lobby.evict() {
                places.send_away(&evicted, Instant::now());
            }
        }
        tokio::time::sleep(REFUSED_BY_KERNEL).await;
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Places ===

impl Places {
    fn send_away(&mut self, guest: &watch::Sender<Standing>, now: Instant) {
        guest.send_replace(Standing::Out);
        self.evicted += 1;
        if now >= self.tell_at {
            self.tell_at = now + TELL_EVERY;
            tracing::warn!(
                half_open = self.lobby.len(),
                closed_so_far = self.evicted,
                "so many connections are no tunnels that the oldest of them are closed early"
            );
        }
    }
}

/// One request, one answer: who asks for a second one takes a new place.
fn last_answer<B>(mut answer: Response<B>) -> Response<B> {
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

/// Waits until the place is needed for another one; for ever, if it never is.
async fn evicted(standing: &mut watch::Receiver<Standing>) {
    let out = standing
        .wait_for(|standing| *standing == Standing::Out)
        .await
        .is_ok();
    if !out {
        std::future::pending().await
    }
}
