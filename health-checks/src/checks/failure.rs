//! Why something that was asked gave no good answer, for machines and for people.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use health_core::Outcome;

use crate::reasons;

/// What went wrong with a request.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// How far a request got.
#[derive(Debug, Default)]
pub(super) struct Stage(AtomicUsize);

/// What is being waited for in each stage.
const STAGES: [&str; 5] = [
    "the name to be resolved",
    "the connection",
    "the TLS handshake",
    "the answer's head",
    "the answer's body",
];

// === impl Failure ===

impl Failure {
    pub(super) fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    pub(super) fn connect(error: &io::Error) -> Self {
        let kind = error.kind();
        let reason = if kind == io::ErrorKind::ConnectionRefused {
            reasons::CONNECTION_REFUSED
        } else if kind == io::ErrorKind::ConnectionReset {
            reasons::CONNECTION_LOST
        } else {
            reasons::UNREACHABLE
        };
        Self::new(reason, error.to_string())
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::unhealthy(failure.reason, failure.message)
    }
}

// === impl Stage ===

impl Stage {
    pub(super) fn connection(&self) {
        self.0.store(1, Ordering::Relaxed);
    }

    pub(super) fn tls(&self) {
        self.0.store(2, Ordering::Relaxed);
    }

    pub(super) fn answer(&self) {
        self.0.store(3, Ordering::Relaxed);
    }

    pub(super) fn body(&self) {
        self.0.store(4, Ordering::Relaxed);
    }

    pub(super) fn timeout(&self, timeout: Duration) -> Failure {
        let stage = STAGES[self.0.load(Ordering::Relaxed)];
        let message = format!("no answer within {timeout:?}: still waiting for {stage}");
        Failure::new(reasons::TIMEOUT, message)
    }
}
