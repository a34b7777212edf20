//! The probes as an orchestrator asks them, answered without the router.
//!
//! Most requests by far are `GET /livez` and `GET /readyz` that hold. Everything else is the router's.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::http::Method;
use axum::http::Request;
use axum::http::header;
use health_core::Probe;

use super::state::AgentState;
use crate::http::Front;

/// The router, with the plain probes in front of it.
pub(super) fn front(state: Arc<AgentState>, router: Router) -> Front {
    Front::new(router, move |request| {
        plain(request).is_some_and(|probe| state.probe(probe, &[], Instant::now()).holds)
    })
}

/// The probe that is asked for, if nothing but whether it holds is.
fn plain<B>(request: &Request<B>) -> Option<Probe> {
    // The path with the query, so that one with a query is none of these.
    let probe = match request.uri().path_and_query()?.as_str() {
        "/livez" | "/healthz" => Probe::Liveness,
        "/readyz" => Probe::Readiness,
        "/startupz" => Probe::Startup,
        _ => return None,
    };
    // Of the few that a prober sends each is looked at: to look one up costs more.
    let mut headers = request.headers().iter();
    let is_plain = request.method() == Method::GET
        && headers.all(|(name, value)| name != header::ACCEPT || value == "*/*");
    is_plain.then_some(probe)
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
}
