//! `cluster.rs` of a program that was built without the transport `lease`: there is no API server.

use std::convert::Infallible;
use std::sync::Arc;

use health_heartbeat::Identity;
use tokio::sync::watch;

use super::auth::Reviewer;
use super::fleet::SharedFleet;
use crate::config::HubConfig;
use crate::config::Problems;

/// There are none.
#[derive(Debug)]
pub(super) struct Workspaces(Infallible);

/// Nothing runs.
#[derive(Debug)]
pub(super) struct Running(Infallible);

/// Who this hub is, which nobody asks.
#[derive(Debug)]
#[expect(dead_code, reason = "nobody asks")]
pub(super) struct Place<'a> {
    pub(super) config: &'a HubConfig,
    pub(super) kubeconfig_variable: Option<&'a str>,
    pub(super) identity: &'a Identity,
    pub(super) seed: u64,
}

#[expect(clippy::unused_async, reason = "as where there is an API server")]
pub(super) async fn check(_: &HubConfig, _: Option<&str>, _: &mut Problems) {}

// === impl Workspaces ===

impl Workspaces {
    #[expect(clippy::unused_async, reason = "as where there is an API server")]
    pub(super) async fn connect(_: &Place<'_>) -> anyhow::Result<Option<Arc<Self>>> {
        Ok(None)
    }

    pub(super) fn reviewer(self: &Arc<Self>) -> Reviewer {
        match self.0 {}
    }

    #[expect(clippy::unused_async, reason = "as where there is an API server")]
    pub(super) async fn run(
        self: Arc<Self>,
        _: &Place<'_>,
        _: &Arc<SharedFleet>,
    ) -> anyhow::Result<(Running, watch::Receiver<bool>)> {
        match self.0 {}
    }
}

// === impl Running ===

impl Running {
    #[expect(clippy::unused_async, reason = "as where there is an API server")]
    pub(super) async fn stop(self) {
        match self.0 {}
    }
}
