//! Which changes of the agent's health a transport tells at once.

use health_core::Carried;
use health_core::reasons;

/// Which changes of the agent's health a transport tells at once, and not with its next beat: the
/// first results, and all of them where it is prompt.
#[derive(Debug)]
pub(super) struct Telling {
    prompt: bool,
    /// Every beat so far said that there are no results yet.
    pending: bool,
}

// === impl Telling ===

impl Telling {
    pub(super) const fn new(prompt: bool) -> Self {
        Self {
            prompt,
            pending: true,
        }
    }

    /// Whether changes are of interest at all.
    pub(super) const fn listens(&self) -> bool {
        self.prompt || self.pending
    }

    /// Whether a change that led to `now` is told at once.
    pub(super) fn tells(&self, now: &Carried) -> bool {
        self.prompt || (self.pending && !is_pending(now))
    }

    /// A beat says this.
    pub(super) fn said(&mut self, carried: &Carried) {
        self.pending &= is_pending(carried);
    }
}

fn is_pending(carried: &Carried) -> bool {
    carried.verdict.reason == reasons::PENDING
}
