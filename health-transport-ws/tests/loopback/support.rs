//! A hub on a loopback socket, and how it behaves.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use health_core::ConnectionState;
use health_heartbeat::HeartbeatConfig;
use health_transport_ws::AcceptOptions;
use health_transport_ws::AcceptedHandle;
use health_transport_ws::AcceptedTunnel;
use health_transport_ws::Admission;
use health_transport_ws::ConnectionId;
use health_transport_ws::Heard;
use health_transport_ws::Terms;
use health_transport_ws::Tunnel;
use health_transport_ws::TunnelConfig;
use health_transport_ws::TunnelEvent;
use health_transport_ws::UpgradeRequest;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Nothing here takes that long, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a hub does with whoever dials.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    Accept(Terms),
    Refuse(&'static str),
    /// An HTTP answer instead of the upgrade.
    Http(&'static str),
    /// Upgrades, then hands the socket to the test.
    Raw,
    /// Answers a byte at a time, and never to the end.
    Drip,
}

pub(crate) type RawSocket = WebSocketStream<TcpStream>;

/// A hub; dropped, it is gone and so are its connections.
pub(crate) struct Hub {
    pub(crate) address: SocketAddr,
    pub(crate) events: mpsc::Receiver<TunnelEvent>,
    pub(crate) requests: mpsc::UnboundedReceiver<UpgradeRequest>,
    pub(crate) sockets: mpsc::UnboundedReceiver<RawSocket>,
    pub(crate) handles: mpsc::UnboundedReceiver<AcceptedHandle>,
    behaviour: Arc<Mutex<Behaviour>>,
    task: JoinSet<()>,
}

struct Reports {
    events: mpsc::Sender<TunnelEvent>,
    requests: mpsc::UnboundedSender<UpgradeRequest>,
    sockets: mpsc::UnboundedSender<RawSocket>,
    handles: mpsc::UnboundedSender<AcceptedHandle>,
}

impl Hub {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::start_on(listener, behaviour)
    }

    pub(crate) fn start_on(listener: TcpListener, behaviour: Behaviour) -> Self {
        let address = listener.local_addr().unwrap();
        let (event_sender, events) = mpsc::channel(64);
        let (request_sender, requests) = mpsc::unbounded_channel();
        let (socket_sender, sockets) = mpsc::unbounded_channel();
        let (handle_sender, handles) = mpsc::unbounded_channel();
        let reports = Arc::new(Reports {
            events: event_sender,
            requests: request_sender,
            sockets: socket_sender,
            handles: handle_sender,
        });
        let behaviour = Arc::new(Mutex::new(behaviour));
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Arc::clone(&behaviour), reports));
        Self {
            address,
            events,
            requests,
            sockets,
            handles,
            behaviour,
            task,
        }
    }

    /// Ends it, and gives its place, at which nobody listens: a port that is only let go is
    /// somebody else's soon, or the dialling tunnel's own.
    pub(crate) async fn end(mut self) -> TcpSocket {
        self.task.shutdown().await;
        let place = TcpSocket::new_v4().unwrap();
        place.set_reuseaddr(true).unwrap();
        place.bind(self.address).unwrap();
        place
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// The next event that is no mere sign of life.
    pub(crate) async fn event(&mut self) -> Heard {
        loop {
            let event = within(self.events.recv()).await.unwrap();
            if !matches!(event.what, Heard::Frame) {
                return event.what;
            }
        }
    }

    pub(crate) async fn socket(&mut self) -> RawSocket {
        within(self.sockets.recv()).await.unwrap()
    }

    pub(crate) fn config(&self) -> TunnelConfig {
        config(self.address)
    }
}

/// Beats of 0.2 s and a timeout of 1 s: short, and long enough for a busy machine.
pub(crate) fn config(address: SocketAddr) -> TunnelConfig {
    let url = format!("ws://{address}/tunnel").parse().unwrap();
    let mut config = TunnelConfig::new(url, "edge-1");
    config.heartbeat =
        HeartbeatConfig::new(Duration::from_millis(200), Duration::from_secs(1), 3).unwrap();
    config
}

pub(crate) async fn connected(tunnel: &Tunnel) {
    let mut state = tunnel.state();
    within(state.wait_for(ConnectionState::is_connected))
        .await
        .unwrap();
}

/// Waits until the tunnel is disconnected with an error that says so.
pub(crate) async fn error_saying(tunnel: &Tunnel, says: &str) {
    let mut state = tunnel.state();
    let said = |state: &ConnectionState| match state {
        ConnectionState::Disconnected { error, .. } => {
            error.as_deref().is_some_and(|error| error.contains(says))
        }
        ConnectionState::Connected { .. } | ConnectionState::Closed => false,
    };
    let waited = tokio::time::timeout(PATIENCE, state.wait_for(said)).await;
    assert!(
        waited.is_ok(),
        "expected {says:?}, got {:?}",
        *tunnel.state().borrow()
    );
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it does not hang")
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

async fn accept(listener: TcpListener, behaviour: Arc<Mutex<Behaviour>>, reports: Arc<Reports>) {
    let mut connections = JoinSet::new();
    let mut number = 0;
    while let Ok((stream, _)) = listener.accept().await {
        number += 1;
        let behaviour = behaviour.lock().unwrap().clone();
        let reports = Arc::clone(&reports);
        connections.spawn(serve(stream, ConnectionId(number), behaviour, reports));
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: ConnectionId,
    behaviour: Behaviour,
    reports: Arc<Reports>,
) {
    let Some(request) = upgrade(&mut stream).await else {
        return;
    };
    let accept = request.accept.clone();
    let _ = reports.requests.send(request);
    let answer = match behaviour {
        Behaviour::Http(answer) => answer.to_owned(),
        Behaviour::Drip => return drip(stream).await,
        Behaviour::Accept(_) | Behaviour::Refuse(_) | Behaviour::Raw => format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        ),
    };
    if stream.write_all(answer.as_bytes()).await.is_err() {
        return;
    }
    let admission = match behaviour {
        Behaviour::Accept(terms) => Admission::Accept(terms),
        Behaviour::Refuse(reason) => Admission::Refuse {
            reason: reason.to_owned(),
            retry_after: None,
        },
        Behaviour::Http(_) | Behaviour::Drip => return,
        Behaviour::Raw => {
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            let _ = reports.sockets.send(socket);
            return;
        }
    };
    let mut options = AcceptOptions::default();
    // Tests that send as fast as they can are not about this limit.
    options.limits.rate.frames = u32::MAX;
    let (tunnel, handle) = AcceptedTunnel::new(stream, connection, options);
    let _ = reports.handles.send(handle);
    let decide = move |_handshake| async move { admission };
    tunnel.run(decide, reports.events.clone()).await;
}

/// Says something in time, always, and never enough, until the peer has had it.
async fn drip<S: AsyncWrite + Unpin>(mut stream: S) {
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    for byte in b"HTTP/1.1 101 Switching Protocols\r\nX: "
        .iter()
        .chain(b"x".iter().cycle())
    {
        ticks.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

async fn upgrade(stream: &mut TcpStream) -> Option<UpgradeRequest> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(&bytes).unwrap();
    assert_eq!(request.path, Some("/tunnel"));
    let map = request
        .headers
        .iter()
        .map(|header| {
            (
                header.name.parse().unwrap(),
                header.value.try_into().unwrap(),
            )
        })
        .collect();
    Some(UpgradeRequest::from_headers(&map).unwrap())
}
