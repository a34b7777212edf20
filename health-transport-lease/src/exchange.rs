//! Sends requests to the server, and reads what comes back.

use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::Request;
use http::Response;
use http::header;
use http_body_util::BodyExt;
use http_body_util::LengthLimitError;
use http_body_util::Limited;
use kube::client::Body;
use tracing::Instrument;
use tracing::Span;

use crate::api::NO_ANSWER;
use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::http_form::RawRequest;
use crate::http_form::RawResponse;
use crate::http_form::one_line;

/// A cluster to whom requests are sent. Those that take no deadline are bounded by their callers.
#[derive(Debug)]
pub(crate) struct Exchange {
    cluster: Cluster,
    /// Whether the last request failed in a way that other credentials may mend.
    refused: AtomicBool,
}

/// An answer that goes on for as long as the server likes.
#[derive(Debug)]
pub(crate) struct Flow(Body);

/// An error page is not read to its end.
const PAGE_MAX: usize = 64 * 1024;

/// What rustls says of a certificate that it does not believe.
const UNTRUSTED: &str = "invalid peer certificate";

// === impl Exchange ===

impl Exchange {
    pub(crate) const fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            refused: AtomicBool::new(false),
        }
    }

    pub(crate) fn server(&self) -> &str {
        self.cluster.server()
    }

    /// Sends a request and reads its answer, of at most `body_max` bytes.
    ///
    /// # Cancel safety
    ///
    /// A request under way is dropped, and its connection with it.
    pub(crate) async fn ask(&self, raw: RawRequest, body_max: usize) -> Reply {
        let span = span(&raw);
        self.asked(raw, body_max).instrument(span).await
    }

    /// The same, until `by` at the latest.
    ///
    /// # Cancel safety
    ///
    /// As of [`ask`](Self::ask).
    pub(crate) async fn ask_until(&self, raw: RawRequest, body_max: usize, by: Instant) -> Reply {
        let span = span(&raw);
        let reply = async {
            let asked = tokio::time::timeout_at(by.into(), self.asked(raw, body_max)).await;
            asked.unwrap_or_else(|_| {
                self.gave_up();
                tracing::debug!("{NO_ANSWER}");
                // How long it took is not said: the same failure reads the same, and is told once.
                Err(ApiError::new(ErrorKind::Timeout, NO_ANSWER))
            })
        };
        reply.instrument(span).await
    }

    /// Sends a request whose answer is read as it comes.
    ///
    /// # Cancel safety
    ///
    /// As of [`ask`](Self::ask).
    pub(crate) async fn open(&self, raw: RawRequest) -> Result<Flow, ApiError> {
        let span = span(&raw);
        let opened = async {
            let response = self.send(raw).await?;
            if response.status().is_success() {
                return Ok(Flow(response.into_body()));
            }
            let refusal = self.read(response, PAGE_MAX).await?.reply();
            refusal.and_then(|_| {
                let message = "the answer to a watch is no stream";
                Err(ApiError::new(ErrorKind::Server, message))
            })
        };
        async { self.noted(opened.await) }.instrument(span).await
    }

    /// A request that was given up, for its deadline, says nothing of the credentials.
    pub(crate) fn gave_up(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    async fn asked(&self, raw: RawRequest, body_max: usize) -> Reply {
        let reply = async {
            let response = self.send(raw).await?;
            self.read(response, body_max).await?.reply()
        };
        self.noted(reply.await)
    }

    fn noted<T>(&self, result: Result<T, ApiError>) -> Result<T, ApiError> {
        let refused = result.as_ref().is_err_and(|error| {
            matches!(error.kind, ErrorKind::Connection | ErrorKind::Unauthorized)
        });
        self.refused.store(refused, Ordering::Relaxed);
        match &result {
            Ok(_) => tracing::debug!("answered"),
            Err(error) => tracing::debug!(%error, "not done"),
        }
        result
    }

    async fn send(&self, raw: RawRequest) -> Result<Response<Body>, ApiError> {
        if self.refused.load(Ordering::Relaxed) {
            self.cluster.refresh().await;
        }
        let body = raw
            .body
            .map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = Request::builder()
            .method(raw.method)
            .uri(&raw.path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/json")
            .header(
                header::USER_AGENT,
                concat!("syncer-health/", env!("CARGO_PKG_VERSION")),
            )
            .body(Body::from(body))
            .map_err(|error| ApiError::new(ErrorKind::Invalid, chain(&error)))?;
        let client = self.cluster.client();
        let sent = client.send(request).await;
        sent.map_err(|error| self.broken(&error))
    }

    async fn read(
        &self,
        response: Response<Body>,
        body_max: usize,
    ) -> Result<RawResponse, ApiError> {
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok().map(str::to_owned));
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), body_max)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    let message = format!("the answer is longer than {body_max} bytes");
                    return ApiError::new(ErrorKind::TooLarge, message);
                }
                self.broken(&*error)
            })?;
        Ok(RawResponse {
            status,
            retry_after,
            body: body.to_bytes().to_vec(),
        })
    }

    fn broken(&self, error: &(dyn Error + 'static)) -> ApiError {
        let message = self.explained(one_line(&chain(error)));
        ApiError::new(ErrorKind::Connection, message)
    }

    /// Where a server's certificate is not believed, says by what it is judged.
    fn explained(&self, message: String) -> String {
        match self.cluster.trusts() {
            Some(trusts) if message.contains(UNTRUSTED) => format!(
                "{message}: it is verified by {trusts}; \
                 if the server's authority was replaced, put the new one there"
            ),
            Some(_) | None => message,
        }
    }
}

// === impl Flow ===

impl Flow {
    /// The next bytes; nothing at its end.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Result<Vec<u8>, ApiError>> {
        loop {
            match self.0.frame().await? {
                Ok(frame) => {
                    // Trailers say nothing here.
                    if let Ok(bytes) = frame.into_data() {
                        return Some(Ok(bytes.to_vec()));
                    }
                }
                Err(error) => {
                    let message = one_line(&chain(&error));
                    return Some(Err(ApiError::new(ErrorKind::Connection, message)));
                }
            }
        }
    }
}

/// The span of a request. Its path is told without the query, and nothing of its body.
fn span(raw: &RawRequest) -> Span {
    let path = raw.path.split('?').next().unwrap_or_default();
    tracing::debug_span!("request", method = %raw.method, path)
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}
