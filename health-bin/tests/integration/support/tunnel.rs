//! A hub in this process that accepts every tunnel and tells what it hears.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::Response;
use axum::routing::get;
use health_heartbeat::wire::HeartbeatPayload;
use health_transport_ws::AcceptOptions;
use health_transport_ws::AcceptedTunnel;
use health_transport_ws::Admission;
use health_transport_ws::ConnectionId;
use health_transport_ws::Heard;
use health_transport_ws::Terms;
use health_transport_ws::TunnelEvent;
use health_transport_ws::UpgradeRequest;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::secs;

/// A hub, until this is dropped.
pub(crate) struct Acceptor {
    pub(crate) address: SocketAddr,
    dialled: Arc<Mutex<Vec<UpgradeRequest>>>,
    events: mpsc::Receiver<TunnelEvent>,
    server: JoinHandle<()>,
}

// === impl Acceptor ===

impl Acceptor {
    /// It says the same to everybody.
    pub(crate) async fn start(terms: Terms) -> Self {
        let (sender, events) = mpsc::channel(64);
        let dialled = Arc::new(Mutex::new(Vec::new()));
        let requests = Arc::clone(&dialled);
        let accept = move |mut request: Request| {
            let sender = sender.clone();
            let upgrade = UpgradeRequest::from_headers(request.headers()).expect("an upgrade");
            let key = upgrade.accept.clone();
            requests.lock().expect("nobody panics").push(upgrade);
            async move {
                let on_upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let stream = TokioIo::new(on_upgrade.await.expect("an upgraded stream"));
                    let options = AcceptOptions::default();
                    let (tunnel, _handle) = AcceptedTunnel::new(stream, ConnectionId(1), options);
                    let accept = |_| std::future::ready(Admission::Accept(terms));
                    tunnel.run(accept, sender).await
                });
                Response::builder()
                    .status(101)
                    .header("Connection", "Upgrade")
                    .header("Upgrade", "websocket")
                    .header("Sec-WebSocket-Accept", key)
                    .body(Body::empty())
                    .expect("an answer")
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().route("/tunnel", get(accept));
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.ok();
        });
        Self {
            address,
            dialled,
            events,
            server,
        }
    }

    /// Waits for something that is wanted; what comes before it is passed over.
    pub(crate) async fn next(&mut self, wanted: impl Fn(&Heard) -> bool) -> Heard {
        let wait = async {
            while let Some(event) = self.events.recv().await {
                if wanted(&event.what) {
                    return event.what;
                }
            }
            panic!("the tunnel ended first")
        };
        tokio::time::timeout(secs(20), wait)
            .await
            .expect("it is heard in time")
    }

    /// Waits for a heartbeat that is wanted.
    pub(crate) async fn heartbeat(
        &mut self,
        wanted: impl Fn(&HeartbeatPayload) -> bool,
    ) -> HeartbeatPayload {
        let is_wanted =
            |heard: &Heard| matches!(heard, Heard::Heartbeat { payload, .. } if wanted(payload));
        let Heard::Heartbeat { payload, .. } = self.next(is_wanted).await else {
            unreachable!("nothing else is wanted")
        };
        payload
    }

    /// How the last one who dialled in asked for it.
    pub(crate) fn dialled(&self) -> UpgradeRequest {
        let dialled = self.dialled.lock().expect("nobody panics");
        dialled.last().cloned().expect("somebody dialled in")
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.server.abort();
    }
}
