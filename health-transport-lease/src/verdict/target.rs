//! What is known of one target.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::Backoff;
use serde_json::Value;

use crate::call::ErrorKind;
use crate::verdict::Standing;
use crate::verdict::Wish;
use crate::verdict::WishKind;
use crate::verdict::standing;

/// One target: what is to stand on it, what we know to stand there, and who else writes it.
#[derive(Debug)]
pub(super) struct Target {
    wish: Wish,
    /// Whether it was Alive since it was last Lost, so that the next Lost is another death.
    recovered: bool,
    /// Whether a message that stands there is about an earlier death.
    reworded: bool,
    /// Whether the wish is known to have stood there.
    stood: bool,
    uid: Option<String>,
    /// What we last read or wrote there.
    last: Option<WishKind>,
    /// What we may have written since, by writes whose answers never came.
    doubt: Vec<WishKind>,
    /// What a watch saw there last, unless we looked or wrote since.
    seen: Option<Option<WishKind>>,
    /// Whether a watch saw another one of that name.
    stranger: bool,
    strikes: u32,
    strikes_since: Option<Instant>,
    pub(super) contested: bool,
    /// Whether a call about it is under way.
    pub(super) flying: bool,
    pub(super) last_try: Option<Instant>,
    /// Only while it fails.
    pub(super) backoff: Option<Box<Backoff>>,
    /// What was told of its failures since its last success.
    pub(super) told: Option<ErrorKind>,
}

/// What to do about what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// Nothing: it says so already, or it is not ours to say.
    Settled,
    /// Nothing from now on: another keeps writing it.
    Contested,
    /// Write it.
    Write,
}

/// Who writes over our condition once in a while is no rival.
const STRIKES_KEPT: Duration = Duration::from_secs(60 * 60);

// === impl Target ===

impl Target {
    pub(super) const fn new() -> Self {
        Self {
            wish: Wish::Leave,
            recovered: false,
            reworded: false,
            stood: false,
            uid: None,
            last: None,
            doubt: Vec::new(),
            seen: None,
            stranger: false,
            strikes: 0,
            strikes_since: None,
            contested: false,
            flying: false,
            last_try: None,
            backoff: None,
            told: None,
        }
    }

    pub(super) const fn wish(&self) -> &Wish {
        &self.wish
    }

    /// Takes in what is to stand there. What is told again changes nothing: a time of death is
    /// fixed once.
    pub(super) fn tell(&mut self, wish: Wish) {
        if self.wish.kind() == wish.kind() {
            return;
        }
        self.reworded = match wish.kind() {
            Some(WishKind::Lost) => std::mem::take(&mut self.recovered),
            Some(WishKind::Alive) => {
                self.recovered = true;
                false
            }
            Some(WishKind::Left) | None => false,
        };
        self.stood = !self.reworded && self.last.is_some() && self.last == wish.kind();
        self.wish = wish;
    }

    /// Takes in which object it is; says whether it is another one than before.
    ///
    /// Who was Lost or Left on the old one, or was to be by a turn that began with the old one, is
    /// not so on the new one. Who is Alive beats for the new one, too.
    pub(super) fn meet(&mut self, uid: Option<&str>, same_turn: bool) -> bool {
        let Some(uid) = uid.filter(|uid| self.uid.as_deref() != Some(*uid)) else {
            return false;
        };
        let Some(_) = self.uid.replace(uid.to_owned()) else {
            return false;
        };
        let wanted = self.wish.kind();
        let of_old = same_turn || self.stood;
        let wish = std::mem::replace(&mut self.wish, Wish::Leave);
        *self = Self {
            wish: if of_old && wanted != Some(WishKind::Alive) {
                Wish::Leave
            } else {
                wish
            },
            uid: self.uid.take(),
            flying: self.flying,
            last_try: self.last_try,
            ..Self::new()
        };
        true
    }

    /// Another may have written it: what we wrote says nothing about what stands there. A watch
    /// has told of that, if there is one.
    pub(super) fn doubt_all(&mut self) {
        self.doubt.clear();
        self.last = self.seen.flatten();
    }

    /// Takes in what a watch saw. It lags, so that is a reason to ask the server at most, and is
    /// never held against anybody.
    pub(super) fn see(&mut self, uid: &str, standing: &Standing) {
        let known = self.uid.get_or_insert_with(|| uid.to_owned());
        self.stranger = known != uid;
        if self.stranger {
            return;
        }
        let known = standing.known();
        if self.last.is_none() && self.doubt.is_empty() {
            // We wrote nothing that the watch could lag behind.
            self.last = known;
            self.stood |= known.is_some() && known == self.wish.kind();
        }
        self.seen = Some(known);
    }

    /// Whether there is anything to look at or to write.
    pub(super) fn is_due(&self) -> bool {
        let Some(wanted) = self.wish.kind() else {
            return false;
        };
        self.stranger || (!self.contested && (self.is_unwritten(wanted) || self.is_gone(wanted)))
    }

    /// Whether what is to stand there is news, and not only to be looked at.
    pub(super) fn is_news(&self) -> bool {
        self.backoff.is_none() && self.wish.kind().is_some_and(|it| self.is_unwritten(it))
    }

    fn is_unwritten(&self, wanted: WishKind) -> bool {
        let confirmed = self.last.filter(|_| self.doubt.is_empty());
        self.reworded || confirmed != Some(wanted)
    }

    fn is_gone(&self, wanted: WishKind) -> bool {
        self.seen.is_some_and(|seen| seen != Some(wanted))
    }

    /// Decides about the target as the server has it now.
    pub(super) fn judge(&mut self, object: &Value, foreign_max: u32, now: Instant) -> Judgement {
        let standing = Standing::of(object);
        let known = standing.known();
        let ours = self.last.is_none()
            || known.is_some_and(|kind| self.last == Some(kind) || self.doubt.contains(&kind));
        self.doubt.clear();
        self.last = known;
        self.seen = None;
        self.stranger = false;
        let (Some(condition), Some(wanted)) = (self.wish.condition(), self.wish.kind()) else {
            return Judgement::Settled;
        };
        let agrees = known == Some(wanted);
        self.stood |= agrees;
        let said = self.reworded && standing::message(object) != Some(&*condition.message);
        if self.contested || (agrees && !said) {
            self.reworded = false;
            return Judgement::Settled;
        }
        if !ours && !agrees && self.strike(now) > foreign_max {
            self.contested = true;
            return Judgement::Contested;
        }
        Judgement::Write
    }

    fn strike(&mut self, now: Instant) -> u32 {
        let fresh = |since: &Instant| now.saturating_duration_since(*since) < STRIKES_KEPT;
        if self.strikes_since.filter(fresh).is_none() {
            self.strikes_since = Some(now);
            self.strikes = 0;
        }
        self.strikes += 1;
        self.strikes
    }

    /// The wish is sent. Says whether it was to replace the message of an earlier death.
    pub(super) fn sent(&mut self) -> bool {
        std::mem::take(&mut self.reworded)
    }

    /// What was sent was applied.
    pub(super) fn written(&mut self, kind: WishKind) {
        self.stood |= self.wish.kind() == Some(kind);
        self.last = Some(kind);
        self.doubt.clear();
        self.seen = None;
    }

    /// What was sent was not applied, or nobody knows.
    pub(super) fn unwritten(&mut self, kind: WishKind, reworded: bool, may_have_applied: bool) {
        self.reworded |= reworded && self.wish.kind() == Some(WishKind::Lost);
        if may_have_applied && !self.doubt.contains(&kind) {
            self.doubt.push(kind);
        }
    }

    /// What stands there must be read again.
    pub(super) fn gone(&mut self) {
        self.last = None;
        self.doubt.clear();
        self.seen = None;
    }
}
