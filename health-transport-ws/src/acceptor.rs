//! The hub's side: one accepted tunnel over a byte stream that was upgraded already.

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::Admission;
use crate::CloseReason;
use crate::ConnectionId;
use crate::ServerEnd;
use crate::ServerOutput;
use crate::ServerSession;
use crate::SessionLimits;
use crate::Terms;
use crate::TunnelEvent;
use crate::link;
use crate::link::Counted;
use crate::link::Link;
use crate::link::Turn;
use crate::stamp::Stamp;
use crate::wire::HandshakePayload;
use crate::wire::Message;

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
#[derive(Debug)]
pub struct AcceptedTunnel<S> {
    stream: S,
    connection: ConnectionId,
    options: AcceptOptions,
    orders: watch::Receiver<Orders>,
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

struct Running<S, F> {
    link: Link<Counted<S>>,
    session: ServerSession,
    stamp: Stamp,
    write: Duration,
    urgent: VecDeque<Message>,
    deciding: Option<Pin<Box<F>>>,
    orders: Option<watch::Receiver<Orders>>,
}

enum Input {
    Orders(Orders),
    Decided(Admission),
    Turn(Turn),
    Heard,
    Timeout,
}

/// While so many answers wait to be sent, no more questions are read.
const URGENT_MAX: usize = 8;

/// For the last message and the close frame, which a dead peer does not get for long.
const COURTESY: Duration = Duration::from_secs(1);

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
        };
        (tunnel, AcceptedHandle { orders: sender })
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
        let config = link::config(self.options.message_max);
        let socket =
            WebSocketStream::from_raw_socket(Counted::new(self.stream), Role::Server, Some(config))
                .await;
        let mut running = Running {
            link: Link::new(socket),
            session: ServerSession::new(self.options.limits, now()),
            stamp: Stamp::new(self.options.seed.wrapping_add(self.connection.0)),
            write: self.options.write,
            urgent: VecDeque::new(),
            deciding: None,
            orders: Some(self.orders),
        };
        let deliver = Delivery {
            connection: self.connection,
            events,
        };
        let end = running.serve(decide, &deliver).await;
        let Running {
            link,
            mut session,
            stamp,
            urgent,
            ..
        } = running;
        let goodbye = timeout(COURTESY, goodbye(link, stamp, urgent, end.to_string()));
        let rest = async {
            while let Some((at, what)) = session.poll_heard() {
                deliver.send(at, what).await;
            }
        };
        // Whether the peer heard the goodbye makes no difference any more.
        let (_, ()) = tokio::join!(goodbye, rest);
        end
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

// === impl Running ===

impl<S, F> Running<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Admission>,
{
    async fn serve<D>(&mut self, decide: D, deliver: &Delivery) -> ServerEnd
    where
        D: FnOnce(HandshakePayload) -> F,
    {
        let mut decide = Some(decide);
        loop {
            self.link.slim();
            while let Some(output) = self.session.poll() {
                match output {
                    ServerOutput::Send(message) => self.urgent.push_back(message),
                    ServerOutput::Decide(handshake) => {
                        let decide = decide.take();
                        self.deciding = decide.map(|decide| Box::pin(decide(handshake)));
                    }
                    ServerOutput::Ended(end) => return end,
                }
            }
            if self.link.writing().is_none()
                && let Some(message) = self.urgent.pop_front()
            {
                let text = self.stamp.encode(message, SystemTime::now());
                if let Err(error) = self.link.send(text, now()) {
                    self.session.handle_broken(error, now());
                    continue;
                }
            }
            match self.input(deliver).await {
                Input::Orders(orders) => self.obey(orders),
                Input::Decided(admission) => self.session.decide(admission, now()),
                Input::Turn(Turn::Sent) | Input::Heard => {}
                Input::Turn(Turn::Received(message)) => {
                    self.session.handle_frame(link::frame(&message), now());
                    // One read brings many small frames: a peer that floods us takes turns with
                    // all others after some of them, not after some reads.
                    consume_budget().await;
                }
                Input::Turn(Turn::Broken(error)) => self.session.handle_broken(error, now()),
                Input::Timeout => self.timeout(),
            }
        }
    }

    /// Waits for whatever comes first. Every branch is cancel safe.
    async fn input(&mut self, deliver: &Delivery) -> Input {
        let written = self.link.writing().map(|since| since + self.write);
        let deadline = [self.session.poll_timeout(), written]
            .into_iter()
            .flatten()
            .min();
        let read = self.urgent.len() < URGENT_MAX;
        let heard = self.session.has_heard();
        let Self {
            link,
            session,
            deciding,
            orders,
            ..
        } = self;
        tokio::select! {
            biased;
            orders = next_orders(orders) => Input::Orders(orders),
            admission = decided(deciding) => Input::Decided(admission),
            turn = link.turn(read) => Input::Turn(turn),
            () = deliver.send_next(session), if heard => Input::Heard,
            () = sleep_until(deadline) => Input::Timeout,
        }
    }

    fn obey(&mut self, orders: Orders) {
        if let Some(terms) = orders.terms {
            self.session.set_terms(terms);
        }
        if let Some((reason, retry_after)) = orders.close {
            self.session.close(&reason, retry_after, now());
        }
    }

    fn timeout(&mut self) {
        let now = now();
        let stuck = self
            .link
            .writing()
            .is_some_and(|since| since + self.write <= now);
        if stuck {
            let error = format!("a frame could not be sent within {:?}", self.write);
            self.session.handle_broken(error, now);
        } else {
            self.session.handle_timeout(now);
        }
    }
}

/// Where a tunnel's events go.
struct Delivery {
    connection: ConnectionId,
    events: mpsc::Sender<TunnelEvent>,
}

// === impl Delivery ===

impl Delivery {
    /// Delivers what the session heard first, once there is room; nothing is lost when dropped.
    async fn send_next(&self, session: &mut ServerSession) {
        // A hub that is gone hears nothing.
        let permit = self.events.reserve().await.ok();
        if let (Some((at, what)), Some(permit)) = (session.poll_heard(), permit) {
            permit.send(self.event(at, what));
        }
    }

    async fn send(&self, at: Instant, what: crate::Heard) {
        // A hub that is gone hears nothing.
        let _ = self.events.send(self.event(at, what)).await;
    }

    const fn event(&self, at: Instant, what: crate::Heard) -> TunnelEvent {
        TunnelEvent {
            connection: self.connection,
            at,
            what,
        }
    }
}

async fn goodbye<S: AsyncRead + AsyncWrite + Unpin>(
    mut link: Link<S>,
    mut stamp: Stamp,
    mut urgent: VecDeque<Message>,
    reason: String,
) -> Result<(), String> {
    while link.writing().is_some() || !urgent.is_empty() {
        if link.writing().is_none()
            && let Some(message) = urgent.pop_front()
        {
            link.send(stamp.encode(message, SystemTime::now()), now())?;
        }
        if let Turn::Broken(error) = link.turn(true).await {
            return Err(error);
        }
    }
    link.close(&reason).await
}

/// The next orders; for ever, once nobody can give any.
async fn next_orders(orders: &mut Option<watch::Receiver<Orders>>) -> Orders {
    if let Some(receiver) = orders {
        if receiver.changed().await.is_ok() {
            return receiver.borrow_and_update().clone();
        }
        *orders = None;
    }
    std::future::pending().await
}

async fn decided<F: Future<Output = Admission>>(deciding: &mut Option<Pin<Box<F>>>) -> Admission {
    let Some(future) = deciding else {
        return std::future::pending().await;
    };
    let admission = future.await;
    *deciding = None;
    admission
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
