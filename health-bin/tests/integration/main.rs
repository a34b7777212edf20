//! The program as its users meet it: real processes on loopback, and, where a test says so, a real
//! kcp, a real API server and real Go peers.
//!
//! Tests that need more than Rust are ignored and say who runs them: `cargo xtask integration`.

mod support;

mod bad_input;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod agreed;

mod commands;

mod status;

mod probes;

mod reload;

mod kinds;

mod blocked;

mod transports;

mod stale;

mod pitfalls;

mod options;

mod schema;

mod systemd;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod scrapes;

#[cfg(feature = "grpc")]
mod grpc;

#[cfg(feature = "hub")]
mod fleet;

#[cfg(feature = "hub")]
mod tokens;

#[cfg(feature = "hub")]
mod ops;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod docs;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod spans;

#[cfg(feature = "hub")]
mod flight;

#[cfg(feature = "hub")]
mod peer;

#[cfg(feature = "hub")]
mod security;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod soak;

#[cfg(feature = "transport-lease")]
mod kcp;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod deploy;
