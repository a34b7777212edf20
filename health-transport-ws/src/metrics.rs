//! The tunnel's counters.

use metrics::Counter;

use crate::wire::MessageType;

/// The family that counts connections after the first.
pub(crate) const RECONNECTS: &str = "syncer_tunnel_reconnects_total";
/// The family that counts messages, by direction and type.
pub(crate) const MESSAGES: &str = "syncer_tunnel_messages_total";

/// The tunnel's counters, looked up once.
pub(crate) struct Metrics {
    pub(crate) reconnects: Counter,
    sent: ByType,
    received: ByType,
}

/// A counter for each known type and one for all others.
struct ByType([Counter; 9]);

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new() -> Self {
        metrics::describe_counter!(
            RECONNECTS,
            "Tunnel connections that were established after the first one."
        );
        metrics::describe_counter!(
            MESSAGES,
            "Messages over the tunnel, by direction (in, out) and type."
        );
        Self {
            reconnects: metrics::counter!(RECONNECTS),
            sent: ByType::new("out"),
            received: ByType::new("in"),
        }
    }

    pub(crate) fn sent(&self, kind: &MessageType) {
        self.sent.of(kind).increment(1);
    }

    pub(crate) fn received(&self, kind: &MessageType) {
        self.received.of(kind).increment(1);
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

// === impl ByType ===

impl ByType {
    fn new(direction: &'static str) -> Self {
        let counter =
            |label| metrics::counter!(MESSAGES, "direction" => direction, "type" => label);
        let mut labels = MessageType::KNOWN.iter().map(MessageType::label);
        Self(std::array::from_fn(|_| {
            counter(labels.next().unwrap_or("other"))
        }))
    }

    const fn of(&self, kind: &MessageType) -> &Counter {
        let index = match kind {
            MessageType::Handshake => 0,
            MessageType::Ping => 1,
            MessageType::Pong => 2,
            MessageType::Close => 3,
            MessageType::Resource => 4,
            MessageType::Status => 5,
            MessageType::Event => 6,
            MessageType::Command => 7,
            MessageType::Other(_) => 8,
        };
        &self.0[index]
    }
}
