//! The model of an API server, over HTTP, and a kubeconfig for it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use axum::Router;
use axum::body::Body;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::Response;
use health_transport_lease::Dialect;
use health_transport_lease::RawRequest;
use health_transport_lease::testing::Model;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::eventually;
use super::secs;

/// The model is this workspace of kcp too.
const WORKSPACE: &str = "/clusters/root:org:edge";

/// An API server with the SyncTarget `edge-1`, until this is dropped.
pub(crate) struct Cluster {
    model: Arc<Mutex<Model>>,
    kubeconfig: String,
    server: JoinHandle<()>,
    _folder: TempDir,
}

// === impl Cluster ===

impl Cluster {
    pub(crate) async fn start() -> Self {
        let mut model = Model::with_dialect(Dialect::Kcp);
        model.create_target("edge-1");
        let model = Arc::new(Mutex::new(model));
        let (address, server) = serve(Arc::clone(&model)).await;
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("kubeconfig");
        std::fs::write(&file, kubeconfig(address)).expect("it can be written");
        Self {
            model,
            kubeconfig: file.to_str().expect("a path in UTF-8").to_owned(),
            server,
            _folder: folder,
        }
    }

    /// The path of a kubeconfig whose current context, `it`, and whose context `base` are this
    /// server, and whose context `nobody` leads nowhere.
    pub(crate) fn kubeconfig(&self) -> &str {
        &self.kubeconfig
    }

    pub(crate) fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().expect("nobody panics")
    }

    /// Waits until an object is there and as it is wanted.
    pub(crate) async fn object(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let what = format!("{path} as it is wanted");
        eventually(&what, secs(20), || async {
            let model = self.model();
            model.object(path).filter(|object| wanted(object)).cloned()
        })
        .await
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(model: Arc<Mutex<Model>>) -> (SocketAddr, JoinHandle<()>) {
    let answer = move |request: Request| {
        let model = Arc::clone(&model);
        async move {
            let (head, body) = request.into_parts();
            let body = to_bytes(body, 1 << 20).await.expect("a small body");
            let path = head.uri.path_and_query().map_or("", |path| path.as_str());
            let raw = RawRequest {
                method: head.method,
                path: path.strip_prefix(WORKSPACE).unwrap_or(path).to_owned(),
                body: serde_json::from_slice(&body).ok(),
            };
            let raw = model.lock().expect("nobody panics").request(&raw);
            let raw = raw.expect("no fault was asked for");
            Response::builder()
                .status(raw.status)
                .header("Content-Type", "application/json")
                .body(Body::from(raw.body))
                .expect("an answer")
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("a listener has an address");
    let router = Router::new().fallback(answer);
    let server = tokio::spawn(async move {
        axum::serve(listener, router).await.ok();
    });
    (address, server)
}

fn kubeconfig(api: SocketAddr) -> String {
    format!(
        "
apiVersion: v1
kind: Config
clusters:
- {{ name: it, cluster: {{ server: 'http://{api}' }} }}
- {{ name: nobody, cluster: {{ server: 'http://127.0.0.1:1' }} }}
users: [{{ name: it, user: {{ token: none }} }}]
contexts:
- {{ name: it, context: {{ cluster: it, user: it }} }}
- {{ name: base, context: {{ cluster: it, user: it }} }}
- {{ name: nobody, context: {{ cluster: nobody, user: it }} }}
current-context: it
"
    )
}
