//! What goes over the tunnel beside the heartbeats, and the counting of it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use health_transport_ws::Outbox;
use health_transport_ws::Taken;
use health_transport_ws::Tunnel;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::Outcome;

/// So many messages of a type may wait for their counter.
pub(crate) const CAPACITY: usize = 64;

/// The types that carry a load, in turns.
const KINDS: [MessageType; 3] = [
    MessageType::Resource,
    MessageType::Status,
    MessageType::Event,
];

/// Messages at a rate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    every: Duration,
    at_once: u32,
    /// Of the payloads, in turns.
    bytes: [usize; 3],
}

/// Where a load goes.
pub(crate) trait Sink: Clone + Send + 'static {
    fn put(&self, message: Message) -> impl Future<Output = bool> + Send;
}

/// Counts what comes, on a task for each type.
pub(crate) struct Counters(Arc<AtomicU64>);

// === impl Load ===

impl Load {
    pub(crate) const IDLE: Self = Self {
        name: "idle",
        every: Duration::from_secs(1),
        at_once: 0,
        bytes: [0; 3],
    };
    /// As small as events and as large as objects.
    const MESSAGES: Self = Self {
        name: "5,000 messages/s each way",
        every: Duration::from_millis(1),
        at_once: 5,
        bytes: [200, 500, 2_000],
    };
    const LARGE: Self = Self {
        name: "1 MiB/s each way",
        every: Duration::from_millis(500),
        at_once: 4,
        bytes: [128 * 1024; 3],
    };
    pub(crate) const ALL: [Self; 2] = [Self::MESSAGES, Self::LARGE];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|load| load.name == name)
    }

    pub(crate) fn per_second(&self) -> f64 {
        f64::from(self.at_once) / self.every.as_secs_f64()
    }

    /// Sends until it is aborted.
    pub(crate) fn start(self, sink: impl Sink) -> JoinHandle<()> {
        tokio::spawn(async move {
            let messages = self.messages();
            let mut messages = messages.iter().cycle();
            let mut ticks = tokio::time::interval(self.every);
            // What was late is made up for, so that the rate is kept.
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                ticks.tick().await;
                for message in messages.by_ref().take(self.at_once as usize) {
                    if !sink.put(message.clone()).await {
                        return;
                    }
                }
            }
        })
    }

    fn messages(&self) -> Vec<Message> {
        let kinds = KINDS.into_iter().zip(self.bytes);
        kinds
            .map(|(kind, bytes)| {
                let payload = json!({"resourceId": "pods/web-0", "status": "x".repeat(bytes)});
                Message::with_payload(kind, &payload).expect("a string is JSON")
            })
            .collect()
    }
}

impl Sink for Tunnel {
    async fn put(&self, message: Message) -> bool {
        self.send(message).await.is_ok()
    }
}

impl Sink for Outbox {
    async fn put(&self, message: Message) -> bool {
        self.send(message).await.is_ok()
    }
}

// === impl Counters ===

impl Counters {
    pub(crate) fn start(
        route: impl Fn(MessageType) -> Result<mpsc::Receiver<Message>, Taken>,
    ) -> Outcome<Self> {
        let received = Arc::new(AtomicU64::new(0));
        for kind in KINDS {
            let mut messages = route(kind)?;
            let received = Arc::clone(&received);
            tokio::spawn(async move {
                while messages.recv().await.is_some() {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        Ok(Self(received))
    }

    /// How many came since the last time.
    pub(crate) fn take(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "far from 2^52")]
        let count = self.0.swap(0, Ordering::Relaxed) as f64;
        count
    }
}
