//! `PUT /components/NAME`: what other processes report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::extract::Path;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header;
use axum::response::IntoResponse;
use axum::response::Response;
use axum::routing::put;
use health_checks::PushedResult;
use health_checks::Reporter;
use health_core::ComponentName;
use health_core::HealthStatus;
use health_core::Outcome;
use serde::Deserialize;

use crate::bearer::BearerToken;
use crate::bearer::brought;
use crate::bearer::same;

/// A report with 64 numbers and a message of 1 KiB has room.
const BODY_MAX: usize = 16 * 1024;

/// The components whose results are pushed; which they are can change.
pub(super) type Reporters = Arc<Mutex<BTreeMap<ComponentName, Reporter>>>;

/// Who may report what.
struct Pushed {
    components: Reporters,
    token: BearerToken,
}

/// A report as it travels.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PushBody {
    status: HealthStatus,
    reason: Option<String>,
    message: Option<String>,
    #[serde(default)]
    metrics: BTreeMap<String, f64>,
}

/// Takes reports for these components.
pub(super) fn router(components: Reporters, token: BearerToken) -> Router {
    Router::new()
        .route("/components/{name}", put(report))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(Arc::new(Pushed { components, token }))
}

async fn report(
    State(pushed): State<Arc<Pushed>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let token = pushed.token.current(Instant::now()).await;
    if token.is_some_and(|token| !brought(&headers).is_some_and(|said| same(said, &token))) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (
            StatusCode::UNAUTHORIZED,
            challenge,
            "a bearer token is needed\n",
        )
            .into_response();
    }
    let reporter = {
        let components = pushed.components.lock();
        let components = components.unwrap_or_else(PoisonError::into_inner);
        components.get(name.as_str()).cloned()
    };
    let Some(reporter) = reporter else {
        let text = format!("no component named {name:?} waits for pushed results\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    match outcome(&body) {
        Ok(outcome) => {
            reporter.report(outcome);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(wrong) => (StatusCode::BAD_REQUEST, wrong + "\n").into_response(),
    }
}

/// What was pushed, or what is wrong with it, on one line.
fn outcome(body: &[u8]) -> Result<Outcome, String> {
    // The parser says an unknown name as it is.
    let body: PushBody = serde_json::from_slice(body)
        .map_err(|error| error.to_string().replace(char::is_control, " "))?;
    let mut result = PushedResult::new(body.status);
    result.reason = body.reason;
    result.message = body.message;
    result.metrics = body.metrics;
    Outcome::try_from(result).map_err(|error| error.to_string())
}

/// Reads what somebody pushed.
#[cfg(fuzzing)]
pub fn fuzz(body: &[u8]) {
    match outcome(body) {
        Ok(outcome) => assert!(outcome.metrics.values().all(|value| value.is_finite())),
        Err(said) => assert!(!said.contains(char::is_control), "{said:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_rubbish_is_refused() {
        let full = br#"{"status":"Degraded","reason":"late","message":"m","metrics":{"lag":3}}"#;
        let read = outcome(full).unwrap();
        assert_eq!(read.status, HealthStatus::Degraded);
        assert_eq!(read.reason.as_str(), "Late");
        assert_eq!(read.metrics["lag"], 3.0);
        for bad in [
            &b""[..],
            b"{}",
            b"[]",
            br#"{"status":"Fine"}"#,
            br#"{"status":"Healthy","more":1}"#,
            br#"{"status":"Healthy","two\nlines":1}"#,
            br#"{"status":"He\u001b[2Jalthy"}"#,
            br#"{"status":"Healthy","metrics":{"a b":1}}"#,
            &[0xff, 0xfe],
        ] {
            let said = outcome(bad).unwrap_err();
            assert!(!said.contains(char::is_control), "{said:?}");
        }
    }
}
