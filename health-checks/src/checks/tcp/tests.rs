use std::net::Ipv4Addr;
use std::time::Duration;

use health_core::HealthStatus;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;

use super::*;

#[test]
fn an_address_is_a_host_and_a_port_and_nothing_else() {
    for (address, host, port) in [
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:8080", "::1", 8080),
        (
            "kube-dns.kube-system.svc:53",
            "kube-dns.kube-system.svc",
            53,
        ),
        ("under_score:1", "under_score", 1),
        ("host:65535", "host", 65535),
    ] {
        assert_eq!(parse(address), Some((host.to_owned(), port)), "{address}");
    }
    for address in [
        "",
        ":",
        ":80",
        "host",
        "host:",
        "host:0",
        "host:65536",
        "host:-1",
        "host:http",
        "::1:80",
        "[::1]",
        "[]:80",
        "alice@host:80",
        "http://host:80",
        "host:80/",
        "host:80 ",
        " host:80",
        "ho st:80",
        "host:80:90",
        "host:+80",
    ] {
        let error = TcpCheck::new(TcpConfig::new(address)).unwrap_err();
        assert_eq!(error, InvalidCheck::Address(address.to_owned()));
    }
}

#[test]
fn limits_that_are_the_wrong_way_round_are_refused() {
    let mut config = TcpConfig::new("host:80");
    config.latency_seconds = Paired {
        degraded: Some(2.0),
        unhealthy: Some(1.0),
    };
    let error = TcpCheck::new(config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "latencySeconds: degraded 2 lies beyond unhealthy 1"
    );
}

#[tokio::test]
async fn whoever_accepts_is_healthy_and_the_connection_is_closed_at_once() {
    for host in ["127.0.0.1", "localhost"] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let outcome = ask(&format!("{host}:{port}")).await;
        assert_eq!(outcome.status, HealthStatus::Healthy, "{outcome:?}");
        assert!(outcome.message.is_empty());
        let seconds = outcome.metrics["latencySeconds"];
        assert!((0.0..5.0).contains(&seconds), "{seconds}");

        let (mut stream, _) = listener.accept().await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.unwrap();
        assert!(said.is_empty());
    }
}

#[tokio::test]
async fn slow_is_judged_by_the_limits() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut config = TcpConfig::new(listener.local_addr().unwrap().to_string());
    config.latency_seconds.unhealthy = Some(0.0);
    let outcome = run(&TcpCheck::new(config).unwrap(), Duration::from_secs(20)).await;
    assert_eq!(outcome.status, HealthStatus::Unhealthy);
    assert_eq!(outcome.reason.as_str(), "LatencyHigh");
}

/// What to do about each of these is different.
#[tokio::test]
async fn pitfall_24_each_failure_has_a_reason_of_its_own() {
    for (address, reason) in [
        // No port that was free a moment ago: whoever asks for a free one may have it by now.
        ("127.0.0.1:1", "ConnectionRefused"),
        // A broadcast address: the kernel has no way there for a connection.
        ("127.255.255.255:80", "Unreachable"),
        ("nobody.invalid:80", "DnsFailed"),
    ] {
        let outcome = ask(address).await;
        assert_eq!(outcome.status, HealthStatus::Unhealthy);
        assert_eq!(outcome.reason.as_str(), reason, "{}", outcome.message);
        assert!(outcome.message.starts_with(address), "{}", outcome.message);
        assert!(outcome.metrics.is_empty());
    }
}

/// Three legs of 5 s each do not fit a check of 10 s (civitai#2384): one deadline bounds them all.
#[tokio::test]
async fn pitfall_42_whoever_does_not_answer_is_a_timeout_in_time_and_it_says_where() {
    let deaf = Deaf::new().await;
    let began = Instant::now();
    let check = TcpCheck::new(TcpConfig::new(&deaf.address)).unwrap();
    let outcome = run(&check, Duration::from_millis(300)).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(outcome.status, HealthStatus::Unhealthy);
    assert_eq!(outcome.reason.as_str(), "Timeout", "{}", outcome.message);
    assert!(
        outcome
            .message
            .ends_with("still waiting for the connection"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn pitfall_35_a_run_that_is_dropped_harms_not_the_next() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let check = TcpCheck::new(TcpConfig::new(address)).unwrap();
    let context = CheckContext::new(Duration::from_secs(20), Instant::now());
    tokio::select! {
        biased;
        _ = check.check(context) => {}
        () = std::future::ready(()) => {}
    }
    let outcome = run(&check, Duration::from_secs(20)).await;
    assert_eq!(outcome.status, HealthStatus::Healthy);
}

/// Listens and never accepts, and its backlog is full.
struct Deaf {
    address: String,
    _listener: TcpListener,
    _waiting: Vec<TcpStream>,
}

impl Deaf {
    async fn new() -> Self {
        const PATIENCE: Duration = Duration::from_millis(200);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
        }
        Self {
            address: address.to_string(),
            _listener: listener,
            _waiting: waiting,
        }
    }
}

async fn ask(address: &str) -> Outcome {
    let check = TcpCheck::new(TcpConfig::new(address)).unwrap();
    run(&check, Duration::from_secs(20)).await
}

async fn run(check: &TcpCheck, timeout: Duration) -> Outcome {
    let context = CheckContext::new(timeout, Instant::now());
    check.check(context).await.unwrap()
}
