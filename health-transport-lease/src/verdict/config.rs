//! How verdicts are written.

use std::time::Duration;

/// How verdicts are written.
///
/// In any span of `t` seconds at most `burst + rate × t` SyncTargets are gone about, over all
/// targets of the workspace, each with two requests (a read and a write), and with at most six
/// where others write it at the same time. A fleet of 10,000 that falls silent at once is written
/// in 198 s with the defaults, the Lost ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerdictConfig {
    /// One target is gone about at most once in that time. Default: 5 s.
    pub min_interval: Duration,
    /// So many targets a second, over all of them; at least 1. Default: 50, as a kubelet has.
    pub rate: u32,
    /// So many targets at once after a rest; at least 1. Default: 100.
    pub burst: u32,
    /// One request takes at most that long. Default: 10 s.
    pub call_timeout: Duration,
    /// So often another may write over the condition of one target within an hour, until it is
    /// left to it. Default: 3.
    pub foreign_writes_max: u32,
}

// === impl VerdictConfig ===

impl Default for VerdictConfig {
    fn default() -> Self {
        Self {
            min_interval: Duration::from_secs(5),
            rate: 50,
            burst: 100,
            call_timeout: Duration::from_secs(10),
            foreign_writes_max: 3,
        }
    }
}
