//! What a check is to the monitor.

use std::time::Duration;
use std::time::Instant;

use health_core::Outcome;

use crate::CheckError;

/// Finds out how one component is.
///
/// # Examples
///
/// ```
/// # use health_checks::{CheckContext, CheckError, HealthChecker};
/// # use health_core::Outcome;
/// struct Disk;
///
/// #[async_trait::async_trait]
/// impl HealthChecker for Disk {
///     async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
///         Ok(Outcome::healthy().with_metric("freeBytes", 1e9))
///     }
/// }
/// ```
#[async_trait::async_trait]
pub trait HealthChecker: Send + Sync + 'static {
    /// Looks once.
    ///
    /// The monitor never has two runs of one check at a time, and counts a run that does not end
    /// by [`CheckContext::deadline`] as Unhealthy, `Timeout`, even where it blocks its thread.
    /// A panic is a result too: Unhealthy, `Panicked`.
    ///
    /// # Errors
    ///
    /// [`CheckError`] if it could not be found out; the component is then Unknown.
    /// That the thing looked at is broken is an [`Outcome`], not an error.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped at its deadline, when the component is removed, and when a stranger
    /// that blocks its thread costs all others their runtime; in the last case the check is
    /// started again.
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError>;
}

/// What a run of a check is told.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CheckContext {
    /// Past this the run counts as timed out.
    pub deadline: Instant,
    /// How long the whole run may take.
    pub timeout: Duration,
}

// === impl CheckContext ===

impl CheckContext {
    /// The context of a run that begins at `now`.
    #[must_use]
    pub fn new(timeout: Duration, now: Instant) -> Self {
        Self {
            deadline: now + timeout,
            timeout,
        }
    }

    /// A little before the deadline: a check that gives up then can say where it stood, which the
    /// monitor's own `Timeout` cannot.
    #[must_use]
    pub fn give_up_at(&self) -> Instant {
        const EARLY_MAX: Duration = Duration::from_millis(100);
        let early = (self.timeout / 10).min(EARLY_MAX);
        self.deadline.checked_sub(early).unwrap_or(self.deadline)
    }
}
