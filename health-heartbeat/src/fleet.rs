//! The fleet's machine: evidence in, verdicts out, one exact deadline an agent.

mod id;

mod evidence;

mod output;

mod verdict;

mod terms;

mod moment;

mod timers;

mod instance;

mod record;

mod roll;

mod view;

mod recorder;

mod flight;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

pub use self::evidence::{Change, Channel, Confirmation, Evidence, LeaseSight};
pub use self::flight::{Flight, FlightDue, FlightStep, InvalidFlight, Replay};
pub use self::id::{AgentId, AgentKey, TunnelId};
use self::instance::Beat;
use self::moment::Epoch;
use self::moment::Moment;
pub use self::output::FleetOutput;
use self::record::Due;
use self::record::Record;
pub use self::recorder::FlightLimits;
use self::recorder::FlightRecorder;
use self::recorder::entry::Input;
use self::roll::Roll;
pub use self::terms::FleetTerms;
use self::timers::Timers;
pub use self::verdict::{FleetReason, FleetVerdict};
pub use self::view::{AgentView, InstanceView, Transition};
use crate::HolderIdentity;
use crate::wire;
use crate::wire::HeartbeatPayload;

/// The only state of the agents.
///
/// Truth is what was seen to arrive, by the hub's own clock; nothing that an agent's clock says
/// decides.
///
/// ```text
///          evidence            late, or its tunnel broke
/// Pending ─────────► Alive ◄────────────────────► Suspect
///    │                │ │        evidence            │
///    │                │ └──────────────┐             │ silent for its allowance, confirmed
///    │ silent         │ goodbye        ▼             ▼ by its Lease where there is one
///    └────────────────┼──────────────────────────► Lost ───┐
///                     └► Left ─────────────────────────────┴─► Alive, with evidence
/// ```
///
/// It convicts nobody in its own doubt: a pause of the hub moves every deadline, and where half of
/// those who were heard fall silent together, each of them has one more allowance.
///
/// The driver's contract is the usual one: hand in [`evidence`](Self::evidence) as it comes, call
/// [`handle_timeout`](Self::handle_timeout) at [`poll_timeout`](Self::poll_timeout), and empty
/// [`poll`](Self::poll) after each; `now` must not run backwards. What has come in is handed in
/// before time is: a beat that waits in a socket is no silence.
#[derive(Debug)]
pub struct Fleet {
    terms: FleetTerms,
    epoch: Epoch,
    roll: Roll,
    timers: Timers,
    /// Tunnels that said goodbye and have not ended yet.
    leaving: BTreeSet<TunnelId>,
    doubts: bool,
    /// Bounded by the number of agents: each has a few at most for each input.
    outputs: VecDeque<FleetOutput>,
    recorder: Option<Box<FlightRecorder>>,
}

// === impl Fleet ===

impl Fleet {
    /// A fleet of nobody, whose time begins `now`.
    #[must_use]
    pub fn new(terms: FleetTerms, now: Instant) -> Self {
        Self {
            terms,
            epoch: Epoch::at(now),
            roll: Roll::new(terms),
            timers: Timers::new(),
            leaving: BTreeSet::new(),
            doubts: false,
            outputs: VecDeque::new(),
            recorder: None,
        }
    }

    /// Takes an agent in, with a full allowance from `now`; one that is known keeps its record.
    /// Nothing where [`FleetTerms::agents_max`] are known already.
    #[must_use]
    pub fn admit(&mut self, id: AgentId, now: Instant) -> Option<AgentKey> {
        if let Some(key) = self.roll.find(&id) {
            return Some(key);
        }
        let now = self.epoch.moment(now);
        self.note_admitted(&id, now);
        let key = self.roll.add(id, now)?;
        self.arm(key);
        Some(key)
    }

    /// An agent that somebody's credentials name is expected: it is never forgotten.
    pub fn expect(&mut self, agent: AgentKey) {
        self.note(agent, None, Input::Expected);
        if let Some(record) = self.roll.get_mut(agent) {
            record.expect(None);
        }
    }

    /// Takes that back. Who is neither heard nor expected by anybody else is forgotten at once.
    pub fn unexpect(&mut self, agent: AgentKey) {
        self.note(agent, None, Input::Unexpected);
        self.unknown(agent, None);
    }

    /// The agent's object on that channel was deleted.
    pub fn gone(&mut self, agent: AgentKey, channel: Channel) {
        self.note(agent, None, Input::Gone(channel));
        self.unknown(agent, Some(channel));
    }

    /// Takes a sign of an agent, seen at `now`. Of an agent that was forgotten it is ignored.
    pub fn evidence(&mut self, agent: AgentKey, evidence: Evidence<'_>, now: Instant) {
        let now = self.epoch.moment(now);
        self.note_evidence(agent, &evidence, now);
        match evidence {
            Evidence::Opened { tunnel, heartbeats } => self.opened(agent, tunnel, heartbeats, now),
            Evidence::Heartbeat {
                tunnel,
                payload,
                skew_ms,
            } => {
                let beat = self.beat_of(payload);
                self.beat(agent, Channel::Tunnel, Some(tunnel), &beat, skew_ms, now);
            }
            Evidence::Frame { .. } => self.sign(agent, Channel::Tunnel, now),
            Evidence::Goodbye { tunnel } => {
                self.leaving.insert(tunnel);
            }
            Evidence::Closed { tunnel } => self.closed(agent, tunnel, now),
            Evidence::Lease { change, lease } => self.lease(agent, change, &lease, now),
            Evidence::SyncTarget { change } => self.sync_target(agent, change, now),
        }
        self.arm(agent);
    }

    /// Fetches what is known of agents that are about to be heard, and changes nothing.
    ///
    /// A million records are not in the processor's cache, and heartbeats come in any order: asked
    /// for one by one, each makes the processor wait for memory several times. Asked for together,
    /// before a batch of [`evidence`](Self::evidence), they come together.
    pub fn look_ahead(&self, agents: impl Iterator<Item = AgentKey>) {
        let look = |agent: AgentKey| {
            let timer = self.timers.look(agent.index);
            let record = self.roll.get(agent).map_or(0, Record::look);
            timer.wrapping_add(record)
        };
        std::hint::black_box(agents.map(look).fold(0, u64::wrapping_add));
    }

    /// What a live look came to that [`FleetOutput::Confirm`] had asked for.
    pub fn confirmed(&mut self, agent: AgentKey, confirmation: Confirmation, now: Instant) {
        let now = self.epoch.moment(now);
        self.note(agent, Some(now), Input::Confirmed(confirmation));
        if let Some(record) = self.roll.get_mut(agent) {
            record.confirmed(confirmation == Confirmation::Silent, now);
            self.arm(agent);
        }
    }

    /// A deadline may have come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let now = self.epoch.moment(now);
        let mut is_noted = false;
        while let Some(index) = self.timers.pop(now) {
            if !std::mem::replace(&mut is_noted, true) {
                self.note_to_all(now, Input::Timeout);
            }
            if let Some(agent) = self.roll.key(index) {
                self.due(agent, now);
                self.arm(agent);
            }
        }
    }

    /// The hub itself stood still for `pause`: what it could not hear is nobody's silence. Every
    /// deadline moves by that and a second, to a full allowance from `now` at most.
    pub fn paused(&mut self, pause: Duration, now: Instant) {
        let now = self.epoch.moment(now);
        self.note_to_all(now, Input::Paused(pause));
        self.timers = Timers::new();
        for agent in self.roll.keys() {
            if let Some(record) = self.roll.get_mut(agent) {
                record.paused(pause, now);
            }
            self.arm(agent);
        }
    }

    /// This hub begins to judge now, after another one did: whatever is known of an agent that has
    /// not left, it has a full allowance from `now`, as after a start.
    pub fn take_over(&mut self, now: Instant) {
        let now = self.epoch.moment(now);
        self.note_to_all(now, Input::TakenOver);
        for agent in self.roll.keys() {
            let Some(record) = self.roll.get_mut(agent) else {
                continue;
            };
            if record.verdict != FleetVerdict::Left {
                record.begin(now);
                self.decide(agent, FleetVerdict::Pending, FleetReason::Expected, now);
            }
            self.arm(agent);
        }
    }

    /// The next thing to tell.
    #[must_use]
    pub fn poll(&mut self) -> Option<FleetOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next().map(|at| self.epoch.instant(at))
    }

    /// An agent's number, if it is known.
    #[must_use]
    pub fn find(&self, id: &AgentId) -> Option<AgentKey> {
        self.roll.find(id)
    }

    /// What is known of an agent, unless it was forgotten.
    #[must_use]
    pub fn view(&self, agent: AgentKey) -> Option<AgentView<'_>> {
        let record = self.roll.get(agent)?;
        Some(AgentView {
            key: agent,
            record,
            epoch: self.epoch,
        })
    }

    /// What is known of every agent, by workspace and name.
    pub fn views(&self) -> impl Iterator<Item = AgentView<'_>> {
        self.roll
            .by_name()
            .filter_map(|(_, agent)| self.view(agent))
    }

    /// How many agents have that verdict. Costs nothing.
    #[must_use]
    pub const fn count(&self, verdict: FleetVerdict) -> usize {
        self.roll.count(verdict)
    }

    /// Whether verdicts wait, since so many fell silent together.
    #[must_use]
    pub const fn doubts(&self) -> bool {
        self.doubts
    }

    // What is heard.

    fn opened(&mut self, agent: AgentKey, _tunnel: TunnelId, heartbeats: bool, now: Moment) {
        if let Some(record) = self.roll.get_mut(agent) {
            record.opened(heartbeats);
        }
        self.sign(agent, Channel::Tunnel, now);
    }

    fn closed(&mut self, agent: AgentKey, tunnel: TunnelId, now: Moment) {
        let said_goodbye = self.leaving.remove(&tunnel);
        let Some(record) = self.roll.get_mut(agent) else {
            return;
        };
        let has_left = record.closed(tunnel, said_goodbye);
        let broken = record.tunnels == 0 && record.verdict == FleetVerdict::Alive;
        if has_left {
            self.decide(agent, FleetVerdict::Left, FleetReason::SyncerLeft, now);
        } else if broken {
            self.decide(agent, FleetVerdict::Suspect, FleetReason::TunnelBroken, now);
        }
    }

    fn lease(&mut self, agent: AgentKey, change: Change, lease: &LeaseSight<'_>, now: Moment) {
        let channel = Channel::Lease;
        let allowance = lease.duration.unwrap_or(self.terms.timeout_first);
        let allowance = self.clamped(allowance);
        let beat = lease.holder.map(|holder| beat_of(holder, lease, allowance));
        if let Some(record) = self.roll.get_mut(agent) {
            record.expect(Some(channel));
            match (change, &beat) {
                (Change::First, Some(beat)) => {
                    record.beat(beat, None, now);
                    record.first_sight(&self.terms, now);
                }
                (Change::First | Change::Released, None) => record.released(now),
                (Change::Renewed | Change::Released, _) => {}
            }
        }
        if let (Change::Renewed, Some(beat)) = (change, beat) {
            self.beat(agent, channel, None, &beat, lease.skew_ms, now);
        }
    }

    fn sync_target(&mut self, agent: AgentKey, change: Change, now: Moment) {
        let channel = Channel::SyncTarget;
        if let Some(record) = self.roll.get_mut(agent) {
            record.expect(Some(channel));
            if change == Change::First {
                record.first_sight(&self.terms, now);
            }
        }
        if change == Change::Renewed {
            self.sign(agent, channel, now);
        }
    }

    fn beat(
        &mut self,
        agent: AgentKey,
        channel: Channel,
        tunnel: Option<TunnelId>,
        beat: &Beat<'_>,
        skew_ms: Option<i64>,
        now: Moment,
    ) {
        let Some(record) = self.roll.get_mut(agent) else {
            return;
        };
        record.count(skew_ms);
        if let Some((tunnel, by)) = record.beat(beat, tunnel, now) {
            self.outputs.push_back(FleetOutput::Replace {
                agent,
                tunnel,
                by,
                stay_away: beat.allowance,
            });
        }
        self.sign(agent, channel, now);
    }

    /// Somebody lives.
    fn sign(&mut self, agent: AgentKey, channel: Channel, now: Moment) {
        let Some(record) = self.roll.get_mut(agent) else {
            return;
        };
        record.seen(channel, &self.terms, now);
        if record.verdict != FleetVerdict::Alive {
            let reason = FleetReason::HeartbeatReceived;
            self.decide(agent, FleetVerdict::Alive, reason, now);
        }
    }

    fn beat_of<'a>(&self, payload: &'a HeartbeatPayload) -> Beat<'a> {
        let timeout = wire::duration(payload.timeout_seconds);
        let allowance = self.clamped(timeout.unwrap_or(self.terms.timeout_first));
        Beat {
            sequence: Some(payload.sequence),
            interval: wire::duration(payload.interval_seconds),
            status: Some(payload.status),
            payload: Some(payload),
            ..Beat::of(&payload.slot, &payload.incarnation, allowance)
        }
    }

    fn clamped(&self, timeout: Duration) -> Duration {
        timeout.clamp(self.terms.timeout_min, self.terms.timeout_max)
    }

    // What is decided.

    fn due(&mut self, agent: AgentKey, now: Moment) {
        let record = self.roll.get(agent);
        let Some(due) = record.and_then(|record| record.due(&self.terms, now)) else {
            return;
        };
        match due {
            Due::Suspect => self.suspect(agent, now),
            Due::Confirm(by) => {
                self.suspect(agent, now);
                if !self.holds(agent, now) {
                    self.ask(agent, by);
                }
            }
            Due::Lost => {
                self.suspect(agent, now);
                if !self.holds(agent, now) {
                    let heard = self.roll.get(agent).is_some_and(Record::was_heard);
                    let reason = if heard {
                        FleetReason::HeartbeatTimeout
                    } else {
                        FleetReason::NeverHeard
                    };
                    self.decide(agent, FleetVerdict::Lost, reason, now);
                }
            }
            Due::Left => self.decide(agent, FleetVerdict::Left, FleetReason::SyncerLeft, now),
            Due::Forget => self.forget(agent),
        }
    }

    fn ask(&mut self, agent: AgentKey, by: Moment) {
        if let Some(record) = self.roll.get_mut(agent) {
            record.asked(by);
            let by = self.epoch.instant(by);
            self.outputs.push_back(FleetOutput::Confirm { agent, by });
        }
    }

    /// Who was heard and is late. Nobody is convicted from Alive at once.
    fn suspect(&mut self, agent: AgentKey, now: Moment) {
        let record = self.roll.get(agent);
        if record.is_some_and(|record| record.verdict == FleetVerdict::Alive) {
            self.decide(
                agent,
                FleetVerdict::Suspect,
                FleetReason::HeartbeatLate,
                now,
            );
        }
    }

    /// Whether the verdict over a silent agent is held, since many others are silent too.
    fn holds(&mut self, agent: AgentKey, now: Moment) -> bool {
        let Some(record) = self.roll.get(agent).filter(|record| !record.is_held()) else {
            return false;
        };
        let Some([silent, of]) = self.mass(record.verdict) else {
            return false;
        };
        if let Some(record) = self.roll.get_mut(agent) {
            record.hold(now);
        }
        if !std::mem::replace(&mut self.doubts, true) {
            self.outputs
                .push_back(FleetOutput::MassSilence { silent, of });
        }
        true
    }

    /// How many are silent of how many, where that is too many: half of those that were heard, and
    /// [`FleetTerms::mass_min`] at least. Who was never heard counts beside those that are Pending: when a hub hears
    /// nobody after its start, it may be the hub.
    const fn mass(&self, verdict: FleetVerdict) -> Option<[usize; 2]> {
        let suspect = self.count(FleetVerdict::Suspect);
        let silent = match verdict {
            FleetVerdict::Pending => suspect + self.count(FleetVerdict::Pending),
            FleetVerdict::Alive
            | FleetVerdict::Suspect
            | FleetVerdict::Lost
            | FleetVerdict::Left => suspect,
        };
        let alive = self.count(FleetVerdict::Alive);
        if silent >= self.terms.mass_min && silent >= alive {
            Some([silent, silent + alive])
        } else {
            None
        }
    }

    fn decide(&mut self, agent: AgentKey, verdict: FleetVerdict, reason: FleetReason, now: Moment) {
        let Some(from) = self.roll.decide(agent, verdict, reason, now) else {
            return;
        };
        self.outputs.push_back(FleetOutput::Verdict {
            agent,
            from,
            verdict,
            reason,
        });
        let over = self.mass(FleetVerdict::Suspect).is_none()
            && self.mass(FleetVerdict::Pending).is_none();
        if self.doubts && over {
            self.doubts = false;
            self.outputs.push_back(FleetOutput::MassSilenceOver);
        }
    }

    fn unknown(&mut self, agent: AgentKey, channel: Option<Channel>) {
        let Some(record) = self.roll.get_mut(agent) else {
            return;
        };
        record.unexpect(channel);
        let heard = match record.verdict {
            FleetVerdict::Alive | FleetVerdict::Suspect => true,
            FleetVerdict::Pending | FleetVerdict::Lost | FleetVerdict::Left => false,
        };
        if !heard && !record.is_expected() && record.tunnels == 0 {
            self.forget(agent);
        } else {
            self.arm(agent);
        }
    }

    fn arm(&mut self, agent: AgentKey) {
        if let Some(record) = self.roll.get(agent) {
            let wanted = record.wanted(&self.terms);
            self.timers.set(agent.index, wanted);
        }
    }

    fn forget(&mut self, agent: AgentKey) {
        if let Some(id) = self.roll.remove(agent) {
            self.timers.set(agent.index, None);
            self.outputs.push_back(FleetOutput::Forgotten { agent, id });
        }
    }
}

/// A Lease as the heartbeat that it is; it does not say when the next one comes.
fn beat_of<'a>(
    holder: &'a HolderIdentity,
    lease: &LeaseSight<'_>,
    allowance: Duration,
) -> Beat<'a> {
    let (slot, incarnation) = holder.parts();
    Beat {
        sequence: lease.sequence,
        status: lease.status,
        ..Beat::of(slot, incarnation, allowance)
    }
}
