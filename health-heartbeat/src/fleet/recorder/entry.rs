//! One input, packed: a hub with ten thousand agents hears a thousand a second.

use std::hash::Hash;
use std::hash::Hasher;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use health_core::HealthStatus;
use rustc_hash::FxHashMap;
use rustc_hash::FxHasher;

use crate::AgentId;
use crate::AgentKey;
use crate::Change;
use crate::Channel;
use crate::Confirmation;
use crate::Evidence;
use crate::LeaseSight;
use crate::TunnelId;
use crate::fleet::moment::Moment;
use crate::wire;
use crate::wire::HeartbeatPayload;

/// One input of a fleet.
#[derive(Debug, Clone)]
pub(in crate::fleet) struct Entry {
    pub(in crate::fleet) at: Moment,
    /// Whose, or [`NOBODY`].
    pub(in crate::fleet) agent: AgentKey,
    pub(in crate::fleet) input: Input,
}

/// What came in.
#[derive(Debug, Clone)]
pub(in crate::fleet) enum Input {
    Admitted(Arc<AgentId>),
    Expected,
    Unexpected,
    Gone(Channel),
    Opened {
        tunnel: TunnelId,
        heartbeats: bool,
    },
    Heartbeat {
        tunnel: TunnelId,
        voice: VoiceId,
        sequence: u64,
        status: HealthStatus,
        skew_ms: Skew,
    },
    Frame(TunnelId),
    Goodbye(TunnelId),
    Closed(TunnelId),
    Lease {
        change: Change,
        /// Nobody's where it is released.
        voice: Option<VoiceId>,
        sequence: Sequence,
        status: Option<HealthStatus>,
        skew_ms: Skew,
    },
    SyncTarget(Change),
    Confirmed(Confirmation),
    Timeout,
    Paused(Duration),
    TakenOver,
}

/// What one instance says again and again.
#[derive(Debug, Clone)]
pub(in crate::fleet) struct Voice {
    /// Its slot and its incarnation, one after the other so that both are one look at the memory; of
    /// a Lease the holder.
    names: Arc<str>,
    slot_end: usize,
    pub(in crate::fleet) interval: Option<Duration>,
    pub(in crate::fleet) timeout: Option<Duration>,
}

/// The number of a voice, from one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) struct VoiceId(NonZeroU32);

/// A clock's skew in milliseconds in four bytes; the least of all numbers where it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) struct Skew(i32);

/// A heartbeat's number that may be missing, in eight bytes: the greatest of all is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) struct Sequence(u64);

/// The voices that were heard, each kept once.
#[derive(Debug, Clone, Default)]
pub(in crate::fleet) struct Voices {
    all: Vec<Voice>,
    /// By a hash of what they say.
    numbers: FxHashMap<u64, VoiceId>,
    bytes: usize,
}

/// Who stands in an input that is everybody's, or of somebody who has no number yet.
pub(in crate::fleet) const NOBODY: AgentKey = AgentKey {
    index: u32::MAX,
    generation: 0,
};

// === impl Entry ===

impl Entry {
    /// Whose it is, if it has a number yet; nothing where it is everybody's.
    pub(in crate::fleet) fn agent(&self) -> Option<AgentKey> {
        (self.agent != NOBODY).then_some(self.agent)
    }
}

// === impl Input ===

impl Input {
    pub(in crate::fleet) fn of(evidence: &Evidence<'_>, voices: &mut Voices) -> Self {
        match *evidence {
            Evidence::Opened { tunnel, heartbeats } => Self::Opened { tunnel, heartbeats },
            Evidence::Heartbeat {
                tunnel,
                payload,
                skew_ms,
            } => Self::Heartbeat {
                tunnel,
                voice: voices.of_payload(payload),
                sequence: payload.sequence,
                status: payload.status,
                skew_ms: Skew::from(skew_ms),
            },
            Evidence::Frame { tunnel } => Self::Frame(tunnel),
            Evidence::Goodbye { tunnel } => Self::Goodbye(tunnel),
            Evidence::Closed { tunnel } => Self::Closed(tunnel),
            Evidence::Lease { change, ref lease } => Self::Lease {
                change,
                voice: voices.of_lease(lease),
                sequence: Sequence::from(lease.sequence),
                status: lease.status,
                skew_ms: Skew::from(lease.skew_ms),
            },
            Evidence::SyncTarget { change } => Self::SyncTarget(change),
        }
    }
}

// === impl Voice ===

impl Voice {
    pub(in crate::fleet) fn slot(&self) -> &str {
        &self.names[..self.slot_end]
    }

    pub(in crate::fleet) fn incarnation(&self) -> &str {
        &self.names[self.slot_end..]
    }

    /// The heartbeat that said so. A duration is the same in seconds: it is a day at most.
    pub(in crate::fleet) fn payload(
        &self,
        sequence: u64,
        status: HealthStatus,
    ) -> HeartbeatPayload {
        let seconds = |it: Option<Duration>| it.map_or(f64::NAN, |it| it.as_secs_f64());
        HeartbeatPayload {
            slot: self.slot().to_owned(),
            incarnation: self.incarnation().to_owned(),
            sequence,
            interval_seconds: seconds(self.interval),
            timeout_seconds: seconds(self.timeout),
            status,
            report_age_seconds: 0.0,
            deciding: Vec::new(),
        }
    }

    fn says(&self, slot: &str, incarnation: &str, terms: [Option<Duration>; 2]) -> bool {
        self.slot() == slot
            && self.incarnation() == incarnation
            && [self.interval, self.timeout] == terms
    }
}

// === impl Voices ===

impl Voices {
    /// The voice of that number, which is one of these voices'.
    pub(in crate::fleet) fn get(&self, voice: VoiceId) -> &Voice {
        &self.all[voice.0.get() as usize - 1]
    }

    /// How many bytes of text there are.
    pub(in crate::fleet) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts texts that are kept elsewhere.
    pub(in crate::fleet) const fn count(&mut self, bytes: usize) {
        self.bytes += bytes;
    }

    fn of_payload(&mut self, payload: &HeartbeatPayload) -> VoiceId {
        let terms = [payload.interval_seconds, payload.timeout_seconds].map(wire::duration);
        self.of(&payload.slot, &payload.incarnation, terms)
    }

    fn of_lease(&mut self, lease: &LeaseSight<'_>) -> Option<VoiceId> {
        let holder = lease.holder?;
        Some(self.of(holder.as_str(), "", [None, lease.duration]))
    }

    /// The number of that voice, a new one where it was not heard before.
    pub(in crate::fleet) fn of(
        &mut self,
        slot: &str,
        incarnation: &str,
        terms: [Option<Duration>; 2],
    ) -> VoiceId {
        let mut hasher = FxHasher::default();
        (slot, incarnation, terms).hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.numbers.get(&hash).copied();
        if let Some(voice) = known
            && self.get(voice).says(slot, incarnation, terms)
        {
            return voice;
        }
        let [interval, timeout] = terms;
        let voice = Voice {
            names: [slot, incarnation].concat().into(),
            slot_end: slot.len(),
            interval,
            timeout,
        };
        self.bytes += size_of::<Voice>() + slot.len() + incarnation.len();
        self.all.push(voice);
        // There are no more of them than entries, which are far fewer than four billion.
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let number = VoiceId(NonZeroU32::new(number).unwrap_or(NonZeroU32::MAX));
        self.numbers.insert(hash, number);
        number
    }
}

// === impl Skew ===

impl From<Option<i64>> for Skew {
    fn from(skew_ms: Option<i64>) -> Self {
        let least = i64::from(i32::MIN + 1);
        skew_ms.map_or(Self(i32::MIN), |skew| {
            Self(skew.clamp(least, i32::MAX.into()) as i32)
        })
    }
}

impl From<Skew> for Option<i64> {
    fn from(skew: Skew) -> Self {
        (skew.0 != i32::MIN).then_some(skew.0.into())
    }
}

// === impl Sequence ===

impl From<Option<u64>> for Sequence {
    fn from(sequence: Option<u64>) -> Self {
        Self(sequence.unwrap_or(u64::MAX))
    }
}

impl From<Sequence> for Option<u64> {
    fn from(sequence: Sequence) -> Self {
        (sequence.0 != u64::MAX).then_some(sequence.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_packed() {
        assert_eq!(size_of::<Entry>(), 48);
    }

    #[test]
    fn what_is_said_again_costs_no_text() {
        let mut voices = Voices::default();
        let terms = [Some(Duration::from_secs(10)), None];
        let first = voices.of("pod-1", "a", terms);
        let bytes = voices.bytes();
        assert_eq!(voices.of("pod-1", "a", terms), first);
        assert_eq!(voices.bytes(), bytes);
        for other in [
            voices.of("pod-1", "b", terms),
            voices.of("pod-1", "a", [None, None]),
            voices.of("pod-1a", "", terms),
        ] {
            assert_ne!(other, first);
        }
        assert_eq!(voices.get(first).slot(), "pod-1");
    }

    #[test]
    fn numbers_that_are_missing_stay_so() {
        for skew in [None, Some(0), Some(-5), Some(i64::from(i32::MAX))] {
            assert_eq!(Option::<i64>::from(Skew::from(skew)), skew);
        }
        for sequence in [None, Some(0), Some(7)] {
            assert_eq!(Option::<u64>::from(Sequence::from(sequence)), sequence);
        }
    }
}
