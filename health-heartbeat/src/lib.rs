//! Who is alive: the agent's and the fleet's state machines, the heartbeat they exchange and its
//! one wire form, the [`HeartbeatTransport`] trait, and the driver [`Heartbeater`].
//!
//! This crate deliberately knows no transport: a WebSocket tunnel and a Lease look the same to it.
//! No clock is read but in the driver: the machines take `now` as an argument, and chance as a
//! seed.
//!
//! ```text
//!                     acknowledged
//!            ┌──────────────────────────────┐
//!            ▼                              │
//! Pending ─► Alive ─► Missed(n) ─► Failed ──┤
//!            │  ▲        n = threshold, or  │
//!            ▼  │        timeout without an acknowledgement
//!        StandingBy ◄───────────────────────┘  another slot holds
//! ```
//!

mod config;

mod identity;

mod heartbeat;

pub mod wire;

mod transport;

mod backoff;

mod event;

mod agent;

mod requirement;

mod snapshot;

mod driver;

mod fleet;

pub use backoff::Backoff;
pub use config::{HeartbeatConfig, InvalidHeartbeatConfig};
pub use heartbeat::{Heartbeat, Sequence};
pub use identity::{HolderIdentity, Identity, Incarnation, Slot};
pub use transport::{Acknowledgement, BeatError, HeartbeatTransport, Standing, TransportName};
