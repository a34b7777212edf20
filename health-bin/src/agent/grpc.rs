//! The agent's gRPC health: what its HTTP probes say.

use std::sync::Arc;
use std::time::Instant;

use health_core::Probe;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::state::AgentState;
use crate::grpc::Bell;
use crate::grpc::Server;
use crate::grpc::Truth;

/// Serves it until `stop` turns true.
pub(super) fn serve(
    server: Server,
    state: &Arc<AgentState>,
    stop: watch::Receiver<bool>,
) -> JoinHandle<()> {
    let bell = Bell::default();
    tokio::spawn(bell.clone().ring_on(state.monitor.changes()));
    tokio::spawn(bell.clone().ring_on(state.shutting_down.subscribe()));
    tokio::spawn(server.serve(Arc::clone(state) as Arc<dyn Truth>, bell, stop))
}

impl Truth for AgentState {
    fn probe(&self, probe: Probe, now: Instant) -> Option<bool> {
        Some(Self::probe(self, probe, &[], now).holds)
    }

    /// On the way out none is ready, whoever asks for it by its name: work is to go elsewhere.
    fn component(&self, name: &str, now: Instant) -> Option<bool> {
        let health = self.monitor.component(name, now)?;
        let holds = Probe::Readiness.holds_for(&health, self.rules);
        let is_part = health.scopes.contains(Probe::Readiness.scope());
        is_part.then(|| holds && !self.is_shutting_down())
    }

    fn components(&self, now: Instant) -> Vec<(String, bool)> {
        let lines = self.monitor.probe_lines(Probe::Readiness, self.rules, now);
        let ready = !self.is_shutting_down();
        let lines = lines.into_iter();
        lines
            .map(|line| (line.name.to_string(), line.holds && ready))
            .collect()
    }
}
