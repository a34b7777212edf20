//! The instant that tests count from. The standard library makes none but by reading the clock, so it
//! is read here once, and nowhere else.

use std::sync::LazyLock;
use std::time::Instant;

#[expect(
    clippy::disallowed_methods,
    reason = "there is no other way to an instant"
)]
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The same one for all tests: what comes of it must not depend on which.
pub(crate) fn epoch() -> Instant {
    *EPOCH
}
