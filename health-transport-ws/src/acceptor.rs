//! The hub's side: one accepted tunnel over a byte stream that was upgraded already.

mod running;

use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::sync::watch;

use self::running::Delivery;
use self::running::Running;
use crate::Admission;
use crate::CloseReason;
use crate::ConnectionId;
use crate::Outbox;
use crate::ServerEnd;
use crate::SessionLimits;
use crate::Taken;
use crate::Terms;
use crate::TunnelEvent;
use crate::link;
use crate::routes::Routes;
use crate::wire::HandshakePayload;
use crate::wire::Message;
use crate::wire::MessageType;

/// How tunnels are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptOptions {
    /// How long a connection may be silent.
    pub limits: SessionLimits,
    /// The largest message that is read, in bytes. Default: 1 MiB.
    pub message_max: usize,
    /// For one frame to leave. Default: 10 s.
    pub write: Duration,
    /// The seed of the messages' ids; each connection mixes its own number in.
    pub seed: u64,
}

/// One accepted tunnel, not running yet.
///
/// It holds one frame, one answer and one event of each kind at most, however slow the hub is.
/// Messages that are no heartbeats and no report of the agent's own are dropped, unless
/// [`route`](Self::route) asks for them.
#[derive(Debug)]
pub struct AcceptedTunnel<S> {
    stream: S,
    connection: ConnectionId,
    options: AcceptOptions,
    orders: watch::Receiver<Orders>,
    routes: Routes,
    bulk: Option<mpsc::Receiver<Message>>,
}

/// Says to a running tunnel what to do: a cheap handle.
#[derive(Debug, Clone)]
pub struct AcceptedHandle {
    orders: watch::Sender<Orders>,
}

/// The latest orders; a newer one replaces an older.
#[derive(Debug, Clone, Default)]
struct Orders {
    terms: Option<Terms>,
    close: Option<(CloseReason, Option<Duration>)>,
}

// === impl AcceptOptions ===

impl Default for AcceptOptions {
    fn default() -> Self {
        Self {
            limits: SessionLimits::default(),
            message_max: link::MESSAGE_MAX,
            write: Duration::from_secs(10),
            seed: 0,
        }
    }
}

// === impl AcceptedTunnel ===

impl<S: AsyncRead + AsyncWrite + Send + Unpin> AcceptedTunnel<S> {
    /// A tunnel over a stream whose upgrade was answered.
    #[must_use]
    pub fn new(
        stream: S,
        connection: ConnectionId,
        options: AcceptOptions,
    ) -> (Self, AcceptedHandle) {
        let (sender, receiver) = watch::channel(Orders::default());
        let tunnel = Self {
            stream,
            connection,
            options,
            orders: receiver,
            routes: Routes::default(),
            bulk: None,
        };
        (tunnel, AcceptedHandle { orders: sender })
    }

    /// Hands every message of a type to the returned receiver, which holds `capacity` (at least 1)
    /// of them. While it is full the tunnel does not read: take messages fast, or heartbeats wait
    /// too. Of `status` come those that are not the agent's own report.
    ///
    /// # Errors
    ///
    /// [`Taken`] if another receiver of the type lives, or the tunnel itself needs the type
    /// (`handshake`, `ping`, `pong`, `close`).
    pub fn route(
        &self,
        of: MessageType,
        capacity: usize,
    ) -> Result<mpsc::Receiver<Message>, Taken> {
        self.routes.add(of, capacity)
    }

    /// Lets the hub send messages of its own, of which `capacity` (at least 1) may wait. A later
    /// outbox takes an earlier one's place.
    pub fn outbox(&mut self, capacity: usize) -> Outbox {
        let (outbox, messages) = Outbox::new(capacity);
        self.bulk = Some(messages);
        outbox
    }

    /// Runs it to its end: asks `decide` about the handshake, then tells `events` what it hears.
    /// Pings are answered at once, however full `events` is.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it drops the connection without a word, and tells no
    /// [`Heard::Closed`](crate::Heard::Closed).
    pub async fn run<D, F>(self, decide: D, events: mpsc::Sender<TunnelEvent>) -> ServerEnd
    where
        D: FnOnce(HandshakePayload) -> F,
        F: Future<Output = Admission>,
    {
        let deliver = Delivery {
            connection: self.connection,
            events,
        };
        Running::new(self).await.run(decide, &deliver).await
    }
}

// === impl AcceptedHandle ===

impl AcceptedHandle {
    /// Ends the tunnel and tells the peer why, and how long to stay away.
    pub fn close(&self, reason: CloseReason, retry_after: Option<Duration>) {
        self.orders.send_modify(|orders| {
            orders.close = Some((reason, retry_after));
        });
    }

    /// What each acknowledgement from now on tells the agent.
    pub fn set_terms(&self, terms: Terms) {
        self.orders.send_modify(|orders| orders.terms = Some(terms));
    }
}
