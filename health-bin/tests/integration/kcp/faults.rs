//! A server that answers, but not as it should: through a proxy that fails when it is told to.

use std::fmt::Write as _;
use std::time::Duration;
use std::time::Instant;

use tempfile::NamedTempFile;

use super::chaos::ATTEMPT;
use super::chaos::INTERVAL;
use super::chaos::Patient;
use super::chaos::TIMEOUT;
use super::workspace::Workspace;
use crate::support::Fault;
use crate::support::Passed;
use crate::support::Proxy;

/// Each fault lasts for several timeouts.
const FAULT: Duration = TIMEOUT.saturating_mul(4);

/// A beat makes at most so many attempts.
const ATTEMPTS: u32 = 5;

/// An agent that reaches its workspace through a proxy only.
struct Behind {
    agent: Patient,
    proxy: Proxy,
    _kubeconfig: NamedTempFile,
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    let retry_after = Some(1);
    let fault = Fault::Answer {
        status: 429,
        retry_after,
    };
    let seen = outlives("busy", fault, "HTTP 429", INTERVAL).await;
    // No attempt comes sooner than it was told to.
    most(&seen, "attempts", seen.len(), INTERVAL);
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_busy_server_that_says_nothing_more_is_outlived() {
    let fault = Fault::Answer {
        status: 429,
        retry_after: None,
    };
    outlives("hurried", fault, "HTTP 429", Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_server_with_errors_is_outlived() {
    let fault = Fault::Answer {
        status: 500,
        retry_after: None,
    };
    outlives("errors", fault, "HTTP 500", Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn an_unavailable_server_that_asks_for_an_hour_is_asked_again_after_half_a_timeout() {
    let fault = Fault::Answer {
        status: 503,
        retry_after: Some(3600),
    };
    let seen = outlives("hour", fault, "HTTP 503", TIMEOUT / 2).await;
    most(&seen, "attempts", seen.len(), TIMEOUT / 2);
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_server_that_answers_too_late_is_outlived() {
    let fault = Fault::Delay(ATTEMPT * 3);
    outlives("slow", fault, "no answer in time", Duration::ZERO).await;
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_server_whose_replies_are_all_lost_is_outlived() {
    outlives("mute", Fault::LoseReply, "ServiceError", Duration::ZERO).await;
}

/// k8s #79096: a write that was applied while its answer was lost was a failure for ever.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn pitfall_5_a_renewal_whose_reply_is_lost_after_it_was_applied_is_no_failure() {
    let mut it = behind_a_proxy("applied").await;
    it.proxy.set(Some(Fault::LoseReplyOfWrite));
    let began = Instant::now();
    it.agent.keeps_beating(FAULT).await;
    let seen = it.proxy.passed(began);
    it.proxy.set(None);
    let leases = || seen.iter().filter(|one| one.is_lease());
    let writes = leases().filter(|one| one.is_write()).count();
    let reads = leases().count() - writes;
    // One write a beat, and one look at what became of it.
    most(&seen, "writes", writes, INTERVAL);
    most(&seen, "looks", reads, INTERVAL);
    assert!(writes > 5, "{}", shown(&seen));
    let applied = leases().filter(|one| one.is_write() && one.status == Some(200));
    assert_eq!(applied.count(), writes, "{}", shown(&seen));
    let told = it.agent.told();
    let about_lease = |line: &&String| line.contains("transport=lease");
    assert!(told.iter().filter(about_lease).count() <= 1, "{told:#?}");
}

/// Meets a fault for several timeouts: the agent lives through it, keeps its rates, says so, and
/// recovers within two intervals of the fault's end and `pause`. Gives what came by meanwhile.
async fn outlives(prefix: &str, fault: Fault, needle: &str, pause: Duration) -> Vec<Passed> {
    let mut it = behind_a_proxy(prefix).await;
    it.proxy.set(Some(fault));
    let began = Instant::now();
    it.agent.suffers(FAULT).await;
    let seen = it.proxy.passed(began);
    it.proxy.set(None);
    let healed = Instant::now() + pause;
    it.agent.recovers(|| Some(healed)).await;
    it.agent.told_once(needle).await;

    let leases = seen.iter().filter(|one| one.is_lease());
    most(
        &seen,
        "calls about the Lease",
        leases.count(),
        INTERVAL / ATTEMPTS / 2,
    );
    let writes = seen.iter().filter(|one| one.is_lease() && one.is_write());
    most(
        &seen,
        "writes of the Lease",
        writes.count(),
        INTERVAL / ATTEMPTS,
    );
    let states = seen.iter().filter(|one| !one.is_lease() && one.is_write());
    most(&seen, "writes of the status", states.count(), INTERVAL);
    seen
}

/// There were not more than one in `every` during a fault.
#[track_caller]
fn most(seen: &[Passed], what: &str, count: usize, every: Duration) {
    // One at the beginning, and one that was under way.
    let allowed = FAULT.div_duration_f64(every).ceil() as usize + 2;
    assert!(
        count <= allowed,
        "{count} {what}, {allowed} are allowed:\n{}",
        shown(seen)
    );
}

fn shown(seen: &[Passed]) -> String {
    let Some(first) = seen.first().map(|one| one.at) else {
        return "nothing came by".to_owned();
    };
    seen.iter().fold(String::new(), |mut text, one| {
        let age = one.at.saturating_duration_since(first);
        let _ = writeln!(text, "{age:?} {} {} {:?}", one.method, one.path, one.status);
        text
    })
}

async fn behind_a_proxy(prefix: &str) -> Behind {
    let workspace = Workspace::with_target(prefix).await;
    let proxy = Proxy::start(workspace.server_client().await).await;
    let kubeconfig = NamedTempFile::new().expect("a temporary file");
    let text = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{
            "name": "it",
            "cluster": { "server": format!("http://{}", proxy.address()) },
        }],
        "contexts": [{ "name": "base", "context": { "cluster": "it", "user": "it" } }],
        "users": [{ "name": "it", "user": { "token": "none" } }],
        "current-context": "base",
    });
    std::fs::write(kubeconfig.path(), text.to_string()).expect("it can be written");
    let path = kubeconfig.path().to_str().expect("a path in UTF-8");
    Behind {
        agent: Patient::start(&workspace, path).await,
        proxy,
        _kubeconfig: kubeconfig,
    }
}
