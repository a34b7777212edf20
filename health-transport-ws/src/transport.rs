//! Heartbeats over the tunnel.

use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;
use health_core::ConnectionState;
use health_heartbeat::Acknowledgement;
use health_heartbeat::BeatError;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Standing;
use health_heartbeat::TransportName;
use health_heartbeat::wire::HeartbeatPayload;
use health_heartbeat::wire::duration;
use tokio::sync::watch;

use crate::CloseReason;
use crate::Tunnel;
use crate::wire;

/// Heartbeats over the tunnel: each is a `ping`, whose pong acknowledges it.
#[derive(Debug)]
pub struct WebsocketTransport {
    tunnel: Tunnel,
    state: watch::Receiver<ConnectionState>,
    /// Since when the connection stands over which a beat arrived, or which was told to be new.
    known: Option<Instant>,
}

/// The name in reports, metrics and logs.
const NAME: TransportName = TransportName("websocket");

/// The driver drops an attempt at its deadline; an error that says why must come a little earlier.
const MARGIN_MAX: Duration = Duration::from_millis(20);

// === impl WebsocketTransport ===

impl WebsocketTransport {
    /// Heartbeats over this tunnel, which others may use too.
    #[must_use]
    pub fn new(tunnel: Tunnel) -> Self {
        Self {
            state: tunnel.state(),
            known: None,
            tunnel,
        }
    }
}

#[async_trait]
impl HeartbeatTransport for WebsocketTransport {
    fn name(&self) -> TransportName {
        NAME
    }

    /// Without a connection it waits for one until `by`.
    async fn beat(
        &mut self,
        heartbeat: &Heartbeat,
        by: Instant,
    ) -> Result<Acknowledgement, BeatError> {
        let payload = HeartbeatPayload::from(heartbeat);
        let raw = wire::raw(&payload)
            .map_err(|error| BeatError::new("failed to write the heartbeat").with_source(error))?;
        let pong = self
            .tunnel
            .ping_raw(raw, Some(payload.sequence), earlier(by))
            .await
            .map_err(|error| {
                BeatError::new("failed to send the heartbeat over the tunnel").with_source(error)
            })?;
        self.known = connected(&self.state.borrow());
        let acknowledgement = pong.acknowledgement;
        Ok(Acknowledgement {
            standing: Standing::Beating,
            interval: acknowledgement.interval_seconds.and_then(duration),
            retry_after: acknowledgement.retry_after_seconds.and_then(duration),
            again_within: None,
        })
    }

    async fn reconnected(&mut self) {
        let known = self.known;
        let anew = |state: &ConnectionState| {
            let since = connected(state);
            since.is_some() && since != known
        };
        if let Ok(state) = self.state.wait_for(anew).await {
            self.known = connected(&state);
            return;
        }
        std::future::pending().await
    }

    /// Says goodbye and closes the tunnel.
    async fn release(&mut self, by: Instant) -> Result<(), BeatError> {
        self.tunnel
            .close(CloseReason::Leaving, earlier(by))
            .await
            .map_err(|error| BeatError::new("failed to leave the tunnel").with_source(error))
    }
}

fn connected(state: &ConnectionState) -> Option<Instant> {
    match state {
        ConnectionState::Connected { since } => Some(*since),
        ConnectionState::Disconnected { .. } | ConnectionState::Closed => None,
    }
}

fn earlier(by: Instant) -> Instant {
    let left = by.saturating_duration_since(tokio::time::Instant::now().into_std());
    by - (left / 10).min(MARGIN_MAX)
}
