//! Each transport alone, against a peer in this process.

#[cfg(feature = "transport-lease")]
mod lease {
    use std::net::SocketAddr;
    use std::sync::Arc;
    use std::sync::Mutex;

    use axum::Router;
    use axum::body::Body;
    use axum::body::to_bytes;
    use axum::extract::Request;
    use axum::http::Response;
    use health_transport_lease::Dialect;
    use health_transport_lease::RawRequest;
    use health_transport_lease::testing::Model;

    use crate::support::Program;
    use crate::support::eventually;
    use crate::support::get;
    use crate::support::secs;

    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

    #[tokio::test]
    async fn an_agent_renews_its_lease_with_one_request_a_beat_and_releases_it() {
        let mut model = Model::with_dialect(Dialect::Kcp);
        model.create_target("edge-1");
        let model = Arc::new(Mutex::new(model));
        let api = serve(Arc::clone(&model)).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, self::kubeconfig(api)).expect("it can be written");
        let config = format!(
            "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
cluster: {{ kubeconfig: {} }}
heartbeat: {{ interval: 500ms, timeout: 1500ms, intervalMin: 500ms }}
syncTargetStatus: {{ enabled: false }}
",
            kubeconfig.display()
        );
        let mut agent = Program::start("run", &config, &[]);
        let address = agent.address("address").await;
        agent.answers(address, "/readyz", 200).await;
        let sequence = |model: &Model| {
            let lease = model.object(LEASE)?;
            let text = lease["metadata"]["annotations"]["syncer-health/sequence"].as_str()?;
            text.parse::<u64>().ok()
        };
        // Both under one lock: what is asked from now on is what beats from now on.
        let first = {
            let mut model = model.lock().expect("nobody panics");
            model.take_requests();
            sequence(&model).expect("it was created")
        };
        let (beats, requests) = eventually("five more beats", secs(10), || async {
            let mut model = model.lock().expect("nobody panics");
            let beats = sequence(&model)? - first;
            (beats >= 5).then(|| (beats, model.take_requests()))
        })
        .await;
        assert_eq!(requests.len() as u64, beats, "{requests:?}");
        assert!(
            requests.iter().all(|(method, _)| method == "PUT"),
            "{requests:?}"
        );
        let metrics = get(address, "/metrics", &[]).await.unwrap().body;
        assert!(metrics.contains("syncer_lease_held 1\n"), "{metrics}");
        assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
        let model = model.lock().expect("nobody panics");
        let lease = model.object(LEASE).expect("it is there");
        assert_eq!(lease["spec"]["holderIdentity"], "", "{lease}");
    }

    /// The model of an API server, over HTTP.
    async fn serve(model: Arc<Mutex<Model>>) -> SocketAddr {
        let answer = move |request: Request| {
            let model = Arc::clone(&model);
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, 1 << 20).await.expect("a small body");
                let raw = RawRequest {
                    method: head.method,
                    path: head
                        .uri
                        .path_and_query()
                        .map_or_else(String::new, ToString::to_string),
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
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn kubeconfig(api: SocketAddr) -> String {
        format!(
            "
apiVersion: v1
kind: Config
clusters: [{{ name: it, cluster: {{ server: 'http://{api}' }} }}]
users: [{{ name: it, user: {{ token: none }} }}]
contexts: [{{ name: it, context: {{ cluster: it, user: it }} }}]
current-context: it
"
        )
    }
}

#[cfg(feature = "transport-ws")]
mod tunnel {
    use std::net::SocketAddr;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::Response;
    use axum::routing::get;
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

    use crate::support::Program;
    use crate::support::secs;

    #[tokio::test]
    async fn an_agent_beats_reports_and_says_goodbye() {
        let (address, mut events) = serve().await;
        let config = format!(
            "
syncTarget: {{ name: edge-1, workspace: 'root:org' }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
heartbeat: {{ interval: 500ms, timeout: 1500ms, intervalMin: 500ms, websocket: {{ url: 'ws://{address}/tunnel' }} }}
"
        );
        let mut agent = Program::start("run", &config, &[]);
        let opened = next(&mut events, |heard| matches!(heard, Heard::Opened(_))).await;
        let Heard::Opened(handshake) = opened else {
            unreachable!("it was asked for")
        };
        assert_eq!(handshake.sync_target, "edge-1");
        // The first report and the first heartbeats come in any order.
        let (mut reported, mut sequence) = (false, 0);
        while !reported || sequence < 3 {
            match next(&mut events, |_| true).await {
                Heard::Status(_) => reported = true,
                Heard::Heartbeat { payload, .. } => sequence = payload.sequence,
                Heard::Opened(_) | Heard::Frame => {}
                other @ (Heard::Goodbye { .. } | Heard::Closed { .. }) => panic!("{other:?}"),
            }
        }
        let own = agent.address("address").await;
        agent.answers(own, "/readyz", 200).await;
        assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
        next(&mut events, |heard| matches!(heard, Heard::Goodbye { .. })).await;
    }

    async fn next(
        events: &mut mpsc::Receiver<TunnelEvent>,
        wanted: impl Fn(&Heard) -> bool,
    ) -> Heard {
        let wait = async {
            while let Some(event) = events.recv().await {
                if wanted(&event.what) {
                    return event.what;
                }
            }
            panic!("the tunnel ended first")
        };
        tokio::time::timeout(secs(10), wait)
            .await
            .expect("it is heard in time")
    }

    /// Accepts every tunnel.
    async fn serve() -> (SocketAddr, mpsc::Receiver<TunnelEvent>) {
        let (sender, events) = mpsc::channel(64);
        let accept = move |mut request: Request| {
            let sender = sender.clone();
            async move {
                let upgrade = UpgradeRequest::from_headers(request.headers()).expect("an upgrade");
                assert_eq!(upgrade.workspace, "root:org");
                let on_upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(async move {
                    let stream = TokioIo::new(on_upgrade.await.expect("an upgraded stream"));
                    let options = AcceptOptions::default();
                    let (tunnel, _handle) = AcceptedTunnel::new(stream, ConnectionId(1), options);
                    let accept = |_| std::future::ready(Admission::Accept(Terms::default()));
                    tunnel.run(accept, sender).await
                });
                Response::builder()
                    .status(101)
                    .header("Connection", "Upgrade")
                    .header("Upgrade", "websocket")
                    .header("Sec-WebSocket-Accept", upgrade.accept)
                    .body(Body::empty())
                    .expect("an answer")
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().route("/tunnel", get(accept));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, events)
    }
}
