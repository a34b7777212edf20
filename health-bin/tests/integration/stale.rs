//! What stopped to report is nowhere shown Healthy past its allowance: a test for each place.
//!
//! One component's results are pushed and stop to be, the other is a check whose next turn is in an
//! hour, which nothing else is wrong with. Microsoft's DICOM service showed a Healthy that was six
//! days old.

use std::net::SocketAddr;

use serde_json::Value;

use crate::kinds::put;
use crate::support::Answer;
use crate::support::Program;
use crate::support::eventually;
use crate::support::get;
use crate::support::secs;

/// Both, by name.
const AGING: [&str; 2] = ["pushed", "rarely"];

/// So often a place is looked at once it has shown that something is stale: it stays so.
const LOOKS: usize = 20;

#[tokio::test]
async fn pitfall_2_readyz_shows_no_green_of_what_stopped_to_report() {
    let aging = Aging::start("").await;
    let holds = |answer: &Answer| answer.body.contains("[+]pushed ok");
    aging.pushed_until("/readyz?verbose", holds).await;
    let stale = |answer: &Answer| {
        answer.status == 503
            && AGING
                .iter()
                .all(|name| answer.body.contains(&format!("[-]{name} Unknown (Stale)")))
    };
    aging.stays("/readyz?verbose", stale).await;
    for name in AGING {
        let path = format!("/readyz/{name}");
        aging.stays(&path, |answer| answer.status == 503).await;
    }
}

#[tokio::test]
async fn pitfall_2_the_report_shows_no_green_of_what_stopped_to_report() {
    let aging = Aging::start("").await;
    let component = |report: &Value, name: &str| report["components"][name].clone();
    aging
        .pushed_until("/report", |answer| {
            component(&answer.json(), "pushed")["status"] == "Healthy"
        })
        .await;
    let stale = |answer: &Answer| {
        let report = answer.json();
        let is_stale = |name: &&str| {
            let shown = component(&report, name);
            // There was a result, and it is as old as it is.
            shown["status"] == "Unknown"
                && shown["reason"] == "Stale"
                && shown["lastCheck"].is_string()
                && shown["ageSeconds"].as_f64() >= Some(0.5)
        };
        report["status"] == "Unknown" && AGING.iter().all(is_stale)
    };
    aging.stays("/report", stale).await;
}

#[tokio::test]
async fn pitfall_2_the_metrics_show_no_green_of_what_stopped_to_report() {
    let aging = Aging::start("").await;
    let series = |name: &str| format!("syncer_health_component_status{{component=\"{name}\"}}");
    aging
        .pushed_until("/metrics", |answer| {
            answer.body.contains(&format!("{} 1\n", series("pushed")))
        })
        .await;
    let stale = |answer: &Answer| {
        answer.body.contains("\nsyncer_health_status 0\n")
            && AGING
                .iter()
                .all(|name| answer.body.contains(&format!("{} 0\n", series(name))))
    };
    aging.stays("/metrics", stale).await;
}

#[cfg(feature = "transport-ws")]
#[tokio::test]
async fn pitfall_2_a_heartbeat_over_the_tunnel_carries_no_green_of_what_stopped_to_report() {
    use health_core::HealthStatus;
    use health_heartbeat::wire::HeartbeatPayload;
    use health_transport_ws::Heard;
    use health_transport_ws::Terms;

    use crate::support::Acceptor;

    let mut hub = Acceptor::start(Terms::default()).await;
    let transport = format!(
        "
syncTarget: {{ name: edge-1 }}
heartbeat: {{ interval: 500ms, timeout: 5s, intervalMin: 500ms, websocket: {{ url: 'ws://{}/tunnel' }} }}
",
        hub.address
    );
    let aging = Aging::start(&transport).await;
    let is_stale = |payload: &HeartbeatPayload, name: &str| {
        payload
            .deciding
            .iter()
            .any(|it| it.component == name && it.reason == "Stale")
    };
    // While it is pushed it is not what decides.
    aging.push().await;
    hub.heartbeat(|payload| payload.deciding.iter().all(|it| it.component != "pushed"))
        .await;
    hub.heartbeat(|payload| AGING.iter().all(|name| is_stale(payload, name)))
        .await;
    for _ in 0..3 {
        let payload = hub.heartbeat(|_| true).await;
        assert_eq!(payload.status, HealthStatus::Unknown, "{payload:?}");
        assert!(AGING.iter().all(|name| is_stale(&payload, name)));
    }
    // The report that goes beside them is sent for each change, so again for this one.
    aging.push().await;
    let shows = |heard: &Heard, reason: &str| {
        let Heard::Status(report) = heard else {
            return false;
        };
        let report: Value = serde_json::from_str(report.get()).expect("a report is JSON");
        report["components"]["pushed"]["reason"] == reason
    };
    hub.next(|heard| shows(heard, "Healthy")).await;
    hub.next(|heard| shows(heard, "Stale")).await;
}

#[cfg(feature = "transport-lease")]
#[tokio::test]
async fn pitfall_2_a_lease_and_a_sync_target_carry_no_green_of_what_stopped_to_report() {
    use crate::support::Cluster;

    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases/edge-1-heartbeat";
    const TARGET: &str = "/apis/workload.kcp.io/v1alpha1/synctargets/edge-1";

    let cluster = Cluster::start().await;
    let transports = format!(
        "
syncTarget: {{ name: edge-1 }}
cluster: {{ kubeconfig: {} }}
heartbeat: {{ interval: 500ms, timeout: 5s, intervalMin: 500ms }}
syncTargetStatus: {{ minInterval: 1s, heartbeatInterval: 1s }}
",
        cluster.kubeconfig()
    );
    let aging = Aging::start(&transports).await;
    aging.push().await;
    cluster
        .object(TARGET, |target| {
            let conditions = target["status"]["conditions"].as_array();
            conditions.into_iter().flatten().any(|condition| {
                condition["type"] == "SyncerReady"
                    && condition["status"] == "Unknown"
                    && condition["reason"] == "Stale"
            })
        })
        .await;
    // What the Lease says was Unknown before the first results too, and it stays so.
    let renewal = |lease: &Value| lease["spec"]["renewTime"].clone();
    let mut last = Value::Null;
    for _ in 0..3 {
        let lease = cluster.object(LEASE, |lease| renewal(lease) != last).await;
        let status = &lease["metadata"]["annotations"]["syncer-health/status"];
        assert_eq!(status, "Unknown", "{lease}");
        last = renewal(&lease);
    }
}

/// An agent whose two components grow old.
struct Aging {
    _agent: Program,
    address: SocketAddr,
}

impl Aging {
    async fn start(transports: &str) -> Self {
        let config = format!(
            "
server: {{ bind: '127.0.0.1:0', drainDelay: 0s }}
push: {{ enabled: true }}
checks:
  components:
    - {{ name: pushed, push: {{ ttl: 1s }} }}
    - {{ name: rarely, exec: {{ command: ['true'] }}, interval: 1h, staleAfter: 500ms }}
{transports}"
        );
        let agent = Program::start("run", &config, &[("PATH", "/usr/bin:/bin")]);
        let address = agent.address("address").await;
        Self {
            _agent: agent,
            address,
        }
    }

    async fn push(&self) {
        let status = put(self.address, "pushed", "", r#"{"status":"Healthy"}"#).await;
        assert_eq!(status, 204);
    }

    /// Pushes until a path answers as wanted, which may take longer than the time to live.
    async fn pushed_until(&self, path: &str, wanted: impl Fn(&Answer) -> bool) {
        eventually("what was pushed is shown", secs(20), || async {
            self.push().await;
            get(self.address, path, &[]).await.filter(&wanted)
        })
        .await;
    }

    /// Waits until a path answers as wanted; from then on it always does.
    async fn stays(&self, path: &str, wanted: impl Fn(&Answer) -> bool) {
        eventually(&format!("{path} shows it"), secs(20), || async {
            get(self.address, path, &[]).await.filter(&wanted)
        })
        .await;
        for _ in 0..LOOKS {
            let answer = get(self.address, path, &[]).await.expect("it answers");
            assert!(wanted(&answer), "{path}: {}", answer.body);
        }
    }
}
