//! What the machine of verdicts is told, and what it says.

use std::sync::Arc;
use std::time::SystemTime;

use crate::call::ApiError;
use crate::call::Call;
use crate::call::Reply;
use crate::verdict::Standing;
use crate::verdict::Wish;
use crate::verdict::WishKind;

/// A call's number, by which its reply is handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlightId(pub(super) u64);

/// What the machine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum VerdictInput {
    /// This is to stand on that target from now on.
    Tell {
        /// The target's name.
        target: Arc<str>,
        /// What is to stand there.
        wish: Wish,
    },
    /// A watch saw that target.
    Seen {
        /// The target's name.
        target: Arc<str>,
        /// Its uid.
        uid: String,
        /// What stands there.
        standing: Standing,
    },
    /// That target is nobody's concern any more.
    Forget {
        /// The target's name.
        target: Arc<str>,
    },
    /// Whether this hub is the one that writes.
    Active(bool),
    /// A call's reply.
    Reply {
        /// Which call.
        flight: FlightId,
        /// Its reply.
        reply: Reply,
        /// The wall clock's time, which is written and decides nothing.
        wall: SystemTime,
    },
    /// The time that [`poll_timeout`](crate::VerdictMachine::poll_timeout) named has come.
    Timeout,
}

/// What the machine wants.
#[derive(Debug, Clone, PartialEq)]
pub enum VerdictOutput {
    /// Make this call about that target, and hand in its reply.
    Call {
        /// The call's number.
        flight: FlightId,
        /// The target's name.
        target: Arc<str>,
        /// The call.
        call: Call,
    },
    /// This happened; for logs and counters.
    Event(VerdictEvent),
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerdictEvent {
    /// A verdict was written.
    Written {
        /// The target's name.
        target: Arc<str>,
        /// What was written.
        kind: WishKind,
    },
    /// Another writes that target's condition again and again: it is left to it. Told once.
    Contested {
        /// The target's name.
        target: Arc<str>,
        /// What the other wrote last.
        theirs: Standing,
    },
    /// The target is another one than before, of the same name. Who was Lost or Left was so on the
    /// old one: nothing is written on the new one until it is told again.
    Recreated {
        /// The target's name.
        target: Arc<str>,
    },
    /// A call failed. Told once for each kind of failure, until a call about that target succeeds.
    Failed {
        /// The target's name.
        target: Arc<str>,
        /// What failed.
        operation: &'static str,
        /// Why.
        error: ApiError,
    },
}

/// How the writing is getting on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerdictStatus {
    /// Whether this hub is the one that writes.
    pub active: bool,
    /// Targets whose condition is to be looked at or written.
    pub waiting: usize,
    /// Calls under way.
    pub in_flight: usize,
    /// Targets that are left to another writer.
    pub contested: usize,
    /// Whether the server failed and is left alone for a while.
    pub paused: bool,
}
