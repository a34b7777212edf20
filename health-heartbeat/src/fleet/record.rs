//! What the fleet knows of one agent, and when something about it is due.

mod saved;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use smallvec::SmallVec;

pub(super) use self::saved::SavedRecord;
use super::AgentId;
use super::Channel;
use super::FleetReason;
use super::FleetTerms;
use super::FleetVerdict;
use super::FlightDue;
use super::TunnelId;
use super::instance::Beat;
use super::instance::INSTANCES_MAX;
use super::instance::Instance;
use super::moment::Moment;
use super::moment::Span;
use super::moment::millis;

/// So many transitions of an agent are remembered beside the last one.
const TRANSITIONS_KEPT: usize = 15;

/// Beats are late by up to this share of the interval anyway, 4 %; see the agent's machine.
const JITTER_SHARE: u64 = 25;

/// A pause is counted from when the loop had asked to be woken, up to a second after it stopped;
/// and what came meanwhile waits in the sockets still when the loop wakes up.
const PAUSE_GRACE: Span = Span::from_secs(1);

/// A live look comes so long before the verdict that it is answered by then.
const CONFIRM_LEAD_MAX: Span = Span::from_secs(5);

/// After how much of the allowance nobody waits for a live look's answer any more, and after how
/// much of it there is another one.
const CONFIRM_SHARE: u64 = 6;

/// Nobody said.
const NO_SKEW: i32 = i32::MIN;

/// The bit of [`Record::known`] that says that a token names the agent; the others are channels'.
const TOKEN: u8 = 1 << 7;

/// What the fleet knows of one agent.
///
/// It is in this order in memory, with what a heartbeat needs first: it waits for each line of
/// memory that it touches.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Record {
    /// At most [`INSTANCES_MAX`]; nearly always one, which is then next to the rest.
    pub(super) instances: SmallVec<[Instance; 1]>,
    /// The last evidence, or the admission; moved by the hub's own pauses.
    basis: Moment,
    /// Its Lease was released: it has left if nobody was heard by then.
    left_at: Option<Moment>,
    confirm: Confirm,
    pub(super) heartbeats: u32,
    interval_ms: u32,
    allowance_ms: u32,
    /// [`NO_SKEW`] where it is not known.
    skew_ms: i32,
    pub(super) tunnels: u16,
    /// Who says that there should be such an agent, and which objects of it there are.
    known: u8,
    pub(super) verdict: FleetVerdict,
    pub(super) reason: FleetReason,
    /// A tunnel without heartbeats is open.
    plain: bool,
    /// Its verdict waits for one more allowance, since many fell silent at once.
    pub(super) held: bool,
    pub(super) last_evidence: [Option<Moment>; 3],
    pub(super) since: Moment,
    /// What was before the present verdict, from the first change on; at most
    /// [`TRANSITIONS_KEPT`].
    earlier: Vec<Change>,
    pub(super) id: Arc<AgentId>,
}

/// A change of the verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) at: Moment,
    pub(super) verdict: FleetVerdict,
    pub(super) reason: FleetReason,
}

/// How far the live look at an agent's objects is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Confirm {
    /// Nobody asked for one.
    No,
    /// Somebody looks; not waited for beyond that.
    Asked {
        by: Moment,
        /// An earlier look was in vain.
        again: bool,
    },
    /// Nothing has changed there.
    Silent,
    /// Nobody could look; another try comes then.
    Failed(Moment),
}

/// What is due about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Suspect,
    /// Look at its objects; an answer counts until then.
    Confirm(Moment),
    Lost,
    Left,
    Forget,
}

// === impl Record ===

impl Record {
    pub(super) fn new(id: Arc<AgentId>, terms: &FleetTerms, now: Moment) -> Self {
        Self {
            id,
            instances: SmallVec::new(),
            earlier: Vec::new(),
            last_evidence: [None; 3],
            basis: now,
            since: now,
            left_at: None,
            confirm: Confirm::No,
            heartbeats: 0,
            interval_ms: 0,
            allowance_ms: millis(terms.timeout_first),
            skew_ms: NO_SKEW,
            tunnels: 0,
            known: 0,
            verdict: FleetVerdict::Pending,
            reason: FleetReason::Expected,
            plain: false,
            held: false,
        }
    }

    /// Reads something of each line of memory that a heartbeat needs, for nothing but to have read
    /// it; see [`Fleet::look_ahead`](super::Fleet::look_ahead).
    pub(super) fn look(&self) -> u64 {
        let [last, ..] = self.last_evidence;
        let instance = self.instances.first().map_or(0, |it| it.sequence);
        let rest = [
            self.basis.nanos(),
            self.heartbeats.into(),
            last.map_or(0, Moment::nanos),
        ];
        rest.into_iter().fold(instance, u64::wrapping_add)
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
        self.last_evidence[channel as usize] = Some(now);
        self.basis = self.basis.max(now);
        (self.left_at, self.confirm, self.held) = (None, Confirm::No, false);
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

    /// An instance says something. Of its tunnels, if it has two, the older one is said.
    pub(super) fn beat(
        &mut self,
        beat: &Beat<'_>,
        tunnel: Option<TunnelId>,
        now: Moment,
    ) -> Option<TunnelId> {
        let known = self.instances.iter().position(|it| it.is_slot_of(beat));
        let index = known.unwrap_or_else(|| self.add(beat, now));
        let instance = &mut self.instances[index];
        instance.take(beat, now);
        let tunnel = tunnel?;
        let before = instance.tunnel();
        if before < Some(tunnel) {
            instance.set_tunnel(Some(tunnel));
            return before;
        }
        None
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
            self.left_at = Some(now.plus(self.interval()));
        }
    }

    /// An answer that comes when nobody waits any more is still good, if it is one.
    pub(super) fn confirmed(&mut self, silent: bool, now: Moment) {
        match self.confirm {
            Confirm::Asked { by, again: false } if silent && now <= by => {
                self.confirm = Confirm::Silent;
            }
            Confirm::Asked { .. } | Confirm::Failed(_) if silent => self.silent_at_last(now),
            Confirm::Asked { .. } => {
                self.confirm = Confirm::Failed(now.plus(self.allowance() / CONFIRM_SHARE));
            }
            Confirm::No | Confirm::Silent | Confirm::Failed(_) => {}
        }
    }

    /// Nothing has changed, says a server that could not say it in time. Whoever beats there only
    /// could not beat either, and has a full allowance from now to do it.
    fn silent_at_last(&mut self, now: Moment) {
        if self.has_other_channels() {
            self.confirm = Confirm::Silent;
        } else {
            self.basis = self.basis.max(now);
            self.confirm = Confirm::No;
        }
    }

    pub(super) fn asked(&mut self, by: Moment) {
        let again = self.confirm != Confirm::No;
        self.confirm = Confirm::Asked { by, again };
    }

    pub(super) fn hold(&mut self, now: Moment) {
        self.held = true;
        self.look_anew(now);
    }

    /// What a look saw is too old now; that an earlier one was in vain is not forgotten.
    fn look_anew(&mut self, now: Moment) {
        self.confirm = match self.confirm {
            Confirm::Asked { again: true, .. } | Confirm::Failed(_)
                if !self.has_other_channels() =>
            {
                Confirm::Failed(now)
            }
            Confirm::No | Confirm::Asked { .. } | Confirm::Silent | Confirm::Failed(_) => {
                Confirm::No
            }
        };
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
        let [_, lease, sync_target] = self.last_evidence;
        self.known & !TOKEN != 0 || lease.is_some() || sync_target.is_some()
    }

    // When something is due.

    /// Nothing that was before counts against it.
    pub(super) fn begin(&mut self, now: Moment) {
        self.basis = self.basis.max(now);
        (self.left_at, self.confirm, self.held) = (None, Confirm::No, false);
    }

    /// No deadline is further away than a full allowance: while the machine slept its monotonic
    /// clock stood still, so what the sleep has in a pause has moved the deadline by itself.
    pub(super) fn paused(&mut self, pause: Duration, now: Moment) {
        self.basis = self.basis.plus(pause.into()).plus(PAUSE_GRACE).min(now);
        self.look_anew(now);
    }

    pub(super) fn due(&self, terms: &FleetTerms, now: Moment) -> Option<Due> {
        if !self.verdict.is_open() {
            let forget = self.forget_at(terms).is_some_and(|at| at <= now);
            return forget.then_some(Due::Forget);
        }
        if self.left_at.is_some_and(|at| at <= now) {
            return Some(Due::Left);
        }
        if self.lost_at() <= now {
            return self.due_at_the_end(now);
        }
        if self.confirm_at().is_some_and(|at| at <= now) {
            return Some(Due::Confirm(self.answer_by(now)));
        }
        let suspect = self.suspect_at().is_some_and(|at| at <= now);
        suspect.then_some(Due::Suspect)
    }

    /// When [`due`](Self::due) will say something.
    pub(super) fn wanted(&self, terms: &FleetTerms) -> Option<Moment> {
        if !self.verdict.is_open() {
            return self.forget_at(terms);
        }
        let end = self.lost_at();
        let end = match self.confirm {
            Confirm::Asked { by, .. } => end.max(by),
            Confirm::Failed(again) if !self.has_other_channels() => end.max(again),
            Confirm::No | Confirm::Silent | Confirm::Failed(_) => end,
        };
        let others = [self.suspect_at(), self.confirm_at(), self.left_at];
        others.into_iter().flatten().chain([end]).min()
    }

    /// What is to come if nothing comes in, for people.
    pub(super) fn ahead(&self, terms: &FleetTerms) -> FlightDue {
        let is_open = self.verdict.is_open();
        let answer = match self.confirm {
            Confirm::Asked { by, .. } | Confirm::Failed(by) if is_open => Some(by),
            Confirm::Asked { .. } | Confirm::Failed(_) | Confirm::No | Confirm::Silent => None,
        };
        let age = |at: Option<Moment>| at.map(Moment::age);
        FlightDue {
            suspect: age(self.suspect_at()),
            look: age(self.confirm_at()),
            answer: age(answer),
            left: age(self.left_at),
            lost: age(is_open.then(|| self.lost_at())),
            forgotten: age(self.forget_at(terms).filter(|_| !is_open)),
            is_held: self.held,
        }
    }

    /// Its allowance is over: what its objects say decides, where it has some.
    fn due_at_the_end(&self, now: Moment) -> Option<Due> {
        if !self.has_objects() {
            return Some(Due::Lost);
        }
        match self.confirm {
            Confirm::Silent => Some(Due::Lost),
            Confirm::No => Some(Due::Confirm(self.answer_by(now))),
            Confirm::Asked { by, .. } if by > now => None,
            Confirm::Asked { .. } | Confirm::Failed(_) if self.has_other_channels() => {
                Some(Due::Lost)
            }
            Confirm::Failed(again) if again > now => None,
            Confirm::Asked { .. } | Confirm::Failed(_) => Some(Due::Confirm(self.answer_by(now))),
        }
    }

    fn lost_at(&self) -> Moment {
        let times = if self.held { 2 } else { 1 };
        self.basis.plus(self.allowance() * times)
    }

    /// A beat is late once its jitter and half an interval (at least a second) have passed.
    fn suspect_at(&self) -> Option<Moment> {
        if self.verdict != FleetVerdict::Alive {
            return None;
        }
        let interval = self.interval();
        let grace = (interval / 2).max(Span::from_secs(1));
        Some(self.basis.plus(interval + interval / JITTER_SHARE + grace))
    }

    fn confirm_at(&self) -> Option<Moment> {
        let wants = match self.verdict {
            FleetVerdict::Pending | FleetVerdict::Suspect => true,
            FleetVerdict::Alive | FleetVerdict::Lost | FleetVerdict::Left => false,
        };
        let lead = (self.allowance() / CONFIRM_SHARE).min(CONFIRM_LEAD_MAX);
        let asks = wants && self.has_objects() && self.confirm == Confirm::No;
        asks.then(|| self.lost_at().minus(lead))
    }

    fn forget_at(&self, terms: &FleetTerms) -> Option<Moment> {
        let nobody_cares = !self.is_expected() && self.tunnels == 0;
        nobody_cares.then(|| self.since.plus(terms.forget_after.into()))
    }

    fn answer_by(&self, now: Moment) -> Moment {
        now.plus((self.allowance() / CONFIRM_SHARE).min(CONFIRM_LEAD_MAX))
    }

    /// Whether it was ever heard over anything but its objects.
    const fn has_other_channels(&self) -> bool {
        self.last_evidence[Channel::Tunnel as usize].is_some()
    }

    /// When the next beat is expected; where nobody said, half the allowance is no longer than any
    /// interval may be.
    fn interval(&self) -> Span {
        match self.interval_ms {
            0 => self.allowance() / 2,
            millis => Span::from_millis(millis),
        }
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
