//! The instances of an agent: in a rollout there are several for a while.

mod saved;

use std::hash::Hash;
use std::hash::Hasher;
use std::num::NonZeroU64;
use std::time::Duration;

use health_core::HealthStatus;
use rustc_hash::FxHasher;
use thin_vec::ThinVec;

pub(super) use self::saved::SavedInstance;
use super::TunnelId;
use super::moment::Moment;
use super::moment::Span;
use super::moment::millis;
use crate::Identity;
use crate::wire::DecidingPayload;
use crate::wire::HeartbeatPayload;

/// So many instances of an agent are kept: a rollout has two, and one that goes wrong a few more.
pub(super) const INSTANCES_MAX: usize = 4;

/// A longer slot or incarnation is cut; a wire form's is not longer.
const NAME_MAX: usize = 1024;

/// One instance of an agent: a slot, and the start of it that was heard last.
///
/// There are a million of them, so it is packed, and in this order in memory, with what each beat
/// needs first.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Instance {
    /// A hash of slot and incarnation, so that a beat need not look for the texts in memory.
    print: u64,
    pub(super) seen: Moment,
    /// One more than its number.
    tunnel: Option<NonZeroU64>,
    pub(super) sequence: u64,
    deciding: ThinVec<DecidingPayload>,
    report_age_seconds: f32,
    /// Zero where it is not known.
    pub(super) interval_ms: u32,
    pub(super) allowance_ms: u32,
    pub(super) status: Option<HealthStatus>,
    pub(super) left: bool,
    slot_end: u16,
    /// Slot, underscore, incarnation.
    holder: Box<str>,
}

/// What an instance said of itself, on whatever channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat<'a> {
    pub(super) slot: &'a str,
    pub(super) incarnation: &'a str,
    /// A hash of both.
    pub(super) print: u64,
    pub(super) sequence: Option<u64>,
    pub(super) interval: Option<Duration>,
    pub(super) allowance: Duration,
    pub(super) status: Option<HealthStatus>,
    /// The rest of what a heartbeat over a tunnel carries.
    pub(super) payload: Option<&'a HeartbeatPayload>,
}

// === impl Instance ===

impl Instance {
    pub(super) fn new(beat: &Beat<'_>, now: Moment) -> Self {
        let mut instance = Self {
            holder: Box::default(),
            print: 0,
            slot_end: 0,
            seen: now,
            tunnel: None,
            sequence: 0,
            deciding: ThinVec::new(),
            report_age_seconds: 0.0,
            interval_ms: 0,
            allowance_ms: 0,
            status: None,
            left: false,
        };
        instance.rename(beat);
        instance.take(beat, now);
        instance
    }

    /// Whether what is said is said by it, or by a later start of it.
    pub(super) fn is_slot_of(&self, beat: &Beat<'_>) -> bool {
        self.print == beat.print || self.slot() == beat.slot
    }

    pub(super) fn tunnel(&self) -> Option<TunnelId> {
        self.tunnel.map(|tunnel| TunnelId(tunnel.get() - 1))
    }

    pub(super) const fn set_tunnel(&mut self, tunnel: Option<TunnelId>) {
        self.tunnel = match tunnel {
            Some(TunnelId(number)) => NonZeroU64::new(number.wrapping_add(1)),
            None => None,
        };
    }

    pub(super) fn slot(&self) -> &str {
        &self.holder[..self.slot_end.into()]
    }

    pub(super) fn incarnation(&self) -> &str {
        &self.holder[usize::from(self.slot_end) + 1..]
    }

    pub(super) fn deciding(&self) -> &[DecidingPayload] {
        &self.deciding
    }

    pub(super) const fn report_age_seconds(&self) -> f32 {
        self.report_age_seconds
    }

    /// Whether it counts beside another one that was heard at `now`.
    pub(super) fn is_present(&self, now: Moment) -> bool {
        !self.left && self.seen.plus(Span::from_millis(self.allowance_ms)) >= now
    }

    pub(super) fn identity(&self) -> Identity {
        Identity {
            slot: self.slot().into(),
            incarnation: self.incarnation().into(),
        }
    }

    fn rename(&mut self, beat: &Beat<'_>) {
        self.holder = format!("{}_{}", beat.slot, beat.incarnation).into();
        self.slot_end = beat.slot.len() as u16;
        self.print = beat.print;
    }

    /// Something was heard of it; of what comes over an older tunnel, which is closed, that is all
    /// that counts.
    pub(super) fn lives(&mut self, now: Moment) {
        self.seen = self.seen.max(now);
        self.left = false;
    }

    /// Takes what it says now; another incarnation replaces the one before.
    pub(super) fn take(&mut self, beat: &Beat<'_>, now: Moment) {
        if self.print != beat.print {
            self.rename(beat);
            (self.interval_ms, self.deciding, self.status) = (0, ThinVec::new(), None);
        }
        self.lives(now);
        if let Some(sequence) = beat.sequence {
            self.sequence = sequence;
        }
        // A Lease does not say when it is renewed next, and rounds the timeout up.
        if beat.interval.is_some() || self.interval_ms == 0 {
            self.interval_ms = beat.interval.map_or(0, millis);
            self.allowance_ms = millis(beat.allowance);
        }
        if beat.status.is_some() && beat.status != self.status {
            (self.status, self.deciding) = (beat.status, ThinVec::new());
        }
        if let Some(payload) = beat.payload {
            self.report_age_seconds = payload.report_age_seconds as f32;
            if self.deciding() != payload.deciding {
                self.deciding = payload.deciding.as_slice().into();
            }
        }
    }
}

// === impl Beat ===

impl<'a> Beat<'a> {
    /// A beat of that instance, which says nothing else yet. Longer texts are cut.
    pub(super) fn of(slot: &'a str, incarnation: &'a str, allowance: Duration) -> Self {
        let slot = &slot[..slot.floor_char_boundary(NAME_MAX)];
        let incarnation = &incarnation[..incarnation.floor_char_boundary(NAME_MAX)];
        let mut hasher = FxHasher::default();
        (slot, incarnation).hash(&mut hasher);
        Self {
            slot,
            incarnation,
            print: hasher.finish(),
            sequence: None,
            interval: None,
            allowance,
            status: None,
            payload: None,
        }
    }
}
