//! What changed lately.

use std::collections::VecDeque;
use std::sync::Arc;

use serde_json::Value;

/// The last changes, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    changes: VecDeque<Change>,
    /// The revision of the newest change that is forgotten.
    forgotten: u64,
}

/// One object's change.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) revision: u64,
    pub(super) path: String,
    /// Nothing where it was created.
    pub(super) before: Option<Arc<Value>>,
    /// Nothing where it was deleted.
    pub(super) after: Option<Arc<Value>>,
}

/// A real server's window has some hundred, too.
const CHANGES_MAX: usize = 256;

// === impl History ===

impl History {
    pub(super) fn add(
        &mut self,
        revision: u64,
        path: &str,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
    ) {
        self.changes.push_back(Change {
            revision,
            path: path.to_owned(),
            before,
            after,
        });
        if self.changes.len() > CHANGES_MAX
            && let Some(oldest) = self.changes.pop_front()
        {
            self.forgotten = oldest.revision;
        }
    }

    pub(super) fn forget(&mut self, revision: u64) {
        self.changes.clear();
        self.forgotten = revision;
    }

    /// The changes after that revision; nothing where some of them are forgotten.
    pub(super) fn since(
        &self,
        revision: u64,
    ) -> Option<impl DoubleEndedIterator<Item = &Change> + use<'_>> {
        let first = self.changes.partition_point(|it| it.revision <= revision);
        (revision >= self.forgotten).then(|| self.changes.range(first..))
    }
}
