//! What the machine is at.

use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::Sequence;
use serde_json::Value;

use crate::call::Verb;
use crate::record::Renewal;

/// What is to be reached.
#[derive(Debug, Clone)]
pub(super) enum Goal {
    /// The heartbeat stands in the Lease, or another holds it.
    Renew(Renewal),
    /// The Lease is not ours.
    Release,
}

/// One beat or one release, from its beginning to its end.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) goal: Goal,
    pub(super) by: Instant,
    /// How many calls were made.
    pub(super) calls: u32,
    /// How many of them lost a race.
    pub(super) races: u32,
    /// Whether the Lease was read since the last doubt.
    pub(super) looked: bool,
    pub(super) owner_asked: bool,
    pub(super) owner: Option<Value>,
    began: Instant,
    wall: SystemTime,
}

/// A call whose reply is awaited.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) by: Instant,
    pub(super) operation: &'static str,
    pub(super) write: bool,
    /// Whether the Lease need not be there: what is not found then is where it should be.
    pub(super) creates: bool,
    /// Whether it asks for the SyncTarget, not for the Lease.
    pub(super) of_target: bool,
    /// The heartbeat that it writes, and until when the Lease is ours if that arrives.
    pub(super) renews: Option<(Sequence, Instant)>,
}

// === impl Task ===

impl Task {
    pub(super) const fn new(goal: Goal, wall: SystemTime, by: Instant, now: Instant) -> Self {
        Self {
            goal,
            by,
            calls: 0,
            races: 0,
            looked: false,
            owner_asked: false,
            owner: None,
            began: now,
            wall,
        }
    }

    /// The wall clock's time at `now`.
    pub(super) fn wall(&self, now: Instant) -> SystemTime {
        let since = now.saturating_duration_since(self.began);
        self.wall.checked_add(since).unwrap_or(self.wall)
    }
}

// === impl Flight ===

impl Flight {
    pub(super) const fn new(verb: &Verb, by: Instant, renews: Option<(Sequence, Instant)>) -> Self {
        Self {
            by,
            operation: verb.operation(),
            write: verb.is_write(),
            creates: matches!(verb, Verb::CreateLease(_)),
            of_target: matches!(verb, Verb::GetTarget),
            renews,
        }
    }
}
