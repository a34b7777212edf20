//! A client of gRPC health.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tokio::time::timeout;
use tonic::Code;
use tonic::Streaming;
use tonic::transport::Channel;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::HealthCheckResponse;
pub(crate) use tonic_health::pb::health_check_response::ServingStatus as Is;
use tonic_health::pb::health_client::HealthClient;
use tonic_prost::ProstCodec;

use crate::support::secs;

/// One connection.
#[derive(Clone)]
pub(crate) struct Client(Channel);

/// What a watch says.
pub(crate) struct Watch(Streaming<HealthCheckResponse>);

#[derive(Clone, PartialEq, prost::Message)]
struct ListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct ListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("a URL");
        let channel = timeout(secs(20), endpoint.connect()).await;
        let channel = channel.expect("it answers");
        Self(channel.expect("it speaks HTTP/2"))
    }

    pub(crate) async fn check(&self, service: &str) -> Result<Is, Code> {
        let mut client = HealthClient::new(self.0.clone());
        let answer = timeout(secs(20), client.check(request(service))).await;
        let answer = answer.expect("it answers").map_err(|error| error.code())?;
        Ok(answer.get_ref().status())
    }

    /// Every service, by its name.
    pub(crate) async fn list(&self) -> Result<Vec<(String, Is)>, Code> {
        self.call("/grpc.health.v1.Health/List").await
    }

    /// The same, where another method may be asked for.
    pub(crate) async fn call(&self, path: &'static str) -> Result<Vec<(String, Is)>, Code> {
        let mut grpc = tonic::client::Grpc::new(self.0.clone());
        grpc.ready().await.expect("it is connected");
        let path = path.parse().expect("a path");
        let codec = ProstCodec::<ListRequest, ListResponse>::default();
        let request = tonic::Request::new(ListRequest {});
        let answer = timeout(secs(20), grpc.unary(request, path, codec)).await;
        let answer = answer.expect("it answers").map_err(|error| error.code())?;
        let statuses = answer.into_inner().statuses.into_iter();
        Ok(statuses
            .map(|(name, one)| {
                let status = one.status();
                (name, status)
            })
            .collect())
    }

    pub(crate) async fn watch(&self, service: &str) -> Watch {
        let begun = timeout(secs(20), self.watch_whenever(service)).await;
        begun.expect("it answers")
    }

    /// The same, however many calls of this connection come before it.
    pub(crate) async fn watch_whenever(&self, service: &str) -> Watch {
        let mut client = HealthClient::new(self.0.clone());
        let begun = client.watch(request(service)).await;
        Watch(begun.expect("it can be watched").into_inner())
    }
}

impl Watch {
    /// The next message.
    #[track_caller]
    pub(crate) fn next(&mut self) -> impl Future<Output = Is> {
        let place = std::panic::Location::caller();
        async move {
            let next = timeout(secs(20), self.0.message()).await;
            let next = next.unwrap_or_else(|_| panic!("{place}: it says nothing"));
            let message = next.unwrap_or_else(|error| panic!("{place}: {error}"));
            message
                .unwrap_or_else(|| panic!("{place}: it ended"))
                .status()
        }
    }

    /// Waits for a status. No two messages in a row say the same.
    #[track_caller]
    pub(crate) fn until(&mut self, wanted: Is) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let mut last = None;
            while last != Some(wanted) {
                let is = Some(self.next().await);
                assert_ne!(is, last, "{place}: it says so twice");
                last = is;
            }
        }
    }

    /// Waits for the end, before which nothing more is said, and gives its code; nothing where that
    /// says that all is well.
    pub(crate) async fn end(&mut self) -> Option<Code> {
        let end = timeout(secs(20), self.0.message()).await;
        match end.expect("it ends") {
            Ok(None) => None,
            Ok(Some(message)) => panic!("it says {message:?}"),
            Err(error) => Some(error.code()),
        }
    }
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}
