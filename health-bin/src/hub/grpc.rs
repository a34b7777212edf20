//! The hub's gRPC health: what its HTTP probes say.

use std::sync::Arc;
use std::time::Instant;

use health_core::Probe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::HubState;
use crate::grpc::Bell;
use crate::grpc::Server;
use crate::grpc::Truth;

/// Serves it until `stop` turns true.
pub(super) fn serve(
    server: Server,
    state: &Arc<HubState>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let bell = Bell::default();
    tokio::spawn(bell.clone().ring_on(state.leads.clone()));
    tokio::spawn(server.serve(Arc::clone(state) as Arc<dyn Truth>, bell, stop))
}

/// A hub has no `/startupz`, and no components: each of its agents is another program's.
impl Truth for HubState {
    fn probe(&self, probe: Probe, now: Instant) -> Option<bool> {
        let lives = self.stalled(now).is_none();
        match probe {
            Probe::Liveness => Some(lives),
            Probe::Readiness => Some(lives && self.turns_away().is_none()),
            Probe::Startup => None,
        }
    }

    fn component(&self, _: &str, _: Instant) -> Option<bool> {
        None
    }

    fn components(&self, _: Instant) -> Vec<(String, bool)> {
        Vec::new()
    }
}
