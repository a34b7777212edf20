//! Servers that drip, loop, pour or babble, and requests that are given up in the middle.

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_checks::CheckContext;
use health_checks::HealthChecker;
use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use health_checks::checks::PrometheusCheck;
use health_checks::checks::PrometheusConfig;
use health_core::HealthStatus;
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::support::Server;
use crate::support::head;
use crate::support::ms;
use crate::support::run;
use crate::support::run_within;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What the kernels on both ends may hold, generously.
const IN_FLIGHT_MAX: usize = 64 << 20;

/// A byte now and then, as from a server with 200 bytes a minute: it always makes progress, and a
/// deadline that begins anew with each byte would never come.
#[tokio::test]
async fn a_drip_is_over_at_the_deadline_wherever_it_drips() {
    for (at_once, drips, stage) in [
        ("", "HTTP/1.1 200 OK\r\nx-padding: ", "the answer's head"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n",
            "",
            "the answer's body",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", "", "the answer's body"),
    ] {
        let server = Server::start(move |mut stream, _| async move {
            head(&mut stream).await;
            stream.write_all(at_once.as_bytes()).await.ok();
            for byte in drips.bytes().chain(std::iter::repeat(b'x')) {
                if stream.write_all(&[byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(ms(10)).await;
            }
        })
        .await;
        let outcome = run_within(&http(&server.url("/")), ms(300)).await;
        assert_eq!(outcome.status, HealthStatus::Unhealthy);
        assert_eq!(outcome.reason.as_str(), "Timeout", "{}", outcome.message);
        assert!(outcome.message.contains(stage), "{}", outcome.message);
    }
}

#[tokio::test]
async fn a_loop_of_redirects_is_named_and_not_gone_around() {
    let server = Server::start(|mut stream, _| async move {
        while !head(&mut stream).await.is_empty() {
            let answer = "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer.as_bytes()).await.ok();
        }
    })
    .await;
    let outcome = run(&http(&server.url("/"))).await;
    assert_eq!(outcome.status, HealthStatus::Unhealthy);
    assert_eq!(outcome.reason.as_str(), "Redirected");
    assert!(
        outcome.message.ends_with("the answer is 302 to /"),
        "{}",
        outcome.message
    );
    assert_eq!(server.connections(), 1);
}

/// The check takes what it wants and hangs up: the server cannot write the rest.
#[tokio::test]
async fn of_a_gigabyte_only_the_beginning_is_taken() {
    const GIGABYTE: usize = 1 << 30;
    for declared in ["content-length: 1073741824\r\n", ""] {
        let (sender, mut written) = mpsc::unbounded_channel();
        let server = Server::start(move |mut stream, _| {
            let sender = sender.clone();
            async move {
                head(&mut stream).await;
                let answer = format!("HTTP/1.1 200 OK\r\n{declared}\r\n");
                stream.write_all(answer.as_bytes()).await.ok();
                let chunk = b"# a comment that is none of ours\n".repeat(2000);
                let mut total = 0;
                while total < GIGABYTE && stream.write_all(&chunk).await.is_ok() {
                    total += chunk.len();
                }
                sender.send(total).ok();
            }
        })
        .await;
        let target = HttpTarget::new(&server.url("/")).unwrap();
        let outcome = run(&http(&server.url("/"))).await;
        assert_eq!(outcome.status, HealthStatus::Healthy, "{}", outcome.message);
        let outcome = run(&PrometheusCheck::new(PrometheusConfig::new(target)).unwrap()).await;
        assert_eq!(outcome.reason.as_str(), "TooLarge", "{}", outcome.message);
        for _ in 0..2 {
            let written = written.recv().await.unwrap();
            assert!(written < IN_FLIGHT_MAX, "{written} bytes were taken");
        }
    }
}

#[tokio::test]
async fn babble_is_a_protocol_error_or_a_timeout_and_never_green() {
    let lines = "x: y\r\n".repeat(100_000);
    let line = format!("x: {}\r\n", "y".repeat(10 << 20));
    for (answer, reason) in [
        ("\0\0\0\0\r\n\r\n".to_owned(), "ProtocolError"),
        ("HTTP/9.9 200 OK\r\n\r\n".to_owned(), "ProtocolError"),
        ("HTTP/1.1 99999 OK\r\n\r\n".to_owned(), "ProtocolError"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(),
            "ProtocolError",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
            "ProtocolError",
        ),
        (format!("HTTP/1.1 200 OK\r\n{lines}\r\n"), "ProtocolError"),
        (format!("HTTP/1.1 200 OK\r\n{line}\r\n"), "ProtocolError"),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
            "ConnectionLost",
        ),
        // One that says for ever that it will go on.
        ("HTTP/1.1 102 Processing\r\n\r\n".repeat(1000), "Timeout"),
    ] {
        let begins: String = answer.chars().take(60).collect();
        let answer: Arc<str> = answer.into();
        let server = Server::start(move |mut stream, _| {
            let answer = Arc::clone(&answer);
            async move {
                head(&mut stream).await;
                stream.write_all(answer.as_bytes()).await.ok();
                std::future::pending().await
            }
        })
        .await;
        let outcome = run_within(&http(&server.url("/")), Duration::from_secs(2)).await;
        assert_eq!(outcome.status, HealthStatus::Unhealthy, "{begins}");
        assert_eq!(outcome.reason.as_str(), reason, "{begins}: {outcome:?}");
    }
}

/// What is no text is no reason to fail, and never shown as it is.
#[tokio::test]
async fn bytes_that_are_no_text_are_survived_wherever_they_stand() {
    for (answer, reason) in [
        (
            &b"HTTP/1.1 200 \xff\xfe\r\ncontent-length: 0\r\n\r\n"[..],
            "Healthy",
        ),
        (
            b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\ncontent-length: 2\r\n\r\n\xff\xfe",
            "Healthy",
        ),
        (
            b"HTTP/1.1 302 Found\r\nlocation: \xff\xfe\r\ncontent-length: 0\r\n\r\n",
            "Redirected",
        ),
    ] {
        let server = Server::start(move |mut stream, _| async move {
            head(&mut stream).await;
            stream.write_all(answer).await.ok();
        })
        .await;
        let outcome = run(&http(&server.url("/"))).await;
        assert_eq!(outcome.reason.as_str(), reason, "{outcome:?}");
        assert!(outcome.message.is_ascii(), "{}", outcome.message);
    }
}

/// API server #112046: a result that one caller's hang-up had cut short was given to all.
#[tokio::test]
async fn pitfall_35_a_request_that_is_given_up_midway_poisons_nothing() {
    for sent_first in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12",
    ] {
        let reached = Arc::new(Notify::new());
        let server = Server::start({
            let reached = Arc::clone(&reached);
            move |mut stream, number| {
                let reached = Arc::clone(&reached);
                async move {
                    while !head(&mut stream).await.is_empty() {
                        // The second connection's first request is the one that is given up.
                        if number == 1 {
                            stream.write_all(sent_first.as_bytes()).await.ok();
                            reached.notify_one();
                            std::future::pending::<()>().await;
                        }
                        stream.write_all(OK.as_bytes()).await.ok();
                        if number == 0 {
                            return;
                        }
                    }
                }
            }
        })
        .await;
        let check = http(&server.url("/"));
        assert_eq!(run(&check).await.status, HealthStatus::Healthy);
        let context = CheckContext::new(Duration::from_secs(60), Instant::now());
        tokio::select! {
            ended = check.check(context) => panic!("{ended:?}"),
            () = reached.notified() => {}
        }
        for _ in 0..3 {
            let outcome = run(&check).await;
            assert_eq!(outcome.status, HealthStatus::Healthy, "{outcome:?}");
        }
        assert_eq!(server.connections(), 3, "the cut one is not used again");
    }
}

fn http(url: &str) -> HttpCheck {
    HttpCheck::new(HttpConfig::new(HttpTarget::new(url).unwrap())).unwrap()
}
