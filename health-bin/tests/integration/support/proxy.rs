//! A server between the agent and the real one, that fails when it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use kube::Client;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is done instead of handing a request on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The proxy answers itself.
    Answer {
        status: u16,
        retry_after: Option<u32>,
    },
    /// The request is handed on; when the real server has answered, the connection breaks.
    LoseReply,
    /// The same, but for writes only.
    LoseReplyOfWrite,
    /// The request is handed on after a wait.
    Delay(Duration),
}

/// A request that came by.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) at: Instant,
    pub(crate) method: http::Method,
    /// With its query.
    pub(crate) path: String,
    /// What the real server answered, if it was asked.
    pub(crate) status: Option<u16>,
}

/// The proxy, until this is dropped.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    client: Client,
    fault: Mutex<Option<Fault>>,
    passed: Mutex<Vec<Passed>>,
}

type Answer = http::Response<Full<Bytes>>;

// === impl Proxy ===

impl Proxy {
    /// Hands requests on to the server of `client`, whose user they get.
    pub(crate) async fn start(client: Client) -> Self {
        let shared = Arc::new(Shared {
            client,
            fault: Mutex::new(None),
            passed: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _server: server,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on every request meets this, or nothing.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.shared.fault.lock().expect("nobody panics") = fault;
    }

    /// What came by since `since`.
    pub(crate) fn passed(&self, since: Instant) -> Vec<Passed> {
        let passed = self.shared.passed.lock().expect("nobody panics");
        let recent = passed.iter().filter(|one| one.at >= since);
        recent.cloned().collect()
    }
}

// === impl Passed ===

impl Passed {
    /// Whether it may change something.
    pub(crate) fn is_write(&self) -> bool {
        self.method != http::Method::GET && !self.path.contains("dryRun")
    }

    /// Whether it is about the Lease.
    pub(crate) fn is_lease(&self) -> bool {
        self.path.contains("/leases")
    }
}

// === impl Shared ===

impl Shared {
    /// An error breaks the connection.
    async fn handle(&self, request: http::Request<Incoming>) -> io::Result<Answer> {
        let fault = *self.fault.lock().expect("nobody panics");
        let passed = Passed {
            at: Instant::now(),
            method: request.method().clone(),
            path: request.uri().to_string(),
            status: None,
        };
        match fault {
            None => self.hand_on(passed, request).await,
            Some(Fault::Answer {
                status,
                retry_after,
            }) => {
                self.note(passed);
                Ok(refusal(status, retry_after))
            }
            Some(Fault::LoseReplyOfWrite) if !passed.is_write() => {
                self.hand_on(passed, request).await
            }
            Some(Fault::LoseReply | Fault::LoseReplyOfWrite) => {
                self.hand_on(passed, request).await?;
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Some(Fault::Delay(wait)) => {
                tokio::time::sleep(wait).await;
                self.hand_on(passed, request).await
            }
        }
    }

    async fn hand_on(
        &self,
        mut passed: Passed,
        request: http::Request<Incoming>,
    ) -> io::Result<Answer> {
        let (mut head, body) = request.into_parts();
        head.headers.remove(http::header::HOST);
        head.headers.remove(http::header::AUTHORIZATION);
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let request = http::Request::from_parts(head, body.to_vec().into());
        let answer = self.client.send(request).await.map_err(io::Error::other)?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        passed.status = Some(head.status.as_u16());
        self.note(passed);
        let mut answer = http::Response::new(Full::new(body));
        *answer.status_mut() = head.status;
        Ok(answer)
    }

    fn note(&self, passed: Passed) {
        let mut all = self.passed.lock().expect("nobody panics");
        all.push(passed);
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(|request| shared.handle(request));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    // That it breaks is what was asked for.
    let _ = connection.await;
}

/// What an API server says when it does not do what it was asked to.
fn refusal(status: u16, retry_after: Option<u32>) -> Answer {
    let text = serde_json::json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "the proxy was told to fail",
        "code": status,
    });
    let mut answer = http::Response::new(Full::new(text.to_string().into()));
    *answer.status_mut() = status.try_into().expect("a status");
    if let Some(seconds) = retry_after {
        let headers = answer.headers_mut();
        headers.insert(http::header::RETRY_AFTER, seconds.into());
    }
    answer
}
