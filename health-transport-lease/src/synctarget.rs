//! The SyncTarget's status: the heartbeat's time and our condition on it.

mod condition;
mod dialect;
mod event;
mod limiter;
mod machine;
mod publisher;

pub use condition::Change;
pub use condition::Condition;
pub use condition::ConditionStatus;
pub use condition::Severity;
pub use condition::merge;
pub use dialect::Dialect;
pub use dialect::HeartbeatField;
pub use dialect::UnknownField;
pub use event::StatusEvent;
pub use event::StatusInput;
pub use event::StatusOutcome;
pub use event::StatusOutput;
pub use limiter::Decision;
pub use limiter::WriteLimiter;
pub use machine::StatusMachine;
pub use publisher::SyncTargetTransport;
