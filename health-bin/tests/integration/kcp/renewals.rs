//! What a renewal costs, counted by the server's own audit log.

use serde_json::Value;

use super::chaos::Patient;
use super::chaos::TIMEOUT;
use super::server::Server;
use super::workspace::Workspace;
use crate::support::Authority;
use crate::support::eventually;

/// Renewals that are counted.
const RENEWALS: usize = 6;

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_renewal_is_exactly_one_request() {
    let server = Server::start(&Authority::new("authority"));
    let workspace = Workspace::on(&server.kubeconfig(), "renewals").await;
    workspace.add_target().await;
    let agent = Patient::start(&workspace, &server.kubeconfig()).await;
    let before = agent.sequence().await;
    let about_lease = |event: &&Value| event["objectRef"]["resource"] == "leases";
    let known = server.audit().iter().filter(about_lease).count();
    let what = "the renewals are in the audit log";
    let events = eventually(what, TIMEOUT * 10, || async {
        let all = server.audit();
        let events: Vec<_> = all
            .iter()
            .filter(about_lease)
            .skip(known)
            .cloned()
            .collect();
        (events.len() >= RENEWALS).then_some(events)
    })
    .await;
    for event in &events {
        assert_eq!(event["verb"], "update", "{event}");
        assert_eq!(event["responseStatus"]["code"], 200, "{event}");
    }
    // A heartbeat each, and no request more: what was under way at either end is one.
    let beats = agent.sequence().await - before;
    let requests = events.len() as u64;
    assert!(requests.abs_diff(beats) <= 1, "{requests} of {beats}");
}
