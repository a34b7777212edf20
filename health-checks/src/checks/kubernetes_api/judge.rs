//! What an API server's answer means.

use health_core::Outcome;
use health_core::Paired;
use http::StatusCode;

use crate::checks::failure::Failure;
use crate::checks::fetch::Answer;
use crate::checks::fetch::status_failure;
use crate::checks::sync_stats::over;
use crate::names;
use crate::reasons;

/// More failing checks than this are only counted in the message.
const NAMED_MAX: usize = 8;

/// Names of checks are shorter; what is longer is no name.
const NAME_MAX: usize = 100;

/// What `answer` means, whoever of the two gave it.
pub(super) fn judge(answer: &Answer, latency_seconds: Paired) -> Outcome {
    let seconds = answer.latency.as_secs_f64();
    let outcome = match answer.status {
        StatusCode::OK if is_ok(answer) => over(
            latency_seconds,
            seconds,
            reasons::LATENCY_HIGH,
            "seconds until the answer",
        ),
        StatusCode::OK => unexpected(answer).into(),
        StatusCode::TOO_MANY_REQUESTS => {
            let failure = status_failure(answer);
            let message = format!("{}: it works, but turns requests away", failure.message);
            Outcome::degraded(failure.reason, message)
        }
        status if status.is_server_error() => not_ready(answer).into(),
        status => explained(status, status_failure(answer)).into(),
    };
    outcome
        .with_metric(names::LATENCY_SECONDS, seconds)
        .with_metric(names::HTTP_STATUS, f64::from(answer.status.as_u16()))
}

fn is_ok(answer: &Answer) -> bool {
    answer.is_whole && answer.body.trim_ascii().eq_ignore_ascii_case(b"ok")
}

/// Says of what kind the body is, and repeats nothing of it.
fn unexpected(answer: &Answer) -> Failure {
    let is_page = answer.body.trim_ascii_start().starts_with(b"<");
    let what = match (is_page, answer.body.len()) {
        (true, _) => "a page, as of a proxy that wants a login".to_owned(),
        (false, 0) => "empty".to_owned(),
        (false, length) if answer.is_whole => format!("{length} bytes of something else"),
        (false, length) => format!("more than {length} bytes of something else"),
    };
    let message =
        format!("the answer is 200 but no API server's: its body is not \"ok\" but {what}");
    Failure::new(reasons::UNEXPECTED_BODY, message)
}

fn not_ready(answer: &Answer) -> Failure {
    let failing: Vec<_> = failing(&answer.body).take(NAMED_MAX + 1).collect();
    if failing.is_empty() {
        return status_failure(answer);
    }
    let named = &failing[..failing.len().min(NAMED_MAX)];
    let more = if failing.len() > NAMED_MAX {
        " and more"
    } else {
        ""
    };
    let message = format!("these of its checks fail: {}{more}", named.join(", "));
    Failure::new(reasons::API_SERVER_NOT_READY, message)
}

/// The names of failing checks: an API server writes `[-]NAME failed: reason withheld`, one a line.
fn failing(body: &[u8]) -> impl Iterator<Item = &str> {
    body.split(|byte| *byte == b'\n').filter_map(|line| {
        let rest = line.strip_prefix(b"[-]")?;
        let end = rest.iter().position(|byte| *byte == b' ')?;
        let name = std::str::from_utf8(&rest[..end]).ok()?;
        let is_plain = name.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b':')
        });
        (is_plain && !name.is_empty() && name.len() <= NAME_MAX).then_some(name)
    })
}

/// Adds what would be right.
fn explained(status: StatusCode, failure: Failure) -> Failure {
    let hint = match status {
        StatusCode::UNAUTHORIZED => "it does not accept these credentials, or wants some",
        StatusCode::FORBIDDEN => {
            "these credentials may not get this path; the ClusterRole \
             system:public-info-viewer allows it"
        }
        StatusCode::NOT_FOUND => {
            "neither /readyz nor /healthz is there; the URL may be another server's, or its path \
             may name what does not exist, as a workspace that is gone"
        }
        _ => return failure,
    };
    Failure::new(failure.reason, format!("{}: {hint}", failure.message))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use health_core::HealthStatus::Degraded;
    use health_core::HealthStatus::Healthy;
    use health_core::HealthStatus::Unhealthy;

    use super::*;

    /// Karmada called every 5xx unreachable; what to do about each of these is different.
    #[test]
    fn pitfall_24_every_answer_of_an_api_server_has_a_reason_of_its_own() {
        for (status, body, expected, reason, message) in [
            (200, "ok", Healthy, "Healthy", ""),
            (200, "OK\n", Healthy, "Healthy", ""),
            (200, "", Unhealthy, "UnexpectedBody", "empty"),
            (200, "not ok", Unhealthy, "UnexpectedBody", "6 bytes"),
            (200, " <html>hunter2", Unhealthy, "UnexpectedBody", "login"),
            (204, "", Unhealthy, "UnexpectedStatus", "204"),
            (302, "", Unhealthy, "Redirected", "302"),
            (401, STATUS, Unhealthy, "Unauthorized", "credentials"),
            (403, STATUS, Unhealthy, "Forbidden", "public-info-viewer"),
            (404, STATUS, Unhealthy, "NotFound", "neither"),
            (429, STATUS, Degraded, "TooManyRequests", "429"),
            (500, NOT_READY, Unhealthy, "ApiServerNotReady", "check fail"),
            (503, NOT_READY, Unhealthy, "ApiServerNotReady", "etcd"),
            (500, STATUS, Unhealthy, "ServerError", "500"),
            (502, "<html>", Unhealthy, "ServerError", "502"),
            (503, "", Unhealthy, "ServerError", "503"),
        ] {
            let message = message.replace("check fail", "fail: etcd, informer-sync");
            let outcome = judge(&answer(status, body.as_bytes()), Paired::default());
            assert_eq!(outcome.status, expected, "{status} {body:?}");
            assert_eq!(outcome.reason.as_str(), reason, "{status} {body:?}");
            assert!(outcome.message.contains(&message), "{}", outcome.message);
            assert!(!outcome.message.contains("hunter2"), "{}", outcome.message);
            assert_eq!(outcome.metrics["httpStatus"], f64::from(status));
            assert_eq!(outcome.metrics["latencySeconds"], 0.5);
        }
    }

    #[test]
    fn a_slow_answer_is_worse_and_a_limit_saves_no_wrong_one() {
        let limit = Paired {
            degraded: Some(0.1),
            unhealthy: Some(0.5),
        };
        let slow = judge(&answer(200, b"ok"), limit);
        assert_eq!(slow.status, Unhealthy);
        assert_eq!(slow.reason.as_str(), "LatencyHigh");
        let wrong = judge(&answer(500, NOT_READY.as_bytes()), limit);
        assert_eq!(wrong.reason.as_str(), "ApiServerNotReady");
    }

    #[test]
    fn hostile_bodies_are_neither_believed_nor_repeated() {
        let many: String = (0..1000)
            .map(|n| format!("[-]check-{n} failed: x\n"))
            .collect();
        let long = format!("[-]{} failed: x", "x".repeat(1000));
        for (body, message) in [
            (
                &b"[-]\xff\xfe failed: x\n[-]etcd failed: x"[..],
                Some("fail: etcd"),
            ),
            (b"\xff\xff\xff", None),
            (b"[-]", None),
            (b"[-] failed: x", None),
            (b"[-]etcd", None),
            (b"[-]<script> failed: x", None),
            (b"[-]a\x1b[31m failed: x", None),
            (long.as_bytes(), None),
            (&b"[-]".repeat(20_000), None),
            (many.as_bytes(), Some("check-7 and more")),
        ] {
            let outcome = judge(&answer(500, body), Paired::default());
            assert_eq!(outcome.status, Unhealthy);
            let reason = match message {
                Some(_) => "ApiServerNotReady",
                None => "ServerError",
            };
            assert_eq!(outcome.reason.as_str(), reason, "{}", outcome.message);
            let expected = message.unwrap_or("the answer is 500 Internal Server Error");
            assert!(outcome.message.contains(expected), "{}", outcome.message);
            assert!(outcome.message.len() < 1000);
        }
        let mut cut = answer(200, b"ok");
        cut.is_whole = false;
        let outcome = judge(&cut, Paired::default());
        assert_eq!(outcome.reason.as_str(), "UnexpectedBody");
    }

    /// What a real server said while it started and ended.
    #[test]
    fn the_checks_of_a_real_server_are_named() {
        let names: Vec<_> = failing(STARTING.as_bytes()).collect();
        assert_eq!(
            names,
            [
                "poststarthook/rbac/bootstrap-roles",
                "poststarthook/kcp-start-informers"
            ]
        );
    }

    const STATUS: &str = r#"{"kind":"Status","apiVersion":"v1","status":"Failure"}"#;

    const NOT_READY: &str = "[+]ping ok\n[+]log ok\n[-]etcd failed: reason withheld\n\
                             [-]informer-sync failed: reason withheld\nreadyz check failed\n";

    const STARTING: &str = "[+]etcd-readiness ok\n\
                            [-]poststarthook/rbac/bootstrap-roles failed: reason withheld\n\
                            [+]poststarthook/kcp-start-virtual-workspaces ok\n\
                            [-]poststarthook/kcp-start-informers failed: reason withheld\n\
                            [+]shutdown ok\nreadyz check failed\n";

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            location: None,
            body: Bytes::copy_from_slice(body),
            is_whole: true,
            latency: Duration::from_millis(500),
        }
    }
}
