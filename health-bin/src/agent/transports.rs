//! From the configuration to transports; which ones there are is chosen by Cargo features.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use health_core::ConnectionState;
use health_core::Revision;
use health_heartbeat::Identity;
use health_heartbeat::TransportSetup;
use tokio::sync::watch;

use super::report;
use crate::config::AgentConfig;
use crate::config::Problems;

#[cfg(feature = "transport-lease")]
mod cluster;

#[cfg(feature = "transport-ws")]
mod tunnel;

/// What transports are made from.
#[cfg_attr(
    not(all(feature = "transport-ws", feature = "transport-lease")),
    expect(dead_code, reason = "each transport needs other parts")
)]
pub(super) struct Parts<'a> {
    pub(super) config: &'a AgentConfig,
    pub(super) kubeconfig_variable: Option<&'a str>,
    pub(super) identity: &'a Identity,
    pub(super) seed: u64,
    pub(super) report: &'a report::Source,
    pub(super) changes: watch::Receiver<Revision>,
}

/// The transports, and what the program watches of them beside their heartbeats.
#[derive(Debug, Default)]
pub(super) struct Transports {
    pub(super) setups: Vec<TransportSetup>,
    pub(super) tunnel: Option<watch::Receiver<ConnectionState>>,
    pub(super) lease_held: Option<LeaseHeld>,
}

/// Tells whether this agent holds its Lease at an instant.
#[derive(Clone)]
pub(super) struct LeaseHeld(pub(super) Arc<dyn Fn(Instant) -> bool + Send + Sync>);

/// Makes every transport that the configuration asks for.
#[cfg_attr(
    not(feature = "transport-lease"),
    expect(
        clippy::unused_async,
        reason = "without a cluster nothing is waited for"
    )
)]
#[cfg_attr(
    not(any(feature = "transport-ws", feature = "transport-lease")),
    expect(
        unused_mut,
        unused_variables,
        reason = "without a transport nothing is made"
    )
)]
pub(super) async fn build(parts: Parts<'_>) -> anyhow::Result<Transports> {
    let mut transports = Transports::default();
    #[cfg(feature = "transport-ws")]
    tunnel::add(&parts, &mut transports)?;
    #[cfg(feature = "transport-lease")]
    cluster::add(&parts, &mut transports).await?;
    Ok(transports)
}

/// Finds what is wrong with what they are made from.
#[cfg_attr(
    not(any(feature = "transport-ws", feature = "transport-lease")),
    expect(
        clippy::unused_async,
        reason = "without a transport nothing is waited for"
    )
)]
#[cfg_attr(
    not(feature = "transport-lease"),
    expect(unused_variables, reason = "each transport needs other parts")
)]
pub(super) async fn check(
    config: &AgentConfig,
    kubeconfig_variable: Option<&str>,
    problems: &mut Problems,
) {
    #[cfg(feature = "transport-ws")]
    tunnel::check(config, problems).await;
    #[cfg(feature = "transport-lease")]
    cluster::check(config, kubeconfig_variable, problems).await;
}

// === impl LeaseHeld ===

impl fmt::Debug for LeaseHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseHeld").finish_non_exhaustive()
    }
}
