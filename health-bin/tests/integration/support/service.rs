//! A real service to check: it answers `/readyz` and `/metrics`, and can be stopped and started.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::ports::free_ports;

/// A service in the shape of a controller-runtime program.
pub(crate) struct Service {
    address: SocketAddr,
    work: Arc<Mutex<Work>>,
    server: JoinHandle<()>,
}

/// How long each of its reconciles takes.
const SECONDS_EACH: f64 = 0.05;

/// What its workers do from one look at its metrics to the next.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) queue_depth: u64,
    pub(crate) reconciles: u64,
    pub(crate) errors: u64,
    done: u64,
    failed: u64,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let [port] = free_ports();
        Self::listen(([127, 0, 0, 1], port).into(), Arc::default()).await
    }

    /// Changes what its workers do.
    #[cfg(all(feature = "hub", feature = "transport-lease"))]
    pub(crate) fn works(&self, change: impl FnOnce(&mut Work)) {
        change(&mut self.work.lock().expect("nobody panics"));
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
        *self = Self::listen(self.address, Arc::clone(&self.work)).await;
    }

    async fn listen(address: SocketAddr, work: Arc<Mutex<Work>>) -> Self {
        let listener = TcpListener::bind(address)
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let server = tokio::spawn(serve(listener, Arc::clone(&work)));
        Self {
            address,
            work,
            server,
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, work: Arc<Mutex<Work>>) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let work = Arc::clone(&work);
        connections.spawn(async move {
            let mut head = vec![0; 4096];
            let Ok(length) = stream.read(&mut head).await else {
                return;
            };
            let head = String::from_utf8_lossy(&head[..length]).into_owned();
            let body = match head.split(' ').nth(1) {
                Some("/metrics") => work.lock().expect("nobody panics").metrics(),
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

impl Default for Work {
    fn default() -> Self {
        Self {
            queue_depth: 7,
            reconciles: 10,
            errors: 0,
            done: 0,
            failed: 0,
        }
    }
}

impl Work {
    fn metrics(&mut self) -> String {
        let Self {
            queue_depth,
            done,
            failed,
            ..
        } = *self;
        self.done += self.reconciles;
        self.failed += self.errors;
        format!(
            "# TYPE workqueue_depth gauge
workqueue_depth{{name=\"sync\"}} {queue_depth}
# TYPE controller_runtime_reconcile_total counter
controller_runtime_reconcile_total{{controller=\"sync\",result=\"success\"}} {done}
# TYPE controller_runtime_reconcile_errors_total counter
controller_runtime_reconcile_errors_total{{controller=\"sync\"}} {failed}
# TYPE controller_runtime_reconcile_time_seconds histogram
controller_runtime_reconcile_time_seconds_bucket{{controller=\"sync\",le=\"+Inf\"}} {done}
controller_runtime_reconcile_time_seconds_sum{{controller=\"sync\"}} {took}
controller_runtime_reconcile_time_seconds_count{{controller=\"sync\"}} {done}
",
            took = done as f64 * SECONDS_EACH,
        )
    }
}
