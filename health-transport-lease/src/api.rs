//! Makes the machines' calls.

use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use http::Request;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Limited;
use kube::client::Body;

use crate::call::ApiError;
use crate::call::Call;
use crate::call::ErrorKind;
use crate::call::Output;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::http_form::Objects;
use crate::http_form::RawRequest;
use crate::http_form::RawResponse;
use crate::http_form::one_line;

/// The calls about one agent's objects.
#[derive(Debug)]
pub(crate) struct Api {
    connection: Connection,
    objects: Objects,
}

/// Makes requests of one cluster, each with a deadline.
#[derive(Debug)]
pub(crate) struct Connection {
    cluster: Cluster,
    /// Whether the last call failed in a way that other credentials may mend.
    refused: AtomicBool,
}

/// A machine whose calls are made here.
pub(crate) trait Machine {
    type Event;
    type Outcome;

    fn reply(&mut self, reply: Reply, now: Instant);
    fn time_out(&mut self, now: Instant);
    fn poll(&mut self) -> Option<Output<Self::Event, Self::Outcome>>;
    fn poll_timeout(&self) -> Option<Instant>;
    /// Hands an event, and whatever state goes with it, to those who listen.
    fn publish(&mut self, event: Option<Self::Event>);
}

/// No object is larger in etcd; what is, is not read to its end.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// What rustls says of a certificate that it does not believe.
const UNTRUSTED: &str = "invalid peer certificate";

const NO_ANSWER: &str = "no answer in time";

/// The clock by which everything here is decided.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// For how long the machine has slept since its boot: by that much the boot clock is ahead.
pub(crate) fn slept() -> Duration {
    let read = |clock| Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default();
    let monotonic = read(rustix::time::ClockId::Monotonic);
    read(rustix::time::ClockId::Boottime).saturating_sub(monotonic)
}

// === impl Api ===

impl Api {
    pub(crate) const fn new(cluster: Cluster, objects: Objects) -> Self {
        Self {
            connection: Connection::new(cluster),
            objects,
        }
    }

    pub(crate) const fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(crate) fn server(&self) -> &str {
        self.connection.server()
    }

    /// Does what the machine wants until it is done.
    ///
    /// # Cancel safety
    ///
    /// A call under way is dropped, and its connection with it; the machine learns of that doubt
    /// by its next input.
    pub(crate) async fn drive<M: Machine>(&self, machine: &mut M) -> M::Outcome {
        let mut call = None;
        loop {
            let mut done = None;
            while let Some(output) = machine.poll() {
                match output {
                    Output::Call(next) => call = Some(next),
                    Output::Event(event) => machine.publish(Some(event)),
                    Output::Done(outcome) => done = Some(outcome),
                }
            }
            machine.publish(None);
            if let Some(outcome) = done {
                return outcome;
            }
            if let Some(call) = call.take() {
                let reply = self.call(&call).await;
                machine.reply(reply, now());
            } else {
                // A machine that wants nothing at all waits for its caller's deadline.
                let wake = machine.poll_timeout();
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
                machine.time_out(now());
            }
        }
    }

    async fn call(&self, call: &Call) -> Reply {
        let request = call.verb.request(&self.objects);
        self.connection.send(request, call.by).await
    }
}

// === impl Connection ===

impl Connection {
    pub(crate) const fn new(cluster: Cluster) -> Self {
        Self {
            cluster,
            refused: AtomicBool::new(false),
        }
    }

    pub(crate) fn server(&self) -> &str {
        self.cluster.server()
    }

    /// Makes a request, until `by` at the latest.
    ///
    /// # Cancel safety
    ///
    /// What was sent may still arrive; its connection is not used again.
    pub(crate) async fn send(&self, request: RawRequest, by: Instant) -> Reply {
        let answer = async {
            if self.refused.load(Ordering::Relaxed) {
                self.cluster.refresh().await;
            }
            self.exchange(request).await
        };
        let reply = tokio::time::timeout_at(by.into(), answer)
            .await
            // How long it took is not said: the same failure reads the same, and is told once.
            .unwrap_or_else(|_| Err(ApiError::new(ErrorKind::Timeout, NO_ANSWER)));
        let refused = reply.as_ref().is_err_and(|error| {
            matches!(error.kind, ErrorKind::Connection | ErrorKind::Unauthorized)
        });
        self.refused.store(refused, Ordering::Relaxed);
        reply
    }

    async fn exchange(&self, raw: RawRequest) -> Reply {
        let broken = |error: &(dyn Error + 'static)| {
            let message = self.explained(one_line(&chain(error)));
            ApiError::new(ErrorKind::Connection, message)
        };
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
        let response = client.send(request).await.map_err(|error| broken(&error))?;
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok().map(str::to_owned));
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_MAX)
            .collect()
            .await
            .map_err(|error| broken(&*error))?;
        RawResponse {
            status,
            retry_after,
            body: body.to_bytes().to_vec(),
        }
        .reply()
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
