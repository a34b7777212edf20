//! The vocabulary and the policies of health: statuses, components, the [`Board`] that holds them,
//! aggregation, hysteresis, freshness, probe rules, sliding windows and trends.
//!
//! This crate deliberately does no I/O, reads no clock and knows no transport: time is an argument
//! (`now`), so the same inputs always give the same answers.
//! How results are found out is `health-checks`' business; who hears of them is `health-heartbeat`'s.
//!
//! ```
//! use std::time::{Duration, Instant};
//! use health_core::{Board, ComponentSpec, HealthStatus, Outcome, Query, Scope};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let start = Instant::now();
//! let mut board = Board::new(start);
//! let database = board.register(ComponentSpec::new("database".parse()?), start)?;
//! let queue = board.register(ComponentSpec::new("queue".parse()?), start)?;
//!
//! let now = start + Duration::from_secs(1);
//! board.record(database, Outcome::healthy(), Duration::from_millis(3), now);
//! board.record(queue, Outcome::degraded("QueueDepthHigh", "1200 waiting"), Duration::ZERO, now);
//!
//! let verdict = board.verdict(&Query::of(Scope::All), now);
//! assert_eq!(verdict.status, HealthStatus::Degraded);
//! assert_eq!(verdict.deciding[0].component.as_str(), "queue");
//!
//! // A good answer does not outlive its allowance.
//! let later = now + Duration::from_secs(600);
//! assert_eq!(board.verdict(&Query::of(Scope::All), later).status, HealthStatus::Unknown);
//! # Ok(())
//! # }
//! ```
//!
//! # Crate features
//!
//! - `serde`: [`HealthStatus`], [`Criticality`] and [`Scope`] are read and written by their names.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod status;

mod name;

mod outcome;

mod component;

mod history;

mod hysteresis;

mod aggregation;

mod verdict;

mod board;

mod probe;

mod carried;

mod connection;

mod pause;

mod pulse;

mod window;

mod trend;

pub mod reasons;

#[cfg(test)]
mod epoch;

pub use aggregation::{AggregationPolicy, Tally, WorstOf};
pub use board::{Board, ComponentId, HealthReport, NameTaken, Revision};
pub use carried::{Carried, HealthSource};
pub use component::{ComponentHealth, ComponentSpec, Criticality, Scope, ScopeSet, Thresholds};
pub use connection::ConnectionState;
pub use history::{History, Transition};
pub use hysteresis::Hysteresis;
pub use name::{ComponentName, InvalidName, Reason};
pub use outcome::{Outcome, Paired};
pub use pause::PauseDetector;
pub use probe::{LoopState, Probe, ProbeAnswer, ProbeLine, ProbeRules};
pub use pulse::Pulse;
pub use status::{HealthStatus, UnknownStatus};
pub use trend::{InvalidTrend, Trend, TrendConfig, TrendLimits, TrendReading, Trends};
pub use verdict::{DECIDING_MAX, Deciding, Query, Rule, Verdict};
pub use window::RateWindow;

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
