//! The calls that the machines make, and what comes back.

use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

/// A call of the API that a machine wants made. There is never more than one at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What to do.
    pub verb: Verb,
    /// When to give up waiting for the answer.
    pub by: Instant,
}

/// What to do with which object.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Read the Lease, live.
    GetLease,
    /// Create the Lease.
    CreateLease(Value),
    /// Write the Lease, if it is still at the object's resourceVersion.
    PutLease(Value),
    /// Read the SyncTarget, live.
    GetTarget,
    /// Ask whether the server would take this status, field by field.
    DryRunStatus(Value),
    /// Write the SyncTarget's status, if it is still at the object's resourceVersion.
    PutStatus(Value),
}

/// What a call came to.
pub type Reply = Result<Value, ApiError>;

/// Indicates a call that did not do what it should. Whether it is worth another try is in `kind`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What the server said, or what happened on the way; one line.
    pub message: String,
    /// How long the server asks to be left alone.
    pub retry_after: Option<Duration>,
}

/// The kinds of failure that somebody decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The object is there already.
    AlreadyExists,
    /// The object was written by somebody else in between, or is another one of the same name.
    Conflict,
    /// The connection could not be made or broke. Whether a write arrived is unknown.
    Connection,
    /// What was asked for is too long ago: the server does not remember it.
    Expired,
    /// This user may not do that.
    Forbidden,
    /// The server does not take the object as it is.
    Invalid,
    /// The object's namespace is not there.
    NamespaceMissing,
    /// The object is not there.
    NotFound,
    /// The server does not know this kind of object.
    ResourceMissing,
    /// The server failed. Whether a write was applied is unknown.
    Server,
    /// No answer in time. Whether a write was applied is unknown.
    Timeout,
    /// The answer is longer than it may be. What a write did is unknown.
    TooLarge,
    /// The server is busy, and has done nothing.
    TooMany,
    /// The server does not know this user.
    Unauthorized,
}

/// What a machine wants from its shell.
#[derive(Debug, Clone, PartialEq)]
pub enum Output<E, O> {
    /// Make this call, and hand in its reply.
    Call(Call),
    /// This happened; for logs and counters.
    Event(E),
    /// What was asked for is at its end.
    Done(O),
}

// === impl Verb ===

impl Verb {
    /// Whether it may change something on the server.
    #[must_use]
    pub const fn is_write(&self) -> bool {
        match self {
            Self::CreateLease(_) | Self::PutLease(_) | Self::PutStatus(_) => true,
            Self::GetLease | Self::GetTarget | Self::DryRunStatus(_) => false,
        }
    }

    /// The operation, as an error names it.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::GetLease | Self::GetTarget => "get",
            Self::CreateLease(_) => "create",
            Self::PutLease(_) => "update",
            Self::DryRunStatus(_) | Self::PutStatus(_) => "update the status of",
        }
    }
}

// === impl ApiError ===

impl ApiError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Why no further call of a task may be made at `now`, if that is so: its time is up, or it
    /// made as many as it may.
    pub(crate) fn used_up(by: Instant, calls: u32, calls_max: u32, now: Instant) -> Option<Self> {
        if now >= by {
            return Some(Self::new(
                ErrorKind::Timeout,
                "no time was left for another try",
            ));
        }
        (calls >= calls_max).then(|| {
            let lost = format!("others wrote it in between, again and again ({calls_max} calls)");
            Self::new(ErrorKind::Conflict, lost)
        })
    }

    /// Whether the server refused the object for a field that its schema lacks.
    #[must_use]
    pub fn is_unknown_field(&self) -> bool {
        self.kind == ErrorKind::Invalid && self.message.contains("unknown field")
    }
}

// === impl ErrorKind ===

impl ErrorKind {
    /// Whether a write that ended so may have been applied all the same.
    #[must_use]
    pub const fn may_have_applied(self) -> bool {
        match self {
            Self::Connection | Self::Server | Self::Timeout | Self::TooLarge => true,
            Self::AlreadyExists
            | Self::Conflict
            | Self::Expired
            | Self::Forbidden
            | Self::Invalid
            | Self::NamespaceMissing
            | Self::NotFound
            | Self::ResourceMissing
            | Self::TooMany
            | Self::Unauthorized => false,
        }
    }
}
