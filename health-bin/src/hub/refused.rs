//! Who dials in and is refused: counted by reason, and told where somebody has to do something.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use health_heartbeat::AgentId;
use metrics::Counter;

use super::seldom::Seldom;

/// Why somebody was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Refusal {
    /// So many dial in at once.
    Busy,
    /// What it shows belongs to another target.
    Forbidden,
    /// There is no place for another tunnel, or another agent.
    Full,
    /// Its handshake names another target than its request.
    Handshake,
    /// Another hub leads.
    Standby,
    /// The hub ends.
    Stopping,
    /// It dials too often.
    TooOften,
    /// It shows nothing, or what belongs to nobody.
    Unauthorized,
    /// Nobody could find out whose its token is.
    Unavailable,
}

/// The refused, as they are counted and told.
#[derive(Debug)]
pub(super) struct Refused {
    /// In the order of [`Refusal::ALL`], each from the start: a rate misses a first one that comes
    /// with its series.
    counters: [Counter; Refusal::ALL.len()],
    told: Mutex<Seldom>,
}

/// What is told of one that was refused. Names come from who dials in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dial<'a> {
    pub(super) agent: &'a AgentId,
    pub(super) from: SocketAddr,
    pub(super) why: &'a str,
}

const DIALS_REFUSED: &str = "syncer_hub_dials_refused_total";

/// A longer text of somebody who dials in is cut.
const TEXT_MAX: usize = 256;

// === impl Refusal ===

impl Refusal {
    const ALL: [Self; 9] = [
        Self::Busy,
        Self::Forbidden,
        Self::Full,
        Self::Handshake,
        Self::Standby,
        Self::Stopping,
        Self::TooOften,
        Self::Unauthorized,
        Self::Unavailable,
    ];

    /// The reason, as it stands in the metric's label.
    const fn label(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Forbidden => "forbidden",
            Self::Full => "full",
            Self::Handshake => "handshake",
            Self::Standby => "standby",
            Self::Stopping => "stopping",
            Self::TooOften => "too_often",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
        }
    }

    /// What somebody has to do about it; nothing where it passes by itself.
    const fn remedy(self) -> Option<&'static str> {
        match self {
            Self::Unauthorized => Some("give the agent the credential of its target"),
            Self::Forbidden => {
                Some("give the agent its own credential, or the workspace and name of this one")
            }
            Self::Handshake => Some("give the agent one name, and its own credential"),
            Self::Unavailable => Some("see why the API server does not review its token"),
            Self::Busy | Self::Full | Self::Standby | Self::Stopping | Self::TooOften => None,
        }
    }
}

// === impl Refused ===

impl Refused {
    /// Nobody was refused yet.
    pub(super) fn new() -> Self {
        metrics::describe_counter!(DIALS_REFUSED, "Dials that were refused, by reason.");
        Self {
            counters: Refusal::ALL
                .map(|refusal| metrics::counter!(DIALS_REFUSED, "reason" => refusal.label())),
            told: Mutex::default(),
        }
    }

    /// Counts one that comes again by itself.
    pub(super) fn count(&self, refusal: Refusal) {
        self.counters[refusal as usize].increment(1);
    }

    /// Counts one, and tells of it as often as anybody wants to read it.
    pub(super) fn tell(&self, refusal: Refusal, dial: Dial<'_>, now: Instant) {
        self.count(refusal);
        let Some(remedy) = refusal.remedy() else {
            return;
        };
        let told = {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            told.tell((dial.agent, refusal), now)
        };
        if let Some(untold) = told {
            tracing::warn!(
                agent = cut(&dial.agent.to_string()),
                peer = %dial.from.ip(),
                reason = refusal.label(),
                why = cut(dial.why),
                untold,
                "a dial was refused: {remedy}"
            );
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_a_series_of_its_own() {
        for (index, refusal) in Refusal::ALL.into_iter().enumerate() {
            assert_eq!(refusal as usize, index, "{refusal:?}");
        }
        let mut labels = Refusal::ALL.map(Refusal::label).to_vec();
        labels.dedup();
        assert!(labels.is_sorted() && labels.len() == Refusal::ALL.len());
    }
}
