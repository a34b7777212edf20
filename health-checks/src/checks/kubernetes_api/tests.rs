use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::*;

mod tls;

const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_server_without_readyz_is_asked_for_healthz_and_that_is_remembered() {
    let server = Server::plain(|path| match path {
        "/healthz" => answer("200 OK", "ok"),
        _ => NOT_FOUND.into(),
    })
    .await;
    let check = check(&server.url("http", ""));
    for _ in 0..3 {
        assert_eq!(run(&check).await, Outcome::healthy_at(200));
    }
    let asked = server.asked();
    assert_eq!(asked, ["/readyz", "/healthz", "/healthz", "/healthz"]);
}

#[tokio::test]
async fn where_neither_is_there_it_says_so() {
    let server = Server::plain(|_| NOT_FOUND.into()).await;
    let check = check(&server.url("http", ""));
    for _ in 0..2 {
        let outcome = run(&check).await;
        assert_eq!(outcome.reason.as_str(), "NotFound");
        let expected = "/healthz: the answer is 404 Not Found: neither /readyz nor /healthz";
        assert!(outcome.message.contains(expected), "{}", outcome.message);
    }
    let asked = server.asked();
    assert_eq!(asked, ["/readyz", "/healthz", "/readyz", "/healthz"]);
}

/// As KCP serves its workspaces, and Rancher its clusters.
#[tokio::test]
async fn the_urls_own_path_is_kept_and_the_failing_checks_are_named() {
    let server = Server::plain(|path| match path {
        "/clusters/root:org/readyz" => answer(
            "500 Internal Server Error",
            "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\n\
             [-]shutdown failed: reason withheld\nreadyz check failed\n\n",
        ),
        _ => NOT_FOUND.into(),
    })
    .await;
    let url = server.url("http", "/clusters/root:org/");
    let outcome = run(&check(&url)).await;
    assert_eq!(outcome.status, HealthStatus::Unhealthy);
    assert_eq!(outcome.reason.as_str(), "ApiServerNotReady");
    let expected = format!("{url}readyz: these of its checks fail: etcd, shutdown");
    assert_eq!(outcome.message, expected);
}

#[tokio::test]
async fn ten_megabytes_of_failing_checks_are_bounded() {
    for (line, reason) in [
        ("[-]", "ServerError"),
        ("[-]x failed: y\n", "ApiServerNotReady"),
    ] {
        let body = line.repeat(10 * 1024 * 1024 / line.len());
        let server = Server::plain(move |_| answer("500 Internal Server Error", &body)).await;
        let outcome = run(&check(&server.url("http", ""))).await;
        assert_eq!(outcome.reason.as_str(), reason);
        assert!(outcome.message.len() < 300, "{}", outcome.message);
    }
}

#[tokio::test]
async fn whoever_is_not_there_is_told_apart_and_named() {
    let refused = run(&check("https://127.0.0.1:1")).await;
    assert_eq!(refused.reason.as_str(), "ConnectionRefused");
    let url = "https://127.0.0.1:1/readyz: ";
    assert!(refused.message.starts_with(url), "{}", refused.message);

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let context = CheckContext::new(Duration::from_millis(200), Instant::now());
    let outcome = check(&url).check(context).await.unwrap();
    assert_eq!(outcome.reason.as_str(), "Timeout");
}

#[test]
fn a_pod_asks_its_own_cluster_with_its_service_account() {
    for (host, shown) in [
        ("10.96.0.1", "https://10.96.0.1:6443/"),
        (
            "kubernetes.default.svc",
            "https://kubernetes.default.svc:6443/",
        ),
        ("fd00::1", "https://[fd00::1]:6443/"),
        ("[fd00::1]", "https://[fd00::1]:6443/"),
    ] {
        let config = KubernetesApiConfig::in_cluster(host, 6443, Path::new("/sa")).unwrap();
        assert_eq!(config.target.shown(), shown);
        let shown = format!("{:?} {:?}", config.target.bearer_token, config.target.ca);
        let expected = "Some(Material(file \"/sa/token\")) Some(Material(file \"/sa/ca.crt\"))";
        assert_eq!(shown, expected);
    }
    for host in ["", "a b", "a/b@"] {
        assert!(KubernetesApiConfig::in_cluster(host, 443, Path::new("/sa")).is_err());
    }
}

/// A server on loopback that ends with this.
struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    /// The paths that were asked for, in order.
    asked: Vec<String>,
}

impl Server {
    async fn start<F, T>(serve: F) -> Self
    where
        F: Fn(TcpStream, Arc<Mutex<Seen>>) -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let seen_too = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut streams = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                seen_too.lock().unwrap().connections += 1;
                streams.spawn(serve(stream, Arc::clone(&seen_too)));
            }
        });
        Self { port, seen, task }
    }

    /// Answers each path as `answers` says, on connections that are kept.
    async fn plain(answers: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        let answers = Arc::new(answers);
        Self::start(move |stream, seen| {
            let answers = Arc::clone(&answers);
            async move { serve(stream, &seen, |path| answers(path)).await }
        })
        .await
    }

    fn url(&self, scheme: &str, path: &str) -> String {
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().asked.clone()
    }

    fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

trait HealthyAt {
    fn healthy_at(status: u16) -> Self;
}

impl HealthyAt for Outcome {
    fn healthy_at(status: u16) -> Self {
        Self::healthy().with_metric("httpStatus", f64::from(status))
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    seen: &Mutex<Seen>,
    answers: impl Fn(&str) -> String,
) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap();
        seen.lock().unwrap().asked.push(path.to_owned());
        if stream.write_all(answers(path).as_bytes()).await.is_err() {
            return;
        }
        stream.flush().await.ok();
    }
}

fn answer(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn check(url: &str) -> KubernetesApiCheck {
    let config = KubernetesApiConfig::new(HttpTarget::new(url).unwrap());
    KubernetesApiCheck::new(config).unwrap()
}

/// Runs it once; how long the answer took is left out of what it gives.
async fn run(check: &KubernetesApiCheck) -> Outcome {
    let context = CheckContext::new(Duration::from_secs(20), Instant::now());
    let mut outcome = check.check(context).await.unwrap();
    outcome.metrics.remove("latencySeconds");
    outcome
}
