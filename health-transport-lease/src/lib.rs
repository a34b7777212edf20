//! Heartbeats over the Kubernetes API: as renewals of a Lease, and as writes of a SyncTarget's
//! status with a condition that says how the agent is. For a hub: its verdicts as a condition
//! ([`VerdictWriter`]), who may beat for a target ([`AccessReviewer`]), and which of several hubs
//! leads ([`Leader`]).
//!
//! This crate deliberately decides nothing about health and silence: it says who holds a Lease and
//! what stands on an object, and tells a hub what changed about any of them ([`watch`]). It never
//! guesses a cluster, and never retries inside a deadline that somebody else set.
//!
//! Every decision is in a pure half ([`plan()`], [`LeaseMachine`], [`StatusMachine`],
//! [`WriteLimiter`], [`VerdictMachine`], [`merge`], [`watch::WatchMachine`],
//! [`watch::Sightings`]), which takes `now` as an argument and makes no call. The shells
//! ([`LeaseTransport`], [`SyncTargetTransport`], [`VerdictWriter`], [`watch::Watcher`]) make the
//! calls that those want.
//!
//! ```no_run
//! use std::time::Duration;
//! use health_heartbeat::Identity;
//! use health_transport_lease::{ClusterConfig, LeaseConfig, LeaseTransport};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let identity = Identity { slot: "pod-1".into(), incarnation: "7f3a".into() };
//! let cluster = ClusterConfig {
//!     kubeconfig: "/etc/kcp/kubeconfig".to_owned(),
//!     workspace: "root:org:edge".to_owned(),
//!     ..ClusterConfig::default()
//! };
//! let Some(cluster) = cluster.connect(None, Duration::from_secs(5)).await? else {
//!     return Ok(());
//! };
//! let lease = LeaseConfig::new("default", "", "edge-1")?;
//! let transport = LeaseTransport::new(cluster, &lease, "edge-1", &identity, 42);
//! let tenure = transport.held();
//! # Ok(())
//! # }
//! ```
//!
//! As with every library on kube, the binary chooses the version of Kubernetes: it depends on
//! `k8s-openapi` with a feature such as `v1_33`.
//!
//! # Crate features
//!
//! - `testing`: the module `testing`, a pure model of an API server.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod config;

mod cluster;

mod plan;

mod label;

mod record;

mod tenure;

mod lease_machine;

mod keeper;

mod synctarget;

mod verdict;

mod access;

mod leader;

pub mod watch;

pub mod manifests;

mod call;

mod http_form;

mod exchange;

mod api;

mod error;

pub mod names;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use access::fuzz_review;
pub use access::{Access, AccessConfig, AccessReviewer};
pub use api::slept;
pub use call::{ApiError, Call, ErrorKind, Output, Reply, Verb};
pub use cluster::{Cluster, ClusterConfig, ClusterError, ClusterKey};
pub use config::{InvalidConfig, LeaseConfig, SyncTargetConfig, check_name};
pub use http_form::{Objects, RawRequest, RawResponse};
pub use keeper::{LeaseTransport, WallClock};
pub use label::target_label;
pub use leader::{Leader, LeaderConfig, Leadership};
pub use lease_machine::{LeaseEvent, LeaseInput, LeaseMachine, LeaseOutcome, LeaseOutput};
pub use plan::{Claim, Observed, Plan, Sight, plan};
pub use record::{
    LeaseObject, Renewal, duration_seconds, micro_time, owner_reference, whole_seconds,
};
pub use synctarget::{
    Change, Condition, ConditionStatus, Decision, Dialect, HeartbeatField, Severity, StatusEvent,
    StatusInput, StatusMachine, StatusOutcome, StatusOutput, SyncTargetTransport, UnknownField,
    WriteLimiter, merge,
};
pub use tenure::{Held, Tenure};
pub use verdict::{
    FlightId, LastSign, Silence, Standing, VerdictConfig, VerdictEvent, VerdictInput,
    VerdictMachine, VerdictOutput, VerdictStatus, VerdictWriter, Wish, WishKind,
};

/// The README's example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
