//! Makes the machines' calls.

use std::time::Duration;
use std::time::Instant;

use crate::call::Call;
use crate::call::Output;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::exchange::Exchange;
use crate::http_form::Objects;

/// The calls about one agent's objects.
#[derive(Debug)]
pub(crate) struct Api {
    exchange: Exchange,
    objects: Objects,
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
pub(crate) const BODY_MAX: usize = 4 * 1024 * 1024;

/// What is said of a call whose deadline passed.
pub(crate) const NO_ANSWER: &str = "no answer in time";

/// The clock by which everything here is decided.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// For how long the machine has slept since its boot: by that much the boot clock is ahead.
#[must_use]
pub fn slept() -> Duration {
    let read = |clock| Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default();
    let monotonic = read(rustix::time::ClockId::Monotonic);
    read(rustix::time::ClockId::Boottime).saturating_sub(monotonic)
}

// === impl Api ===

impl Api {
    pub(crate) const fn new(cluster: Cluster, objects: Objects) -> Self {
        Self {
            exchange: Exchange::new(cluster),
            objects,
        }
    }

    pub(crate) const fn objects(&self) -> &Objects {
        &self.objects
    }

    pub(crate) fn server(&self) -> &str {
        self.exchange.server()
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
        self.exchange.ask_until(request, BODY_MAX, call.by).await
    }
}
