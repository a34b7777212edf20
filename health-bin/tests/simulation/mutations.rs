//! Broken guards: what a machine is told or says is tampered with, and some invariant must notice.

use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::AgentInput;
use health_heartbeat::AttemptOutcome;
use health_heartbeat::FleetTerms;
use health_heartbeat::Sequence;
use health_heartbeat::wire::HeartbeatPayload;
use health_transport_lease::Reply;
use health_transport_lease::Tenure;
use health_transport_lease::Verb;
use serde_json::Value;

use crate::invariants::Invariant;

/// A guard that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// Another's Lease is taken over before its duration has passed.
    EarlyTakeover,
    /// A PUT is applied whatever was written since the object was read.
    UnguardedPut,
    /// What is held counts from the answer, not from the request.
    FenceFromAnswer,
    /// A suspend is not told.
    PauseNotTold,
    /// A Retry-After is not told.
    RetryAfterIgnored,
    /// No answer counts as success.
    LostIsSuccess,
    /// A failed attempt is not told, so nothing follows from it.
    FailureNotTold,
    /// A broken tunnel is not dialed again.
    NeverRedials,
    /// A broken tunnel is dialed again at once.
    RedialsAtOnce,
    /// The goodbye is told as said, and was not.
    ReleaseForgotten,
    /// The sequence begins again after a while.
    SequenceReset,
    /// The SyncTarget is written as often as one likes.
    LimiterOff,
    /// The fleet counts from when the agent's clock says that a heartbeat was sent.
    AgentsClock,
    /// The fleet convicts an agent that missed one beat.
    FirstMissConvicts,
    /// The hub's own pause is not told.
    HubPauseNotTold,
    /// The fleet's timers are forgotten.
    FleetSleeps,
    /// The hub looks at no Lease before it convicts.
    LooksAway,
    /// However many fall silent at once, the hub has no doubt.
    NeverDoubts,
}

/// Tampers with what a machine is told or says, if anything is to be broken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tamper {
    mutation: Option<Mutation>,
    /// How far the clock of the agent that was last heard is ahead, in seconds.
    ahead: f64,
}

/// Where a fence stands that counts from the answer.
#[derive(Debug)]
pub(crate) struct Fence {
    duration: Duration,
    seen: Option<Instant>,
    moved: Instant,
}

// === impl Fence ===

impl Fence {
    pub(crate) const fn new(duration: Duration, now: Instant) -> Self {
        Self {
            duration,
            seen: None,
            moved: now,
        }
    }
}

// === impl Mutation ===

impl Mutation {
    pub(crate) const ALL: [Self; 18] = [
        Self::EarlyTakeover,
        Self::UnguardedPut,
        Self::FenceFromAnswer,
        Self::PauseNotTold,
        Self::RetryAfterIgnored,
        Self::LostIsSuccess,
        Self::FailureNotTold,
        Self::NeverRedials,
        Self::RedialsAtOnce,
        Self::ReleaseForgotten,
        Self::SequenceReset,
        Self::LimiterOff,
        Self::AgentsClock,
        Self::FirstMissConvicts,
        Self::HubPauseNotTold,
        Self::FleetSleeps,
        Self::LooksAway,
        Self::NeverDoubts,
    ];

    /// What is not true any more when that guard is broken.
    pub(crate) const fn breaks(self) -> Invariant {
        match self {
            Self::EarlyTakeover
            | Self::UnguardedPut
            | Self::FenceFromAnswer
            | Self::PauseNotTold => Invariant::OneHolder,
            Self::RetryAfterIgnored => Invariant::LeftAlone,
            Self::LostIsSuccess => Invariant::AcknowledgedIsWritten,
            Self::FailureNotTold | Self::NeverRedials => Invariant::Recovers,
            Self::RedialsAtOnce | Self::LimiterOff => Invariant::Rate,
            Self::ReleaseForgotten => Invariant::ReleaseFrees,
            Self::SequenceReset => Invariant::SequenceGrows,
            Self::AgentsClock | Self::FirstMissConvicts | Self::HubPauseNotTold => {
                Invariant::HeardIsNotLost
            }
            Self::FleetSleeps => Invariant::SilentIsLost,
            Self::LooksAway => Invariant::WrittenIsNotLost,
            Self::NeverDoubts => Invariant::MassIsHeld,
        }
    }
}

// === impl Tamper ===

impl Tamper {
    pub(crate) const fn with(mutation: Mutation) -> Self {
        Self {
            mutation: Some(mutation),
            ahead: 0.0,
        }
    }

    fn is(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    /// A PUT that names no resourceVersion is refused for a Lease; one that names the current one,
    /// whatever was read, does the same harm.
    pub(crate) fn guard(&self, verb: &mut Verb, current: Option<&Value>) {
        if self.is(Mutation::UnguardedPut)
            && let (Verb::PutLease(object), Some(current)) = (verb, current)
        {
            object["metadata"]["resourceVersion"] = current["metadata"]["resourceVersion"].clone();
        }
    }

    pub(crate) fn reply(&self, reply: Reply) -> Reply {
        reply.map(|mut object| {
            if self.is(Mutation::EarlyTakeover) && object["spec"]["holderIdentity"].is_string() {
                object["spec"]["leaseDurationSeconds"] = 1.into();
            }
            object
        })
    }

    /// What is told of a write that nobody answered.
    pub(crate) fn late(&self, reply: Reply, written: Option<Value>) -> Reply {
        match written {
            Some(written) if self.is(Mutation::LostIsSuccess) => Ok(written),
            Some(_) | None => reply,
        }
    }

    pub(crate) fn input(&self, input: AgentInput) -> Option<AgentInput> {
        let AgentInput::Outcome(AttemptOutcome::Failed { error, retry_after }) = input else {
            return Some(input);
        };
        let retry_after = retry_after.filter(|_| !self.is(Mutation::RetryAfterIgnored));
        let failed = AttemptOutcome::Failed { error, retry_after };
        (!self.is(Mutation::FailureNotTold)).then_some(AgentInput::Outcome(failed))
    }

    pub(crate) fn tells_pauses(&self) -> bool {
        !self.is(Mutation::PauseNotTold)
    }

    /// Lets what is held end one duration after the answer, not after the request.
    pub(crate) fn fence(&self, tenure: &mut Tenure, fence: &mut Fence, now: Instant) {
        let Some(held) = tenure
            .held
            .as_mut()
            .filter(|_| self.is(Mutation::FenceFromAnswer))
        else {
            return;
        };
        if fence.seen != Some(held.until) {
            fence.seen = Some(held.until);
            fence.moved = now + fence.duration;
        }
        held.until = held.until.max(fence.moved);
    }

    pub(crate) fn believes(&self, tenure: &Tenure, now: Instant, slept: Duration) -> bool {
        if self.is(Mutation::PauseNotTold) {
            tenure.is_held(now, tenure.slept)
        } else {
            tenure.is_held(now, slept)
        }
    }

    pub(crate) fn redial(&self, at: Instant, now: Instant) -> Option<Instant> {
        if self.is(Mutation::NeverRedials) {
            None
        } else if self.is(Mutation::RedialsAtOnce) {
            Some(now)
        } else {
            Some(at)
        }
    }

    pub(crate) fn forgets_release(&self) -> bool {
        self.is(Mutation::ReleaseForgotten)
    }

    pub(crate) fn sequence(&self, sequence: Sequence) -> Sequence {
        if self.is(Mutation::SequenceReset) {
            Sequence(sequence.0 % 8)
        } else {
            sequence
        }
    }

    pub(crate) fn min_interval(&self, interval: Duration) -> Duration {
        if self.is(Mutation::LimiterOff) {
            Duration::from_millis(100)
        } else {
            interval
        }
    }

    /// A heartbeat was sent at that time by its agent's clock; the hub's shows another one.
    pub(crate) fn sent(&mut self, sent: Option<SystemTime>, wall: SystemTime) {
        self.ahead = sent.map_or(0.0, |sent| match sent.duration_since(wall) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        });
    }

    pub(crate) fn evidence_at(&self, at: Instant) -> Instant {
        if !self.is(Mutation::AgentsClock) {
            return at;
        }
        let by = Duration::from_secs_f64(self.ahead.abs());
        if self.ahead < 0.0 { at - by } else { at + by }
    }

    pub(crate) fn payload(&self, mut payload: HeartbeatPayload) -> HeartbeatPayload {
        if self.is(Mutation::FirstMissConvicts) {
            payload.timeout_seconds /= 3.0;
        }
        payload
    }

    pub(crate) fn duration(&self, duration: Duration) -> Duration {
        if self.is(Mutation::FirstMissConvicts) {
            duration / 3
        } else {
            duration
        }
    }

    pub(crate) fn looks(&self) -> bool {
        !self.is(Mutation::LooksAway)
    }

    pub(crate) fn fleet_terms(&self) -> FleetTerms {
        let mut terms = FleetTerms::default();
        if self.is(Mutation::NeverDoubts) {
            terms.mass_min = usize::MAX;
        }
        terms
    }

    pub(crate) fn tells_hub_pauses(&self) -> bool {
        !self.is(Mutation::HubPauseNotTold)
    }

    pub(crate) fn fleet_wakes(&self) -> bool {
        !self.is(Mutation::FleetSleeps)
    }
}
