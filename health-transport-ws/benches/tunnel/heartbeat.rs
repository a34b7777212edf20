//! Heartbeats, one after the other, and how long each takes.

use std::time::Duration;
use std::time::Instant;

use health_core::Board;
use health_core::Carried;
use health_core::Probe;
use health_core::ProbeRules;
use health_core::Query;
use health_core::Scope;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;
use health_heartbeat::wire::HeartbeatPayload;
use health_transport_ws::WebsocketTransport;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;

use crate::Outcome;
use crate::PATIENCE;

/// A beat goes within that time, evenly spread, so that it meets the bulk at every moment.
const EVERY_MS: std::ops::Range<u64> = 10..30;

/// Heartbeats over one tunnel.
pub(crate) struct Beats {
    transport: WebsocketTransport,
    heartbeat: Heartbeat,
    chance: fastrand::Rng,
}

// === impl Beats ===

impl Beats {
    pub(crate) fn new(transport: WebsocketTransport) -> Self {
        let now = Instant::now();
        let mut board = Board::new(now);
        let carried = Carried {
            verdict: board.verdict(&Query::of(Scope::All), now),
            readiness: board.probe(Probe::Readiness, ProbeRules::default(), &[], &[], now),
            age: Duration::ZERO,
        };
        let heartbeat = Heartbeat {
            identity: Identity {
                slot: "7b1f6c0e-6a58-4d7b-9b1d-3f0a5c7e2d11".into(),
                incarnation: "0d4a8a0e-54c9-4b7e-8a2a-0d6f1b2c3d4e".into(),
            },
            sequence: Sequence(0),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(30),
            carried,
        };
        Self {
            transport,
            heartbeat,
            chance: fastrand::Rng::with_seed(7),
        }
    }

    /// What a ping carries, for who sends one without us.
    pub(crate) fn payload(&self) -> HeartbeatPayload {
        HeartbeatPayload::from(&self.heartbeat)
    }

    /// A ping as it travels, for who echoes one.
    pub(crate) fn text(&self) -> String {
        let mut message =
            Message::with_payload(MessageType::Ping, &self.payload()).expect("a heartbeat is JSON");
        message.id = "9f0c2b1e-6a58-4d7b-9b1d-3f0a5c7e2d11".to_owned();
        message.timestamp = std::time::SystemTime::now().into();
        message.encode()
    }

    /// One beat: from encoding it to its acknowledgement, in microseconds.
    pub(crate) async fn beat(&mut self) -> Outcome<f64> {
        self.heartbeat.sequence.0 += 1;
        let began = Instant::now();
        self.transport
            .beat(&self.heartbeat, began + PATIENCE)
            .await?;
        Ok(began.elapsed().as_secs_f64() * 1e6)
    }

    pub(crate) async fn until(&mut self, until: Instant) -> Outcome<Vec<f64>> {
        let mut took = Vec::new();
        while Instant::now() < until {
            let pause = Duration::from_millis(self.chance.u64(EVERY_MS));
            tokio::time::sleep(pause).await;
            took.push(self.beat().await?);
        }
        Ok(took)
    }
}
