//! The shape of `/report`, from which its schema is made.

use std::collections::BTreeMap;

use health_core::Criticality;
use health_core::HealthStatus;
use serde::Serialize;

/// How an agent is. What nobody knows is null, never 0.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report<'a> {
    /// The version of this shape.
    pub(super) api_version: &'a str,
    /// The version of the program.
    pub(super) version: &'a str,
    /// The verdict over all components.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::status"))]
    pub(super) status: HealthStatus,
    /// Why, in CamelCase, for machines.
    pub(super) reason: &'a str,
    /// Which rule of the aggregation gave the verdict.
    pub(super) rule: &'a str,
    /// The components that decided the verdict.
    pub(super) deciding: Vec<Deciding<'a>>,
    /// Each component, by its name.
    pub(super) components: BTreeMap<&'a str, Component<'a>>,
    /// How heartbeats go; null where no transport is configured.
    pub(super) heartbeat: Option<Heartbeat<'a>>,
    /// When a heartbeat was last acknowledged over any transport.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub(super) last_heartbeat: Option<String>,
    /// Since the agent started.
    pub(super) uptime_seconds: f64,
    /// Syncs a second, of the one component that is the sync engine.
    pub(super) sync_rate: Option<f64>,
    /// The share of its attempts that fail, 0 to 1.
    pub(super) error_rate: Option<f64>,
    /// How long its queue is.
    pub(super) queue_depth: Option<f64>,
    /// How long one of its syncs takes.
    pub(super) latency_seconds: Option<f64>,
    /// Resident memory of this process.
    pub(super) memory_bytes: Option<u64>,
    /// Processor cores that this process used lately.
    pub(super) cpu_cores: Option<f64>,
    /// Tasks of this process's asynchronous runtime.
    pub(super) task_count: Option<usize>,
    /// Threads of this process.
    pub(super) thread_count: Option<u64>,
}

/// A component that decided a verdict.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Deciding<'a> {
    /// Its name.
    pub(super) component: &'a str,
    /// How it is.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::status"))]
    pub(super) status: HealthStatus,
    /// Why, in CamelCase, for machines.
    pub(super) reason: &'a str,
    /// Why, for people; empty if there is nothing to say.
    pub(super) message: &'a str,
}

/// How a component is, after hysteresis and freshness.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Component<'a> {
    /// How it is.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::status"))]
    pub(super) status: HealthStatus,
    /// Why, in CamelCase, for machines.
    pub(super) reason: &'a str,
    /// Why, for people; empty if there is nothing to say.
    pub(super) message: &'a str,
    /// What the last result said, where it was not Healthy: it may not have changed the status yet.
    pub(super) error: Option<&'a str>,
    /// When the last result came; null before the first.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub(super) last_check: Option<String>,
    /// When the status last changed.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub(super) last_transition: String,
    /// How old the last result is.
    pub(super) age_seconds: Option<f64>,
    /// How long the last run took.
    pub(super) duration_seconds: f64,
    /// So many results in a row were not Healthy.
    pub(super) consecutive_failures: u32,
    /// How much it counts.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::criticality"))]
    pub(super) criticality: Criticality,
    /// The numbers of the last result.
    pub(super) metrics: &'a BTreeMap<String, f64>,
}

/// How heartbeats go.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Heartbeat<'a> {
    /// Whether the requirement on the transports is met.
    #[cfg_attr(test, schemars(schema_with = "crate::schemas::status"))]
    pub(super) status: HealthStatus,
    /// Each transport, by its name: `websocket`, `lease`, `synctarget`.
    pub(super) transports: BTreeMap<String, Transport<'a>>,
}

/// How heartbeats go over one transport.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(crate) struct Transport<'a> {
    /// Where it stands: missed are the beats in a row.
    #[cfg_attr(
        test,
        schemars(regex(pattern = r"^(Pending|Alive|Missed\([0-9]+\)|Failed|StandingBy)$"))
    )]
    pub(super) state: String,
    /// The number of the last heartbeat.
    pub(super) sequence: u64,
    /// When one was last acknowledged.
    #[cfg_attr(test, schemars(extend("format" = "date-time")))]
    pub(super) last_success: Option<String>,
    /// How long that is ago.
    pub(super) age_seconds: Option<f64>,
    /// So many attempts in a row failed.
    pub(super) consecutive_failures: u32,
    /// So many beats were missed since the start.
    pub(super) missed: u64,
    /// From the last heartbeat to its acknowledgement.
    pub(super) rtt_seconds: Option<f64>,
    /// Why the last attempt failed, if it did.
    pub(super) error: Option<&'a str>,
}
