//! Reads what stands on the server now, before somebody is convicted by what a watch told.

use std::time::Instant;

use super::config::WatchConfig;
use super::sight::LeaseSight;
use super::sight::TargetSight;
use super::watched::Watched;
use crate::api::BODY_MAX;
use crate::api::NO_ANSWER;
use crate::api::now;
use crate::call::ApiError;
use crate::call::ErrorKind;
use crate::call::Reply;
use crate::cluster::Cluster;
use crate::exchange::Exchange;
use crate::http_form::RawRequest;
use crate::record::LeaseObject;

/// Reads one target's objects live.
///
/// What it sees is compared with nothing: each sight says `First`. Whether it is evidence is said
/// by its mark and that of the last sight: [`LeaseMark::change_to`](super::LeaseMark::change_to),
/// [`TargetMark::change_to`](super::TargetMark::change_to). The watch may tell the same change once
/// more, with the same mark. How often to read is a [`ReadLimiter`](super::ReadLimiter)'s decision.
#[derive(Debug)]
pub struct LiveReader {
    exchange: Exchange,
    config: WatchConfig,
}

/// A target has one Lease, and in a change of its name two; those that come later in the order of
/// names are not read.
const LEASES_MAX: usize = 64;

// === impl LiveReader ===

impl LiveReader {
    /// A reader of this workspace; `config` says where the Leases are and how long a call may take.
    #[must_use]
    pub const fn new(cluster: Cluster, config: WatchConfig) -> Self {
        Self {
            exchange: Exchange::new(cluster),
            config,
        }
    }

    /// The Leases that name this target.
    ///
    /// # Errors
    ///
    /// If they cannot be read until `by`, or within the time of a call. That says nothing about the
    /// target.
    ///
    /// # Cancel safety
    ///
    /// Nothing is kept when the future is dropped.
    pub async fn leases(&self, target: &str, by: Instant) -> Result<Vec<LeaseSight>, ApiError> {
        let of = Watched::Leases {
            namespace: self.config.namespace().to_owned(),
        };
        let reply = self.ask(of.of_target(target, LEASES_MAX), by).await;
        let list = reply.map_err(|error| of.explain("read", error))?;
        let leases = list["items"].as_array().into_iter().flatten();
        let leases = leases.cloned().map(LeaseObject::from);
        Ok(leases
            .filter(|lease| lease.target() == Some(target))
            .map(|lease| LeaseSight::of(&lease, None))
            .collect())
    }

    /// The SyncTarget; nothing where it is not there.
    ///
    /// # Errors
    ///
    /// As [`leases`](Self::leases).
    ///
    /// # Cancel safety
    ///
    /// Nothing is kept when the future is dropped.
    pub async fn target(&self, target: &str, by: Instant) -> Result<Option<TargetSight>, ApiError> {
        let of = Watched::SyncTargets;
        match self.ask(of.of_target(target, 1), by).await {
            Ok(object) => Ok(Some(TargetSight::of(&object, None))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(of.explain("read", error)),
        }
    }

    async fn ask(&self, request: RawRequest, by: Instant) -> Reply {
        let by = by.min(now() + self.config.call_timeout());
        tokio::time::timeout_at(by.into(), self.exchange.ask(request, BODY_MAX))
            .await
            .unwrap_or_else(|_| Err(ApiError::new(ErrorKind::Timeout, NO_ANSWER)))
    }
}
