//! Whose a token is, and whether that user may write a SyncTarget's status: as the API server says.

mod cache;
mod config;
mod key;
mod review;
mod reviewer;

pub use config::AccessConfig;
#[cfg(fuzzing)]
pub use review::fuzz as fuzz_review;
pub use reviewer::AccessReviewer;

use std::time::Duration;

/// What the API server says of a token and a SyncTarget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// This user may write the target's status.
    Allowed {
        /// Who it is.
        user: String,
    },
    /// The server knows nobody by this token.
    Unauthenticated,
    /// This user may not write the target's status.
    Forbidden {
        /// Who it is.
        user: String,
        /// Why not, and what would help.
        why: String,
    },
    /// The server did not say, and nothing that it said before counts any more.
    Unavailable {
        /// Why, with what would help.
        error: String,
        /// When it may be worth to ask again, where that is known.
        retry_after: Option<Duration>,
    },
}
