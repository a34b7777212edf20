//! A router, and in front of it the answers that are known without it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::task::Context;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Request;
use axum::http::Response;
use axum::http::header;
use hyper::body::Bytes;
use hyper::body::Frame;
use hyper::body::Incoming;
use hyper::body::SizeHint;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

/// A router that is not asked where a plain `ok` is known to be its answer: routing costs more than
/// that answer does.
#[derive(Clone)]
pub(crate) struct Front {
    is_ok: Arc<IsOk>,
    router: TowerToHyperService<Router>,
}

type IsOk = dyn Fn(&Request<Incoming>) -> bool + Send + Sync;

type Answer = Response<Content>;

type Routed = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

/// An answer that is known already, or the router's.
pub(crate) enum Answering {
    Ok,
    Routed(Pin<Box<Routed>>),
}

/// What is in an answer. Not `Either`, which moves each piece once more to change its error.
pub(crate) enum Content {
    /// The two letters, until they are taken.
    Ok(Option<&'static [u8]>),
    Routed(Body),
}

/// The headers of a plain `ok`. To copy the map costs less than to put them into one.
static HEADERS: LazyLock<HeaderMap> = LazyLock::new(|| {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let no_store = HeaderValue::from_static("no-store");
    HeaderMap::from_iter([
        (header::CONTENT_TYPE, text),
        (header::CACHE_CONTROL, no_store),
    ])
});

// === impl Front ===

impl Front {
    /// `is_ok` must be quick, and true only where the router would answer so.
    pub(crate) fn new(
        router: Router,
        is_ok: impl Fn(&Request<Incoming>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self {
            is_ok: Arc::new(is_ok),
            router: TowerToHyperService::new(router),
        }
    }
}

impl From<Router> for Front {
    /// Everything is the router's.
    fn from(router: Router) -> Self {
        Self::new(router, |_| false)
    }
}

impl Service<Request<Incoming>> for Front {
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Incoming>) -> Answering {
        match (self.is_ok)(&request) {
            true => Answering::Ok,
            false => Answering::Routed(Box::pin(self.router.call(request))),
        }
    }
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ok => Poll::Ready(Ok(ok())),
            Self::Routed(routed) => routed
                .as_mut()
                .poll(cx)
                .map_ok(|answer| answer.map(Content::Routed)),
        }
    }
}

// === impl Content ===

impl hyper::body::Body for Content {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match &mut *self {
            Self::Ok(text) => {
                let text = text.take().map(Bytes::from_static);
                Poll::Ready(text.map(|text| Ok(Frame::data(text))))
            }
            Self::Routed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Ok(text) => text.is_none(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Ok(text) => SizeHint::with_exact(text.unwrap_or_default().len() as u64),
            Self::Routed(body) => body.size_hint(),
        }
    }
}

/// A plain `ok`.
fn ok() -> Answer {
    let mut answer = Response::new(Content::Ok(Some(b"ok")));
    *answer.headers_mut() = HEADERS.clone();
    answer
}
