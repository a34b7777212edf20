//! What is known of an agent's silence: it ends with the next sign of life, and most have none.

use serde::Deserialize;
use serde::Serialize;

use crate::fleet::moment::Moment;

/// What is known of an agent since nobody was heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Silence {
    /// Its Lease was released: it has left if nobody was heard by then.
    pub(super) left_at: Option<Moment>,
    pub(super) look: Look,
    /// Its verdict waits for one more allowance, since many fell silent at once.
    pub(super) held: bool,
}

/// How far the live look at an agent's objects is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Look {
    /// Nobody asked for one.
    #[default]
    No,
    /// Somebody looks; not waited for beyond that.
    Asked {
        by: Moment,
        /// An earlier look was in vain.
        again: bool,
    },
    /// Nothing has changed there.
    Silent,
    /// Nobody could look; another try comes then.
    Failed(Moment),
}

// === impl Silence ===

impl Silence {
    /// As a record keeps it: nothing, where nothing is known.
    pub(super) fn kept(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

// === impl Look ===

impl Look {
    /// What it saw is too old now; of who has only objects it is not forgotten that an earlier one
    /// was in vain.
    pub(super) const fn anew(self, only_objects: bool, now: Moment) -> Self {
        match self {
            Self::Asked { again: true, .. } | Self::Failed(_) if only_objects => Self::Failed(now),
            Self::No | Self::Asked { .. } | Self::Silent | Self::Failed(_) => Self::No,
        }
    }
}
