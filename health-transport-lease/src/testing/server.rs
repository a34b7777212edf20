//! The model behind a client, in process.

use std::convert::Infallible;
use std::ops::Deref;
use std::ops::DerefMut;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::Response;
use http_body_util::BodyExt;
use http_body_util::Either;
use http_body_util::Full;
use http_body_util::channel::Channel;
use http_body_util::channel::Sender;
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::Cluster;
use crate::RawRequest;
use crate::RawResponse;
use crate::testing::Caller;
use crate::testing::Line;
use crate::testing::Model;
use crate::testing::Stream;

/// A [`Model`] that clients can ask, without a socket.
#[derive(Debug, Clone)]
pub struct Server {
    model: Arc<Mutex<Model>>,
    /// Moves whenever somebody had the model in hand.
    touched: watch::Sender<u64>,
}

/// The model in hand; whoever reads a stream looks again when it is put back.
#[derive(Debug)]
pub struct InHand<'a> {
    model: MutexGuard<'a, Model>,
    touched: &'a watch::Sender<u64>,
}

/// An answer: all at once, or as it comes.
pub type Answer = Either<Full<Bytes>, Channel<Bytes>>;

/// How often a stream says that it is quiet, at most; two seconds before its end at the latest.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
const BOOKMARK_BEFORE_END: Duration = Duration::from_secs(2);

/// How long a stream lasts that asked for nothing.
const STREAM: Duration = Duration::from_secs(3600);

/// So many lines are on their way to a reader; the next ones wait.
const LINES_MAX: usize = 16;

// === impl Server ===

impl Server {
    /// A server with this state.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self {
            model: Arc::new(Mutex::new(model)),
            touched: watch::Sender::new(0),
        }
    }

    /// The state.
    pub fn model(&self) -> InHand<'_> {
        InHand {
            model: self.lock(),
            touched: &self.touched,
        }
    }

    /// Waits until somebody asks something, or had the state in hand.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn touched(&self) {
        let mut touched = self.touched.subscribe();
        // It cannot be closed while `self` is there.
        let _ = touched.changed().await;
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A cluster whose calls are answered here, as an admin's. Runs in a tokio runtime.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        self.cluster_of(Caller::Admin)
    }

    /// The same for somebody who may do less.
    #[must_use]
    pub fn cluster_of(&self, caller: Caller<'static>) -> Cluster {
        let server = self.clone();
        let service = tower::service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.handle(caller, request).await) }
        });
        Cluster::new(Client::new(service, "default"), "https://model.test")
    }

    async fn handle(&self, caller: Caller<'_>, request: Request<Body>) -> Response<Answer> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        let raw = RawRequest {
            method: parts.method,
            path: parts.uri.to_string(),
            body: body
                .ok()
                .and_then(|body| serde_json::from_slice(&body).ok()),
        };
        self.answer(caller, &raw).await
    }

    /// Does a request. One that is never answered does not end. Runs in a tokio runtime.
    ///
    /// # Cancel safety
    ///
    /// What was done stays done.
    pub async fn answer(&self, caller: Caller<'_>, raw: &RawRequest) -> Response<Answer> {
        if !Model::is_watch(raw) {
            let answer = self.model().request_by(caller, raw);
            return match answer {
                Some(answer) => response(answer),
                None => std::future::pending().await,
            };
        }
        let opened = self.model().watch_by(caller, raw);
        match opened {
            None => std::future::pending().await,
            Some(Err(refusal)) => response(refusal),
            Some(Ok(stream)) => {
                let (sender, body) = Channel::new(LINES_MAX);
                tokio::spawn(self.clone().say(stream, lasts(raw), sender));
                Response::new(Either::Right(body))
            }
        }
    }

    /// Says what the stream says until it is at its end, or nobody listens.
    async fn say(self, mut stream: Stream, lasts: Duration, mut sender: Sender<Bytes>) {
        let mut touched = self.touched.subscribe();
        let began = Instant::now();
        let end = began + lasts;
        let early = lasts.saturating_sub(BOOKMARK_BEFORE_END);
        let mut quiet = began + early.min(BOOKMARK_EVERY);
        loop {
            touched.mark_unchanged();
            let line = self.lock().read(&mut stream);
            match line {
                Line::Event(event) => {
                    if sender.send_data(text(&event)).await.is_err() {
                        return;
                    }
                    continue;
                }
                Line::End => return,
                Line::Nothing => {}
            }
            tokio::select! {
                _ = touched.changed() => {}
                () = tokio::time::sleep_until(quiet) => {
                    quiet = Instant::now() + BOOKMARK_EVERY;
                    let bookmark = self.lock().bookmark(&mut stream);
                    if let Some(bookmark) = bookmark
                        && sender.send_data(text(&bookmark)).await.is_err()
                    {
                        return;
                    }
                }
                () = tokio::time::sleep_until(end) => {
                    // A stalled stream does not even end.
                    if !self.lock().is_stalled(&stream) {
                        return;
                    }
                    if touched.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

// === impl InHand ===

impl Deref for InHand<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

impl DerefMut for InHand<'_> {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.model
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        // Whoever is woken by it waits for the lock, which is given back right after this.
        self.touched.send_modify(|touched| *touched += 1);
    }
}

fn text(event: &Value) -> Bytes {
    format!("{event}\n").into()
}

/// For how long a watch was asked for.
fn lasts(raw: &RawRequest) -> Duration {
    let (_, query) = raw.path.split_once('?').unwrap_or_default();
    let mut pairs = query.split('&');
    let seconds = pairs.find_map(|pair| pair.strip_prefix("timeoutSeconds="));
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    seconds.map_or(STREAM, Duration::from_secs)
}

fn response(answer: RawResponse) -> Response<Answer> {
    let mut response = Response::new(Either::Left(Full::from(answer.body)));
    *response.status_mut() = answer.status.try_into().unwrap_or_default();
    if let Some(wait) = answer.retry_after.and_then(|wait| wait.parse().ok()) {
        response
            .headers_mut()
            .insert(http::header::RETRY_AFTER, wait);
    }
    response
}
