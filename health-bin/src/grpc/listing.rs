//! `List`, which the library's messages lack.

use std::collections::BTreeMap;
use std::future::Ready;
use std::future::ready;
use std::sync::Arc;
use std::time::Instant;

use tonic::Request;
use tonic::Response;
use tonic::Status;
use tonic::server::UnaryService;
use tonic_health::pb::HealthCheckResponse;

use super::answer;
use super::answer::Truth;

/// Where it is asked for.
pub(super) const PATH: &str = "/grpc.health.v1.Health/List";

/// What is asked: everything.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct HealthListRequest {}

/// Each service by its name, and how it is.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

/// Answers it.
pub(super) struct Listing(pub(super) Arc<dyn Truth>);

// === impl Listing ===

impl UnaryService<HealthListRequest> for Listing {
    type Response = HealthListResponse;
    type Future = Ready<Result<Response<HealthListResponse>, Status>>;

    fn call(&mut self, _: Request<HealthListRequest>) -> Self::Future {
        let listed = answer::list(&*self.0, Instant::now());
        ready(listed.map(|statuses| {
            let statuses = statuses.into_iter().map(|(name, status)| {
                let status = status.into();
                (name, HealthCheckResponse { status })
            });
            let statuses = statuses.collect();
            Response::new(HealthListResponse { statuses })
        }))
    }
}
