//! What went wrong with a request, for machines and for people.

use std::io;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use health_core::Outcome;
use http::StatusCode;

use crate::checks::fetch::Answer;
use crate::error::chain;
use crate::reasons;

/// What went wrong with a request.
#[derive(Debug)]
pub(in crate::checks) struct Failure {
    pub(in crate::checks) reason: &'static str,
    pub(in crate::checks) message: String,
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

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        let reason = if error.is_parse() || error.is_parse_status() {
            reasons::PROTOCOL_ERROR
        } else {
            reasons::CONNECTION_LOST
        };
        Self::new(reason, chain(&error))
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        Self::unhealthy(failure.reason, failure.message)
    }
}

/// What is wrong with an answer of this status, which is not the one that was expected.
pub(in crate::checks) fn status_failure(answer: &Answer) -> Failure {
    let status = answer.status;
    let reason = match status.as_u16() {
        301 | 302 | 303 | 307 | 308 => {
            let place = answer.location.as_deref().unwrap_or("nowhere");
            let message = format!("the answer is {} to {place}", status.as_u16());
            return Failure::new(reasons::REDIRECTED, message);
        }
        401 => reasons::UNAUTHORIZED,
        403 => reasons::FORBIDDEN,
        404 => reasons::NOT_FOUND,
        429 => reasons::TOO_MANY_REQUESTS,
        500..=599 => reasons::SERVER_ERROR,
        _ => reasons::UNEXPECTED_STATUS,
    };
    Failure::new(reason, format!("the answer is {}", named(status)))
}

fn named(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(name) => format!("{} {name}", status.as_u16()),
        None => status.as_str().to_owned(),
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
