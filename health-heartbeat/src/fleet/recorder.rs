//! The flight recorder: the fleet's last inputs, and the fleet as it was before them.
//!
//! What is kept are inputs, not verdicts: the same inputs give the same verdicts, so a
//! [`Flight`] fed to a fleet as it was in the beginning shows each verdict at its time, and what
//! led to it. A verdict needs more of the past than the last input, so the fleet itself is kept
//! too, as it was at the beginning of what is kept.
//!
//! ```text
//!   dropped        │ fleet │ older half: inputs │ fleet │ newer half: inputs ─► now
//!                  └───────┴── a flight begins here
//! ```
//!
//! When the newer half is full, the older one goes, and the fleet is copied for the next half: a
//! flight spans between one and two halves. A copy costs some hundred nanoseconds an agent at once,
//! which is why large fleets are not recorded ([`FlightLimits::agents_max`]).

pub(super) mod entry;

use std::collections::BTreeSet;
use std::sync::Arc;

use self::entry::Entry;
use self::entry::Input;
use self::entry::NOBODY;
use self::entry::Voices;
use super::AgentId;
use super::AgentKey;
use super::Evidence;
use super::Fleet;
use super::TunnelId;
use super::flight::Flight;
use super::moment::Moment;
use super::roll::Roll;

/// How much of the past a fleet keeps to be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlightLimits {
    /// Each half has no more inputs than this. Default: 65,536, which is 3 MiB a half. A hundred
    /// agents that beat every ten seconds fill a half in two hours, ten thousand in a minute, which
    /// is still two timeouts.
    pub inputs_max: usize,
    /// Each half has no more bytes of names than this, and those of one more input. Default: 4 MiB,
    /// room for the names of twenty thousand agents. Who sends a new name with each input shortens
    /// the past, and nothing else.
    pub text_bytes_max: usize,
    /// A fleet that has ever had more agents at once is not recorded any more. Default: 20,000,
    /// which take some milliseconds to copy.
    pub agents_max: usize,
}

/// The fleet's last inputs.
#[derive(Debug)]
pub(super) struct FlightRecorder {
    limits: FlightLimits,
    /// Of a half that begins with the recorder there is none before it.
    pub(super) older: Option<Arc<Half>>,
    /// Nothing before the first input, and where the fleet is too large.
    pub(super) newer: Option<Half>,
}

/// A stretch of the past.
#[derive(Debug, Clone)]
pub(super) struct Half {
    /// The fleet as it was before its first input.
    pub(super) before: Arc<Checkpoint>,
    pub(super) entries: Vec<Entry>,
    pub(super) voices: Voices,
    /// When the latest input came.
    last: Moment,
}

/// What of a fleet decides. Its timers are not there: each agent's follows from its record.
#[derive(Debug)]
pub(super) struct Checkpoint {
    pub(super) roll: Roll,
    pub(super) leaving: BTreeSet<TunnelId>,
    pub(super) doubts: bool,
}

// === impl FlightLimits ===

impl Default for FlightLimits {
    fn default() -> Self {
        Self {
            inputs_max: 65_536,
            text_bytes_max: 4 << 20,
            agents_max: 20_000,
        }
    }
}

// === impl Fleet ===

impl Fleet {
    /// The same fleet, which keeps its last inputs from now on. It costs a heartbeat about a third
    /// more, and at most two copies of the fleet and what `limits` says in memory.
    #[must_use]
    pub fn with_recorder(mut self, limits: FlightLimits) -> Self {
        let recorder = FlightRecorder {
            limits,
            older: None,
            newer: None,
        };
        self.recorder = Some(Box::new(recorder));
        self
    }

    /// The last inputs, to be saved or replayed; nothing where none are kept: without a recorder,
    /// or since there are too many agents.
    ///
    /// Costs a copy of the newer half, some milliseconds at most; the rest is shared.
    #[must_use]
    pub fn flight(&self) -> Option<Flight> {
        let recorder = self.recorder.as_ref()?;
        let newer = Arc::new(recorder.newer.clone()?);
        let halves = recorder.older.iter().cloned().chain([newer]);
        Some(Flight::new(self.terms, halves.collect()))
    }

    /// Keeps an input, before anything comes of it.
    pub(super) fn note(&mut self, agent: AgentKey, at: Option<Moment>, input: Input) {
        if let Some(half) = self.half() {
            half.push(Some(agent), at, input);
        }
    }

    pub(super) fn note_evidence(&mut self, agent: AgentKey, evidence: &Evidence<'_>, at: Moment) {
        if let Some(half) = self.half() {
            let input = Input::of(evidence, &mut half.voices);
            half.push(Some(agent), Some(at), input);
        }
    }

    /// Keeps an input that is everybody's.
    pub(super) fn note_to_all(&mut self, at: Moment, input: Input) {
        if let Some(half) = self.half() {
            half.push(None, Some(at), input);
        }
    }

    /// Keeps that somebody is about to be admitted.
    pub(super) fn note_admitted(&mut self, id: &AgentId, at: Moment) {
        if let Some(half) = self.half() {
            half.voices.count(id.workspace.len() + id.name.len());
            let input = Input::Admitted(Arc::new(id.clone()));
            half.push(None, Some(at), input);
        }
    }

    /// Where the next input is kept, if it is.
    fn half(&mut self) -> Option<&mut Half> {
        let recorder = self.recorder.as_mut()?;
        if !recorder.has_room(self.roll.len()) {
            recorder.turn(self.roll.len(), || Checkpoint {
                roll: self.roll.bare(),
                leaving: self.leaving.clone(),
                doubts: self.doubts,
            });
        }
        recorder.newer.as_mut()
    }
}

// === impl FlightRecorder ===

impl FlightRecorder {
    /// Whether another input may come in, as things are.
    fn has_room(&self, agents: usize) -> bool {
        self.newer.as_ref().is_some_and(|half| {
            half.entries.len() < self.limits.inputs_max
                && half.voices.bytes() < self.limits.text_bytes_max
                && agents <= self.limits.agents_max
        })
    }

    /// The newer half becomes the older one, unless there are too many agents.
    fn turn(&mut self, agents: usize, checkpoint: impl FnOnce() -> Checkpoint) {
        let newer = self.newer.take();
        if agents > self.limits.agents_max {
            self.older = None;
            return;
        }
        let mut half = Half::after(checkpoint());
        half.last = newer.as_ref().map_or(half.last, |it| it.last);
        self.newer = Some(half);
        self.older = newer.map(Arc::new);
    }
}

// === impl Half ===

impl Half {
    /// What begins with a fleet as that.
    pub(super) fn after(before: Checkpoint) -> Self {
        Self {
            before: Arc::new(before),
            entries: Vec::new(),
            voices: Voices::default(),
            last: Moment::from_nanos(0),
        }
    }

    /// Keeps an input. Some say no time: theirs is the latest one's.
    pub(super) fn push(&mut self, agent: Option<AgentKey>, at: Option<Moment>, input: Input) {
        let at = at.unwrap_or(self.last);
        self.last = self.last.max(at);
        let agent = agent.unwrap_or(NOBODY);
        self.entries.push(Entry { at, agent, input });
    }
}
