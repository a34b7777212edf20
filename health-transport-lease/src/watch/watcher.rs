//! Makes the calls of the machines that watch a workspace.

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::config::WatchConfig;
use super::line::Lines;
use super::machine::WatchInput;
use super::machine::WatchMachine;
use super::machine::WatchOutput;
use super::sightings::Sighting;
use super::watched::Watched;
use crate::api::now;
use crate::call::ApiError;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::exchange::Exchange;
use crate::exchange::Flow;

/// Watches the Leases and the SyncTargets of one workspace, until it is dropped.
///
/// Where nobody takes what is seen, reading waits, and with it the server: what it cannot send it
/// holds back, or ends the stream, and then all is read again. So no object's latest state is ever
/// lost, and no queue grows; what an object went through in between may be.
#[derive(Debug)]
pub struct Watcher {
    tasks: JoinSet<()>,
}

/// What is under way. Dropping it drops its connection, too.
enum UnderWay {
    Nothing,
    Page(Pin<Box<dyn Future<Output = Reply> + Send>>),
    Opening(Pin<Box<dyn Future<Output = Result<Flow, ApiError>> + Send>>),
    Stream { flow: Flow, lines: Lines },
}

/// 250 objects of 64 KiB; what is larger is asked for in smaller pages.
const PAGE_MAX: usize = 16 * 1024 * 1024;

// === impl Watcher ===

impl Watcher {
    /// Watches this workspace, with chance from `seed`. Runs in a tokio runtime.
    ///
    /// `cluster` is one of
    /// [`connect_for_watches`](crate::ClusterConfig::connect_for_watches): with a read timeout on
    /// its connections a quiet stream would break again and again. It ends when it is dropped, or
    /// when nobody can receive what it sees.
    #[must_use]
    pub fn spawn(
        cluster: &Cluster,
        config: &WatchConfig,
        seed: u64,
        events: &mpsc::Sender<Sighting>,
    ) -> Self {
        let leases = Watched::Leases {
            namespace: config.namespace().to_owned(),
        };
        let mut tasks = JoinSet::new();
        for (of, seed) in [(leases, seed), (Watched::SyncTargets, !seed)] {
            let machine = WatchMachine::new(of, config.clone(), seed, now());
            let exchange = Exchange::new(cluster.clone());
            tasks.spawn(run(exchange, machine, events.clone()));
        }
        Self { tasks }
    }

    /// Waits until one of its loops is at its end: nobody receives any more, or it panicked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn ended(&mut self) {
        if self.tasks.join_next().await.is_none() {
            std::future::pending().await
        }
    }
}

async fn run(exchange: Exchange, mut machine: WatchMachine, events: mpsc::Sender<Sighting>) {
    let exchange = Arc::new(exchange);
    let mut under_way = UnderWay::Nothing;
    loop {
        while let Some(output) = machine.poll() {
            match output {
                WatchOutput::List(request) => {
                    let exchange = Arc::clone(&exchange);
                    under_way =
                        UnderWay::Page(Box::pin(
                            async move { exchange.ask(request, PAGE_MAX).await },
                        ));
                }
                WatchOutput::Watch(request) => {
                    let exchange = Arc::clone(&exchange);
                    under_way =
                        UnderWay::Opening(Box::pin(async move { exchange.open(request).await }));
                }
                WatchOutput::Close => under_way = UnderWay::Nothing,
                WatchOutput::Saw(sighting) => {
                    if events.send(*sighting).await.is_err() {
                        return;
                    }
                }
            }
        }
        // A stream of lines that say nothing waits nowhere else.
        tokio::task::consume_budget().await;
        let wake: Instant = machine.poll_timeout();
        let input = tokio::select! {
            // What has come before the time is up is read before it counts as up.
            biased;
            input = under_way.next() => input,
            () = tokio::time::sleep_until(wake.into()) => WatchInput::Timeout,
            () = events.closed() => return,
        };
        machine.handle(input, now());
    }
}

// === impl UnderWay ===

impl UnderWay {
    /// What comes of it next.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    async fn next(&mut self) -> WatchInput {
        match self {
            Self::Nothing => std::future::pending().await,
            Self::Page(reply) => {
                let reply = reply.await;
                *self = Self::Nothing;
                WatchInput::Page(reply)
            }
            Self::Opening(opened) => match opened.await {
                Ok(flow) => {
                    let lines = Lines::default();
                    *self = Self::Stream { flow, lines };
                    WatchInput::Opened(Ok(()))
                }
                Err(error) => {
                    *self = Self::Nothing;
                    WatchInput::Opened(Err(error))
                }
            },
            Self::Stream { flow, lines } => loop {
                if let Some(item) = lines.next_item() {
                    return WatchInput::Item(item);
                }
                let pushed = match flow.next().await {
                    Some(Ok(bytes)) => lines.push(&bytes),
                    Some(Err(error)) => Err(error),
                    None => {
                        *self = Self::Nothing;
                        return WatchInput::Ended(None);
                    }
                };
                if let Err(error) = pushed {
                    *self = Self::Nothing;
                    return WatchInput::Ended(Some(error));
                }
            },
        }
    }
}
