//! When something is due about an agent, and what.

use super::Record;
use super::silence::Look;
use super::silence::Silence;
use crate::FleetTerms;
use crate::FleetVerdict;
use crate::FlightDue;
use crate::fleet::moment::Moment;
use crate::fleet::moment::Span;

/// Beats are late by up to this share of the interval anyway, 4 %; see the agent's machine.
const JITTER_SHARE: u64 = 25;

/// A live look comes so long before the verdict that it is answered by then.
const CONFIRM_LEAD_MAX: Span = Span::from_secs(5);

/// After how much of the allowance nobody waits for a live look's answer any more, and after how
/// much of it there is another one.
pub(super) const CONFIRM_SHARE: u64 = 6;

/// What is due about an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::fleet) enum Due {
    Suspect,
    /// Look at its objects; an answer counts until then.
    Confirm(Moment),
    Lost,
    Left,
    Forget,
}

// === impl Record ===

impl Record {
    pub(in crate::fleet) fn due(&self, terms: &FleetTerms, now: Moment) -> Option<Due> {
        if !self.verdict.is_open() {
            let forget = self.forget_at(terms).is_some_and(|at| at <= now);
            return forget.then_some(Due::Forget);
        }
        if self.silence().left_at.is_some_and(|at| at <= now) {
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
    pub(in crate::fleet) fn wanted(&self, terms: &FleetTerms) -> Option<Moment> {
        if !self.verdict.is_open() {
            return self.forget_at(terms);
        }
        let Silence { look, left_at, .. } = self.silence();
        let end = self.lost_at();
        let end = match look {
            Look::Asked { by, .. } => end.max(by),
            Look::Failed(again) if !self.has_other_channels() => end.max(again),
            Look::No | Look::Silent | Look::Failed(_) => end,
        };
        let others = [self.suspect_at(), self.confirm_at(), left_at];
        others.into_iter().flatten().chain([end]).min()
    }

    /// What is to come if nothing comes in, for people.
    pub(in crate::fleet) fn ahead(&self, terms: &FleetTerms) -> FlightDue {
        let is_open = self.verdict.is_open();
        let Silence {
            look,
            left_at,
            held,
        } = self.silence();
        let answer = match look {
            Look::Asked { by, .. } | Look::Failed(by) if is_open => Some(by),
            Look::Asked { .. } | Look::Failed(_) | Look::No | Look::Silent => None,
        };
        let age = |at: Option<Moment>| at.map(Moment::age);
        FlightDue {
            suspect: age(self.suspect_at()),
            look: age(self.confirm_at()),
            answer: age(answer),
            left: age(left_at),
            lost: age(is_open.then(|| self.lost_at())),
            forgotten: age(self.forget_at(terms).filter(|_| !is_open)),
            is_held: held,
        }
    }

    /// Its allowance is over: what its objects say decides, where it has some.
    fn due_at_the_end(&self, now: Moment) -> Option<Due> {
        if !self.has_objects() {
            return Some(Due::Lost);
        }
        match self.silence().look {
            Look::Silent => Some(Due::Lost),
            Look::No => Some(Due::Confirm(self.answer_by(now))),
            Look::Asked { by, .. } if by > now => None,
            Look::Asked { .. } | Look::Failed(_) if self.has_other_channels() => Some(Due::Lost),
            Look::Failed(again) if again > now => None,
            Look::Asked { .. } | Look::Failed(_) => Some(Due::Confirm(self.answer_by(now))),
        }
    }

    fn lost_at(&self) -> Moment {
        let times = if self.is_held() { 2 } else { 1 };
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
        let asks = wants && self.has_objects() && self.silence().look == Look::No;
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
    pub(super) const fn has_other_channels(&self) -> bool {
        self.last_frame.is_some()
    }

    /// When the next beat is expected; where nobody said, half the allowance is no longer than any
    /// interval may be.
    pub(super) fn interval(&self) -> Span {
        match self.interval_ms {
            0 => self.allowance() / 2,
            millis => Span::from_millis(millis),
        }
    }
}
