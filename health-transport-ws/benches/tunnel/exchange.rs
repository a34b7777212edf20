//! A heartbeat and its acknowledgement as they travel, written and read by serde_json alone: what the
//! protocol costs by itself, without deadlines, lanes, routes and whoever is told.

use std::time::Instant;
use std::time::SystemTime;

use futures_util::SinkExt;
use futures_util::StreamExt;
use health_heartbeat::wire::AcknowledgementPayload;
use health_heartbeat::wire::HeartbeatPayload;
use serde::Deserialize;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite;

use crate::Outcome;
use crate::bare;
use crate::bare::Bare;
use crate::other::Other;

/// One who beats, and waits for the acknowledgement.
pub(crate) struct Exchange {
    socket: Bare,
    payload: HeartbeatPayload,
    ids: fastrand::Rng,
}

/// The envelope around what is known to be in it, so that it is read and written in one go.
#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    payload: T,
}

/// Acknowledges what comes over one connection.
pub(crate) async fn serve(listener: &TcpListener) -> Outcome<()> {
    let mut socket = bare::accept(listener).await?;
    let mut ids = fastrand::Rng::with_seed(1);
    // Who measured enough hangs up.
    while let Some(Ok(message)) = socket.next().await {
        let ping = Envelope::<HeartbeatPayload>::parse(&message)?;
        std::hint::black_box(ping.sent()?);
        let acknowledgement = AcknowledgementPayload {
            sequence: Some(ping.payload.sequence),
            ..AcknowledgementPayload::default()
        };
        let pong = Envelope::new("pong", acknowledgement, &mut ids)?;
        socket.send(pong.message()?).await?;
    }
    Ok(())
}

// === impl Exchange ===

impl Exchange {
    pub(crate) async fn connect(other: &Other, payload: HeartbeatPayload) -> Outcome<Self> {
        Ok(Self {
            socket: bare::connect(other).await?,
            payload,
            ids: fastrand::Rng::with_seed(2),
        })
    }

    /// How long each exchange took, in microseconds, one after the other.
    pub(crate) async fn until(&mut self, until: Instant) -> Outcome<Vec<f64>> {
        let mut took = Vec::new();
        let mut asked = Instant::now();
        while asked < until {
            self.payload.sequence += 1;
            let ping = Envelope::new("ping", &self.payload, &mut self.ids)?;
            self.socket.send(ping.message()?).await?;
            let answer = self.socket.next().await.ok_or("the other hung up")??;
            let pong = Envelope::<AcknowledgementPayload>::parse(&answer)?;
            assert_eq!(pong.payload.sequence, Some(self.payload.sequence));
            took.push(asked.elapsed().as_secs_f64() * 1e6);
            asked = Instant::now();
        }
        Ok(took)
    }
}

// === impl Envelope ===

impl<T> Envelope<T> {
    fn new(kind: &str, payload: T, ids: &mut fastrand::Rng) -> Outcome<Self> {
        Ok(Self {
            // As long as a UUID.
            id: format!("{:036x}", ids.u128(..)),
            kind: kind.to_owned(),
            timestamp: jiff::Timestamp::try_from(SystemTime::now())?.to_string(),
            payload,
        })
    }

    /// When it was sent, which tells how far two clocks differ.
    fn sent(&self) -> Outcome<jiff::Timestamp> {
        Ok(self.timestamp.parse()?)
    }
}

impl<T: Serialize> Envelope<T> {
    fn message(&self) -> Outcome<tungstenite::Message> {
        Ok(tungstenite::Message::text(serde_json::to_string(self)?))
    }
}

impl<'de, T: Deserialize<'de>> Envelope<T> {
    fn parse(message: &'de tungstenite::Message) -> Outcome<Self> {
        Ok(serde_json::from_str(message.to_text()?)?)
    }
}
