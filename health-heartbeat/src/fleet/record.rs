//! What the fleet knows of one agent.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use super::AgentId;
use super::Channel;
use super::FleetVerdict;
use super::reasons;
use crate::wire::HeartbeatPayload;

/// So many transitions of an agent are remembered.
const TRANSITIONS_KEPT: usize = 16;

/// Beats are late by up to this share of the interval anyway; see the agent's machine.
const JITTER: f64 = 0.04;

/// A pause is counted from when the loop had asked to be woken, up to a second after it stopped;
/// and what came meanwhile waits in the sockets still when the loop wakes up.
const PAUSE_GRACE: Duration = Duration::from_secs(1);

/// What the fleet knows of one agent.
#[derive(Debug)]
pub(super) struct Record {
    id: AgentId,
    pub(super) verdict: FleetVerdict,
    reason: &'static str,
    since: Instant,
    last_evidence: [Option<Instant>; 3],
    /// The last evidence, or the admission; moved by the hub's own pauses.
    basis: Instant,
    interval: Option<Duration>,
    allowance: Duration,
    pub(super) tunnels: u32,
    pub(super) heartbeats: u64,
    pub(super) carried: Option<Box<HeartbeatPayload>>,
    transitions: VecDeque<(Instant, FleetVerdict, &'static str)>,
    /// The time of the one timer that counts.
    pub(super) armed: Option<Instant>,
}

/// What is known of an agent, to look at.
#[derive(Debug, Clone, Copy)]
pub struct AgentView<'a>(pub(super) &'a Record);

// === impl Record ===

impl Record {
    pub(super) fn new(id: AgentId, allowance: Duration, now: Instant) -> Self {
        Self {
            id,
            verdict: FleetVerdict::Pending,
            reason: reasons::EXPECTED,
            since: now,
            last_evidence: [None; 3],
            basis: now,
            interval: None,
            allowance,
            tunnels: 0,
            heartbeats: 0,
            carried: None,
            transitions: VecDeque::new(),
            armed: None,
        }
    }

    pub(super) const fn set_terms(&mut self, interval: Option<Duration>, allowance: Duration) {
        (self.interval, self.allowance) = (interval, allowance);
    }

    pub(super) const fn seen(&mut self, channel: Channel, now: Instant) {
        self.last_evidence[channel as usize] = Some(now);
        self.basis = now;
    }

    /// Changes the verdict, and says whether it was another one.
    pub(super) fn decide(
        &mut self,
        verdict: FleetVerdict,
        reason: &'static str,
        now: Instant,
    ) -> bool {
        if self.verdict == verdict {
            return false;
        }
        (self.verdict, self.reason, self.since) = (verdict, reason, now);
        if self.transitions.len() == TRANSITIONS_KEPT {
            self.transitions.pop_front();
        }
        self.transitions.push_back((now, verdict, reason));
        true
    }

    /// The verdict that is due at `now`, if it is another one.
    pub(super) fn due(&self, now: Instant) -> Option<FleetVerdict> {
        let past = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        if past(self.lost_at()) {
            Some(FleetVerdict::Lost)
        } else if past(self.suspect_at()) {
            Some(FleetVerdict::Suspect)
        } else {
            None
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        [self.suspect_at(), self.lost_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// No deadline is further away than a full allowance: while the machine slept its monotonic
    /// clock stood still, so what the sleep has in a pause has moved the deadline by itself.
    pub(super) fn paused(&mut self, pause: Duration, now: Instant) {
        self.basis = (self.basis + pause + PAUSE_GRACE).min(now);
        self.armed = None;
    }

    fn lost_at(&self) -> Option<Instant> {
        match self.verdict {
            FleetVerdict::Pending | FleetVerdict::Alive | FleetVerdict::Suspect => {
                Some(self.basis + self.allowance)
            }
            FleetVerdict::Lost | FleetVerdict::Left => None,
        }
    }

    /// A beat is late once its jitter and half an interval (at least a second) have passed.
    fn suspect_at(&self) -> Option<Instant> {
        let interval = self
            .interval
            .filter(|_| self.verdict == FleetVerdict::Alive)?;
        let grace = (interval / 2).max(Duration::from_secs(1));
        Some(self.basis + interval.mul_f64(1.0 + JITTER) + grace)
    }
}

// === impl AgentView ===

impl<'a> AgentView<'a> {
    /// Who it is.
    #[must_use]
    pub const fn id(&self) -> &'a AgentId {
        &self.0.id
    }

    /// What the fleet thinks of it.
    #[must_use]
    pub const fn verdict(&self) -> FleetVerdict {
        self.0.verdict
    }

    /// Why, for machines.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.0.reason
    }

    /// Since when the verdict stands.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.0.since
    }

    /// The last evidence on a channel.
    #[must_use]
    pub const fn last_evidence(&self, channel: Channel) -> Option<Instant> {
        self.0.last_evidence[channel as usize]
    }

    /// How many heartbeats arrived.
    #[must_use]
    pub const fn heartbeats(&self) -> u64 {
        self.0.heartbeats
    }

    /// The last heartbeat, with what it said of the agent's health.
    #[must_use]
    pub fn carried(&self) -> Option<&'a HeartbeatPayload> {
        self.0.carried.as_deref()
    }

    /// The recent transitions, oldest first.
    pub fn transitions(
        &self,
    ) -> impl Iterator<Item = (Instant, FleetVerdict, &'static str)> + use<'a> {
        self.0.transitions.iter().copied()
    }
}
