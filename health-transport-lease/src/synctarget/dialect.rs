//! The three fields in which SyncTargets of different ages keep the heartbeat's time.

use std::fmt;
use std::str::FromStr;

/// A kind of SyncTarget, by its heartbeat field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// kcp 0.11 and before.
    Kcp,
    /// TMC's API branch, which also names who is beating.
    TmcApi,
    /// TMC's controller branch.
    TmcController,
}

/// How the heartbeat's field is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum HeartbeatField {
    /// The server is asked which one it takes.
    #[default]
    Auto,
    /// It is this one.
    Fixed(Dialect),
}

/// Indicates a name of no known heartbeat field. Permanent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown heartbeat field {0:?}, expected one of auto, lastSyncerHeartbeatTime, \
     lastHeartbeatTime, lastHeartbeat"
)]
pub struct UnknownField(pub String);

/// The search for the dialect that a server takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    candidates: &'static [Dialect],
    next: usize,
}

// === impl Dialect ===

impl Dialect {
    /// All of them, the oldest first: the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Kcp, Self::TmcApi, Self::TmcController];

    /// The field of `.status` with the heartbeat's time.
    #[must_use]
    pub const fn heartbeat_field(self) -> &'static str {
        match self {
            Self::Kcp => "lastSyncerHeartbeatTime",
            Self::TmcApi => "lastHeartbeatTime",
            Self::TmcController => "lastHeartbeat",
        }
    }

    /// The field of `.status` that names who is beating, where there is one.
    #[must_use]
    pub const fn identity_field(self) -> Option<&'static str> {
        match self {
            Self::TmcApi => Some("syncerIdentity"),
            Self::Kcp | Self::TmcController => None,
        }
    }

    const fn alone(self) -> &'static [Self] {
        match self {
            Self::Kcp => &[Self::Kcp],
            Self::TmcApi => &[Self::TmcApi],
            Self::TmcController => &[Self::TmcController],
        }
    }
}

// === impl HeartbeatField ===

impl FromStr for HeartbeatField {
    type Err = UnknownField;

    fn from_str(text: &str) -> Result<Self, UnknownField> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        Dialect::ALL
            .into_iter()
            .find(|dialect| dialect.heartbeat_field() == text)
            .map(Self::Fixed)
            .ok_or_else(|| UnknownField(text.to_owned()))
    }
}

impl fmt::Display for HeartbeatField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Auto => "auto",
            Self::Fixed(dialect) => dialect.heartbeat_field(),
        })
    }
}

// === impl Search ===

impl Search {
    pub(super) const fn new(field: HeartbeatField) -> Self {
        let candidates: &'static [Dialect] = match field {
            HeartbeatField::Auto => &Dialect::ALL,
            HeartbeatField::Fixed(dialect) => dialect.alone(),
        };
        Self {
            candidates,
            next: 0,
        }
    }

    /// The dialect to try.
    pub(super) fn candidate(&self) -> Option<Dialect> {
        self.candidates.get(self.next).copied()
    }

    /// The server does not take that one.
    pub(super) const fn refused(&mut self) {
        self.next += 1;
    }

    /// The fields that were tried, for an error.
    pub(super) fn fields(&self) -> String {
        let fields: Vec<_> = self
            .candidates
            .iter()
            .map(|it| it.heartbeat_field())
            .collect();
        fields.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_parsed_from_what_it_displays() {
        for field in [HeartbeatField::Auto]
            .into_iter()
            .chain(Dialect::ALL.map(HeartbeatField::Fixed))
        {
            assert_eq!(field.to_string().parse(), Ok(field));
        }
        let error = "lastBeat".parse::<HeartbeatField>().unwrap_err();
        assert!(error.to_string().contains("lastHeartbeatTime"));
    }

    #[test]
    fn each_candidate_is_tried_once() {
        let mut search = Search::new(HeartbeatField::Auto);
        for dialect in Dialect::ALL {
            assert_eq!(search.candidate(), Some(dialect));
            search.refused();
        }
        assert_eq!(search.candidate(), None);
        let mut search = Search::new(HeartbeatField::Fixed(Dialect::TmcController));
        assert_eq!(search.candidate(), Some(Dialect::TmcController));
        search.refused();
        assert_eq!(search.candidate(), None);
        assert_eq!(search.fields(), "lastHeartbeat");
    }
}
