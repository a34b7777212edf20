//! The same over real sockets, by the wall clock: what no paused clock shows.

use super::*;
use crate::ClusterConfig;
use crate::RawRequest;
use crate::testing::Answer;
use crate::testing::Caller;
use http::Request;
use http::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io::Write as _;
use tempfile::NamedTempFile;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// A connection that is read without a limit of its own outlives the quiet of a watch; one with a
/// limit does not, and tells of it.
#[tokio::test]
async fn a_quiet_stream_lasts_longer_than_any_step_of_a_call() {
    for limited in [false, true] {
        let server = server();
        let (url, _connections) = listen(&server).await;
        let file = kubeconfig(&url);
        let step = Duration::from_millis(100);
        let config = ClusterConfig {
            kubeconfig: file.path().display().to_string(),
            ..ClusterConfig::default()
        };
        let cluster = if limited {
            config.connect(None, step).await
        } else {
            config.connect_for_watches(None, step).await
        };
        let (_watcher, mut events) = watch(&cluster.unwrap().unwrap());
        // It begins a stream, and after its 3 s the next one.
        let mut streams = 0;
        while streams < 4 {
            server.touched().await;
            let asked = server.model().take_requests();
            streams += asked.iter().filter(|it| it.1.contains("watch=")).count();
        }
        let mut broken = false;
        while let Ok(told) = events.try_recv() {
            broken |= matches!(told.what, Seen::Broken { .. });
        }
        assert_eq!(broken, limited);
    }
}

#[tokio::test]
async fn what_changes_is_told_and_the_connections_go_with_the_watcher() {
    let server = server();
    let (url, mut connections) = listen(&server).await;
    let file = kubeconfig(&url);
    let config = ClusterConfig {
        kubeconfig: file.path().display().to_string(),
        ..ClusterConfig::default()
    };
    let cluster = config.connect_for_watches(None, Duration::from_secs(5));
    let cluster = cluster.await.unwrap().unwrap();
    let (watcher, mut events) = watch(&cluster);
    let mut synced = 0;
    while synced < 2 {
        synced += usize::from(events.recv().await.unwrap().what == Seen::Synced);
    }
    // Larger than what a socket takes at once.
    for time in 1..50 {
        let mut large = lease(time);
        large["metadata"]["annotations"] = json!({"theirs": "x".repeat(200_000)});
        server.model().put(LEASE, large);
        assert!(matches!(
            events.recv().await.unwrap().what,
            Seen::Lease { .. }
        ));
    }
    drop(watcher);
    drop(cluster);
    // The listener itself goes on.
    while connections.open() > 0 {
        connections.one_ended().await;
    }
}

/// The connections that are open, and those that ended.
struct Connections {
    open: tokio::sync::watch::Receiver<usize>,
    _listener: JoinSet<()>,
}

impl Connections {
    fn open(&self) -> usize {
        *self.open.borrow()
    }

    async fn one_ended(&mut self) {
        let open = self.open();
        self.open.wait_for(|now| *now < open).await.unwrap();
    }
}

async fn listen(server: &Server) -> (String, Connections) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (count, open) = tokio::sync::watch::channel(0);
    let server = server.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            count.send_modify(|open| *open += 1);
            let (server, count) = (server.clone(), count.clone());
            tokio::spawn(async move {
                let answer = service_fn(move |request| answer(server.clone(), request));
                let connection = http1::Builder::new();
                let _ = connection
                    .serve_connection(TokioIo::new(socket), answer)
                    .await;
                count.send_modify(|open| *open -= 1);
            });
        }
    });
    let connections = Connections {
        open,
        _listener: tasks,
    };
    (url, connections)
}

async fn answer(
    server: Server,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    let raw = RawRequest {
        method: request.method().clone(),
        path: request.uri().to_string(),
        body: None,
    };
    Ok(server.answer(Caller::Admin, &raw).await)
}

fn watch(cluster: &Cluster) -> (Watcher, mpsc::Receiver<Sighting>) {
    let (sender, events) = mpsc::channel(100);
    let secs = Duration::from_secs;
    let config = WatchConfig::new("default").unwrap();
    let config = config.with_times(secs(10), secs(3), secs(30)).unwrap();
    (Watcher::spawn(cluster, &config, 7, &sender), events)
}

fn kubeconfig(url: &str) -> NamedTempFile {
    // kube wants a provider, even where it needs none.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut file = NamedTempFile::new().unwrap();
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "it",
        "clusters": [{"name": "it", "cluster": {"server": url}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "users": [{"name": "it", "user": {}}],
    });
    file.write_all(text.to_string().as_bytes()).unwrap();
    file
}
