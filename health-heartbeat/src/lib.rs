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
//! ```
//! use std::time::{Duration, Instant};
//! use health_heartbeat::{AgentMachine, AgentOutput, HeartbeatConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Instant::now();
//! let config = HeartbeatConfig::new(Duration::from_secs(10), Duration::from_secs(30), 3)?;
//! let mut machine = AgentMachine::new(config, 42, now);
//! assert!(matches!(machine.poll(), Some(AgentOutput::Send { .. })), "the first beat is due at once");
//! # Ok(())
//! # }
//! ```

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

#[cfg(test)]
mod epoch;

pub use agent::{AgentInput, AgentMachine, AgentOutput, AgentState, AttemptOutcome};
pub use backoff::Backoff;
pub use config::{HeartbeatConfig, InvalidHeartbeatConfig};
pub use driver::{Heartbeater, HeartbeaterConfig, TransportSetup};
pub use event::{EventKind, HeartbeatEvent};
pub use fleet::{
    AgentId, AgentKey, AgentView, Change, Channel, Confirmation, Evidence, Fleet, FleetOutput,
    FleetReason, FleetTerms, FleetVerdict, Flight, FlightDue, FlightLimits, FlightStep,
    InstanceView, InvalidFlight, LeaseSight, Replay, Transition, TunnelId,
};
pub use heartbeat::{Heartbeat, Sequence};
pub use identity::{HolderIdentity, Identity, Incarnation, Slot};
pub use requirement::Requirement;
pub use snapshot::{HeartbeatSnapshot, TransportSnapshot};
pub use transport::{Acknowledgement, BeatError, HeartbeatTransport, Standing, TransportName};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
