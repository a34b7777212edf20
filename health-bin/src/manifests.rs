//! `manifests`: what is applied to a control plane before an agent runs.

use std::process::ExitCode;

use anyhow::Context;
use health_transport_lease::LeaseConfig;
use health_transport_lease::manifests;
use serde_json::Value;

use crate::config::AgentConfig;
#[cfg(feature = "hub")]
use crate::config::HubConfig;
use crate::run::say;

/// The names of the roles of an agent, before the target's name.
const ROLE: &str = "syncer-health";

/// The name of a hub's roles.
#[cfg(feature = "hub")]
const HUB_ROLE: &str = "syncer-health-hub";

/// Prints the SyncTarget's definition.
pub(crate) fn crd() -> anyhow::Result<ExitCode> {
    print(&[manifests::crd()])
}

/// Prints the least rights of the agent of this configuration.
pub(crate) fn rbac(config: &AgentConfig) -> anyhow::Result<ExitCode> {
    let target = &config.sync_target.name;
    anyhow::ensure!(
        !target.is_empty(),
        "syncTarget.name is empty; the rights are for one target"
    );
    let section = &config.heartbeat.lease;
    let lease = LeaseConfig::new(&section.namespace, &section.name, target)?;
    let name = format!("{ROLE}-{target}");
    let mut roles = Vec::new();
    if section.enabled {
        roles.push(manifests::lease_role(
            &name,
            lease.namespace(),
            lease.name(),
            true,
        ));
    }
    roles.push(manifests::target_role(&name, target));
    print(&roles)
}

/// Prints the least rights of the hub of this configuration: those in each workspace that it
/// watches and, where several hubs lead in turn, those for their Lease in the kubeconfig's own.
#[cfg(feature = "hub")]
pub(crate) fn hub(config: &HubConfig) -> anyhow::Result<ExitCode> {
    let cluster = &config.cluster;
    let rights = manifests::HubRights {
        namespace: &cluster.namespace,
        write_conditions: cluster.write_conditions,
        token_review: config.auth.token_review,
    };
    let mut roles = manifests::hub_roles(HUB_ROLE, rights);
    if cluster.leader_lease.enabled {
        roles.push(manifests::lease_role(
            &format!("{HUB_ROLE}-leader"),
            &cluster.namespace,
            &cluster.leader_lease.name,
            true,
        ));
    }
    print(&roles)
}

fn print(objects: &[Value]) -> anyhow::Result<ExitCode> {
    for object in objects {
        let yaml = serde_saphyr::to_string(object).context("cannot write the manifest")?;
        say(&mut std::io::stdout(), &format!("---\n{}", yaml.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}
