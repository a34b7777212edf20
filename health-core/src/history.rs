//! What changed lately.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::ComponentName;
use crate::HealthStatus;
use crate::Reason;

/// The change of one component's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its number on its board: each has the next one.
    pub number: u64,
    /// Whose status changed.
    pub component: ComponentName,
    /// What it was.
    pub from: HealthStatus,
    /// Why it was so; `Pending` before the first result.
    pub from_reason: Reason,
    /// What it is.
    pub to: HealthStatus,
    /// Why it is so, for machines.
    pub reason: Reason,
    /// Why it is so, for people; empty if there is nothing to say.
    pub message: String,
    /// When it changed.
    pub at: Instant,
}

/// The newest transitions of all components, so many and no more.
#[derive(Debug, Clone)]
pub struct History {
    newest: VecDeque<Arc<Transition>>,
    next: u64,
}

impl History {
    /// So many transitions are remembered; whoever wants all of them has to listen.
    pub const MAX: usize = 256;

    pub(crate) const fn new() -> Self {
        Self {
            newest: VecDeque::new(),
            next: 0,
        }
    }

    /// The remembered transitions, from old to new.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Arc<Transition>> {
        self.newest.iter()
    }

    /// Those of them whose number is `number` or higher, from old to new.
    pub fn since(&self, number: u64) -> impl DoubleEndedIterator<Item = &Arc<Transition>> {
        let begin = self.newest.partition_point(|it| it.number < number);
        self.newest.range(begin..)
    }

    /// The number that the next transition will have.
    #[must_use]
    pub const fn next_number(&self) -> u64 {
        self.next
    }

    /// Remembers a transition and forgets the oldest.
    pub(crate) fn push(&mut self, make: impl FnOnce(u64) -> Transition) {
        if self.newest.len() == Self::MAX {
            self.newest.pop_front();
        }
        self.newest.push_back(Arc::new(make(self.next)));
        self.next += 1;
    }
}
