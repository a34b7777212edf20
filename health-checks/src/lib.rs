//! Runs health checks in the background and keeps their results.
//!
//! This crate deliberately knows neither heartbeats nor transports, serves no probe over HTTP, and
//! never runs a check because somebody asked: every answer comes from memory.
//! What a status means, and what becomes of many, is `health-core`'s business.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::{Duration, Instant};
//! use health_checks::{CheckContext, CheckError, HealthChecker, Monitor, MonitorConfig, Schedule};
//! use health_core::{ComponentSpec, HealthStatus, Outcome, Scope};
//!
//! struct Database;
//! #[async_trait::async_trait]
//! impl HealthChecker for Database {
//!     async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
//!         Ok(Outcome::degraded("ReplicaLagging", "12 s behind"))
//!     }
//! }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let monitor = Monitor::spawn(MonitorConfig::default());
//! let mut changes = monitor.changes();
//! let every = Schedule::new(Duration::from_secs(30), Duration::from_secs(5));
//! monitor.register(ComponentSpec::new("database".parse()?), every, Arc::new(Database))?;
//! let degraded = || monitor.verdict(Scope::All, Instant::now()).status == HealthStatus::Degraded;
//! changes.wait_for(|_| degraded()).await?;
//! monitor.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod checker;

mod error;

mod monitor;

mod registration;

mod schedule;

mod push;

mod work;

mod clock;

mod telemetry;

pub mod checks;

pub mod names;

pub mod reasons;

pub use checker::CheckContext;
pub use checker::HealthChecker;
pub use error::CheckError;
pub use monitor::Monitor;
pub use monitor::MonitorConfig;
pub use push::InvalidPush;
pub use push::PushConfig;
pub use push::PushedResult;
pub use registration::Registration;
pub use registration::Reporter;
pub use schedule::Schedule;

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
