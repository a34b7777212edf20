//! Live looks at agents' objects, before they are convicted.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_heartbeat::AgentKey;
use health_heartbeat::Confirmation;
use health_transport_lease::ApiError;
use health_transport_lease::watch::LiveReader;
use health_transport_lease::watch::ReadLimiter;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::Workspace;
use super::evidence::Found;
use crate::hub::fleet::SharedFleet;

/// An agent to be looked at.
type Wanted = (AgentKey, String);

/// Looks live at a workspace's objects, as often as its server must bear it.
pub(super) struct Looker {
    reader: LiveReader,
    limiter: Mutex<ReadLimiter<Wanted>>,
    wanted: Notify,
}

/// One look in that time, which is two requests; a thousand agents are looked at within 20 s.
const EVERY: Duration = Duration::from_millis(20);

/// So many at once after a quiet while.
const BURST: u32 = 100;

/// More do not wait: whoever is refused is asked for again by the fleet.
const QUEUE_MAX: usize = 20_000;

/// A look that is not answered by then is asked for again.
const ANSWER: Duration = Duration::from_secs(5);

// === impl Looker ===

impl Looker {
    pub(super) fn new(reader: LiveReader, now: Instant) -> Self {
        Self {
            reader,
            limiter: Mutex::new(ReadLimiter::new(EVERY, BURST, QUEUE_MAX, now)),
            wanted: Notify::new(),
        }
    }

    /// Wants that agent to be looked at soon.
    pub(super) fn want(&self, agent: AgentKey, target: &str) {
        if self.limiter().offer((agent, target.to_owned())).is_ok() {
            self.wanted.notify_one();
        }
    }

    /// Looks at whoever is wanted, for ever.
    pub(super) async fn run(workspace: Arc<Workspace>, fleet: Arc<SharedFleet>) {
        let looker = &workspace.looker;
        let mut looks = JoinSet::new();
        loop {
            let now = Instant::now();
            let next = std::iter::from_fn(|| looker.limiter().poll(now));
            for (agent, target) in next.collect::<Vec<_>>() {
                let (workspace, fleet) = (Arc::clone(&workspace), Arc::clone(&fleet));
                looks.spawn(async move {
                    let found = workspace.looker.look(&target).await;
                    told(&workspace, &fleet, agent, &target, found);
                });
            }
            let wake = looker.limiter().poll_timeout();
            let wake = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = looker.wanted.notified() => {}
                () = wake => {}
                Some(_) = looks.join_next() => {}
            }
        }
    }

    async fn look(&self, target: &str) -> Result<Found, ApiError> {
        let by = Instant::now() + ANSWER;
        let (leases, target) = tokio::join!(
            self.reader.leases(target, by),
            self.reader.target(target, by)
        );
        match (leases, target) {
            (Ok(leases), Ok(target)) => Ok(Found { leases, target }),
            // A server may have no SyncTargets; its Leases are enough.
            (Ok(leases), Err(_)) if !leases.is_empty() => Ok(Found {
                leases,
                target: None,
            }),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    fn limiter(&self) -> MutexGuard<'_, ReadLimiter<Wanted>> {
        self.limiter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was found is evidence; what was not is an answer too.
fn told(
    workspace: &Workspace,
    fleet: &SharedFleet,
    agent: AgentKey,
    target: &str,
    found: Result<Found, ApiError>,
) {
    let (now, wall) = (Instant::now(), SystemTime::now());
    fleet.with(|fleet| {
        let confirmation = match found {
            Ok(found) => workspace.shown().looked(target, found, now, wall, fleet),
            Err(error) => {
                tracing::debug!(target_name = target, %error, "nobody could look");
                Confirmation::Failed
            }
        };
        fleet.confirmed(agent, confirmation, now);
    });
}

impl fmt::Debug for Looker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Looker")
            .field("waiting", &self.limiter().len())
            .finish_non_exhaustive()
    }
}
