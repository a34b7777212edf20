//! The transport `synctarget`: heartbeats as writes of the SyncTarget's status.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
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
use crate::call::ApiError;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::config::SyncTargetConfig;
use crate::error::Subject;
use crate::error::describe;
use crate::http_form::Objects;
use crate::keeper::WallClock;
use crate::names;
use crate::synctarget::Condition;
use crate::synctarget::ConditionStatus;
use crate::synctarget::StatusEvent;
use crate::synctarget::StatusInput;
use crate::synctarget::StatusMachine;
use crate::synctarget::StatusOutcome;
use crate::synctarget::StatusOutput;
use crate::tenure::Tenure;

/// The transport `synctarget`: each heartbeat is one write of the SyncTarget's status.
///
/// What to do is [`StatusMachine`]'s decision; this makes its calls.
pub struct SyncTargetTransport {
    api: Api,
    publisher: Publisher,
    tenure: Option<watch::Receiver<Tenure>>,
    wall: WallClock,
}

struct Publisher {
    machine: StatusMachine,
    target: String,
    updates: [(ConditionStatus, Counter); 3],
    suppressed: Counter,
}

fn is_held(tenure: &Tenure) -> bool {
    tenure.is_held(now(), slept())
}

// === impl SyncTargetTransport ===

impl SyncTargetTransport {
    /// The transport's name.
    pub const NAME: TransportName = TransportName("synctarget");

    /// Writes the status of the SyncTarget `target`, with chance from `seed`.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        config: SyncTargetConfig,
        target: &str,
        identity: &Identity,
        seed: u64,
    ) -> Self {
        metrics::describe_counter!(
            names::UPDATES_TOTAL,
            "Writes of the SyncTarget's status that were applied, by the condition's status."
        );
        metrics::describe_counter!(
            names::UPDATES_SUPPRESSED_TOTAL,
            "Writes of the SyncTarget's status that were left out because nothing had changed."
        );
        let objects = Objects {
            namespace: String::new(),
            lease: String::new(),
            target: target.to_owned(),
        };
        let updates = [
            ConditionStatus::True,
            ConditionStatus::False,
            ConditionStatus::Unknown,
        ]
        .map(|status| {
            let counter = metrics::counter!(names::UPDATES_TOTAL, "status" => status.label());
            (status, counter)
        });
        Self {
            publisher: Publisher {
                machine: StatusMachine::new(config, identity, seed),
                target: target.to_owned(),
                updates,
                suppressed: metrics::counter!(names::UPDATES_SUPPRESSED_TOTAL),
            },
            api: Api::new(cluster, objects),
            tenure: None,
            wall: Arc::new(SystemTime::now),
        }
    }

    /// Writes only while this Lease is held.
    #[must_use]
    pub fn with_lease(mut self, tenure: watch::Receiver<Tenure>) -> Self {
        self.tenure = Some(tenure);
        self
    }

    /// Writes the time of this clock instead of the system's.
    #[must_use]
    pub fn with_wall_clock(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    /// Waits until the Lease is ours; who stands by is told so at once.
    async fn leave_to_write(&mut self, by: Instant) -> Result<Option<Acknowledgement>, BeatError> {
        let Some(tenure) = &mut self.tenure else {
            return Ok(None);
        };
        let known = |tenure: &Tenure| is_held(tenure) || tenure.other.is_some();
        let waited = tokio::time::timeout_at(by.into(), tenure.wait_for(known)).await;
        match waited {
            Ok(Ok(tenure)) => Ok(tenure.standing_by()),
            Ok(Err(_)) | Err(_) => {
                let (objects, server) = (self.api.objects(), self.api.server());
                Err(BeatError::new(format!(
                    "cannot update the status of SyncTarget {:?} in {server}: \
                     only the holder of the Lease writes it, and this agent does not hold it now",
                    objects.target
                )))
            }
        }
    }

    /// Writes, unless what is written is recent enough; says when it will not be any more.
    async fn write(
        &mut self,
        input: StatusInput,
        status: ConditionStatus,
    ) -> Result<Option<Instant>, BeatError> {
        self.publisher.machine.handle(input, now());
        match self.api.drive(&mut self.publisher).await {
            StatusOutcome::Written => {
                for (counted, counter) in &self.publisher.updates {
                    counter.increment(u64::from(*counted == status));
                }
                Ok(None)
            }
            StatusOutcome::Suppressed { until } => {
                self.publisher.suppressed.increment(1);
                Ok(Some(until))
            }
            StatusOutcome::Failed { operation, error } => Err(self.failed(operation, &error)),
        }
    }

    fn failed(&self, operation: &str, error: &ApiError) -> BeatError {
        let (objects, server) = (self.api.objects(), self.api.server());
        BeatError::new(describe(
            Subject::SyncTarget,
            operation,
            objects,
            server,
            error,
        ))
        .with_retry_after(error.retry_after)
    }
}

#[async_trait]
impl HeartbeatTransport for SyncTargetTransport {
    fn name(&self) -> TransportName {
        Self::NAME
    }

    async fn beat(
        &mut self,
        heartbeat: &Heartbeat,
        by: Instant,
    ) -> Result<Acknowledgement, BeatError> {
        if let Some(standing_by) = self.leave_to_write(by).await? {
            return Ok(standing_by);
        }
        let condition = Condition::syncer_ready(&heartbeat.carried);
        let status = condition.status;
        let wall = (self.wall)();
        let input = StatusInput::Beat {
            condition,
            wall,
            by,
        };
        let due = self.write(input, status).await?;
        Ok(Acknowledgement {
            again_within: due.map(|due| due.saturating_duration_since(now())),
            ..Acknowledgement::default()
        })
    }

    async fn release(&mut self, by: Instant) -> Result<(), BeatError> {
        let held = |tenure: &watch::Receiver<Tenure>| is_held(&tenure.borrow());
        if !self.tenure.as_ref().is_none_or(held) {
            return Ok(());
        }
        let wall = (self.wall)();
        let input = StatusInput::Release { wall, by };
        self.write(input, ConditionStatus::False).await?;
        Ok(())
    }
}

impl fmt::Debug for SyncTargetTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncTargetTransport")
            .field("target", &self.publisher.target)
            .finish_non_exhaustive()
    }
}

// === impl Publisher ===

impl Machine for Publisher {
    type Event = StatusEvent;
    type Outcome = StatusOutcome;

    fn reply(&mut self, reply: Reply, now: Instant) {
        self.machine.handle(StatusInput::Reply(reply), now);
    }

    fn time_out(&mut self, now: Instant) {
        self.machine.handle(StatusInput::Timeout, now);
    }

    fn poll(&mut self) -> Option<StatusOutput> {
        self.machine.poll()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.machine.poll_timeout()
    }

    fn publish(&mut self, event: Option<StatusEvent>) {
        let target = &*self.target;
        match event {
            None => {}
            Some(StatusEvent::Speaks(dialect)) => {
                let field = dialect.heartbeat_field();
                tracing::info!(
                    target_name = target,
                    field,
                    "found the SyncTarget's heartbeat field"
                );
            }
            Some(StatusEvent::Recreated) => {
                tracing::warn!(target_name = target, "the SyncTarget was recreated");
            }
        }
    }
}
