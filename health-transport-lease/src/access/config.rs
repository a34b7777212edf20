//! For how long answers count.

use std::time::Duration;

/// For how long answers count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccessConfig {
    /// A permission counts for that long: so long a right that was taken away is still believed.
    /// Default: 2 min.
    pub allowed_ttl: Duration,
    /// A refusal counts for that long: so long a right that was given is not believed yet.
    /// Default: 10 s.
    pub denied_ttl: Duration,
    /// While the server does not answer a permission counts for that long since it was given; not
    /// shorter than `allowed_ttl`. Default: 10 min.
    pub outage_max: Duration,
    /// One review takes at most that long, waiting included. Default: 5 s.
    pub timeout: Duration,
}

// === impl AccessConfig ===

impl Default for AccessConfig {
    fn default() -> Self {
        Self {
            allowed_ttl: Duration::from_secs(2 * 60),
            denied_ttl: Duration::from_secs(10),
            outage_max: Duration::from_secs(10 * 60),
            timeout: Duration::from_secs(5),
        }
    }
}
