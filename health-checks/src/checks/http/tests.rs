use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::*;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Karmada called every 5xx unreachable; what to do about each of these is different.
#[tokio::test]
async fn pitfall_24_every_answer_has_a_reason_of_its_own() {
    for (status, reason) in [
        ("200 OK", "Healthy"),
        ("204 No Content", "Healthy"),
        ("302 Found", "Redirected"),
        ("401 Unauthorized", "Unauthorized"),
        ("403 Forbidden", "Forbidden"),
        ("404 Not Found", "NotFound"),
        ("418 I'm a teapot", "UnexpectedStatus"),
        ("429 Too Many Requests", "TooManyRequests"),
        ("500 Internal Server Error", "ServerError"),
        ("503 Service Unavailable", "ServerError"),
    ] {
        let server = Server::says(&format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await;
        let outcome = server.ask().await;
        assert_eq!(outcome.reason.as_str(), reason, "{status}");
        let code: f64 = status[..3].parse().unwrap();
        assert_eq!(outcome.metrics["httpStatus"], code);
        let expected = match reason {
            "Healthy" => HealthStatus::Healthy,
            _ => HealthStatus::Unhealthy,
        };
        assert_eq!(outcome.status, expected);
    }
}

#[tokio::test]
async fn where_nobody_listens_is_refused_and_a_name_of_nobody_is_not_found() {
    let refused = ask("http://127.0.0.1:1/").await;
    assert_eq!(refused.reason.as_str(), "ConnectionRefused");
    assert_eq!(refused.status, HealthStatus::Unhealthy);
    let nobody = ask("http://nobody.invalid/").await;
    assert_eq!(nobody.reason.as_str(), "DnsFailed", "{}", nobody.message);
}

#[tokio::test]
async fn a_server_that_never_answers_times_out_and_it_says_where() {
    for (says, stage) in [
        ("", "the answer's head"),
        ("HTTP/1.1 200 OK\r\n", "the answer's head"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n12",
            "the answer's body",
        ),
    ] {
        let server = Server::says_and_hangs(says).await;
        let outcome = ask_within(&server.url(""), Duration::from_millis(200)).await;
        assert_eq!(outcome.reason.as_str(), "Timeout");
        assert!(outcome.message.contains(stage), "{}", outcome.message);
    }
}

#[tokio::test]
async fn a_slow_drip_is_bounded_by_the_timeout() {
    let server = Server::start(|mut stream, _| async move {
        head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            .await
            .ok();
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let outcome = ask_within(&server.url(""), Duration::from_millis(200)).await;
    assert_eq!(outcome.reason.as_str(), "Timeout");
}

#[tokio::test]
async fn what_is_no_http_and_what_is_cut_off_are_told_apart() {
    let server = Server::says("SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    assert_eq!(server.ask().await.reason.as_str(), "ProtocolError");
    let server = Server::start(|mut stream, _| async move {
        head(&mut stream).await;
        drop(stream);
    })
    .await;
    assert_eq!(server.ask().await.reason.as_str(), "ConnectionLost");
}

#[tokio::test]
async fn redirects_are_named_without_secrets_and_not_followed() {
    let server = Server::says(
        "HTTP/1.1 307 Temporary Redirect\r\n\
         location: https://bob:hunter2@elsewhere/login?token=hunter2#hunter2\r\n\
         content-length: 0\r\n\r\n",
    )
    .await;
    let outcome = ask(&server.url("/ready?key=hunter2")).await;
    assert_eq!(outcome.reason.as_str(), "Redirected");
    let place = "the answer is 307 to https://elsewhere/login";
    assert!(outcome.message.ends_with(place), "{}", outcome.message);
    assert!(!outcome.message.contains("hunter2"), "{}", outcome.message);
}

#[tokio::test]
async fn a_plain_server_asked_by_https_fails_in_tls() {
    let server = Server::start(|mut stream, _| async move {
        stream.read_u8().await.ok();
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(answer).await.ok();
        stream.read_to_end(&mut Vec::new()).await.ok();
    })
    .await;
    let outcome = ask(&server.url("").replace("http:", "https:")).await;
    assert_eq!(outcome.reason.as_str(), "TlsFailed", "{}", outcome.message);
}

#[tokio::test]
async fn a_certificate_counts_only_from_a_known_authority() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let server = Server::tls(&signed).await;
    let url = format!("https://localhost:{}/", server.port);
    let unknown = ask(&url).await;
    assert_eq!(unknown.reason.as_str(), "TlsFailed");
    assert!(
        unknown.message.contains("UnknownIssuer"),
        "{}",
        unknown.message
    );

    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), signed.cert.pem()).unwrap();
    let mut target = HttpTarget::new(&url).unwrap();
    target.ca = Some(ca.path().into());
    assert_eq!(run(&check(target.clone())).await, HealthStatus::Healthy);

    let other = format!("https://127.0.0.1:{}/", server.port);
    let mut wrong_name = HttpTarget::new(&other).unwrap();
    wrong_name.ca = Some(ca.path().into());
    assert_eq!(run(&check(wrong_name)).await, HealthStatus::Unhealthy);

    let mut insecure = HttpTarget::new(&other).unwrap();
    insecure.insecure = true;
    assert_eq!(run(&check(insecure)).await, HealthStatus::Healthy);
}

#[tokio::test]
async fn the_connection_is_kept_and_replaced_when_it_was_closed() {
    let server = Server::says(OK).await;
    let kept = check(HttpTarget::new(&server.url("")).unwrap());
    for _ in 0..3 {
        assert_eq!(run(&kept).await, HealthStatus::Healthy);
    }
    assert_eq!(server.connections(), 1);

    let server = Server::start(|mut stream, _| async move {
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.ok();
    })
    .await;
    let closed = check(HttpTarget::new(&server.url("")).unwrap());
    for _ in 0..3 {
        assert_eq!(run(&closed).await, HealthStatus::Healthy);
    }
    assert_eq!(server.connections(), 3);
}

/// The kernel takes a quarter of an hour to notice (Kubernetes #48638).
#[tokio::test]
async fn pitfall_7_a_connection_that_went_silent_is_not_used_again() {
    let server = Server::start(|mut stream, number| async move {
        head(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.ok();
        if number == 0 {
            std::future::pending::<()>().await;
        }
    })
    .await;
    let check = check(HttpTarget::new(&server.url("")).unwrap());
    assert_eq!(run(&check).await, HealthStatus::Healthy);
    let context = CheckContext::new(Duration::from_millis(100), Instant::now());
    let silent = check.check(context).await.unwrap();
    assert_eq!(silent.reason.as_str(), "Timeout");
    assert_eq!(run(&check).await, HealthStatus::Healthy);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_large_body_is_not_read_to_its_end() {
    let server = Server::start(|mut stream, _| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    assert_eq!(server.ask().await.status, HealthStatus::Healthy);
}

#[tokio::test]
async fn headers_and_the_token_are_sent_and_the_last_good_token_goes_on() {
    let (sender, mut heads) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream, _| {
        let sender = sender.clone();
        async move {
            loop {
                let head = head(&mut stream).await;
                if head.is_empty() || sender.send(head).is_err() {
                    return;
                }
                stream.write_all(OK.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "s3cret\n").unwrap();
    let mut target = HttpTarget::new(&server.url("/a?b=c")).unwrap();
    target.bearer_token = Some(token.path().into());
    target
        .headers
        .insert("x-probe", http::HeaderValue::from_static("yes"));
    let check = check(target);
    run(&check).await;
    let sent = heads.recv().await.unwrap();
    assert!(sent.starts_with("GET /a?b=c HTTP/1.1\r\n"), "{sent}");
    assert!(sent.contains("authorization: Bearer s3cret\r\n"), "{sent}");
    assert!(sent.contains("x-probe: yes\r\n"), "{sent}");
    assert!(sent.contains(&format!("host: 127.0.0.1:{}\r\n", server.port)));
    assert!(!format!("{check:?}").contains("s3cret"));

    token.close().unwrap();
    run(&check).await;
    let sent = heads.recv().await.unwrap();
    assert!(sent.contains("authorization: Bearer s3cret\r\n"), "{sent}");
}

#[tokio::test]
async fn expectations_and_limits_are_kept() {
    let server = Server::says("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await;
    let mut config = HttpConfig::new(HttpTarget::new(&server.url("")).unwrap());
    config.expected_status = vec![StatusCode::NOT_FOUND];
    config.latency_seconds.degraded = Some(0.0);
    let outcome = run_outcome(&HttpCheck::new(config).unwrap()).await;
    assert_eq!(outcome.reason.as_str(), "LatencyHigh");
    assert_eq!(outcome.status, HealthStatus::Degraded);
}

/// A server on loopback that ends with this.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream, usize) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut streams = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let number = count.fetch_add(1, Ordering::SeqCst);
                streams.spawn(serve(stream, number));
            }
        });
        Self {
            port,
            connections,
            task,
        }
    }

    /// Gives that answer to each request.
    async fn says(answer: &str) -> Self {
        let answer: Arc<str> = answer.into();
        Self::start(move |mut stream, _| {
            let answer = Arc::clone(&answer);
            async move {
                while !head(&mut stream).await.is_empty() {
                    stream.write_all(answer.as_bytes()).await.ok();
                }
            }
        })
        .await
    }

    async fn says_and_hangs(answer: &'static str) -> Self {
        Self::start(move |mut stream, _| async move {
            head(&mut stream).await;
            stream.write_all(answer.as_bytes()).await.ok();
            std::future::pending().await
        })
        .await
    }

    async fn tls(signed: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Self {
        let key = rustls::pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.cert.der().clone()], key.unwrap())
            .unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        Self::start(move |stream, _| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    return;
                };
                head(&mut stream).await;
                stream.write_all(OK.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
        })
        .await
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    async fn ask(&self) -> Outcome {
        ask(&self.url("/")).await
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a request's head; empty when the connection ended.
async fn head<S: tokio::io::AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    String::from_utf8(head).unwrap()
}

fn check(target: HttpTarget) -> HttpCheck {
    HttpCheck::new(HttpConfig::new(target)).unwrap()
}

async fn run(check: &HttpCheck) -> HealthStatus {
    run_outcome(check).await.status
}

async fn run_outcome(check: &HttpCheck) -> Outcome {
    let context = CheckContext::new(Duration::from_secs(20), Instant::now());
    check.check(context).await.unwrap()
}

async fn ask(url: &str) -> Outcome {
    ask_within(url, Duration::from_secs(20)).await
}

async fn ask_within(url: &str, timeout: Duration) -> Outcome {
    let context = CheckContext::new(timeout, Instant::now());
    check(HttpTarget::new(url).unwrap())
        .check(context)
        .await
        .unwrap()
}
