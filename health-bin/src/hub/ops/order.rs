//! In which order agents are listed, and where in that order a page ended.
//!
//! A page continues behind a *place*, not behind a number of agents: what comes, goes or changes
//! meanwhile moves nobody else, so an agent that does not change is listed exactly once.

use std::cmp::Ordering;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use health_core::HealthStatus;
use health_heartbeat::AgentId;
use health_heartbeat::AgentView;
use health_heartbeat::Channel;
use health_heartbeat::FleetVerdict;
use serde::Deserialize;
use serde::Serialize;

/// What agents are sorted by; what is equal is sorted by workspace and name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SortKey {
    /// Workspace, then name.
    Name,
    /// The silent first, and of one verdict the longest first.
    Verdict,
    /// The sickest first, and of one status the longest verdict first.
    Status,
    /// The oldest verdict first.
    Since,
    /// The longest silence first, whoever was never heard before all.
    LastEvidence,
}

/// An order of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) key: SortKey,
    pub(super) reverse: bool,
}

/// What an agent is sorted by, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Place {
    rank: u8,
    /// Nanoseconds since this hub's epoch.
    at: i64,
}

/// Where a page ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) place: Place,
    pub(super) id: AgentId,
}

/// The instant that this process counts from, and its name: another process counts from another.
#[derive(Debug, Clone)]
pub(super) struct Epoch {
    pub(super) start: Instant,
    pub(super) tag: String,
}

/// Indicates a cursor that does not continue this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadCursor {
    /// It was not made here.
    Unreadable,
    /// It was made for another `sort`.
    OtherSort,
    /// The hub that made it has ended, and with it the times that it counted.
    OtherStart,
}

/// A cursor as it travels.
#[derive(Serialize, Deserialize)]
struct Cursor(u8, String, String, Place, String, String);

/// The cursor's own version.
const CURSOR_VERSION: u8 = 1;

// === impl SortKey ===

impl SortKey {
    pub(super) const ALL: [Self; 5] = [
        Self::Name,
        Self::Verdict,
        Self::Status,
        Self::Since,
        Self::LastEvidence,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Verdict => "verdict",
            Self::Status => "status",
            Self::Since => "since",
            Self::LastEvidence => "lastEvidence",
        }
    }
}

// === impl Sort ===

impl Sort {
    /// By workspace and name.
    pub(super) const BY_NAME: Self = Self {
        key: SortKey::Name,
        reverse: false,
    };

    /// Reads a key, with `-` in front for the reverse.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (reverse, name) = match text.strip_prefix('-') {
            Some(name) => (true, name),
            None => (false, text),
        };
        let key = SortKey::ALL.into_iter().find(|key| key.as_str() == name)?;
        Some(Self { key, reverse })
    }

    /// Where an agent stands.
    pub(super) fn place(self, view: AgentView<'_>, epoch: &Epoch) -> Place {
        let since = epoch.nanos(view.since());
        match self.key {
            SortKey::Name => Place { rank: 0, at: 0 },
            SortKey::Verdict => Place {
                rank: verdict_rank(view.verdict()),
                at: since,
            },
            SortKey::Status => Place {
                rank: status_rank(view.carried().and_then(|carried| carried.status)),
                at: since,
            },
            SortKey::Since => Place { rank: 0, at: since },
            SortKey::LastEvidence => {
                let last = Channel::ALL
                    .into_iter()
                    .filter_map(|channel| view.last_evidence(channel))
                    .max();
                Place {
                    rank: u8::from(last.is_some()),
                    at: last.map_or(0, |at| epoch.nanos(at)),
                }
            }
        }
    }

    /// Compares in the ascending order what a reverse list shows backwards.
    pub(super) fn direct(self, ordering: Ordering) -> Ordering {
        if self.reverse {
            ordering.reverse()
        } else {
            ordering
        }
    }

    /// Whether an agent comes behind a position.
    pub(super) fn is_behind(self, place: Place, id: &AgentId, position: &Position) -> bool {
        let ordering = place
            .cmp(&position.place)
            .then_with(|| id.cmp(&position.id));
        self.direct(ordering) == Ordering::Greater
    }

    /// A position as a cursor, which is opaque to whoever gets it.
    pub(super) fn cursor(self, position: &Position, epoch: &Epoch) -> String {
        let cursor = Cursor(
            CURSOR_VERSION,
            self.to_string(),
            epoch.tag.clone(),
            position.place,
            position.id.workspace.clone(),
            position.id.name.clone(),
        );
        // Numbers and strings have a form in JSON.
        let json = serde_json::to_vec(&cursor).unwrap_or_default();
        BASE64_URL_SAFE_NO_PAD.encode(json)
    }

    /// The position that a cursor of this order holds.
    pub(super) fn position(self, cursor: &str, epoch: &Epoch) -> Result<Position, BadCursor> {
        let json = BASE64_URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| BadCursor::Unreadable)?;
        let Cursor(version, sort, tag, place, workspace, name) =
            serde_json::from_slice(&json).map_err(|_| BadCursor::Unreadable)?;
        if version != CURSOR_VERSION {
            return Err(BadCursor::Unreadable);
        }
        if sort != self.to_string() {
            return Err(BadCursor::OtherSort);
        }
        // Names mean the same to every process.
        if self.key != SortKey::Name && tag != epoch.tag {
            return Err(BadCursor::OtherStart);
        }
        let id = AgentId { workspace, name };
        Ok(Position { place, id })
    }
}

impl std::fmt::Display for Sort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.reverse { "-" } else { "" };
        write!(f, "{sign}{}", self.key.as_str())
    }
}

// === impl Epoch ===

impl Epoch {
    /// An epoch that begins now.
    pub(super) fn begin(now: Instant) -> Self {
        Self {
            start: now,
            tag: uuid::Uuid::new_v4().simple().to_string()[..8].to_owned(),
        }
    }

    /// Exact within 292 years.
    fn nanos(&self, at: Instant) -> i64 {
        let clamp = |nanos: u128| i64::try_from(nanos).unwrap_or(i64::MAX);
        match at.checked_duration_since(self.start) {
            Some(after) => clamp(after.as_nanos()),
            None => -clamp(self.start.duration_since(at).as_nanos()),
        }
    }
}

// === impl BadCursor ===

impl std::fmt::Display for BadCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "is none; take it from `next` as it is, or leave it out to begin",
            Self::OtherSort => "belongs to another sort; leave it out to begin anew",
            Self::OtherStart => "is of an earlier start of this hub; leave it out to begin anew",
        })
    }
}

/// Who is silent against its will comes first, who is expected before who said goodbye.
const fn verdict_rank(verdict: FleetVerdict) -> u8 {
    match verdict {
        FleetVerdict::Lost => 0,
        FleetVerdict::Suspect => 1,
        FleetVerdict::Pending => 2,
        FleetVerdict::Left => 3,
        FleetVerdict::Alive => 4,
    }
}

/// The order from bad to good; who said nothing yet stands behind who knows nothing.
const fn status_rank(status: Option<HealthStatus>) -> u8 {
    match status {
        Some(HealthStatus::Unhealthy) => 0,
        Some(HealthStatus::Degraded) => 1,
        Some(HealthStatus::Unknown) => 2,
        None => 3,
        Some(HealthStatus::Healthy) => 4,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_cursor_goes_out_and_comes_back() {
        let epoch = Epoch::begin(Instant::now());
        for key in SortKey::ALL {
            for reverse in [false, true] {
                let sort = Sort { key, reverse };
                assert_eq!(Sort::parse(&sort.to_string()), Some(sort));
                for at in [i64::MIN, -1, 0, 1, i64::MAX] {
                    let position = Position {
                        place: Place { rank: 3, at },
                        id: id("root:org:ü/\"", "edge 1\n"),
                    };
                    let cursor = sort.cursor(&position, &epoch);
                    assert!(
                        cursor
                            .bytes()
                            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
                        "{cursor} needs no escape in a URL"
                    );
                    assert_eq!(sort.position(&cursor, &epoch), Ok(position));
                }
            }
        }
    }

    #[test]
    fn a_cursor_of_another_sort_another_start_or_nobody_is_told_apart() {
        let epoch = Epoch::begin(Instant::now());
        let other = Epoch::begin(Instant::now());
        let position = Position {
            place: Place { rank: 0, at: 7 },
            id: id("w", "n"),
        };
        let since = Sort::parse("since").unwrap();
        let cursor = since.cursor(&position, &epoch);
        let reverse = Sort::parse("-since").unwrap();
        assert_eq!(reverse.position(&cursor, &epoch), Err(BadCursor::OtherSort));
        assert_eq!(since.position(&cursor, &other), Err(BadCursor::OtherStart));
        let by_name = Sort::BY_NAME.cursor(&position, &epoch);
        assert_eq!(Sort::BY_NAME.position(&by_name, &other), Ok(position));
        for rubbish in ["", "x", "root:org:edge/b", "e30", "\u{fc}", "WzEsMiwzXQ"] {
            let read = since.position(rubbish, &epoch);
            assert_eq!(read, Err(BadCursor::Unreadable), "{rubbish:?}");
        }
    }

    #[test]
    fn instants_before_the_epoch_are_counted_too() {
        let start = Instant::now() + Duration::from_secs(10);
        let epoch = Epoch::begin(start);
        let second = Duration::from_secs(1);
        assert_eq!(epoch.nanos(start - second), -1_000_000_000);
        assert_eq!(epoch.nanos(start + second), 1_000_000_000);
    }

    fn id(workspace: &str, name: &str) -> AgentId {
        AgentId {
            workspace: workspace.to_owned(),
            name: name.to_owned(),
        }
    }
}
