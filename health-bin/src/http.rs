//! HTTP, served with a limit on everything, and a small client for `probe` and `status`.

mod url;

mod client;

mod front;

mod serve;

mod stall;

mod timer;

pub(crate) use client::Client;
pub(crate) use client::Open;
pub(crate) use front::Front;
pub(crate) use serve::Answers;
pub(crate) use serve::Limits;
pub(crate) use serve::serve;
#[cfg(feature = "grpc")]
pub(crate) use stall::StallGuard;
pub(crate) use url::Url;
#[cfg(fuzzing)]
pub use url::fuzz as fuzz_url;
