//! What the fleet knows of one agent, and when something about it is due.

mod due;

mod saved;

mod silence;

use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use thin_vec::ThinVec;

use self::due::CONFIRM_SHARE;
pub(super) use self::due::Due;
pub(super) use self::saved::SavedRecord;
use self::silence::Look;
use self::silence::Silence;
use super::AgentId;
use super::Channel;
use super::FleetReason;
use super::FleetTerms;
use super::FleetVerdict;
use super::TunnelId;
use super::instance::Beat;
use super::instance::INSTANCES_MAX;
use super::instance::Instance;
use super::moment::Moment;
use super::moment::Span;
use super::moment::millis;
use crate::Identity;

/// So many transitions of an agent are remembered beside the last one.
const TRANSITIONS_KEPT: usize = 15;

/// A pause is counted from when the loop had asked to be woken, up to a second after it stopped;
/// and what came meanwhile waits in the sockets still when the loop wakes up.
const PAUSE_GRACE: Span = Span::from_secs(1);

/// Nobody said.
const NO_SKEW: i32 = i32::MIN;

/// The bit of [`Record::known`] that says that a token names the agent; the others are channels'.
const TOKEN: u8 = 1 << 7;

/// What the fleet knows of one agent.
///
/// It is in this order in memory, with all that a heartbeat needs in the first two lines of it:
/// each line that it touches is one that the processor waits for.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Record {
    /// The last evidence, or the admission; moved by the hub's own pauses.
    basis: Moment,
    /// What is known of its silence, since nobody was heard.
    silence: Option<Box<Silence>>,
    last_frame: Option<Moment>,
    pub(super) heartbeats: u32,
    interval_ms: u32,
    allowance_ms: u32,
    /// [`NO_SKEW`] where it is not known.
    skew_ms: i32,
    pub(super) verdict: FleetVerdict,
    /// A tunnel without heartbeats is open.
    plain: bool,
    pub(super) tunnels: u16,
    pub(super) reason: FleetReason,
    /// Who says that there should be such an agent, and which objects of it there are.
    known: u8,
    /// No heartbeat needs it; with it the next one begins a line.
    pub(super) since: Moment,
    /// At most [`INSTANCES_MAX`]; nearly always one, which is then next to the rest.
    pub(super) instances: SmallVec<[Instance; 1]>,
    last_renewal: Option<Moment>,
    last_status: Option<Moment>,
    /// What was before the present verdict, from the first change on; at most
    /// [`TRANSITIONS_KEPT`].
    earlier: ThinVec<Change>,
    pub(super) id: Arc<AgentId>,
}

/// A change of the verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) at: Moment,
    pub(super) verdict: FleetVerdict,
    pub(super) reason: FleetReason,
}

// === impl Record ===

impl Record {
    pub(super) fn new(id: Arc<AgentId>, terms: &FleetTerms, now: Moment) -> Self {
        Self {
            id,
            instances: SmallVec::new(),
            earlier: ThinVec::new(),
            last_frame: None,
            last_renewal: None,
            last_status: None,
            basis: now,
            since: now,
            silence: None,
            heartbeats: 0,
            interval_ms: 0,
            allowance_ms: millis(terms.timeout_first),
            skew_ms: NO_SKEW,
            tunnels: 0,
            known: 0,
            verdict: FleetVerdict::Pending,
            reason: FleetReason::Expected,
            plain: false,
        }
    }

    /// Reads something of each line of memory that a heartbeat needs, for nothing but to have read
    /// it; see [`Fleet::look_ahead`](super::Fleet::look_ahead).
    pub(super) fn look(&self) -> u64 {
        // Not of an instance: where that is, is known only once the line is there.
        self.basis.nanos().wrapping_add(self.instances.len() as u64)
    }

    /// The last evidence on a channel.
    pub(super) const fn last_evidence(&self, channel: Channel) -> Option<Moment> {
        match channel {
            Channel::Tunnel => self.last_frame,
            Channel::Lease => self.last_renewal,
            Channel::SyncTarget => self.last_status,
        }
    }

    /// Whether anything ever came of it. What was found on the API server at a first sight may be
    /// as old as it likes, and does not count.
    pub(super) fn was_heard(&self) -> bool {
        Channel::ALL
            .into_iter()
            .any(|channel| self.last_evidence(channel).is_some())
    }

    /// Whether its verdict waits for one more allowance, since many fell silent at once.
    pub(super) fn is_held(&self) -> bool {
        self.silence().held
    }

    fn silence(&self) -> Silence {
        self.silence.as_deref().copied().unwrap_or_default()
    }

    fn set_silence(&mut self, silence: Silence) {
        self.silence = silence.kept();
    }

    fn set_look(&mut self, look: Look) {
        self.set_silence(Silence {
            look,
            ..self.silence()
        });
    }

    pub(super) const fn allowance(&self) -> Span {
        Span::from_millis(self.allowance_ms)
    }

    /// Changes the verdict, and says which one it was where it was another.
    pub(super) fn decide(
        &mut self,
        verdict: FleetVerdict,
        reason: FleetReason,
        now: Moment,
    ) -> Option<FleetVerdict> {
        if self.verdict == verdict {
            return None;
        }
        if self.reason != FleetReason::Expected {
            if self.earlier.len() == TRANSITIONS_KEPT {
                self.earlier.remove(0);
            }
            // Most agents have none or two: a vector that doubles would cost all of them four.
            self.earlier.reserve_exact(1);
            self.earlier.push(self.last_change());
        }
        let before = std::mem::replace(&mut self.verdict, verdict);
        (self.reason, self.since) = (reason, now);
        Some(before)
    }

    const fn last_change(&self) -> Change {
        Change {
            at: self.since,
            verdict: self.verdict,
            reason: self.reason,
        }
    }

    /// The recent changes, oldest first.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> + use<'_> {
        let is_change = self.reason != FleetReason::Expected;
        let last = is_change.then(|| self.last_change());
        self.earlier.iter().copied().chain(last)
    }

    pub(super) const fn skew_ms(&self) -> Option<i32> {
        match self.skew_ms {
            NO_SKEW => None,
            skew => Some(skew),
        }
    }

    // What is heard.

    pub(super) fn count(&mut self, skew_ms: Option<i64>) {
        self.heartbeats = self.heartbeats.wrapping_add(1);
        if let Some(skew) = skew_ms {
            self.skew_ms = skew.clamp((NO_SKEW + 1).into(), i32::MAX.into()) as i32;
        }
    }

    /// Somebody lives, whoever it is.
    pub(super) fn seen(&mut self, channel: Channel, terms: &FleetTerms, now: Moment) {
        match channel {
            Channel::Tunnel => self.last_frame = Some(now),
            Channel::Lease => self.last_renewal = Some(now),
            Channel::SyncTarget => self.last_status = Some(now),
        }
        self.begin(now);
        self.settle_terms(terms, now);
    }

    pub(super) const fn opened(&mut self, heartbeats: bool) {
        self.tunnels = self.tunnels.saturating_add(1);
        self.plain |= !heartbeats;
    }

    /// A tunnel is gone. Says whether its agent has left with it.
    pub(super) fn closed(&mut self, tunnel: TunnelId, said_goodbye: bool) -> bool {
        self.tunnels = self.tunnels.saturating_sub(1);
        self.plain &= self.tunnels > 0;
        let mine = self
            .instances
            .iter_mut()
            .find(|it| it.tunnel() == Some(tunnel));
        if let Some(instance) = mine {
            instance.set_tunnel(None);
            instance.left |= said_goodbye;
        }
        said_goodbye && self.tunnels == 0 && self.instances.iter().all(|it| it.left)
    }

    /// An instance says something. If it has two tunnels, says the older one, and who beats over the
    /// newer one, whichever of them beats now.
    pub(super) fn beat(
        &mut self,
        beat: &Beat<'_>,
        tunnel: Option<TunnelId>,
        now: Moment,
    ) -> Option<(TunnelId, Identity)> {
        let known = self.instances.iter().position(|it| it.is_slot_of(beat));
        let index = known.unwrap_or_else(|| self.add(beat, now));
        let instance = &mut self.instances[index];
        let newest = instance.tunnel();
        let older = if tunnel.is_some() && tunnel < newest {
            instance.lives(now);
            tunnel
        } else {
            instance.take(beat, now);
            if tunnel.is_none() || tunnel == newest {
                return None;
            }
            instance.set_tunnel(tunnel);
            newest
        };
        older.map(|older| (older, instance.identity()))
    }

    /// The Lease is nobody's. Who has a tunnel says goodbye over it; whoever is left behind has an
    /// interval to find a successor.
    pub(super) fn released(&mut self, now: Moment) {
        for instance in self.instances.iter_mut().filter(|it| it.tunnel().is_none()) {
            instance.left = true;
        }
        let nobody = self.tunnels == 0 && self.instances.iter().all(|it| it.left);
        if self.verdict.is_open() && nobody {
            self.basis = self.basis.max(now);
            self.set_silence(Silence {
                left_at: Some(now.plus(self.interval())),
                ..self.silence()
            });
        }
    }

    /// An answer that comes when nobody waits any more is still good, if it is one.
    pub(super) fn confirmed(&mut self, silent: bool, now: Moment) {
        match self.silence().look {
            Look::Asked { by, again: false } if silent && now <= by => {
                self.set_look(Look::Silent);
            }
            Look::Asked { .. } | Look::Failed(_) if silent => self.silent_at_last(now),
            Look::Asked { .. } => {
                let again = now.plus(self.allowance() / CONFIRM_SHARE);
                self.set_look(Look::Failed(again));
            }
            Look::No | Look::Silent | Look::Failed(_) => {}
        }
    }

    /// Nothing has changed, says a server that could not say it in time. Whoever beats there only
    /// could not beat either, and has a full allowance from now to do it.
    fn silent_at_last(&mut self, now: Moment) {
        if self.has_other_channels() {
            self.set_look(Look::Silent);
        } else {
            self.basis = self.basis.max(now);
            self.set_look(Look::No);
        }
    }

    pub(super) fn asked(&mut self, by: Moment) {
        let again = self.silence().look != Look::No;
        self.set_look(Look::Asked { by, again });
    }

    pub(super) fn hold(&mut self, now: Moment) {
        self.set_silence(Silence {
            held: true,
            ..self.silence()
        });
        self.look_anew(now);
    }

    fn look_anew(&mut self, now: Moment) {
        let look = self.silence().look;
        self.set_look(look.anew(!self.has_other_channels(), now));
    }

    // Who expects it.

    pub(super) const fn expect(&mut self, channel: Option<Channel>) {
        self.known |= bit(channel);
    }

    pub(super) const fn unexpect(&mut self, channel: Option<Channel>) {
        self.known &= !bit(channel);
    }

    pub(super) const fn is_expected(&self) -> bool {
        self.known != 0
    }

    /// Whether there is something to look at. What was deleted may have been made again since.
    const fn has_objects(&self) -> bool {
        self.known & !TOKEN != 0 || self.last_renewal.is_some() || self.last_status.is_some()
    }

    // From when on it counts.

    /// Nothing that was before counts against it.
    pub(super) fn begin(&mut self, now: Moment) {
        self.basis = self.basis.max(now);
        self.silence = None;
    }

    /// No deadline is further away than a full allowance: while the machine slept its monotonic
    /// clock stood still, so what the sleep has in a pause has moved the deadline by itself.
    pub(super) fn paused(&mut self, pause: Duration, now: Moment) {
        self.basis = self.basis.plus(pause.into()).plus(PAUSE_GRACE).min(now);
        self.look_anew(now);
    }

    /// What the instances declare counts, of those that are there the longest; where there is none,
    /// what is usual on the channel.
    fn settle_terms(&mut self, terms: &FleetTerms, now: Moment) {
        let present = self.instances.iter().filter(|it| it.is_present(now));
        let declared = present.fold(None, |longest: Option<[u32; 2]>, it| {
            let [interval, allowance] = longest.unwrap_or_default();
            Some([interval.max(it.interval_ms), allowance.max(it.allowance_ms)])
        });
        let plain = self.plain.then(|| millis(terms.timeout_plain));
        [self.interval_ms, self.allowance_ms] = match (declared, plain) {
            (Some([interval, allowance]), None) => [interval, allowance],
            (Some([interval, allowance]), Some(plain)) if plain <= allowance => {
                [interval, allowance]
            }
            (_, Some(plain)) => [0, plain],
            // Whoever is back after a long silence still has the terms that it declared.
            (None, None) if self.instances.iter().any(|it| !it.left) => return,
            (None, None) if self.tunnels == 0 && self.has_objects() => {
                [0, millis(terms.timeout_synctarget)]
            }
            (None, None) => [0, millis(terms.timeout_first)],
        };
    }

    /// The terms of an object that was seen for the first time; a full allowance from now.
    pub(super) fn first_sight(&mut self, terms: &FleetTerms, now: Moment) {
        if self.verdict == FleetVerdict::Pending {
            self.basis = self.basis.max(now);
            self.settle_terms(terms, now);
        }
    }

    /// Makes room for an instance: one that left goes first, then the one that is silent longest.
    fn add(&mut self, beat: &Beat<'_>, now: Moment) -> usize {
        let instance = Instance::new(beat, now);
        let oldest = self.instances.iter().enumerate();
        let oldest = oldest.min_by_key(|(_, it)| (!it.left, it.seen));
        let replaced = oldest.filter(|(_, it)| it.left || self.instances.len() == INSTANCES_MAX);
        if let Some((index, _)) = replaced {
            self.instances[index] = instance;
            return index;
        }
        self.instances.push(instance);
        self.instances.len() - 1
    }
}

const fn bit(channel: Option<Channel>) -> u8 {
    match channel {
        None => TOKEN,
        Some(channel) => 1 << channel as u8,
    }
}
