//! The built-in checks. Each is an ordinary [`HealthChecker`](crate::HealthChecker) with a plain
//! struct of its configuration.

mod connection;

mod sync_stats;

mod sync_engine;

mod runtime;

mod resources;

mod fetch;

mod http;

mod kubernetes_api;

mod prometheus;

mod failure;

mod dial;

mod invalid;

mod tcp;

#[cfg(unix)]
mod exec;

#[cfg(unix)]
mod disk;

mod file;

mod trended;

/// What the fuzz targets reach of the parsers, none of which is public otherwise.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;

pub use connection::ConnectionCheck;
#[cfg(unix)]
pub use disk::DiskCheck;
#[cfg(unix)]
pub use disk::DiskConfig;
#[cfg(unix)]
pub use exec::ExecCheck;
#[cfg(unix)]
pub use exec::ExecConfig;
pub use fetch::ClientCertificate;
pub use fetch::HttpTarget;
pub use fetch::InvalidTarget;
pub use fetch::Material;
pub use file::FileCheck;
pub use file::FileConfig;
pub use http::HttpCheck;
pub use http::HttpConfig;
pub use invalid::InvalidCheck;
pub use kubernetes_api::KubernetesApiCheck;
pub use kubernetes_api::KubernetesApiConfig;
pub use prometheus::Families;
pub use prometheus::PrometheusCheck;
pub use prometheus::PrometheusConfig;
pub use resources::ResourcesCheck;
pub use resources::ResourcesConfig;
pub use runtime::RuntimeCheck;
pub use runtime::RuntimeConfig;
pub use sync_engine::SyncEngineCheck;
pub use sync_engine::SyncRecorder;
pub use sync_stats::SyncLimits;
pub use sync_stats::SyncStats;
pub use tcp::TcpCheck;
pub use tcp::TcpConfig;
pub use trended::TrendedCheck;
