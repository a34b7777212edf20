//! The Lease and the SyncTarget's status.

use std::ffi::OsStr;
use std::sync::Arc;

use health_heartbeat::TransportSetup;
use health_transport_lease::Cluster;
use health_transport_lease::ClusterConfig;
use health_transport_lease::ClusterError;
use health_transport_lease::LeaseConfig;
use health_transport_lease::LeaseTransport;
use health_transport_lease::SyncTargetTransport;
use health_transport_lease::slept;

use super::LeaseHeld;
use super::Parts;
use super::Transports;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Problem;
use crate::config::Problems;

/// Adds what the configuration asks for: the Lease first, since who holds it writes the status.
pub(super) async fn add(parts: &Parts<'_>, transports: &mut Transports) -> anyhow::Result<()> {
    let Parts {
        config,
        identity,
        seed,
        ..
    } = *parts;
    if !config.has_cluster(parts.kubeconfig_variable) {
        return Ok(());
    }
    let Some(cluster) = connect(parts).await? else {
        return Ok(());
    };
    let from = match &config.cluster {
        cluster if cluster.in_cluster => "cluster.inCluster",
        cluster if !cluster.kubeconfig.is_empty() => "cluster.kubeconfig",
        _ => "KUBECONFIG",
    };
    tracing::info!(
        server = cluster.server(),
        from,
        "the cluster of the heartbeats"
    );
    let target = &config.sync_target.name;
    let mut tenure = None;
    if config.heartbeat.lease.enabled {
        let lease = &config.heartbeat.lease;
        let lease = LeaseConfig::new(&lease.namespace, &lease.name, target)?;
        let transport = LeaseTransport::new(cluster.clone(), &lease, target, identity, seed);
        let held = transport.held();
        tenure = Some(held.clone());
        let is_held = move |now| held.borrow().is_held(now, slept());
        transports.lease_held = Some(LeaseHeld(Arc::new(is_held)));
        transports.setups.push(TransportSetup {
            transport: Box::new(transport),
            config: config.heartbeat_config()?,
            prompt: false,
        });
    }
    if config.sync_target_status.enabled {
        let status = config.sync_target_status_config()?;
        let mut transport = SyncTargetTransport::new(cluster, status, target, identity, seed);
        if let Some(tenure) = tenure {
            transport = transport.with_lease(tenure);
        }
        transports.setups.push(TransportSetup {
            transport: Box::new(transport),
            config: config.sync_target_heartbeat()?,
            prompt: true,
        });
    }
    Ok(())
}

/// Finds what is wrong with the files that say where the cluster is. Nobody is called.
pub(super) async fn check(
    config: &AgentConfig,
    kubeconfig_variable: Option<&str>,
    problems: &mut Problems,
) {
    if config.has_cluster(kubeconfig_variable) {
        let variable = kubeconfig_variable.map(OsStr::new);
        let checked = cluster_config(config).check(variable).await;
        problems.take(checked.map_err(unusable));
    }
}

async fn connect(parts: &Parts<'_>) -> anyhow::Result<Option<Cluster>> {
    let timeout = parts.config.heartbeat_config()?.timeout();
    let variable = parts.kubeconfig_variable.map(OsStr::new);
    let cluster = cluster_config(parts.config);
    let connected = cluster.connect(variable, timeout).await;
    Ok(connected.map_err(unusable)?)
}

fn cluster_config(config: &AgentConfig) -> ClusterConfig {
    ClusterConfig {
        kubeconfig: config.cluster.kubeconfig.clone(),
        context: config.cluster.context.clone(),
        in_cluster: config.cluster.in_cluster,
        workspace: config.sync_target.workspace.clone(),
    }
}

fn unusable(error: ClusterError) -> ConfigError {
    Problem::of_cluster(error, "syncTarget.workspace").into()
}
