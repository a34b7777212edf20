//! What broke other systems, and what hostile peers do to a check; through the public API alone.
//!
//! `pitfall_N` is the row of the list of pitfalls that the project keeps. Times are real here, so
//! every test waits for what it wants to see, and none for a time to pass.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod support;

mod hysteresis;

mod options;

mod settings;

mod stale;

mod http;

mod tls;
