//! What the end of a program and its output mean.

use std::time::Duration;

use health_core::HealthStatus;
use health_core::Outcome;

use crate::checks::exec::perfdata;
use crate::checks::exec::process::End;
use crate::checks::exec::process::Kept;
use crate::checks::exec::process::Run;
use crate::reasons;

/// What a run means that was given `timeout`.
pub(super) fn judge(run: &Run, timeout: Duration) -> Outcome {
    let output = Output::parse(&run.stdout);
    let said = if output.message.is_empty() {
        first_words(&run.stderr)
    } else {
        output.message
    };
    let (status, reason, prefix) = match run.end {
        End::Exited(0) => (HealthStatus::Healthy, "", None),
        End::Exited(1) => (HealthStatus::Degraded, reasons::REPORTED_WARNING, None),
        End::Exited(2) => (HealthStatus::Unhealthy, reasons::REPORTED_CRITICAL, None),
        End::Exited(3) => (HealthStatus::Unknown, reasons::REPORTED_UNKNOWN, None),
        End::Exited(code) => {
            let prefix = format!("exit status {code}");
            (
                HealthStatus::Unknown,
                reasons::UNEXPECTED_EXIT,
                Some(prefix),
            )
        }
        End::Signalled(signal) => {
            let prefix = format!("ended by signal {signal}");
            (HealthStatus::Unknown, reasons::KILLED, Some(prefix))
        }
        End::TimedOut => {
            let prefix = format!("did not end within {timeout:?}");
            (HealthStatus::Unhealthy, reasons::TIMEOUT, Some(prefix))
        }
    };
    let message = match prefix {
        Some(prefix) if said.is_empty() => prefix,
        Some(prefix) => format!("{prefix}: {said}"),
        None => said,
    };
    let reason = match status {
        HealthStatus::Healthy => health_core::reasons::HEALTHY,
        HealthStatus::Degraded | HealthStatus::Unhealthy | HealthStatus::Unknown => reason.into(),
    };
    let outcome = Outcome::new(status, reason, message);
    if run.end == End::TimedOut {
        // It may have been in the middle of a number.
        return outcome;
    }
    output
        .metrics
        .iter()
        .fold(outcome, |outcome, (name, value)| {
            outcome.with_metric(name, *value)
        })
}

/// Text as it may be shown anywhere: what controls a terminal is replaced.
pub(super) fn readable(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    text.replace('\t', " ").chars().map(visible).collect()
}

#[derive(Debug, Default, PartialEq)]
struct Output {
    message: String,
    metrics: Vec<perfdata::Metric>,
}

// === impl Output ===

impl Output {
    /// `message | data` in the first line; then lines of text that are not looked at; then, from
    /// the next `|` on, more data.
    fn parse(kept: &Kept) -> Self {
        let text = String::from_utf8_lossy(&kept.bytes);
        let mut text = &*text;
        if !kept.is_whole {
            // The last word was cut, and half a number is a wrong one.
            text = &text[..text.rfind(char::is_whitespace).unwrap_or(text.len())];
        }
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        let (message, data) = first.split_once('|').unwrap_or((first, ""));
        let more = rest.split_once('|').map_or("", |(_, more)| more);
        let mut metrics = perfdata::parse(data);
        metrics.extend(perfdata::parse(more));
        Self {
            message: readable(message.trim()),
            metrics,
        }
    }
}

fn first_words(kept: &Kept) -> String {
    let text = String::from_utf8_lossy(&kept.bytes);
    let mut lines = text.lines().map(str::trim);
    readable(lines.find(|line| !line.is_empty()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_status_is_judged_by_the_convention() {
        for (end, status, reason, message) in [
            (End::Exited(0), HealthStatus::Healthy, "Healthy", "fine"),
            (
                End::Exited(1),
                HealthStatus::Degraded,
                "ReportedWarning",
                "fine",
            ),
            (
                End::Exited(2),
                HealthStatus::Unhealthy,
                "ReportedCritical",
                "fine",
            ),
            (
                End::Exited(3),
                HealthStatus::Unknown,
                "ReportedUnknown",
                "fine",
            ),
            (
                End::Exited(4),
                HealthStatus::Unknown,
                "UnexpectedExit",
                "exit status 4: fine",
            ),
            (
                End::Exited(255),
                HealthStatus::Unknown,
                "UnexpectedExit",
                "exit status 255: fine",
            ),
            (
                End::Signalled(9),
                HealthStatus::Unknown,
                "Killed",
                "ended by signal 9: fine",
            ),
            (
                End::TimedOut,
                HealthStatus::Unhealthy,
                "Timeout",
                "did not end within 1s: fine",
            ),
        ] {
            let outcome = judge(&run(end, "fine | x=1", "not this"), Duration::from_secs(1));
            assert_eq!(outcome.status, status, "{end:?}");
            assert_eq!(outcome.reason.as_str(), reason);
            assert_eq!(outcome.message, message);
            assert_eq!(outcome.metrics.contains_key("x"), end != End::TimedOut);
        }
    }

    #[test]
    fn without_a_message_it_is_what_stands_in_the_errors() {
        let said = |stdout, stderr| {
            let run = run(End::Exited(2), stdout, stderr);
            judge(&run, Duration::from_secs(1)).message
        };
        assert_eq!(said("", "\n oh no\nmore"), "oh no");
        assert_eq!(said(" | a=1", "oh no"), "oh no");
        assert_eq!(said("", ""), "");
        assert_eq!(
            judge(&run(End::Exited(9), "", ""), Duration::ZERO).message,
            "exit status 9"
        );
    }

    #[test]
    fn long_output_has_data_in_two_places() {
        let text = "DISK OK - free | /=1MB;2;3\nlong text\nmore text | /boot=2MB\n/home=3B\n";
        let output = Output::parse(&kept(text.as_bytes()));
        assert_eq!(output.message, "DISK OK - free");
        let names: Vec<_> = output
            .metrics
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["/", "/boot", "/home"]);
    }

    #[test]
    fn hostile_bytes_become_readable() {
        let output = Output::parse(&kept(b"a\xff\xfe\x1b[31mred\0\tb\r\n"));
        assert_eq!(output.message, "a\u{fffd}\u{fffd}\u{fffd}[31mred\u{fffd} b");
        assert_eq!(Output::parse(&kept(b"")), Output::default());
        assert_eq!(Output::parse(&kept(b"|||\n|")), Output::default());
    }

    #[test]
    fn half_a_number_is_none() {
        let mut cut = kept(b"fine | whole=12 cut=34");
        cut.is_whole = false;
        let output = Output::parse(&cut);
        assert_eq!(output.metrics, [("whole".to_owned(), 12.0)]);
    }

    fn run(end: End, stdout: &str, stderr: &str) -> Run {
        Run {
            end,
            stdout: kept(stdout.as_bytes()),
            stderr: kept(stderr.as_bytes()),
        }
    }

    fn kept(bytes: &[u8]) -> Kept {
        Kept {
            bytes: bytes.to_vec(),
            is_whole: true,
        }
    }
}
