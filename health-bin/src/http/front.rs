//! A router, and in front of it the answers that are known without it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Request;
use axum::http::Response;
use axum::http::header;
use http_body_util::Either;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::body::Incoming;
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

type Answer = Response<Either<Full<Bytes>, Body>>;

type Routed = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

/// An answer that is known already, or the router's.
pub(crate) enum Answering {
    /// The request's map of headers, empty, in which the answer's are put: a map is two allocations.
    Ok(Option<HeaderMap>),
    Routed(Pin<Box<Routed>>),
}

/// They are looked through once, and not for each answer.
static TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

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

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        match (self.is_ok)(&request) {
            true => Answering::Ok(Some(emptied(request.headers_mut()))),
            false => Answering::Routed(Box::pin(self.router.call(request))),
        }
    }
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Ok(headers) => match headers.take() {
                Some(headers) => Poll::Ready(Ok(ok(headers))),
                // It was given already, and whoever asks again has no right to an answer.
                None => Poll::Pending,
            },
            Self::Routed(routed) => routed
                .as_mut()
                .poll(cx)
                .map_ok(|answer| answer.map(Either::Right)),
        }
    }
}

/// The map without what is in it. That is gone at once: while anything of a request is kept, hyper
/// allocates another buffer to look for the next one.
fn emptied(headers: &mut HeaderMap) -> HeaderMap {
    let mut headers = std::mem::take(headers);
    headers.clear();
    headers
}

/// A plain `ok`.
fn ok(mut headers: HeaderMap) -> Answer {
    headers.insert(header::CONTENT_TYPE, TEXT.clone());
    headers.insert(header::CACHE_CONTROL, NO_STORE.clone());
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from_static(b"ok"))));
    *answer.headers_mut() = headers;
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_the_request_is_in_the_answer() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("content-type", "a"), ("cookie", "b"), ("cookie", "c")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let answer = ok(emptied(&mut headers));
        let headers: Vec<_> = answer.headers().iter().collect();
        let expected = [
            (&header::CONTENT_TYPE, &TEXT),
            (&header::CACHE_CONTROL, &NO_STORE),
        ];
        assert_eq!(headers, expected);
    }
}
