//! What carries a heartbeat.

use std::error::Error;
use std::fmt;
use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;

use crate::Heartbeat;
use crate::HolderIdentity;

/// What carries a heartbeat to the control plane, and brings back that it arrived.
///
/// A transport makes one attempt when it is told to, and answers what became of it: when to try,
/// how often, and what a failure means are the [`AgentMachine`](crate::AgentMachine)'s decisions.
#[async_trait]
pub trait HeartbeatTransport: Send + 'static {
    /// The transport's name in reports, metrics and logs.
    fn name(&self) -> TransportName;

    /// Sends one heartbeat and waits for the answer, until `by` at the latest.
    ///
    /// # Errors
    ///
    /// [`BeatError`] if the heartbeat is not known to have arrived. It may have arrived all the
    /// same, so a transport must bear the same sequence again.
    ///
    /// # Cancel safety
    ///
    /// The driver drops the future at `by`. What was sent may still arrive; the next call starts
    /// from that doubt.
    async fn beat(
        &mut self,
        heartbeat: &Heartbeat,
        by: Instant,
    ) -> Result<Acknowledgement, BeatError>;

    /// Waits until whoever receives the heartbeats may not know this agent, since the connection is a
    /// new one and no beat has arrived over it; told once for each. The next beat is brought forward
    /// then, for a hub that was started anew knows neither the agent's terms nor its health before.
    /// A transport without connections never tells; that is the default.
    ///
    /// # Cancel safety
    ///
    /// The driver drops the future at whatever else happens, and calls again when no attempt is
    /// under way; what is told must not be lost by that.
    async fn reconnected(&mut self) {
        std::future::pending().await
    }

    /// Says goodbye, until `by` at the latest; the agent leaves on purpose.
    ///
    /// # Errors
    ///
    /// [`BeatError`] if the goodbye is not known to have arrived; the agent leaves all the same.
    ///
    /// # Cancel safety
    ///
    /// The driver drops the future at `by`; nothing is called after it.
    async fn release(&mut self, by: Instant) -> Result<(), BeatError>;
}

/// A transport's name: lower case, as it stands in metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportName(pub &'static str);

/// That a heartbeat arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acknowledgement {
    /// Whether this agent beats for its target, or another one does.
    pub standing: Standing,
    /// The interval to beat at from now on, if the other side says.
    pub interval: Option<Duration>,
    /// Not to beat again before that has passed, if the other side says.
    pub retry_after: Option<Duration>,
    /// To beat again before that has passed: the transport saw no need to send this one, and what
    /// it sent before is good for that long only.
    pub again_within: Option<Duration>,
}

/// Whether this agent beats for its target, or another one does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Standing {
    /// This one does.
    #[default]
    Beating,
    /// Another one does, and this one stands by.
    StandingBy {
        /// The other one.
        holder: HolderIdentity,
    },
}

/// Indicates that a heartbeat is not known to have arrived. Always transient: the loop tries again.
#[derive(Debug)]
pub struct BeatError {
    message: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

// === impl TransportName ===

impl fmt::Display for TransportName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

// === impl Acknowledgement ===

impl Acknowledgement {
    /// That another agent holds the target.
    #[must_use]
    pub const fn standing_by(holder: HolderIdentity) -> Self {
        Self {
            standing: Standing::StandingBy { holder },
            interval: None,
            retry_after: None,
            again_within: None,
        }
    }
}

// === impl BeatError ===

impl BeatError {
    /// An error that says what failed, and what would be right where that is known.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds the time that the other side asked to be left alone for.
    #[must_use]
    pub const fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// The time that the other side asked to be left alone for.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The message with all causes, on one line: what logs and reports show.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut line = self.message.clone();
        let mut source = self.source();
        while let Some(cause) = source {
            line.push_str(": ");
            line.push_str(&cause.to_string());
            source = cause.source();
        }
        line
    }
}

impl fmt::Display for BeatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for BeatError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
