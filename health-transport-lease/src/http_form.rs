//! The HTTP form of a call and of its answer, without any I/O.

use std::fmt;
use std::time::Duration;

use http::Method;
use serde_json::Value;

use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::call::Reply;
use crate::call::Verb;
use crate::names;

/// The objects that one agent's calls are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objects {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub lease: String,
    /// The SyncTarget's name; empty for the Lease of hubs, which is no target's.
    pub target: String,
}

/// A request, relative to the cluster's URL. Its `Debug` leaves out the body, which may hold a
/// token.
#[derive(Clone, PartialEq)]
pub struct RawRequest {
    /// The method.
    pub method: Method,
    /// The path, with the query if there is one.
    pub path: String,
    /// The JSON body.
    pub body: Option<Value>,
}

/// A response, as far as anybody decides by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// The status code.
    pub status: u16,
    /// The header `Retry-After`, in seconds.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is longer than this in a server's message is cut: it goes into one line of a log.
const MESSAGE_MAX: usize = 512;

/// Longer pauses than this are not obeyed; nobody means them.
const RETRY_AFTER_MAX: u64 = 60 * 60;

// === impl Verb ===

impl Verb {
    /// The request that does it.
    #[must_use]
    pub fn request(&self, objects: &Objects) -> RawRequest {
        let leases = || {
            let namespace = &objects.namespace;
            format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
        };
        let lease = || format!("{}/{}", leases(), objects.lease);
        let target = |query: &str| {
            format!(
                "/apis/{}/{}/{}/{}{query}",
                names::GROUP,
                names::VERSION,
                names::PLURAL,
                objects.target
            )
        };
        let (method, path, body) = match self {
            Self::GetLease => (Method::GET, lease(), None),
            Self::CreateLease(object) => (Method::POST, leases(), Some(object)),
            Self::PutLease(object) => (Method::PUT, lease(), Some(object)),
            Self::GetTarget => (Method::GET, target(""), None),
            Self::DryRunStatus(object) => (
                Method::PUT,
                target("/status?dryRun=All&fieldValidation=Strict"),
                Some(object),
            ),
            Self::PutStatus(object) => (
                Method::PUT,
                target("/status?fieldValidation=Strict"),
                Some(object),
            ),
        };
        RawRequest {
            method,
            path,
            body: body.cloned(),
        }
    }
}

// === impl RawRequest ===

impl fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

// === impl RawResponse ===

impl RawResponse {
    /// What the response means.
    ///
    /// # Errors
    ///
    /// If the server did not do what it was asked to, or what it did is not known.
    pub fn reply(&self) -> Reply {
        let json = serde_json::from_slice::<Value>(&self.body).ok();
        if (200..300).contains(&self.status) {
            return json.filter(Value::is_object).ok_or_else(|| {
                // A proxy's page, or an answer that was cut: what the server did is unknown.
                ApiError::new(ErrorKind::Server, "the answer is not a JSON object")
            });
        }
        Err(self.refusal(json.as_ref()))
    }

    fn refusal(&self, json: Option<&Value>) -> ApiError {
        let message = json
            .and_then(|status| status["message"].as_str())
            .map_or_else(|| String::from_utf8_lossy(&self.body), Into::into);
        ApiError {
            kind: kind(self.status, json, &message),
            message: format!("{} (HTTP {})", one_line(&message), self.status),
            retry_after: self.retry_after(),
        }
    }

    /// A date in the header is not obeyed: it would be judged by the wall clock.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = self.retry_after.as_deref()?.trim().parse::<u64>().ok()?;
        Some(Duration::from_secs(seconds.min(RETRY_AFTER_MAX)))
    }
}

/// What a `Status` with this code is, as far as anybody decides by it.
fn kind(code: u16, json: Option<&Value>, message: &str) -> ErrorKind {
    let field = |name: &str| json.and_then(|status| status[name].as_str()).unwrap_or("");
    let details = |name: &str| {
        json.and_then(|status| status["details"][name].as_str())
            .unwrap_or("")
    };
    match code {
        401 => ErrorKind::Unauthorized,
        403 => ErrorKind::Forbidden,
        404 if details("kind") == "namespaces" || message.starts_with("namespaces \"") => {
            ErrorKind::NamespaceMissing
        }
        404 if field("reason") == "NotFound" && !details("name").is_empty() => ErrorKind::NotFound,
        404 => ErrorKind::ResourceMissing,
        409 if field("reason") == "AlreadyExists" => ErrorKind::AlreadyExists,
        409 => ErrorKind::Conflict,
        410 => ErrorKind::Expired,
        429 => ErrorKind::TooMany,
        500.. => ErrorKind::Server,
        _ => ErrorKind::Invalid,
    }
}

/// What a `Status` object in place of an object says; what has no code is a failure of the
/// server's.
pub(crate) fn status_error(status: &Value) -> ApiError {
    let code = status["code"].as_u64();
    let code = code.and_then(|code| u16::try_from(code).ok());
    let wait = status["details"]["retryAfterSeconds"].as_u64();
    RawResponse {
        status: code.unwrap_or(500),
        retry_after: wait.filter(|wait| *wait > 0).map(|wait| wait.to_string()),
        body: Vec::new(),
    }
    .refusal(Some(status))
}

/// The text on one line, not longer than [`MESSAGE_MAX`].
pub(crate) fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(MESSAGE_MAX);
    text[..end].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Karmada takes every failure for "unreachable"; here each has its own kind.
    #[test]
    fn pitfall_24_every_answer_has_its_kind() {
        let status = |reason: &str, message: &str| {
            serde_json::json!({"kind": "Status", "reason": reason, "message": message,
                "details": {"name": "x"}})
            .to_string()
        };
        for (code, body, kind) in [
            (400, status("BadRequest", "strict"), ErrorKind::Invalid),
            (401, status("Unauthorized", ""), ErrorKind::Unauthorized),
            (403, status("Forbidden", ""), ErrorKind::Forbidden),
            (
                404,
                status("NotFound", "leases \"x\" not found"),
                ErrorKind::NotFound,
            ),
            (
                404,
                status("NotFound", "namespaces \"x\" not found"),
                ErrorKind::NamespaceMissing,
            ),
            (
                404,
                "404 page not found\n".to_owned(),
                ErrorKind::ResourceMissing,
            ),
            (409, status("Conflict", ""), ErrorKind::Conflict),
            (409, status("AlreadyExists", ""), ErrorKind::AlreadyExists),
            (410, status("Expired", ""), ErrorKind::Expired),
            (422, status("Invalid", ""), ErrorKind::Invalid),
            (429, String::new(), ErrorKind::TooMany),
            (500, "oops".to_owned(), ErrorKind::Server),
            (503, "<html>".to_owned(), ErrorKind::Server),
            (504, String::new(), ErrorKind::Server),
            (200, "<html>".to_owned(), ErrorKind::Server),
            (301, String::new(), ErrorKind::Invalid),
        ] {
            let response = response(code, None, &body);
            assert_eq!(response.reply().unwrap_err().kind, kind, "{code} {body}");
        }
        assert!(response(201, None, "{}").reply().is_ok());
    }

    #[test]
    fn retry_after_is_read_in_seconds_and_bounded() {
        for (header, wait) in [
            ("5", Some(5)),
            ("999999999", Some(3600)),
            ("Wed, 21 Oct", None),
        ] {
            let error = response(429, Some(header), "").reply().unwrap_err();
            assert_eq!(error.retry_after, wait.map(Duration::from_secs));
        }
    }

    #[test]
    fn a_long_page_becomes_a_short_line() {
        let error = response(502, None, &"<p>\näöü ".repeat(1000))
            .reply()
            .unwrap_err();
        assert!(error.message.len() < MESSAGE_MAX + 20 && !error.message.contains('\n'));
    }

    fn response(status: u16, retry_after: Option<&str>, body: &str) -> RawResponse {
        RawResponse {
            status,
            retry_after: retry_after.map(str::to_owned),
            body: body.as_bytes().to_vec(),
        }
    }
}
