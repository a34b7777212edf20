//! A text comes back as it was sent: what a WebSocket costs by itself.

use std::time::Instant;

use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::Outcome;
use crate::bare;
use crate::bare::Bare;
use crate::other::Other;

/// One who asks, and waits for the echo.
pub(crate) struct Echo {
    socket: Bare,
    text: String,
}

/// Echoes one connection.
pub(crate) async fn serve(listener: &TcpListener) -> Outcome<()> {
    let mut socket = bare::accept(listener).await?;
    // Who measured enough hangs up.
    while let Some(Ok(message)) = socket.next().await {
        socket.send(message).await?;
    }
    Ok(())
}

// === impl Echo ===

impl Echo {
    pub(crate) async fn connect(other: &Other, text: String) -> Outcome<Self> {
        let socket = bare::connect(other).await?;
        Ok(Self { socket, text })
    }

    /// How long each echo took, in microseconds, one after the other.
    pub(crate) async fn until(&mut self, until: Instant) -> Outcome<Vec<f64>> {
        let mut took = Vec::new();
        let mut asked = Instant::now();
        while asked < until {
            self.socket.send(Message::text(&*self.text)).await?;
            let echo = self.socket.next().await.ok_or("the echo hung up")??;
            assert_eq!(echo.to_text()?, self.text);
            took.push(asked.elapsed().as_secs_f64() * 1e6);
            asked = Instant::now();
        }
        Ok(took)
    }
}
