//! One of several hubs leads, by a Lease.

mod config;
mod leadership;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_core::Carried;
use health_core::HealthSource;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::Pulse;
use health_core::Revision;
use health_core::Rule;
use health_core::Verdict;
use health_heartbeat::Heartbeater;
use health_heartbeat::HeartbeaterConfig;
use health_heartbeat::Identity;
use health_heartbeat::Requirement;
use health_heartbeat::TransportSetup;
use tokio::sync::watch;
use tokio::task::AbortHandle;

pub use self::config::LeaderConfig;
pub use self::leadership::Leadership;
use crate::api::now;
use crate::api::slept;
use crate::cluster::Cluster;
use crate::keeper::LeaseTransport;
use crate::tenure::Tenure;

/// One of several hubs that lead in turn: the holder of a Lease that they share.
///
/// The Lease is kept as an agent keeps its own, with a beat every third of its duration; it names
/// no SyncTarget. Who stands by takes a released Lease over with its next beat, and an expired one
/// when it expires. When this is dropped the beating ends, and the Lease expires by itself.
pub struct Leader {
    heartbeater: Heartbeater,
    tenure: watch::Receiver<Tenure>,
    margin: Duration,
    leadership: Arc<watch::Sender<Leadership>>,
    task: AbortHandle,
}

/// A hub that beats is well enough to lead.
struct Steady;

/// While it leads it looks that often whether the machine has slept, which no timer tells.
const TICK: Duration = Duration::from_secs(1);

// === impl Leader ===

impl Leader {
    /// Begins to stand by or to lead on the current tokio runtime, as `identity`, with chance from
    /// `seed`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn spawn(cluster: Cluster, config: &LeaderConfig, identity: &Identity, seed: u64) -> Self {
        let transport = LeaseTransport::of_hub(cluster, config.lease(), identity, seed);
        let tenure = transport.held();
        let (_, changes) = watch::channel(Revision::default());
        let heartbeats = HeartbeaterConfig {
            identity: identity.clone(),
            requirement: Requirement::Any,
            seed,
            source: Arc::new(Steady),
            changes,
        };
        let setup = TransportSetup {
            transport: Box::new(transport),
            config: config.pace(),
            prompt: false,
        };
        let heartbeater = Heartbeater::spawn(&heartbeats, vec![setup]);
        let leadership = Arc::new(watch::Sender::new(Leadership::default()));
        let margin = config.margin();
        let task = tokio::spawn(follow(tenure.clone(), margin, Arc::clone(&leadership)));
        Self {
            heartbeater,
            tenure,
            margin,
            leadership,
            task: task.abort_handle(),
        }
    }

    /// Whether this hub leads, as it changes. It ends before anybody else can begin.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.subscribe()
    }

    /// Whether this hub leads at this very moment, also where this process has just been stopped
    /// or the machine has slept.
    #[must_use]
    pub fn leads_now(&self) -> bool {
        let (now, slept) = (now(), slept());
        Leadership::of(&self.tenure.borrow(), self.margin, now, slept).leads()
    }

    /// The marks of its loops, for liveness.
    pub fn pulses(&self) -> impl Iterator<Item = &Arc<Pulse>> {
        self.heartbeater.pulses()
    }

    /// Leads no more, and then gives the Lease back, within 5 s; another one may begin at once.
    ///
    /// # Cancel safety
    ///
    /// This hub does not lead any more when the future is dropped; the Lease may not be given back.
    pub async fn release(&self) {
        self.task.abort();
        self.leadership.send_replace(Leadership::default());
        self.heartbeater.release().await;
    }
}

impl fmt::Debug for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leader")
            .field("leadership", &*self.leadership.borrow())
            .finish_non_exhaustive()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.task.abort();
        self.leadership.send_replace(Leadership::default());
    }
}

/// Publishes what the tenure comes to, as it changes and as it ends.
async fn follow(
    mut tenure: watch::Receiver<Tenure>,
    margin: Duration,
    leadership: Arc<watch::Sender<Leadership>>,
) {
    loop {
        let known = tenure.borrow_and_update().clone();
        let now = now();
        publish(&leadership, Leadership::of(&known, margin, now, slept()));
        // What has ended wants no waking.
        let ends = Leadership::ends_at(&known, margin).filter(|at| *at > now);
        let wake = ends.map(|at| at.min(now + TICK));
        tokio::select! {
            changed = tenure.changed() => if changed.is_err() {
                return publish(&leadership, Leadership::default());
            },
            () = sleep_until(wake) => {}
        }
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn publish(leadership: &watch::Sender<Leadership>, new: Leadership) {
    leadership.send_if_modified(|known| {
        if *known == new {
            return false;
        }
        if known.leads() != new.leads() {
            tracing::info!(
                leads = new.leads(),
                "the leadership of the hubs has changed"
            );
        }
        *known = new;
        true
    });
}

// === impl Steady ===

impl HealthSource for Steady {
    fn carried(&self, _now: Instant) -> Carried {
        let verdict = Verdict::by_rule(Rule::Policy("Leader"));
        Carried {
            readiness: ProbeAnswer {
                probe: Probe::Readiness,
                holds: true,
                verdict: verdict.clone(),
                stalled: Vec::new(),
            },
            verdict,
            age: Duration::ZERO,
        }
    }
}
