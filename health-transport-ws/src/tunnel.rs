//! The handle of a tunnel.

mod connection;

mod driver;

use std::sync::Arc;
use std::time::Instant;

use health_core::ConnectionState;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tracing::Instrument;

use self::driver::Driver;
use crate::CloseError;
use crate::CloseReason;
use crate::PingError;
use crate::Pong;
use crate::ReportSource;
use crate::SendError;
use crate::Taken;
use crate::TunnelConfig;
use crate::outbox;
use crate::routes::Routes;
use crate::wire;
use crate::wire::Message;
use crate::wire::MessageType;

/// A tunnel to the hub that is kept up for as long as a handle lives: a cheap handle.
///
/// One task dials, speaks and dials again, and never gives up; [`state`](Self::state) says how it
/// is. Pings have a lane of their own that is drained first, so a heartbeat waits for one message of
/// bulk at most. When the last handle is dropped the connection is dropped with it.
#[derive(Debug, Clone)]
pub struct Tunnel {
    pings: mpsc::Sender<PingRequest>,
    bulk: mpsc::Sender<Message>,
    close: mpsc::Sender<CloseRequest>,
    state: watch::Receiver<ConnectionState>,
    routes: Arc<Routes>,
}

/// What the task takes from the handles.
#[derive(Debug)]
struct Lanes {
    pings: mpsc::Receiver<PingRequest>,
    bulk: mpsc::Receiver<Message>,
    close: mpsc::Receiver<CloseRequest>,
}

#[derive(Debug)]
struct PingRequest {
    payload: Box<RawValue>,
    sequence: Option<u64>,
    reply: oneshot::Sender<Result<Pong, PingError>>,
}

#[derive(Debug)]
struct CloseRequest {
    reason: CloseReason,
    by: Instant,
    reply: oneshot::Sender<Result<(), CloseError>>,
}

/// As many messages as a Go peer queues.
const BULK: usize = 100;

/// A heartbeat makes one at a time; the rest is for embedders.
const PINGS: usize = 16;

/// More than one caller that closes is a mistake, but none that should wait.
const CLOSES: usize = 4;

// === impl Tunnel ===

impl Tunnel {
    /// Starts to dial, on the runtime of the caller.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn spawn(config: TunnelConfig, report: Option<ReportSource>) -> Self {
        let now = tokio::time::Instant::now().into_std();
        let (pings, ping_requests) = mpsc::channel(PINGS);
        let (bulk, messages) = mpsc::channel(BULK);
        let (close, close_requests) = mpsc::channel(CLOSES);
        let (state, watched) = watch::channel(ConnectionState::Disconnected {
            since: now,
            error: None,
        });
        let routes = Arc::new(Routes::default());
        let lanes = Lanes {
            pings: ping_requests,
            bulk: messages,
            close: close_requests,
        };
        let driver = Driver::new(config, report, lanes, state, Arc::clone(&routes));
        tokio::spawn(driver.run().in_current_span());
        Self {
            pings,
            bulk,
            close,
            state: watched,
            routes,
        }
    }

    /// How the connection is, with the error of the last dial or connection.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.state.clone()
    }

    /// Sends a message on the bulk lane, and waits while that is full; while there is no connection
    /// it fills. A message that was taken is sent once at most: what is on its way when a connection
    /// breaks is lost.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the tunnel is closed, or the message larger than 1 MiB.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has sent nothing. Nothing but the caller bounds how long it waits.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        outbox::check_size(&message)?;
        if matches!(*self.state.borrow(), ConnectionState::Closed) {
            return Err(SendError::Closed);
        }
        self.bulk.send(message).await.map_err(|_| SendError::Closed)
    }

    /// Hands every message of a type to the returned receiver, which holds `capacity` (at least 1)
    /// of them. While it is full the tunnel does not read: take messages fast, or pongs wait too.
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

    /// Sends a ping and waits for its pong, until `by` at the latest. The pong is known by the
    /// `sequence` of its payload and the ping's; where it names none, by its order.
    ///
    /// # Errors
    ///
    /// [`PingError`] if no pong came. The ping may have arrived all the same.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have sent its ping; its pong is then ignored.
    pub async fn ping(&self, payload: Value, by: Instant) -> Result<Pong, PingError> {
        let sequence = payload.get("sequence").and_then(Value::as_u64);
        let payload = wire::raw(&payload).unwrap_or_default();
        self.ping_raw(payload, sequence, by).await
    }

    /// Says goodbye, closes, and stays closed; until `by` at the latest.
    ///
    /// # Errors
    ///
    /// [`CloseError`] if the goodbye is not known to have arrived. It is closed all the same.
    ///
    /// # Cancel safety
    ///
    /// The tunnel closes even if the call is dropped.
    pub async fn close(&self, reason: CloseReason, by: Instant) -> Result<(), CloseError> {
        let (reply, answer) = oneshot::channel();
        let request = CloseRequest { reason, by, reply };
        if self.close.send(request).await.is_err() {
            return Ok(());
        }
        tokio::time::timeout_at(by.into(), answer)
            .await
            .map_err(|_| CloseError::Unanswered)?
            .unwrap_or(Ok(()))
    }

    pub(crate) async fn ping_raw(
        &self,
        payload: Box<RawValue>,
        sequence: Option<u64>,
        by: Instant,
    ) -> Result<Pong, PingError> {
        let began = tokio::time::Instant::now();
        let (reply, answer) = oneshot::channel();
        let request = PingRequest {
            payload,
            sequence,
            reply,
        };
        let exchange = async {
            let sent = self.pings.send(request).await;
            sent.map_err(|_| PingError::Closed)?;
            answer.await.unwrap_or(Err(PingError::Closed))
        };
        match tokio::time::timeout_at(by.into(), exchange).await {
            Ok(result) => result,
            Err(_) => Err(self.too_late(began)),
        }
    }

    fn too_late(&self, began: tokio::time::Instant) -> PingError {
        match &*self.state.borrow() {
            ConnectionState::Connected { .. } => PingError::TimedOut(began.elapsed()),
            ConnectionState::Disconnected { error, .. } => {
                let error = error.as_deref().unwrap_or("the first dial has not ended");
                PingError::NotConnected(error.to_owned())
            }
            ConnectionState::Closed => PingError::Closed,
        }
    }
}
