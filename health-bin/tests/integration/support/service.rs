//! A real service to check: it answers `/readyz` and `/metrics`, and can be stopped and started.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A service in the shape of a controller-runtime program.
pub(crate) struct Service {
    address: SocketAddr,
    reconciles: Arc<AtomicU64>,
    server: JoinHandle<()>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        Self::listen(([127, 0, 0, 1], 0).into(), Arc::default()).await
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops it: connections are refused from now on.
    pub(crate) async fn stop(&mut self) {
        self.server.abort();
        // The socket is closed once the task is gone.
        let _ = (&mut self.server).await;
    }

    /// Starts it again where it was.
    pub(crate) async fn restart(&mut self) {
        *self = Self::listen(self.address, Arc::clone(&self.reconciles)).await;
    }

    async fn listen(address: SocketAddr, reconciles: Arc<AtomicU64>) -> Self {
        let listener = TcpListener::bind(address)
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let server = tokio::spawn(serve(listener, Arc::clone(&reconciles)));
        Self {
            address,
            reconciles,
            server,
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, reconciles: Arc<AtomicU64>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let reconciles = Arc::clone(&reconciles);
        connections.spawn(async move {
            let mut head = vec![0; 4096];
            let Ok(length) = stream.read(&mut head).await else {
                return;
            };
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let body = match head.split(' ').nth(1) {
                Some("/metrics") => metrics(reconciles.fetch_add(10, Ordering::Relaxed)),
                _ => "ok".to_owned(),
            };
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        });
    }
}

fn metrics(reconciles: u64) -> String {
    format!(
        "# TYPE workqueue_depth gauge\n\
         workqueue_depth{{name=\"sync\"}} 7\n\
         # TYPE controller_runtime_reconcile_total counter\n\
         controller_runtime_reconcile_total{{controller=\"sync\",result=\"success\"}} {reconciles}\n\
         # TYPE controller_runtime_reconcile_errors_total counter\n\
         controller_runtime_reconcile_errors_total{{controller=\"sync\"}} 0\n"
    )
}
