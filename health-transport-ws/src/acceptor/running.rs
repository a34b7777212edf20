//! One accepted connection: what the session decides, done.

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

use super::AcceptedTunnel;
use super::Orders;
use crate::Admission;
use crate::ConnectionId;
use crate::ServerEnd;
use crate::ServerOutput;
use crate::ServerSession;
use crate::TunnelEvent;
use crate::alarm::Alarm;
use crate::link;
use crate::link::Counted;
use crate::link::Link;
use crate::link::Turn;
use crate::routes::Parked;
use crate::routes::Routes;
use crate::routes::unpark;
use crate::stamp::Stamp;
use crate::wire::HandshakePayload;
use crate::wire::Message;

/// One accepted connection: what the session decides, done.
pub(super) struct Running<S, F> {
    link: Link<Counted<S>>,
    session: ServerSession,
    stamp: Stamp,
    write: Duration,
    urgent: VecDeque<Message>,
    deciding: Option<Pin<Box<F>>>,
    orders: Option<watch::Receiver<Orders>>,
    routes: Routes,
    parked: Option<Parked>,
    bulk: Option<mpsc::Receiver<Message>>,
    alarm: Alarm,
}

/// Where a tunnel's events go.
pub(super) struct Delivery {
    pub(super) connection: ConnectionId,
    pub(super) events: mpsc::Sender<TunnelEvent>,
}

/// What happened next.
enum Input {
    Orders(Orders),
    Decided(Admission),
    Turn(Turn),
    Heard,
    Bulk(Message),
    Unparked,
    Timeout,
}

/// While so many answers wait to be sent, no more questions are read.
const URGENT_MAX: usize = 8;

/// For the last message and the close frame, which a dead peer does not get for long.
const COURTESY: Duration = Duration::from_secs(1);

// === impl Running ===

impl<S, F> Running<S, F>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = Admission>,
{
    pub(super) async fn new(tunnel: AcceptedTunnel<S>) -> Self {
        let options = tunnel.options;
        let config = link::config(options.message_max);
        let stream = Counted::new(tunnel.stream);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
        Self {
            link: Link::new(socket),
            session: ServerSession::new(options.limits, now()),
            stamp: Stamp::new(options.seed.wrapping_add(tunnel.connection.0)),
            write: options.write,
            urgent: VecDeque::new(),
            deciding: None,
            orders: Some(tunnel.orders),
            routes: tunnel.routes,
            parked: None,
            bulk: tunnel.bulk,
            alarm: Alarm::new(now()),
        }
    }

    /// Serves, then says goodbye while the hub is told the rest.
    pub(super) async fn run<D>(mut self, decide: D, deliver: &Delivery) -> ServerEnd
    where
        D: FnOnce(HandshakePayload) -> F,
    {
        let end = self.serve(decide, deliver).await;
        let Self {
            link,
            mut session,
            stamp,
            urgent,
            ..
        } = self;
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
                    ServerOutput::Deliver(message) => {
                        self.parked = self.routes.deliver(message);
                        if self.parked.is_some() {
                            self.session.pause();
                        }
                    }
                    ServerOutput::Ended(end) => return end,
                }
            }
            if self.link.writing().is_none()
                && let Some(message) = self.urgent.pop_front()
            {
                let text = self.stamp.encode(&message, SystemTime::now());
                if let Err(error) = self.link.send(text, now()).await {
                    self.session.handle_broken(error, now());
                    continue;
                }
            }
            deliver.send_at_once(&mut self.session);
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
                Input::Bulk(message) => self.urgent.push_back(message),
                Input::Unparked => self.session.resume(now()),
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
        let read = self.parked.is_none() && self.urgent.len() < URGENT_MAX;
        let heard = self.session.has_heard();
        let idle = self.link.writing().is_none() && self.session.is_established();
        let Self {
            link,
            session,
            deciding,
            orders,
            parked,
            bulk,
            alarm,
            ..
        } = self;
        tokio::select! {
            biased;
            orders = next_orders(orders) => Input::Orders(orders),
            admission = decided(deciding) => Input::Decided(admission),
            turn = link.turn(read) => Input::Turn(turn),
            () = deliver.send_next(session), if heard => Input::Heard,
            () = unpark(parked) => Input::Unparked,
            message = next_bulk(bulk), if idle => Input::Bulk(message),
            () = alarm.until(deadline) => Input::Timeout,
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

// === impl Delivery ===

impl Delivery {
    /// Delivers what the session heard as far as there is room, which there nearly always is.
    fn send_at_once(&self, session: &mut ServerSession) {
        while session.has_heard()
            && let Ok(permit) = self.events.try_reserve()
            && let Some((at, what)) = session.poll_heard()
        {
            permit.send(self.event(at, what));
        }
    }

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
            let text = stamp.encode(&message, SystemTime::now());
            link.send(text, now()).await?;
        } else if let Turn::Broken(error) = link.turn(true).await {
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

/// The hub's next message; for ever, once nobody can send any.
async fn next_bulk(bulk: &mut Option<mpsc::Receiver<Message>>) -> Message {
    if let Some(receiver) = bulk {
        if let Some(message) = receiver.recv().await {
            return message;
        }
        *bulk = None;
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

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
