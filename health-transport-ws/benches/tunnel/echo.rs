//! A WebSocket with nothing around it: a text comes back as it was sent.

use std::time::Instant;

use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::Outcome;
use crate::other::Other;

/// One who asks, and waits for the echo.
pub(crate) struct Echo {
    socket: WebSocketStream<TcpStream>,
    text: String,
}

/// Echoes one connection.
pub(crate) async fn serve(listener: &TcpListener) -> Outcome<()> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    // Both know that there is no handshake.
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    // Who measured enough hangs up.
    while let Some(Ok(message)) = socket.next().await {
        socket.send(message).await?;
    }
    Ok(())
}

// === impl Echo ===

impl Echo {
    pub(crate) async fn connect(other: &Other, text: String) -> Outcome<Self> {
        let stream = TcpStream::connect(other.address).await?;
        stream.set_nodelay(true)?;
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
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
