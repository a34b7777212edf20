//! The transport `lease`: heartbeats as renewals of a Lease.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use async_trait::async_trait;
use health_heartbeat::Acknowledgement;
use health_heartbeat::BeatError;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Identity;
use health_heartbeat::TransportName;
use metrics::Counter;
use tokio::sync::watch;

use crate::api::Api;
use crate::api::Machine;
use crate::api::now;
use crate::api::slept;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::config::LeaseConfig;
use crate::error::Subject;
use crate::error::describe;
use crate::http_form::Objects;
use crate::lease_machine::LeaseEvent;
use crate::lease_machine::LeaseInput;
use crate::lease_machine::LeaseMachine;
use crate::lease_machine::LeaseOutcome;
use crate::lease_machine::LeaseOutput;
use crate::names;
use crate::record::Renewal;
use crate::tenure::Tenure;

/// Tells the wall clock's time, which is written for people and decides nothing.
pub type WallClock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// The transport `lease`: each heartbeat is one renewal of the agent's Lease.
///
/// What to do is [`LeaseMachine`]'s decision; this makes its calls. Each call has its own deadline;
/// a call that passes it takes its connection along, so a half-open one is never used again.
pub struct LeaseTransport {
    name: TransportName,
    subject: Subject,
    api: Api,
    keeper: Keeper,
    wall: WallClock,
}

/// The machine with those who listen to it.
struct Keeper {
    machine: LeaseMachine,
    lease: String,
    tenure: watch::Sender<Tenure>,
    slept: Duration,
    transitions: Counter,
    conflicts: Counter,
}

/// The two clocks are not read at the same time: a shorter sleep is none.
const SLEEP_MIN: Duration = Duration::from_millis(100);

// === impl LeaseTransport ===

impl LeaseTransport {
    /// The transport's name.
    pub const NAME: TransportName = TransportName("lease");

    /// Keeps the configured Lease for the SyncTarget `target`, with chance from `seed`.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        config: &LeaseConfig,
        target: &str,
        identity: &Identity,
        seed: u64,
    ) -> Self {
        metrics::describe_counter!(
            names::LEASE_TRANSITIONS_TOTAL,
            "Times that this agent got or lost its Lease, or this hub the leadership."
        );
        metrics::describe_counter!(
            names::LEASE_CONFLICTS_TOTAL,
            "Writes of the Lease that were refused because somebody else wrote it in between."
        );
        let objects = Objects {
            namespace: config.namespace().to_owned(),
            lease: config.name().to_owned(),
            target: target.to_owned(),
        };
        let machine = LeaseMachine::new(objects.clone(), identity, seed);
        Self {
            name: Self::NAME,
            subject: Subject::Lease,
            keeper: Keeper {
                machine,
                lease: format!("{}/{}", objects.namespace, objects.lease),
                tenure: watch::Sender::new(Tenure::default()),
                slept: slept(),
                transitions: metrics::counter!(names::LEASE_TRANSITIONS_TOTAL),
                conflicts: metrics::counter!(names::LEASE_CONFLICTS_TOTAL),
            },
            api: Api::new(cluster, objects),
            wall: Arc::new(SystemTime::now),
        }
    }

    /// The same for the Lease that hubs share, which is no SyncTarget's and is owned by nobody.
    pub(crate) fn of_hub(
        cluster: Cluster,
        config: &LeaseConfig,
        identity: &Identity,
        seed: u64,
    ) -> Self {
        let mut transport = Self::new(cluster, config, "", identity, seed);
        let machine = LeaseMachine::new(transport.api.objects().clone(), identity, seed);
        transport.keeper.machine = machine.without_owner();
        transport.name = TransportName("leader");
        transport.subject = Subject::LeaderLease;
        transport
    }

    /// Writes the time of this clock instead of the system's.
    #[must_use]
    pub fn with_wall_clock(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// Who holds the Lease, as it changes.
    #[must_use]
    pub fn held(&self) -> watch::Receiver<Tenure> {
        self.keeper.tenure.subscribe()
    }

    fn failed(&self, operation: &str, error: &crate::call::ApiError) -> BeatError {
        let (objects, server) = (self.api.objects(), self.api.server());
        BeatError::new(describe(self.subject, operation, objects, server, error))
            .with_retry_after(error.retry_after)
    }
}

#[async_trait]
impl HeartbeatTransport for LeaseTransport {
    fn name(&self) -> TransportName {
        self.name
    }

    async fn beat(
        &mut self,
        heartbeat: &Heartbeat,
        by: Instant,
    ) -> Result<Acknowledgement, BeatError> {
        let input = LeaseInput::Beat {
            renewal: Renewal {
                sequence: heartbeat.sequence,
                timeout: heartbeat.timeout,
                status: heartbeat.carried.verdict.status,
            },
            wall: (self.wall)(),
            by,
        };
        self.keeper.handle(input, now());
        match self.api.drive(&mut self.keeper).await {
            LeaseOutcome::Acknowledged | LeaseOutcome::Released => Ok(Acknowledgement::default()),
            LeaseOutcome::StandingBy { holder } => {
                let follows_at = self.keeper.machine.follows_at();
                Ok(Acknowledgement {
                    again_within: follows_at.map(|at| at.saturating_duration_since(now())),
                    ..Acknowledgement::standing_by(holder)
                })
            }
            LeaseOutcome::Failed { operation, error } => Err(self.failed(operation, &error)),
        }
    }

    async fn release(&mut self, by: Instant) -> Result<(), BeatError> {
        let wall = (self.wall)();
        let input = LeaseInput::Release { wall, by };
        self.keeper.handle(input, now());
        match self.api.drive(&mut self.keeper).await {
            LeaseOutcome::Acknowledged
            | LeaseOutcome::Released
            | LeaseOutcome::StandingBy { .. } => Ok(()),
            LeaseOutcome::Failed { operation, error } => Err(self.failed(operation, &error)),
        }
    }
}

impl fmt::Debug for LeaseTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseTransport")
            .field("lease", &self.keeper.lease)
            .field("tenure", self.keeper.machine.tenure())
            .finish_non_exhaustive()
    }
}

// === impl Keeper ===

impl Keeper {
    /// Hands an input in, after what the machine slept through.
    fn handle(&mut self, input: LeaseInput, now: Instant) {
        let slept = slept();
        let pause = slept.saturating_sub(self.slept);
        if pause >= SLEEP_MIN {
            self.slept = slept;
            self.machine.handle(LeaseInput::Paused(pause), now);
        }
        self.machine.handle(input, now);
    }
}

impl Machine for Keeper {
    type Event = LeaseEvent;
    type Outcome = LeaseOutcome;

    fn reply(&mut self, reply: Reply, now: Instant) {
        self.handle(LeaseInput::Reply(reply), now);
    }

    fn time_out(&mut self, now: Instant) {
        self.handle(LeaseInput::Timeout, now);
    }

    fn poll(&mut self) -> Option<LeaseOutput> {
        self.machine.poll()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn publish(&mut self, event: Option<LeaseEvent>) {
        let lease = &*self.lease;
        match event {
            None => {}
            Some(LeaseEvent::Acquired) => {
                self.transitions.increment(1);
                tracing::info!(lease, "the Lease is ours");
            }
            Some(LeaseEvent::Lost { to: Some(holder) }) => {
                self.transitions.increment(1);
                tracing::warn!(lease, %holder, "another one took the Lease");
            }
            Some(LeaseEvent::Lost { to: None }) => {
                self.transitions.increment(1);
                tracing::warn!(lease, "the Lease is gone");
            }
            Some(LeaseEvent::Released) => {
                self.transitions.increment(1);
                tracing::info!(lease, "the Lease was released");
            }
            Some(LeaseEvent::Conflicted) => self.conflicts.increment(1),
        }
        let tenure = Tenure {
            slept: self.slept,
            ..self.machine.tenure().clone()
        };
        self.tenure.send_if_modified(|published| {
            let changed = *published != tenure;
            *published = tenure;
            changed
        });
    }
}
