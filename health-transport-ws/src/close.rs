//! Why a tunnel is closed.

use std::fmt;

/// Why a tunnel is closed, as one side tells the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// The agent leaves on purpose.
    Leaving,
    /// The same agent has a newer tunnel; who is told so stays away for the heartbeat's timeout,
    /// or two instances with one identity would throw each other out without end.
    Replaced,
    /// The server stops, and another one or the next start of it takes over.
    ShuttingDown,
    /// Anything else.
    Other(String),
}

// === impl CloseReason ===

impl CloseReason {
    /// The text on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Leaving => "going away",
            Self::Replaced => "replaced by a newer tunnel",
            Self::ShuttingDown => "server is shutting down",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for CloseReason {
    fn from(text: &str) -> Self {
        [Self::Leaving, Self::Replaced, Self::ShuttingDown]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .unwrap_or_else(|| Self::Other(text.to_owned()))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_str() {
            "" => f.pad("no reason was given"),
            text => f.pad(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_from_what_it_writes() {
        for reason in [
            CloseReason::Leaving,
            CloseReason::Replaced,
            CloseReason::ShuttingDown,
            CloseReason::Other("maintenance".to_owned()),
        ] {
            assert_eq!(CloseReason::from(reason.as_str()), reason);
        }
    }
}
