//! Two slots of one target: one goes, the other one takes over, and never do both hold.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FAST;
use super::LEASE;
use super::SLOW;
use super::agent;
use super::chaos::INTERVAL;
use super::chaos::JITTER;
use super::chaos::LATE;
use super::chaos::TIMEOUT;
use super::holder_slot;
use super::workspace::Workspace;
use crate::support::Program;
use crate::support::get;
use crate::support::secs;

/// Looks at the Lease, and at what both agents say of themselves, all the time.
struct Watch {
    holders: watch::Receiver<Vec<String>>,
    claims: watch::Receiver<Claims>,
    _looking: JoinSet<()>,
}

/// What both agents said of themselves.
#[derive(Debug, Clone, Copy, Default)]
struct Claims {
    looks: u32,
    /// How often both said within one look that they hold the Lease.
    both: u32,
}

#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_released_lease_is_taken_over_within_two_seconds_and_both_never_hold() {
    // By expiry it would take a minute.
    let (workspace, mut alice, bob) = pair("released", SLOW).await;
    let watch = Watch::start(&workspace, &alice, &bob).await;
    alice.signal("TERM").await;
    workspace
        .until(LEASE, "it is released", |lease| {
            lease["spec"]["holderIdentity"] == "" || holder_slot(lease) == "bob"
        })
        .await;
    let released = Instant::now();
    bob_holds(&workspace).await;
    let took = released.elapsed();
    assert!(took < secs(2), "{took:?}:\n{}", bob.log());
    assert_eq!(alice.ended().await, Some(0), "{}", alice.log());
    bob.logged("took over", secs(10)).await;
    watch.shows(&["alice", "", "bob"]).await;
}

/// The last renewal is not later than the kill. Who stands by sees it within one interval, then sees
/// nothing for the Lease's duration, which is the timeout, and beats at its end.
#[tokio::test]
#[ignore = "needs kcp: cargo xtask integration"]
async fn a_killed_holder_is_followed_when_its_lease_has_expired_and_both_never_hold() {
    let (workspace, mut alice, bob) = pair("expired", FAST).await;
    let watch = Watch::start(&workspace, &alice, &bob).await;
    let last = workspace.object(LEASE).await;
    alice.signal("KILL").await;
    let killed = Instant::now();
    alice.ended().await;
    let taken = bob_holds(&workspace).await;
    let took = killed.elapsed();
    assert!(
        took <= TIMEOUT + INTERVAL.mul_f64(JITTER) + LATE,
        "{took:?}:\n{}",
        bob.log()
    );
    let transitions = |lease: &serde_json::Value| lease["spec"]["leaseTransitions"].as_i64();
    assert_eq!(
        transitions(&taken),
        transitions(&last).map(|before| before + 1),
        "{taken}"
    );
    bob.logged("took over", secs(10)).await;
    watch.shows(&["alice", "bob"]).await;
}

/// Alice, who holds the Lease, and Bob, who stands by.
async fn pair(prefix: &str, heartbeat: &str) -> (Workspace, Program, Program) {
    let workspace = Workspace::create_one(prefix).await;
    let more = "syncTargetStatus: { enabled: false }\n";
    let alice = agent(&workspace, "alice", heartbeat, more);
    workspace
        .until(LEASE, "alice holds it", |lease| {
            holder_slot(lease) == "alice"
        })
        .await;
    let bob = agent(&workspace, "bob", heartbeat, more);
    bob.logged("standing by", secs(20)).await;
    (workspace, alice, bob)
}

async fn bob_holds(workspace: &Workspace) -> serde_json::Value {
    let held = |lease: &serde_json::Value| holder_slot(lease) == "bob";
    workspace.until(LEASE, "bob holds it", held).await
}

// === impl Watch ===

impl Watch {
    /// Begins once the Lease was seen with Alice.
    async fn start(workspace: &Workspace, alice: &Program, bob: &Program) -> Self {
        let (holder, holders) = watch::channel(vec!["alice".to_owned()]);
        let (claim, claims) = watch::channel(Claims::default());
        let agents = [alice.address("address").await, bob.address("address").await];
        let mut looking = JoinSet::new();
        looking.spawn(async move {
            loop {
                // Who lets go is asked last: Bob keeps what he had when Alice answers.
                let bob = is_held(agents[1]).await;
                let alice = is_held(agents[0]).await;
                claim.send_modify(|claims| {
                    claims.looks += 1;
                    claims.both += u32::from(alice && bob);
                });
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let workspace = workspace.reopened().await;
        looking.spawn(async move {
            loop {
                let lease = workspace.object(LEASE).await;
                holder.send_if_modified(|holders| {
                    let now = holder_slot(&lease).to_owned();
                    let is_new = holders.last() != Some(&now);
                    holders.extend(is_new.then_some(now));
                    is_new
                });
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let mut watch = Self {
            holders,
            claims,
            _looking: looking,
        };
        watch.looked(1).await;
        watch
    }

    /// The Lease went through these hands, as far as anybody looked in between, and no others; and
    /// at no look did both hold it.
    async fn shows(mut self, hands: &[&str]) {
        let last = hands.last().copied();
        let is_over = |holders: &Vec<String>| holders.last().map(String::as_str) == last;
        let seen = tokio::time::timeout(secs(20), self.holders.wait_for(is_over)).await;
        let seen = seen.expect("it is seen").expect("somebody looks").clone();
        let mut left = hands.iter();
        assert!(
            seen.iter().all(|one| left.any(|hand| hand == one)),
            "{seen:?}, not {hands:?}"
        );
        // Both are looked at for as long again, since a mistake would last.
        let looks = self.claims.borrow().looks;
        let claims = self.looked(2 * looks).await;
        assert_eq!(claims.both, 0, "{claims:?}");
    }

    /// Waits until both agents were asked that often.
    async fn looked(&mut self, looks: u32) -> Claims {
        let enough = self.claims.wait_for(|claims| claims.looks >= looks);
        let claims = tokio::time::timeout(secs(20), enough).await;
        *claims.expect("somebody looks").expect("somebody looks")
    }
}

/// What an agent says of itself; one that does not answer is dead, and holds nothing.
async fn is_held(agent: SocketAddr) -> bool {
    let metrics = get(agent, "/metrics", &[]).await;
    metrics.is_some_and(|metrics| metrics.body.contains("\nsyncer_lease_held 1\n"))
}
