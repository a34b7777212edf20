//! GETs over plain HTTP, for `probe` and `status`.

use std::time::Duration;

use anyhow::Context;
use anyhow::anyhow;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use super::url::Url;

/// Asks one server; each answer has a connection of its own.
#[derive(Debug)]
pub(crate) struct Client {
    url: Url,
    token: Option<SecretString>,
}

/// An answer whose body has no end yet.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) status: StatusCode,
    body: Incoming,
    _driver: Driver,
}

/// The task that moves a connection's bytes, ended with whoever waits for them.
#[derive(Debug)]
struct Driver(AbortHandle);

/// A whole exchange must end within this time: the kubelet waits one second by default, but
/// `timeoutSeconds` may be longer.
const TIMEOUT: Duration = Duration::from_secs(10);

// === impl Client ===

impl Client {
    pub(crate) const fn new(url: Url, token: Option<SecretString>) -> Self {
        Self { url, token }
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Asks for a path and gives the answer's status and text, of which at most `body_max` bytes
    /// are read: more is an error.
    pub(crate) async fn get(
        &self,
        path: &str,
        body_max: usize,
    ) -> anyhow::Result<(StatusCode, String)> {
        let exchange = async {
            let Open {
                status,
                body,
                _driver,
            } = self.send(path).await?;
            let body = Limited::new(body, body_max).collect().await;
            let body = body.map_err(|error| anyhow!("the answer broke off: {error}"))?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok((status, text))
        };
        within(exchange).await
    }

    /// Asks for a path whose answer is read as it comes.
    pub(crate) async fn open(&self, path: &str) -> anyhow::Result<Open> {
        within(self.send(path)).await
    }

    async fn send(&self, path: &str) -> anyhow::Result<Open> {
        let authority = self.url.authority();
        let stream = TcpStream::connect(self.url.place())
            .await
            .with_context(|| format!("cannot connect to {authority}"))?;
        let unanswered = || format!("{authority} did not answer in HTTP");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .with_context(unanswered)?;
        let driver = Driver(tokio::spawn(connection).abort_handle());
        let mut request = Request::get(self.url.target(path))
            .header(header::HOST, authority.as_str())
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())?;
        if let Some(token) = &self.token {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()));
            // The error would show the token.
            let mut value = value.map_err(|_| anyhow!("the token has characters that none has"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let response = sender.send_request(request).await;
        let (head, body) = response
            .map(Response::into_parts)
            .with_context(unanswered)?;
        Ok(Open {
            status: head.status,
            body,
            _driver: driver,
        })
    }
}

// === impl Open ===

impl Open {
    /// The next part of the body, and nothing once it has ended or broken off.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if this is dropped.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                return Some(data);
            }
        }
    }
}

// === impl Driver ===

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn within<T>(exchange: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let ended = tokio::time::timeout(TIMEOUT, exchange).await;
    ended.map_err(|_| anyhow!("no answer within {TIMEOUT:?}"))?
}
