//! What the tests share: the program as a process, HTTP, a service to check, and waiting.

mod wait;

mod http;

mod program;

mod service;

mod ports;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod markdown;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod shell;

#[cfg(feature = "transport-ws")]
mod tunnel;

#[cfg(feature = "transport-lease")]
mod authority;

#[cfg(feature = "transport-lease")]
mod cluster;

#[cfg(feature = "transport-lease")]
mod proxy;

#[cfg(all(feature = "hub", feature = "transport-lease"))]
mod relay;

#[cfg(feature = "transport-lease")]
pub(crate) use authority::Authority;
#[cfg(feature = "transport-lease")]
pub(crate) use cluster::Cluster;
pub(crate) use http::Answer;
pub(crate) use http::ask;
pub(crate) use http::get;
#[cfg(feature = "hub")]
pub(crate) use http::head;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use markdown::Block;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use markdown::blocks;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use markdown::project;
#[cfg(any(feature = "hub", feature = "transport-lease"))]
pub(crate) use ports::free_ports;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use program::PROGRAM;
pub(crate) use program::Program;
pub(crate) use program::run_to_end;
#[cfg(feature = "transport-lease")]
pub(crate) use proxy::Fault;
#[cfg(feature = "transport-lease")]
pub(crate) use proxy::Passed;
#[cfg(feature = "transport-lease")]
pub(crate) use proxy::Proxy;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use relay::Relay;
pub(crate) use service::Service;
#[cfg(all(feature = "hub", feature = "transport-lease"))]
pub(crate) use shell::Shell;
#[cfg(feature = "transport-ws")]
pub(crate) use tunnel::Acceptor;
pub(crate) use wait::eventually;
pub(crate) use wait::eventually_or;
pub(crate) use wait::secs;
