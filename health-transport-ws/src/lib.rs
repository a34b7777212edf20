//! Heartbeats over the Wave 4 WebSocket tunnel: its wire format, the two ends of a connection, a
//! client that is kept up, and an acceptor over an upgraded stream.
//!
//! This crate deliberately does not decide what is healthy or silent, and owns no HTTP server: a
//! hub upgrades a request by itself ([`UpgradeRequest`]) and hands the byte stream over.
//!
//! ```text
//!  agent                                                                    hub
//!  WebsocketTransport ─ping─► ┌──────────┐  one JSON object a frame  ┌────────────────┐
//!  (heartbeats)               │          │ ────────────────────────► │                │
//!  embedder ──send / route──► │  Tunnel  │  handshake, ping, status, │ AcceptedTunnel │ ─► TunnelEvent
//!  (sync traffic)             │          │  close, resource, …       │                │
//!  report ──on each change──► └──────────┘ ◄──────────────────────── └────────────────┘
//!                        Session, Reconnect      handshake, pong        ServerSession
//! ```
//!
//! The decisions ([`Session`], [`ServerSession`], [`Reconnect`], [`cut_report`]) are pure: they take
//! `now` as an argument and do no I/O. [`Tunnel`] and [`AcceptedTunnel`] do what they say.
//!
//! ```no_run
//! use std::time::Duration;
//! use std::time::Instant;
//!
//! use health_transport_ws::CloseReason;
//! use health_transport_ws::Tunnel;
//! use health_transport_ws::TunnelConfig;
//! use health_transport_ws::WebsocketTransport;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = TunnelConfig::new("wss://hub.example.org:8082/tunnel".parse()?, "edge-1");
//! config.token_file = Some("/var/run/secrets/hub/token".into());
//!
//! let tunnel = Tunnel::spawn(config, None);
//! let transport = WebsocketTransport::new(tunnel.clone());
//! # drop(transport);
//! tunnel.state().wait_for(|state| state.is_connected()).await?;
//! tunnel.close(CloseReason::Leaving, Instant::now() + Duration::from_secs(5)).await?;
//! # Ok(())
//! # }
//! ```

pub mod wire;

pub mod protocol;

mod frame;

mod close;

mod timers;

mod alarm;

mod session;

mod server_session;

mod reconnect;

mod report;

mod event;

mod url;

mod config;

mod token;

mod tls;

mod upgrade;

mod dial;

mod link;

mod routes;

mod outbox;

mod stamp;

mod metrics;

mod tunnel;

mod transport;

mod acceptor;

mod error;

pub use acceptor::{AcceptOptions, AcceptedHandle, AcceptedTunnel};
pub use close::CloseReason;
pub use config::{ClientCertificate, Deadlines, ReportSource, TunnelConfig};
pub use dial::DialError;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use dial::fuzz_answer;
pub use error::{CloseError, PingError, SendError, Taken};
pub use event::{ConnectionId, Heard, TunnelEvent};
pub use frame::Frame;
pub use outbox::Outbox;
pub use reconnect::{Hint, Reconnect};
pub use report::{REPORT_MAX, cut_report};
pub use server_session::{
    Admission, RateLimit, ServerEnd, ServerOutput, ServerSession, SessionLimits, Terms,
};
pub use session::{PingId, Pong, Session, SessionEnd, SessionOutput, TooManyPings};
pub use tls::TlsError;
pub use token::TokenError;
pub use transport::WebsocketTransport;
pub use tunnel::Tunnel;
pub use upgrade::{UpgradeError, UpgradeRequest, accept_key};
pub use url::{InvalidUrl, TunnelUrl};

use error::chain;

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
