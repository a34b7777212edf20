//! The hub's verdicts, as the condition `HeartbeatHealthy` on SyncTargets.

mod bucket;
mod config;
mod event;
mod machine;
mod queue;
mod standing;
mod target;
mod wish;
mod writer;

pub(crate) use bucket::Bucket;
pub use config::VerdictConfig;
pub use event::FlightId;
pub use event::VerdictEvent;
pub use event::VerdictInput;
pub use event::VerdictOutput;
pub use event::VerdictStatus;
pub use machine::VerdictMachine;
pub use standing::Standing;
pub use wish::LastSign;
pub use wish::Silence;
pub use wish::Wish;
pub use wish::WishKind;
pub use writer::VerdictWriter;
