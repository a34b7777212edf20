//! The model behind a client, in process.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use http::Request;
use http::Response;
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;

use crate::Cluster;
use crate::RawRequest;
use crate::RawResponse;
use crate::testing::Caller;
use crate::testing::Model;

/// A [`Model`] that clients can ask, without a socket.
#[derive(Debug, Clone)]
pub struct Server(Arc<Mutex<Model>>);

// === impl Server ===

impl Server {
    /// A server with this state.
    #[must_use]
    pub fn new(model: Model) -> Self {
        Self(Arc::new(Mutex::new(model)))
    }

    /// The state.
    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            async move { Ok::<_, Infallible>(server.answer(caller, request).await) }
        });
        Cluster::new(Client::new(service, "default"), "https://model.test")
    }

    async fn answer(&self, caller: Caller<'_>, request: Request<Body>) -> Response<Body> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes());
        let raw = RawRequest {
            method: parts.method,
            path: parts.uri.to_string(),
            body: body
                .ok()
                .and_then(|body| serde_json::from_slice(&body).ok()),
        };
        let answer = self.model().request_by(caller, &raw);
        match answer {
            Some(answer) => response(answer),
            None => std::future::pending().await,
        }
    }
}

fn response(answer: RawResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status.try_into().unwrap_or_default();
    if let Some(wait) = answer.retry_after.and_then(|wait| wait.parse().ok()) {
        response
            .headers_mut()
            .insert(http::header::RETRY_AFTER, wait);
    }
    response
}
