//! What the agent's HTTP answers are made from: all of it is in memory.

use std::time::Instant;

use health_checks::Monitor;
use health_core::ComponentName;
use health_core::ConnectionState;
use health_core::LoopState;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::ProbeRules;
use health_core::Rule;
use health_core::Scope;
use health_core::Verdict;
use health_heartbeat::Heartbeater;
use tokio::sync::watch;

use super::report;
use super::transports::LeaseHeld;
use crate::telemetry::Exporter;

/// What the agent's HTTP answers are made from.
#[derive(Debug)]
pub(super) struct AgentState {
    pub(super) monitor: Monitor,
    pub(super) heartbeater: Option<Heartbeater>,
    pub(super) report: report::Source,
    pub(super) rules: ProbeRules,
    pub(super) lease_held: Option<LeaseHeld>,
    pub(super) tunnel: Option<watch::Receiver<ConnectionState>>,
    pub(super) shutting_down: watch::Sender<bool>,
    pub(super) exporter: Exporter,
}

// === impl AgentState ===

impl AgentState {
    /// Answers a probe. On the way out readiness fails whatever the components say.
    pub(super) fn probe(
        &self,
        probe: Probe,
        exclude: &[ComponentName],
        now: Instant,
    ) -> ProbeAnswer {
        let loops = match probe {
            Probe::Liveness => self.stalled_loops(now),
            Probe::Readiness | Probe::Startup => Vec::new(),
        };
        let mut answer = self.monitor.probe(probe, self.rules, exclude, &loops, now);
        if probe == Probe::Readiness && self.is_shutting_down() {
            answer.holds = false;
            answer.verdict = Verdict::by_rule(Rule::ShuttingDown);
        }
        answer
    }

    /// Whether it is on the way out.
    pub(super) fn is_shutting_down(&self) -> bool {
        *self.shutting_down.borrow()
    }

    /// One line for people.
    pub(super) fn status(&self, now: Instant) -> String {
        let verdict = self.monitor.verdict(Scope::All, now);
        let mut line = format!("{} ({})", verdict.status, verdict.reason);
        let snapshot = self.heartbeater.as_ref().map(Heartbeater::snapshot);
        for transport in snapshot.iter().flat_map(|snapshot| &snapshot.transports) {
            line.push_str(&format!("; {}: {}", transport.name, transport.state));
        }
        line
    }

    /// Those of the program's own loops that make no progress.
    fn stalled_loops(&self, now: Instant) -> Vec<LoopState> {
        let monitor = self.monitor.pulse();
        let heartbeats = self.heartbeater.iter().flat_map(Heartbeater::pulses);
        let pulses = std::iter::once(monitor).chain(heartbeats);
        let states = pulses.map(|pulse| LoopState::of(pulse, now));
        states.filter(|state| state.stalled.is_some()).collect()
    }
}
