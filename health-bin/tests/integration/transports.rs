//! Each transport alone, against a peer in this process.

#[cfg(feature = "transport-lease")]
mod lease {
    use health_transport_lease::testing::Model;

    use crate::support::Cluster;
    use crate::support::Program;
    use crate::support::eventually;
    use crate::support::get;
    use crate::support::secs;

    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";

    #[tokio::test]
    async fn an_agent_renews_its_lease_with_one_request_a_beat_and_releases_it() {
        let cluster = Cluster::start().await;
        let config = format!(
            "
syncTarget: {{ name: edge-1 }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
cluster: {{ kubeconfig: {} }}
heartbeat: {{ interval: 500ms, timeout: 1500ms, intervalMin: 500ms }}
syncTargetStatus: {{ enabled: false }}
",
            cluster.kubeconfig()
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
            let mut model = cluster.model();
            model.take_requests();
            sequence(&model).expect("it was created")
        };
        let (beats, requests) = eventually("five more beats", secs(10), || async {
            let mut model = cluster.model();
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
        let model = cluster.model();
        let lease = model.object(LEASE).expect("it is there");
        assert_eq!(lease["spec"]["holderIdentity"], "", "{lease}");
    }
}

#[cfg(feature = "transport-ws")]
mod tunnel {
    use health_transport_ws::Heard;
    use health_transport_ws::Terms;

    use crate::support::Acceptor;
    use crate::support::Program;

    #[tokio::test]
    async fn an_agent_beats_reports_and_says_goodbye() {
        let mut hub = Acceptor::start(Terms::default()).await;
        let config = format!(
            "
syncTarget: {{ name: edge-1, workspace: 'root:org' }}
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
heartbeat: {{ interval: 500ms, timeout: 1500ms, intervalMin: 500ms, websocket: {{ url: 'ws://{}/tunnel' }} }}
",
            hub.address
        );
        let mut agent = Program::start("run", &config, &[]);
        let opened = hub.next(|heard| matches!(heard, Heard::Opened(_))).await;
        let Heard::Opened(handshake) = opened else {
            unreachable!("it was asked for")
        };
        assert_eq!(handshake.sync_target, "edge-1");
        assert_eq!(hub.dialled().workspace, "root:org");
        // The first report and the first heartbeats come in any order.
        let (mut reported, mut sequence) = (false, 0);
        while !reported || sequence < 3 {
            match hub.next(|_| true).await {
                Heard::Status(_) => reported = true,
                Heard::Heartbeat { payload, .. } => sequence = payload.sequence,
                Heard::Opened(_) | Heard::Frame => {}
                other @ (Heard::Goodbye { .. } | Heard::Closed { .. }) => panic!("{other:?}"),
            }
        }
        let own = agent.address("address").await;
        agent.answers(own, "/readyz", 200).await;
        assert_eq!(agent.terminate().await, Some(0), "{}", agent.log());
        hub.next(|heard| matches!(heard, Heard::Goodbye { .. }))
            .await;
    }
}
