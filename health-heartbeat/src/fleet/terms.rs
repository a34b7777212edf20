//! What the fleet allows.

use std::time::Duration;

/// What the fleet allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FleetTerms {
    /// Declared timeouts are raised to this. Default: 3 s.
    pub timeout_min: Duration,
    /// Declared timeouts are lowered to this. Default: 10 min.
    pub timeout_max: Duration,
    /// The allowance of an agent that is expected and has declared none yet. Default: 90 s. After a
    /// restart of the hub an agent dials again within its interval, which is 60 s at most unless
    /// its operator says otherwise, and beats in the next one.
    pub timeout_first: Duration,
    /// The allowance of a tunnel that carries no heartbeats. Default: 90 s, three of the Go
    /// client's pings.
    pub timeout_plain: Duration,
    /// The allowance of an agent that is known by its SyncTarget's heartbeat time only. Default:
    /// 60 s, as kcp's own controller had it.
    pub timeout_synctarget: Duration,
    /// An agent that nobody expects and that is Lost or Left is forgotten after this. Default: 1 h.
    pub forget_after: Duration,
    /// Fewer than that many silent ones at once are no mass silence. Default: 3.
    pub mass_min: usize,
    /// No more agents than this are known. Default: 1,000,000.
    pub agents_max: usize,
}

// === impl FleetTerms ===

impl Default for FleetTerms {
    fn default() -> Self {
        Self {
            timeout_min: Duration::from_secs(3),
            timeout_max: Duration::from_secs(600),
            timeout_first: Duration::from_secs(90),
            timeout_plain: Duration::from_secs(90),
            timeout_synctarget: Duration::from_secs(60),
            forget_after: Duration::from_secs(3600),
            mass_min: 3,
            agents_max: 1_000_000,
        }
    }
}
