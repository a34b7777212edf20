//! What tests of this crate and of others share: a pure model of an API server, and a client that
//! asks it without a socket.

mod model;
mod server;

use std::time::Duration;

use health_core::Carried;
use health_core::Deciding;
use health_core::HealthStatus;
use health_core::Probe;
use health_core::ProbeAnswer;
use health_core::Reason;
use health_core::Rule;
use health_core::Verdict;
use health_core::reasons;
use health_heartbeat::Heartbeat;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;

pub use model::Caller;
pub use model::Fault;
pub use model::Line;
pub use model::Model;
pub use model::Stream;
pub use server::Answer;
pub use server::InHand;
pub use server::Server;

/// What a heartbeat carries of an agent with one component of this status.
///
/// # Panics
///
/// Never: the component's name is valid.
#[must_use]
pub fn carried(status: HealthStatus, holds: bool) -> Carried {
    let reason = match status {
        HealthStatus::Healthy => reasons::HEALTHY,
        HealthStatus::Degraded => Reason::literal("QueueDepthHigh"),
        HealthStatus::Unhealthy => Reason::literal("Refused"),
        HealthStatus::Unknown => reasons::PENDING,
    };
    let mut verdict = Verdict {
        status,
        reason: reason.clone(),
        ..Verdict::by_rule(Rule::Policy("WorstOf"))
    };
    if status != HealthStatus::Healthy {
        verdict.deciding.push(Deciding {
            component: "engine".parse().expect("it is a valid name"),
            status,
            reason,
            message: "for a test".to_owned(),
        });
        verdict.deciding_total = 1;
    }
    Carried {
        readiness: ProbeAnswer {
            probe: Probe::Readiness,
            holds,
            verdict: verdict.clone(),
            stalled: Vec::new(),
        },
        verdict,
        age: Duration::ZERO,
    }
}

/// A heartbeat of a healthy agent: interval 10 s, timeout 30 s.
#[must_use]
pub fn heartbeat(identity: &Identity, sequence: u64) -> Heartbeat {
    Heartbeat {
        identity: identity.clone(),
        sequence: Sequence(sequence),
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(30),
        carried: carried(HealthStatus::Healthy, true),
    }
}
