//! What is wrong with a request or with its answer.

use std::error::Error;
use std::io;

use http::StatusCode;

use crate::checks::failure::Failure;
use crate::checks::fetch::Answer;
use crate::error::chain;
use crate::reasons;

impl From<hyper::Error> for Failure {
    fn from(error: hyper::Error) -> Self {
        let reason = if error.is_parse() || error.is_parse_status() {
            reasons::PROTOCOL_ERROR
        } else if is_of_tls(&error) {
            reasons::TLS_FAILED
        } else {
            reasons::CONNECTION_LOST
        };
        Self::new(reason, chain(&error))
    }
}

/// Whether TLS failed after its handshake: that is when a server of TLS 1.3 says that it does not
/// take our certificate, or wants one.
fn is_of_tls(error: &hyper::Error) -> bool {
    let io = error.source().and_then(|it| it.downcast_ref::<io::Error>());
    let cause = io.and_then(io::Error::get_ref);
    cause.is_some_and(|cause| cause.is::<rustls::Error>())
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
