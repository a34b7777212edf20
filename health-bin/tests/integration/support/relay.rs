//! One address in front of several servers; its connections stall when they are told to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Hands bytes on until it is dropped, as a Service without a look at readiness does.
pub(crate) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    servers: Mutex<Vec<SocketAddr>>,
    /// How many connections there were.
    accepted: AtomicUsize,
    /// So many of them, the oldest, hand nothing on.
    stalled: watch::Sender<usize>,
}

// === impl Relay ===

impl Relay {
    /// Each new connection goes to the next of the servers.
    pub(crate) async fn start(servers: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared {
            servers: Mutex::new(servers.to_vec()),
            accepted: AtomicUsize::new(0),
            stalled: watch::channel(0).0,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&shared)));
        Self {
            address,
            shared,
            _server: server,
        }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on new connections go there.
    pub(crate) fn lead_to(&self, servers: &[SocketAddr]) {
        let mut all = self.shared.servers.lock().expect("nobody panics");
        *all = servers.to_vec();
    }

    /// The connections that there are stay and hand nothing on any more; new ones do.
    pub(crate) fn stall(&self) {
        let accepted = self.shared.accepted.load(Ordering::SeqCst);
        self.shared.stalled.send_replace(accepted);
    }
}

// === impl Shared ===

impl Shared {
    fn next(&self, number: usize) -> Option<SocketAddr> {
        let servers = self.servers.lock().expect("nobody panics");
        servers.get(number.checked_rem(servers.len())?).copied()
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        let server = shared.next(number);
        let stalled = shared.stalled.subscribe();
        connections.spawn(async move {
            // Nobody there: the connection ends at once.
            if let Some(server) = server
                && let Ok(server) = TcpStream::connect(server).await
            {
                connection(number, stream, server, stalled).await;
            }
        });
    }
}

/// The end of either direction ends both.
async fn connection(
    number: usize,
    client: TcpStream,
    server: TcpStream,
    stalled: watch::Receiver<usize>,
) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = hand_on(number, from_client, to_server, stalled.clone()) => {}
        () = hand_on(number, from_server, to_client, stalled) => {}
    }
}

async fn hand_on(
    number: usize,
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    stalled: watch::Receiver<usize>,
) {
    let mut some = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut some).await.unwrap_or(0);
        if *stalled.borrow() > number {
            // For ever: not even its end is told.
            return std::future::pending().await;
        }
        if read == 0 || to.write_all(&some[..read]).await.is_err() {
            return;
        }
    }
}
