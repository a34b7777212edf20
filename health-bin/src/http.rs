//! HTTP, served with a limit on everything, and a small client for `probe`.

mod client;

mod serve;

mod stall;

mod timer;

pub(crate) use client::get;
pub(crate) use serve::Limits;
pub(crate) use serve::serve;
