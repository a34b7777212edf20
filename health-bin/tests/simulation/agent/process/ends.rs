//! How attempts and goodbyes end, whichever transport made them.

use std::time::Duration;

use health_heartbeat::Acknowledgement;
use health_heartbeat::AgentInput;
use health_heartbeat::AttemptOutcome;
use health_transport_lease::ApiError;
use health_transport_lease::LeaseOutcome;
use health_transport_lease::StatusOutcome;

use super::Here;
use super::Lane;
use super::Process;
use super::Said;

/// How an attempt ended: with an acknowledgement that may say more, or with an error that may ask
/// to be left alone.
pub(super) type Ended = Result<Option<Acknowledgement>, (String, Option<Duration>)>;

// === impl Process ===

impl Process {
    pub(super) fn kept(&mut self, outcome: Option<LeaseOutcome>, here: &mut Here<'_>) {
        let Some(outcome) = outcome else { return };
        let result = match outcome {
            LeaseOutcome::Acknowledged => {
                here.core.facts.acknowledged(here.agent);
                Ok(None)
            }
            LeaseOutcome::Released => Ok(None),
            LeaseOutcome::StandingBy { holder } => Ok(Some(Acknowledgement::standing_by(holder))),
            LeaseOutcome::Failed { error, .. } => Err(failed(&error)),
        };
        self.told(Lane::Lease, &result, here);
        self.end(Lane::Lease, result);
    }

    pub(super) fn published(&mut self, outcome: Option<StatusOutcome>, here: &mut Here<'_>) {
        let Some(outcome) = outcome else { return };
        let result = match outcome {
            StatusOutcome::Written => Ok(None),
            StatusOutcome::Suppressed { until } => Ok(Some(Acknowledgement {
                again_within: Some(until.saturating_duration_since(here.now)),
                ..Acknowledgement::default()
            })),
            StatusOutcome::Failed { error, .. } => Err(failed(&error)),
        };
        self.told(Lane::Status, &result, here);
        self.end(Lane::Status, result);
    }

    /// Whoever was asked to be left alone is to be left alone.
    pub(super) fn told(&self, lane: Lane, result: &Ended, here: &mut Here<'_>) {
        if let Err((_, Some(retry_after))) = result {
            let one = self.loops.iter().find(|one| one.lane == lane);
            let timeout = one.map_or(Duration::ZERO, |one| one.machine.config().timeout());
            let wait = (*retry_after).min(timeout / 2);
            let now = here.core.now;
            here.core
                .facts
                .leave_alone(here.agent, lane, wait, here.now, now);
        }
    }

    pub(super) fn said(&mut self, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Connected => self.is_new = true,
                Said::Acknowledged(acknowledgement) => {
                    self.is_new = false;
                    self.end(Lane::Tunnel, Ok(Some(acknowledgement)));
                }
                Said::Failed(error) => self.end(Lane::Tunnel, Err((error, None))),
                Said::Gone { acknowledged: true } => self.end(Lane::Tunnel, Ok(None)),
                Said::Gone {
                    acknowledged: false,
                } => {
                    self.end(Lane::Tunnel, Err(("no goodbye".to_owned(), None)));
                }
            }
        }
    }

    /// An attempt or a goodbye ended; what comes without one is nobody's.
    pub(super) fn end(&mut self, lane: Lane, result: Ended) {
        let one = self.loops.iter_mut().find(|one| one.lane == lane);
        let Some(attempt) = one.and_then(|one| one.attempt.take()) else {
            return;
        };
        let input = if attempt.releasing {
            AgentInput::Released {
                acknowledged: result.is_ok(),
            }
        } else {
            AgentInput::Outcome(match result {
                Ok(acknowledgement) => {
                    AttemptOutcome::Acknowledged(acknowledgement.unwrap_or_default())
                }
                Err((error, retry_after)) => AttemptOutcome::Failed { error, retry_after },
            })
        };
        self.inputs.push_back((lane, input));
    }
}

fn failed(error: &ApiError) -> (String, Option<Duration>) {
    (error.to_string(), error.retry_after)
}
