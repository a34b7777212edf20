//! The calls of `grpc.health.v1.Health`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use futures_util::stream;
use futures_util::stream::Stream;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper::service::service_fn;
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::HealthCheckResponse;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::health_server::HealthServer;
use tonic_prost::ProstCodec;

use super::answer;
use super::answer::Truth;
use super::listing;
use super::listing::Listing;
use super::watched::Watched;

/// What `Check` and `Watch` are answered from.
struct Calls {
    truth: Arc<dyn Truth>,
    watched: Arc<Watched>,
}

/// A message holds one name, and no name that is known is longer than 63 bytes.
const MESSAGE_MAX: usize = 1024;

/// Everything that is answered; what is no call of ours is `UNIMPLEMENTED`.
pub(super) fn service(
    truth: Arc<dyn Truth>,
    watched: Arc<Watched>,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
> + Clone
+ Send
+ 'static {
    let calls = Calls {
        truth: Arc::clone(&truth),
        watched,
    };
    let health = HealthServer::new(calls).max_decoding_message_size(MESSAGE_MAX);
    service_fn(move |request: Request<Incoming>| {
        let (mut health, listing) = (health.clone(), Listing(Arc::clone(&truth)));
        async move {
            if request.uri().path() != listing::PATH {
                return tonic::codegen::Service::call(&mut health, request).await;
            }
            let grpc = Grpc::new(ProstCodec::default());
            let mut grpc = grpc.max_decoding_message_size(MESSAGE_MAX);
            Ok(grpc.unary(listing, request).await)
        }
    })
}

// === impl Calls ===

#[tonic::async_trait]
impl Health for Calls {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        let service = &request.get_ref().service;
        let status = answer::check(service, &*self.truth, Instant::now())?;
        Ok(tonic::Response::new(response(status)))
    }

    type WatchStream = stream::BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let receiver = self.watched.watch(service, Instant::now());
        let receiver = receiver.ok_or_else(ending)?;
        Ok(tonic::Response::new(Box::pin(changes(receiver))))
    }
}

/// How it is, each change of that, and in the end why there are no more. Who reads slowly misses
/// what was over meanwhile; nothing is queued.
fn changes(
    receiver: watch::Receiver<ServingStatus>,
) -> impl Stream<Item = Result<HealthCheckResponse, Status>> + Send {
    let begin = Some((receiver, None));
    stream::unfold(begin, async |state| {
        let (mut receiver, last) = state?;
        loop {
            let status = *receiver.borrow_and_update();
            if last != Some(status) {
                return Some((Ok(response(status)), Some((receiver, Some(status)))));
            }
            if receiver.changed().await.is_err() {
                return Some((Err(ending()), None));
            }
        }
    })
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    let status = status.into();
    HealthCheckResponse { status }
}

/// Whoever is told so may come again.
fn ending() -> Status {
    Status::unavailable("the program ends")
}
