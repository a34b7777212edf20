//! What goes wrong.

/// What goes wrong in one round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A restless agent is killed, and started again.
    Kill,
    /// A restless agent ends on purpose, and is started again.
    Leave,
    /// A restless agent stands still for longer than its timeout.
    Freeze,
    /// Every tunnel of a steady agent stays open, and hands nothing on any more.
    HalfOpen,
    /// The API server refuses, is busy, or does what it is asked without an answer.
    ApiServer,
    /// The service that is checked is away for a while.
    Service,
    /// Bytes that are no request come in on every port, and connections that say nothing.
    Rubbish,
    /// People look at everything, and go away in the middle.
    Readers,
    /// A signal to read the configuration again.
    Reload,
}

// === impl Fault ===

impl Fault {
    pub(crate) const ALL: [Self; 9] = [
        Self::Kill,
        Self::Leave,
        Self::Freeze,
        Self::HalfOpen,
        Self::ApiServer,
        Self::Service,
        Self::Rubbish,
        Self::Readers,
        Self::Reload,
    ];
}
