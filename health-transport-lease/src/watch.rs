//! What one workspace tells the hub: its Leases and SyncTargets, listed, watched, and read live.
//!
//! [`WatchMachine`] decides what to ask the server and when, [`Sightings`] what an object means;
//! [`Watcher`] makes the calls, [`LiveReader`] those that confirm before a conviction, as often as
//! a [`ReadLimiter`] lets it.
//!
//! kube's own watcher is not used: it tells neither that a watch has gone silent nor when a
//! bookmark came, retries by a clock of its own, and cannot run under a simulated one.

mod config;

mod watched;

mod line;

mod sight;

mod sightings;

mod machine;

mod watcher;

mod limiter;

mod live;

pub use config::WatchConfig;
pub use limiter::ReadLimiter;
pub use limiter::Refused;
pub use line::Lines;
pub use line::StreamItem;
pub use live::LiveReader;
pub use machine::WatchInput;
pub use machine::WatchMachine;
pub use machine::WatchOutput;
pub use sight::ConditionSight;
pub use sight::HeartbeatSight;
pub use sight::LeaseChange;
pub use sight::LeaseMark;
pub use sight::LeaseSight;
pub use sight::TargetChange;
pub use sight::TargetMark;
pub use sight::TargetSight;
pub use sightings::News;
pub use sightings::Seen;
pub use sightings::Sighting;
pub use sightings::Sightings;
pub use watched::Watched;
pub use watcher::Watcher;
