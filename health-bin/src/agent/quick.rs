//! The probes as an orchestrator asks them, answered without the router.
//!
//! Most requests by far are `GET /livez` and `GET /readyz` that hold; routing costs more than their
//! answer. Everything else is the router's.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::Method;
use axum::http::Request;
use axum::http::Response;
use axum::http::header;
use health_core::Probe;
use http_body_util::Either;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use super::state::AgentState;

/// The router, with the plain probes in front of it.
#[derive(Clone)]
pub(super) struct Quick {
    state: Arc<AgentState>,
    router: TowerToHyperService<Router>,
}

type Answer = Response<Either<Full<Bytes>, Body>>;

type Routed = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

/// An answer that is known already, or the router's.
pub(super) enum Answering {
    /// The request's headers, in whose place the answer's are put: a map is two allocations.
    Known(Option<HeaderMap>),
    Routed(Pin<Box<Routed>>),
}

/// They are looked through once, and not for each answer.
static TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

// === impl Quick ===

impl Quick {
    pub(super) fn new(state: Arc<AgentState>, router: Router) -> Self {
        let router = TowerToHyperService::new(router);
        Self { state, router }
    }
}

impl Service<Request<Incoming>> for Quick {
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        match plain(&request) {
            Some(probe) if self.state.probe(probe, &[], Instant::now()).holds => {
                Answering::Known(Some(std::mem::take(request.headers_mut())))
            }
            Some(_) | None => Answering::Routed(Box::pin(self.router.call(request))),
        }
    }
}

/// The probe that is asked for, if nothing but whether it holds is.
fn plain<B>(request: &Request<B>) -> Option<Probe> {
    let probe = match request.uri().path() {
        "/livez" | "/healthz" => Probe::Liveness,
        "/readyz" => Probe::Readiness,
        "/startupz" => Probe::Startup,
        _ => return None,
    };
    let accept = request.headers().get(header::ACCEPT);
    let is_plain = request.method() == Method::GET
        && request.uri().query().is_none()
        && accept.is_none_or(|accept| accept == "*/*");
    is_plain.then_some(probe)
}

/// What the router answers for a probe that holds; what `headers` has been does not matter.
fn ok(mut headers: HeaderMap) -> Answer {
    headers.clear();
    headers.insert(header::CONTENT_TYPE, TEXT.clone());
    headers.insert(header::CACHE_CONTROL, NO_STORE.clone());
    let mut answer = Response::new(Either::Left(Full::new(Bytes::from_static(b"ok"))));
    *answer.headers_mut() = headers;
    answer
}

// === impl Answering ===

impl Future for Answering {
    type Output = Result<Answer, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Known(headers) => match headers.take() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_probes_are_answered_without_the_router() {
        for (method, uri, accept, expected) in [
            ("GET", "/livez", None, Some(Probe::Liveness)),
            ("GET", "/healthz", Some("*/*"), Some(Probe::Liveness)),
            ("GET", "/readyz", None, Some(Probe::Readiness)),
            ("GET", "/startupz", None, Some(Probe::Startup)),
            ("HEAD", "/readyz", None, None),
            ("GET", "/readyz?verbose", None, None),
            ("GET", "/readyz/", None, None),
            ("GET", "/readyz", Some("application/json"), None),
            ("GET", "/metrics", None, None),
        ] {
            let mut request = Request::builder().method(method).uri(uri);
            if let Some(accept) = accept {
                request = request.header(header::ACCEPT, accept);
            }
            let asked = plain(&request.body(()).unwrap());
            assert_eq!(asked, expected, "{method} {uri} {accept:?}");
        }
    }

    #[test]
    fn nothing_of_the_request_is_in_the_answer() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("content-type", "a"), ("cookie", "b"), ("cookie", "c")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let answer = ok(headers);
        let headers: Vec<_> = answer.headers().iter().collect();
        let expected = [
            (&header::CONTENT_TYPE, &TEXT),
            (&header::CACHE_CONTROL, &NO_STORE),
        ];
        assert_eq!(headers, expected);
    }
}
