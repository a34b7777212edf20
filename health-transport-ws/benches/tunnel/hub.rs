//! The hub's process: accepted tunnels, each of which sends the load that its agent asks for.

use health_transport_ws::AcceptOptions;
use health_transport_ws::AcceptedTunnel;
use health_transport_ws::Admission;
use health_transport_ws::ConnectionId;
use health_transport_ws::Outbox;
use health_transport_ws::Terms;
use health_transport_ws::accept_key;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use serde_json::Value;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::Outcome;
use crate::load;
use crate::load::Counters;
use crate::load::Load;

/// As many messages as the agent's own lane holds.
const OUTBOX: usize = 100;

/// Serves all who dial.
pub(crate) async fn serve(listener: &TcpListener) -> Outcome<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(accepted(stream));
    }
}

/// Serves one tunnel to its end.
async fn accepted(mut stream: TcpStream) -> Outcome<()> {
    stream.set_nodelay(true)?;
    upgrade(&mut stream).await?;
    let options = AcceptOptions::default();
    let (mut tunnel, _handle) = AcceptedTunnel::new(stream, ConnectionId(1), options);
    let commands = tunnel.route(MessageType::Command, 1)?;
    let counters = Counters::start(|kind| tunnel.route(kind, load::CAPACITY))?;
    let outbox = tunnel.outbox(OUTBOX);
    let (events, mut heard) = mpsc::channel(64);
    tokio::spawn(async move { while heard.recv().await.is_some() {} });
    tokio::spawn(obey(commands, outbox, counters));
    let decide = |_handshake| std::future::ready(Admission::Accept(Terms::default()));
    tunnel.run(decide, events).await;
    Ok(())
}

/// Starts the load that a command names; at `idle` it stops, and tells what came.
async fn obey(mut commands: mpsc::Receiver<Message>, outbox: Outbox, counters: Counters) {
    let mut running = None;
    while let Some(command) = commands.recv().await {
        let command: Option<Value> = command.decode().ok().flatten();
        let name = command.and_then(|command| Some(command["load"].as_str()?.to_owned()));
        let sender = Load::named(&name.unwrap_or_default()).map(|load| load.start(outbox.clone()));
        let received = counters.take();
        if let Some(before) = std::mem::replace(&mut running, sender) {
            tokio::task::JoinHandle::abort(&before);
        }
        let told = json!({ "received": received });
        if let Ok(message) = Message::with_payload(MessageType::Command, &told) {
            // The agent may be gone.
            let _ = outbox.send(message).await;
        }
    }
}

/// Answers the upgrade, without looking at who asks.
async fn upgrade(stream: &mut TcpStream) -> Outcome<()> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err("the agent hung up".into());
        }
    }
    let request = String::from_utf8(bytes)?;
    let header = "Sec-WebSocket-Key: ";
    let key = request.lines().find_map(|line| line.strip_prefix(header));
    let accept = accept_key(key.ok_or("no key")?.as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(stream.write_all(answer.as_bytes()).await?)
}
