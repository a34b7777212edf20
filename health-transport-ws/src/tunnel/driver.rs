//! The task that keeps a tunnel up.

use std::sync::Arc;
use std::time::Instant;

use health_core::ConnectionState;
use tokio::sync::watch;
use tracing::Instrument;

use super::CloseRequest;
use super::Lanes;
use super::connection::Connection;
use super::connection::Over;
use crate::CloseError;
use crate::Hint;
use crate::Reconnect;
use crate::ReportSource;
use crate::SessionEnd;
use crate::TunnelConfig;
use crate::chain;
use crate::dial::Dialer;
use crate::metrics::Metrics;
use crate::report::ReportPace;
use crate::routes::Routes;
use crate::stamp::Stamp;

/// The task that keeps a tunnel up: it dials, speaks, and dials again, one connection at a time.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) config: TunnelConfig,
    pub(super) lanes: Lanes,
    pub(super) routes: Arc<Routes>,
    pub(super) stamp: Stamp,
    pub(super) metrics: Metrics,
    pub(super) report: Option<ReportSource>,
    pub(super) pace: ReportPace,
    state: watch::Sender<ConnectionState>,
    reconnect: Reconnect,
    established_before: bool,
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(
        config: TunnelConfig,
        report: Option<ReportSource>,
        lanes: Lanes,
        state: watch::Sender<ConnectionState>,
        routes: Arc<Routes>,
    ) -> Self {
        Self {
            lanes,
            routes,
            stamp: Stamp::new(config.seed),
            metrics: Metrics::new(),
            report,
            pace: ReportPace::default(),
            state,
            // Another stream of chance than the ids'.
            reconnect: Reconnect::new(&config.heartbeat, config.seed.wrapping_add(1)),
            config,
            established_before: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut dialer = Dialer::new(&self.config);
        loop {
            let dial = tracing::debug_span!("dial", url = %self.config.url);
            let dialed = tokio::select! {
                biased;
                request = self.lanes.close.recv() => return self.close_unconnected(request),
                dialed = dialer.dial(&self.config).instrument(dial.clone()) => dialed,
            };
            let hint = match dialed {
                Ok(link) => {
                    drop(dial);
                    let span = tracing::debug_span!("tunnel", url = %self.config.url);
                    let connection = Connection::new(link, &mut self);
                    match connection.run().instrument(span.clone()).await {
                        Over::Closed => return self.closed(),
                        Over::Ended(end) => span.in_scope(|| self.ended(&end)),
                    }
                }
                Err(error) => {
                    dial.in_scope(|| self.disconnected(chain(&error)));
                    Hint {
                        retry_after: error.retry_after(),
                        replaced: false,
                    }
                }
            };
            let at = self.reconnect.failed(hint, now());
            tokio::select! {
                biased;
                request = self.lanes.close.recv() => return self.close_unconnected(request),
                () = tokio::time::sleep_until(at.into()) => {}
            }
        }
    }

    /// The handshake was answered.
    pub(super) fn established(&mut self, now: Instant) {
        if self.established_before {
            self.metrics.reconnects.increment(1);
        }
        self.established_before = true;
        tracing::info!(url = %self.config.url, "the tunnel is connected");
        self.reconnect.connected(now);
        self.pace.want();
        self.state
            .send_replace(ConnectionState::Connected { since: now });
    }

    fn ended(&self, end: &SessionEnd) -> Hint {
        self.disconnected(chain(end));
        Hint {
            retry_after: end.retry_after(),
            replaced: end.is_replaced(),
        }
    }

    /// Keeps the error, and says it once: a hub that is away for a day is one line.
    fn disconnected(&self, error: String) {
        let before = self.state.borrow().clone();
        let (since, new) = match before {
            ConnectionState::Disconnected { since, error: last } => {
                (since, last.as_ref() != Some(&error))
            }
            ConnectionState::Connected { .. } | ConnectionState::Closed => (now(), true),
        };
        if new {
            tracing::warn!(url = %self.config.url, error, "the tunnel is not connected, it dials again");
        } else {
            tracing::debug!(url = %self.config.url, error, "the tunnel is still not connected");
        }
        self.state.send_replace(ConnectionState::Disconnected {
            since,
            error: Some(error),
        });
    }

    fn close_unconnected(&self, request: Option<CloseRequest>) {
        self.closed();
        if let Some(request) = request {
            // Who asked may be gone.
            let _ = request.reply.send(Err(CloseError::NotConnected));
        }
    }

    fn closed(&self) {
        self.state.send_replace(ConnectionState::Closed);
    }
}

pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
