//! The built-in checks. Each is an ordinary [`HealthChecker`](crate::HealthChecker) with a plain
//! struct of its configuration.

mod connection;

mod sync_stats;

mod sync_engine;

mod runtime;

mod fetch;

mod http;

mod prometheus;

pub use connection::ConnectionCheck;
pub use fetch::HttpTarget;
pub use fetch::InvalidTarget;
pub use http::HttpCheck;
pub use http::HttpConfig;
pub use prometheus::Families;
pub use prometheus::PrometheusCheck;
pub use prometheus::PrometheusConfig;
pub use runtime::RuntimeCheck;
pub use runtime::RuntimeConfig;
pub use sync_engine::SyncEngineCheck;
pub use sync_engine::SyncRecorder;
pub use sync_stats::SyncLimits;
pub use sync_stats::SyncStats;
