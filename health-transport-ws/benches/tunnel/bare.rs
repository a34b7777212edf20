//! A WebSocket as the library makes it, with nothing around it.

use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::Outcome;
use crate::other::Other;

pub(crate) type Bare = WebSocketStream<TcpStream>;

/// Takes the next connection.
pub(crate) async fn accept(listener: &TcpListener) -> Outcome<Bare> {
    let (stream, _) = listener.accept().await?;
    open(stream, Role::Server).await
}

/// Connects to a process that accepts one.
pub(crate) async fn connect(other: &Other) -> Outcome<Bare> {
    let stream = TcpStream::connect(other.address).await?;
    open(stream, Role::Client).await
}

/// Both know that there is no handshake.
async fn open(stream: TcpStream, role: Role) -> Outcome<Bare> {
    stream.set_nodelay(true)?;
    Ok(WebSocketStream::from_raw_socket(stream, role, None).await)
}
