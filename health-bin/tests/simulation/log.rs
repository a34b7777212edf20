//! What happened, in order: hashed always, kept as text only when somebody wants to read it.

use std::fmt;

use crate::world::Time;

/// Who did it, or whom it happened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    World,
    Server,
    Hub,
    Agent(usize),
}

/// The event log of one run.
#[derive(Debug)]
pub(crate) struct Log {
    hash: u64,
    lines: Option<Vec<String>>,
}

/// FNV-1a's numbers: the hash must be the same on every machine.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

// === impl Log ===

impl Log {
    pub(crate) fn new(kept: bool) -> Self {
        Self {
            hash: OFFSET,
            lines: kept.then(Vec::new),
        }
    }

    /// Notes an event; its details are written only when the log is kept.
    pub(crate) fn note(
        &mut self,
        now: Time,
        who: Who,
        what: &'static str,
        detail: impl FnOnce() -> String,
    ) {
        let number = match who {
            Who::World => 0,
            Who::Server => 1,
            Who::Hub => 2,
            Who::Agent(agent) => agent as u64 + 3,
        };
        let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        self.mix(nanos);
        self.mix(number);
        for byte in what.bytes() {
            self.mix(byte.into());
        }
        if let Some(lines) = &mut self.lines {
            let now = now.as_secs_f64();
            lines.push(format!("{now:11.3} {who:8} {what} {}", detail()));
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    const fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(PRIME);
    }
}

// === impl Who ===

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::World => f.pad("world"),
            Self::Server => f.pad("server"),
            Self::Hub => f.pad("hub"),
            Self::Agent(agent) => f.pad(&format!("agent-{agent}")),
        }
    }
}
