//! A flight, flown again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use super::Flight;
use crate::AgentId;
use crate::AgentKey;
use crate::Evidence;
use crate::Fleet;
use crate::FleetOutput;
use crate::HolderIdentity;
use crate::LeaseSight;
use crate::fleet::FleetTerms;
use crate::fleet::moment::Epoch;
use crate::fleet::recorder::Checkpoint;
use crate::fleet::recorder::entry::Entry;
use crate::fleet::recorder::entry::Input;
use crate::fleet::recorder::entry::Voices;
use crate::fleet::timers::Timers;

/// A flight that is flown again: what it yields is one input and what came of it, and
/// [`fleet`](Self::fleet) is the fleet right after that.
#[derive(Debug)]
pub struct Replay<'a> {
    flight: &'a Flight,
    fleet: Fleet,
    /// Which half, and which of its inputs.
    next: [usize; 2],
}

/// One input, and what came of it.
#[derive(Debug, Clone)]
pub struct FlightStep {
    /// When it came in, since the fleet's beginning. Who is expected and what was deleted is told
    /// without a time: that of the latest input before it stands there.
    pub at: Duration,
    /// Whose it is; nothing where it is everybody's, or of somebody who was forgotten before.
    pub agent: Option<Arc<AgentId>>,
    /// Whether it moved everybody's deadlines: a pause of the hub, or the beginning of its turn.
    pub moves_all: bool,
    /// What came in, for people.
    pub input: String,
    /// What the fleet told, and of whom.
    pub told: Vec<(Option<Arc<AgentId>>, FleetOutput)>,
}

/// What is to come of an agent if nothing comes in, in times since the fleet's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightDue {
    /// Its next beat is late then.
    pub suspect: Option<Duration>,
    /// Its objects are to be looked at then.
    pub look: Option<Duration>,
    /// Until then the answer of such a look is awaited, or then there is another one.
    pub answer: Option<Duration>,
    /// It has left then, if it finds no successor.
    pub left: Option<Duration>,
    /// Its allowance ends then.
    pub lost: Option<Duration>,
    /// It is forgotten then.
    pub forgotten: Option<Duration>,
    /// Its allowance is a double one, since many fell silent at once.
    pub is_held: bool,
}

// === impl Flight ===

impl Flight {
    /// Flies it again with a fleet whose time began at `beginning`, which may be any time. Given
    /// [`Fleet::beginning`] of the fleet that was recorded, all instants are what they were.
    #[must_use]
    pub fn replay(&self, beginning: Instant) -> Replay<'_> {
        let before = self.halves.first().map(|half| &*half.before);
        let fleet = match before {
            Some(before) => Fleet::as_before(self.terms, before, beginning),
            None => Fleet::new(self.terms, beginning),
        };
        Replay {
            flight: self,
            fleet,
            next: [0, 0],
        }
    }
}

// === impl Fleet ===

impl Fleet {
    /// When its time began: what a flight's times are counted from.
    #[must_use]
    pub const fn beginning(&self) -> Instant {
        self.epoch.beginning()
    }

    /// What is to come of an agent if nothing comes in, unless it was forgotten.
    #[must_use]
    pub fn due_of(&self, agent: AgentKey) -> Option<FlightDue> {
        Some(self.roll.get(agent)?.ahead(&self.terms))
    }

    fn as_before(terms: FleetTerms, before: &Checkpoint, beginning: Instant) -> Self {
        let mut fleet = Self::new(terms, beginning);
        fleet.epoch = Epoch::again_at(beginning);
        fleet.roll = before.roll.restored();
        fleet.timers = Timers::new();
        fleet.leaving = before.leaving.clone();
        fleet.doubts = before.doubts;
        for agent in fleet.roll.keys() {
            fleet.arm(agent);
        }
        fleet
    }

    fn feed(&mut self, entry: &Entry, voices: &Voices) {
        let (agent, now) = (entry.agent, self.epoch.instant(entry.at));
        match entry.input {
            Input::Admitted(ref id) => {
                // Where there is no room for it now, there was none then.
                let _ = self.admit((**id).clone(), now);
            }
            Input::Expected => self.expect(agent),
            Input::Unexpected => self.unexpect(agent),
            Input::Gone(channel) => self.gone(agent, channel),
            Input::Opened { tunnel, heartbeats } => {
                self.evidence(agent, Evidence::Opened { tunnel, heartbeats }, now);
            }
            Input::Heartbeat {
                tunnel,
                voice,
                sequence,
                status,
                skew_ms,
            } => {
                let payload = &voices.get(voice).payload(sequence, status);
                let beat = Evidence::Heartbeat {
                    tunnel,
                    payload,
                    skew_ms: skew_ms.into(),
                };
                self.evidence(agent, beat, now);
            }
            Input::Frame(tunnel) => self.evidence(agent, Evidence::Frame { tunnel }, now),
            Input::Goodbye(tunnel) => self.evidence(agent, Evidence::Goodbye { tunnel }, now),
            Input::Closed(tunnel) => self.evidence(agent, Evidence::Closed { tunnel }, now),
            Input::Lease {
                change,
                voice,
                sequence,
                status,
                skew_ms,
            } => {
                let voice = voice.map(|voice| voices.get(voice));
                let holder = voice.map(|voice| HolderIdentity::from(voice.slot()));
                let lease = LeaseSight {
                    holder: holder.as_ref(),
                    duration: voice.and_then(|voice| voice.timeout),
                    status,
                    sequence: sequence.into(),
                    skew_ms: skew_ms.into(),
                };
                self.evidence(agent, Evidence::Lease { change, lease }, now);
            }
            Input::SyncTarget(change) => self.evidence(agent, Evidence::SyncTarget { change }, now),
            Input::Confirmed(confirmation) => self.confirmed(agent, confirmation, now),
            Input::Timeout => self.handle_timeout(now),
            Input::Paused(pause) => self.paused(pause, now),
            Input::TakenOver => self.take_over(now),
        }
    }
}

// === impl Replay ===

impl Replay<'_> {
    /// The fleet as it is now.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    fn name(&self, agent: AgentKey) -> Option<Arc<AgentId>> {
        let record = self.fleet.roll.get(agent)?;
        Some(Arc::clone(&record.id))
    }

    /// What the fleet told, and of whom; who was forgotten meanwhile has a name too.
    fn told(&mut self) -> Vec<(Option<Arc<AgentId>>, FleetOutput)> {
        let outputs: Vec<_> = std::iter::from_fn(|| self.fleet.poll()).collect();
        let forgotten = outputs.iter().filter_map(|output| match output {
            FleetOutput::Forgotten { agent, id } => Some((*agent, Arc::clone(id))),
            FleetOutput::Verdict { .. }
            | FleetOutput::Confirm { .. }
            | FleetOutput::Replace { .. }
            | FleetOutput::MassSilence { .. }
            | FleetOutput::MassSilenceOver => None,
        });
        let forgotten: BTreeMap<_, _> = forgotten.collect();
        let name = |output: &FleetOutput| match output {
            FleetOutput::Verdict { agent, .. }
            | FleetOutput::Confirm { agent, .. }
            | FleetOutput::Forgotten { agent, .. } => {
                let id = forgotten.get(agent).map(Arc::clone);
                id.or_else(|| self.name(*agent))
            }
            FleetOutput::Replace { .. }
            | FleetOutput::MassSilence { .. }
            | FleetOutput::MassSilenceOver => None,
        };
        let named = outputs.iter().map(|output| (name(output), output.clone()));
        named.collect()
    }
}

impl Iterator for Replay<'_> {
    type Item = FlightStep;

    fn next(&mut self) -> Option<FlightStep> {
        let [half, index] = self.next;
        let now = self.flight.halves.get(half)?;
        let Some(entry) = now.entries.get(index) else {
            self.next = [half + 1, 0];
            return self.next();
        };
        self.next = [half, index + 1];
        let agent = match &entry.input {
            Input::Admitted(id) => Some(Arc::clone(id)),
            Input::Expected
            | Input::Unexpected
            | Input::Gone(_)
            | Input::Opened { .. }
            | Input::Heartbeat { .. }
            | Input::Frame(_)
            | Input::Goodbye(_)
            | Input::Closed(_)
            | Input::Lease { .. }
            | Input::SyncTarget(_)
            | Input::Confirmed(_)
            | Input::Timeout
            | Input::Paused(_)
            | Input::TakenOver => entry.agent().and_then(|agent| self.name(agent)),
        };
        self.fleet.feed(entry, &now.voices);
        Some(FlightStep {
            at: entry.at.age(),
            agent,
            moves_all: matches!(entry.input, Input::Paused(_) | Input::TakenOver),
            input: Shown(entry, &now.voices).to_string(),
            told: self.told(),
        })
    }
}

/// An input, for people.
struct Shown<'a>(&'a Entry, &'a Voices);

// === impl Shown ===

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(entry, voices) = self;
        match &entry.input {
            Input::Admitted(_) => f.write_str("admitted"),
            Input::Expected => f.write_str("expected by its credentials"),
            Input::Unexpected => f.write_str("no longer expected by its credentials"),
            Input::Gone(channel) => write!(f, "{} deleted", channel.as_str()),
            Input::Opened { tunnel, heartbeats } => {
                let without = if *heartbeats {
                    ""
                } else {
                    ", without heartbeats"
                };
                write!(f, "tunnel {} opened{without}", tunnel.0)
            }
            Input::Heartbeat {
                tunnel,
                voice,
                sequence,
                status,
                ..
            } => {
                let voice = voices.get(*voice);
                let (slot, incarnation) = (voice.slot(), voice.incarnation());
                write!(
                    f,
                    "heartbeat {sequence} over tunnel {}: {status}, ",
                    tunnel.0
                )?;
                write!(f, "next in {}, ", Term(voice.interval))?;
                write!(
                    f,
                    "timeout {}, of {slot}_{incarnation}",
                    Term(voice.timeout)
                )
            }
            Input::Frame(tunnel) => write!(f, "a frame over tunnel {}", tunnel.0),
            Input::Goodbye(tunnel) => write!(f, "goodbye over tunnel {}", tunnel.0),
            Input::Closed(tunnel) => write!(f, "tunnel {} closed", tunnel.0),
            Input::Lease { change, voice, .. } => {
                write!(f, "Lease seen, {change:?}")?;
                match voice.map(|voice| voices.get(voice)) {
                    Some(voice) => write!(f, ": {} for {}", voice.slot(), Term(voice.timeout)),
                    None => f.write_str(": held by nobody"),
                }
            }
            Input::SyncTarget(change) => write!(f, "SyncTarget seen, {change:?}"),
            Input::Confirmed(confirmation) => write!(f, "looked at its objects: {confirmation:?}"),
            Input::Timeout => f.write_str("a deadline came"),
            Input::Paused(pause) => write!(f, "this hub stood still for {pause:?}"),
            Input::TakenOver => f.write_str("this hub began to judge"),
        }
    }
}

/// What an instance declared.
struct Term(Option<Duration>);

// === impl Term ===

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(duration) => write!(f, "{duration:?}"),
            None => f.write_str("an unknown time"),
        }
    }
}
