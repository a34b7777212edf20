//! What is to stand on a SyncTarget.

use std::time::SystemTime;

use crate::names;
use crate::record::whole_seconds;
use crate::synctarget::Condition;
use crate::synctarget::ConditionStatus;
use crate::synctarget::Severity;

/// What is to stand on a SyncTarget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// It beats: True, `HeartbeatReceived`.
    Alive,
    /// It is silent: False, `HeartbeatTimeout`, `Warning`.
    Lost(Silence),
    /// It said goodbye: False, `SyncerLeft`, `Info`.
    Left,
    /// Whatever stands there: nobody knows better now.
    Leave,
}

/// Since when an agent is silent; wall-clock times, which are shown and decide nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// When it became Lost.
    pub since: SystemTime,
    /// The last sign of it; nothing where this hub never had one.
    pub last: Option<LastSign>,
}

/// A sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSign {
    /// When it came.
    pub at: SystemTime,
    /// By what it came: `tunnel`, `lease`, `synctarget`.
    pub channel: &'static str,
}

/// What a [`Wish`] says to machines; the rest of it is for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WishKind {
    /// [`Wish::Alive`].
    Alive,
    /// [`Wish::Lost`].
    Lost,
    /// [`Wish::Left`].
    Left,
}

// === impl Wish ===

impl Wish {
    /// What is wished for; nothing where it is whatever stands there.
    #[must_use]
    pub const fn kind(&self) -> Option<WishKind> {
        match self {
            Self::Alive => Some(WishKind::Alive),
            Self::Lost(_) => Some(WishKind::Lost),
            Self::Left => Some(WishKind::Left),
            Self::Leave => None,
        }
    }

    /// The condition; nothing where it is whatever stands there.
    ///
    /// It is a function of the wish alone, so a wish that is told again changes nothing.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        let message = match self {
            Self::Alive => "heartbeats arrive".to_owned(),
            Self::Lost(silence) => silence.message(),
            Self::Left => "the syncer said goodbye".to_owned(),
            Self::Leave => return None,
        };
        let kind = self.kind()?;
        Some(Condition {
            kind: names::HEARTBEAT_HEALTHY,
            status: kind.status(),
            severity: kind.severity(),
            reason: kind.reason().to_owned(),
            message,
        })
    }
}

// === impl Silence ===

impl Silence {
    fn message(&self) -> String {
        let since = whole_seconds(self.since);
        match self.last {
            Some(LastSign { at, channel }) => {
                let at = whole_seconds(at);
                format!("lost since {since}; the last sign of it came by {channel} at {at}")
            }
            None => format!("lost since {since}; this hub has had no sign of it"),
        }
    }
}

// === impl WishKind ===

impl WishKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Alive, Self::Lost, Self::Left];

    /// The condition's status.
    #[must_use]
    pub const fn status(self) -> ConditionStatus {
        match self {
            Self::Alive => ConditionStatus::True,
            Self::Lost | Self::Left => ConditionStatus::False,
        }
    }

    /// The condition's severity: only where it does not hold.
    #[must_use]
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Self::Alive => None,
            Self::Lost => Some(Severity::Warning),
            Self::Left => Some(Severity::Info),
        }
    }

    /// The condition's reason.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Alive => names::HEARTBEAT_RECEIVED,
            Self::Lost => names::HEARTBEAT_TIMEOUT,
            Self::Left => names::SYNCER_LEFT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    #[test]
    fn every_wish_has_its_condition() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let last = LastSign {
            at: at(30),
            channel: "lease",
        };
        let lost = |last| {
            Wish::Lost(Silence {
                since: at(60),
                last,
            })
        };
        for (wish, expected) in [
            (
                Wish::Alive,
                Some(("True", None, "HeartbeatReceived", "heartbeats arrive")),
            ),
            (
                lost(Some(last)),
                Some((
                    "False",
                    Some("Warning"),
                    "HeartbeatTimeout",
                    "lost since 1970-01-01T00:01:00Z; \
                     the last sign of it came by lease at 1970-01-01T00:00:30Z",
                )),
            ),
            (
                lost(None),
                Some((
                    "False",
                    Some("Warning"),
                    "HeartbeatTimeout",
                    "lost since 1970-01-01T00:01:00Z; this hub has had no sign of it",
                )),
            ),
            (
                Wish::Left,
                Some((
                    "False",
                    Some("Info"),
                    "SyncerLeft",
                    "the syncer said goodbye",
                )),
            ),
            (Wish::Leave, None),
        ] {
            let condition = wish.condition();
            let found = condition.as_ref().map(|it| {
                let severity = it.severity.map(Severity::as_str);
                (it.status.as_str(), severity, &*it.reason, &*it.message)
            });
            assert_eq!(found, expected);
        }
    }
}
