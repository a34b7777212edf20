//! The program `syncer-health`: configuration, clock, wiring, HTTP, metrics exporter and command
//! line.
//!
//! It holds no logic that an embedder would want: checks are `health-checks`', heartbeats
//! `health-heartbeat`'s, and the transports have a crate each.

use std::process::ExitCode;

mod cli;

mod config;

mod configured;

mod schemas;

#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

mod run;

mod agent;

#[cfg(feature = "hub")]
mod hub;

#[cfg(feature = "hub")]
mod demo;

mod probe;

mod status;

mod completions;

mod target;

#[cfg(feature = "transport-lease")]
mod manifests;

mod http;

#[cfg(any(feature = "hub", feature = "grpc"))]
mod lobby;

#[cfg(feature = "grpc")]
mod grpc;

mod bearer;

mod reloaded;

mod exposition;

mod telemetry;

mod process;

mod logging;

mod signals;

mod gates;

mod reload;

mod systemd;

mod clock;

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Runs the program with the arguments and the environment of this process.
///
/// Exit codes: 0; 1 it failed, or the probe says no; 2 usage or configuration.
pub fn main() -> ExitCode {
    run::main()
}

/// The README's examples are compiled.
#[cfg(all(doctest, feature = "transport-ws"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// So are those of the guide to embedding.
#[cfg(all(doctest, feature = "transport-ws"))]
#[doc = include_str!("../../docs/embedding.md")]
pub struct Embedding;
