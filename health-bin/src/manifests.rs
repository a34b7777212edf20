//! `manifests`: what is applied to a control plane before an agent runs, and the agent itself.

use std::process::ExitCode;

use anyhow::Context;
use health_transport_lease::LeaseConfig;
use health_transport_lease::manifests;
use serde_json::Value;

use crate::cli::AgentManifestsArgs;
use crate::cli::RightsArgs;
use crate::config::AgentConfig;
#[cfg(feature = "hub")]
use crate::config::HubConfig;
use crate::run::say;

mod agent;

mod rights;

use rights::Rights;

/// The names that the objects have.
mod names {
    /// What it all belongs to; an agent's roles have the target's name behind it.
    pub(super) const APPLICATION: &str = "syncer-health";

    /// The port of gRPC health.
    pub(super) const GRPC: &str = "grpc";

    /// An agent in the cluster that it runs in.
    pub(super) const AGENT: &str = "syncer-health-agent";

    /// A hub's roles.
    #[cfg(feature = "hub")]
    pub(super) const HUB: &str = "syncer-health-hub";
}

/// Prints the SyncTarget's definition.
pub(crate) fn crd() -> anyhow::Result<ExitCode> {
    print(&[manifests::crd()])
}

/// Prints the least rights of the agent of this configuration, and who has them if that is said.
pub(crate) fn rbac(config: &AgentConfig, args: &RightsArgs) -> anyhow::Result<ExitCode> {
    print(&agent_rights(config)?.objects(&rights::subjects(args)))
}

/// Prints the agent of this configuration as a Deployment. Its rights are printed too where they
/// are for the cluster that it runs in; elsewhere they are for another server.
pub(crate) fn agent(
    config: &AgentConfig,
    text: &str,
    args: &AgentManifestsArgs,
) -> anyhow::Result<ExitCode> {
    let source = agent::Source {
        config,
        text,
        namespace: &args.namespace,
        image: &args.image,
    };
    let mut objects = agent::objects(&source)?;
    if config.cluster.enabled && config.cluster.in_cluster {
        let subject = agent::subject(&args.namespace);
        objects.extend(agent_rights(config)?.objects(&[subject]));
    }
    print(&objects)
}

fn agent_rights(config: &AgentConfig) -> anyhow::Result<Rights> {
    let target = &config.sync_target.name;
    anyhow::ensure!(
        !target.is_empty(),
        "syncTarget.name is empty; the rights are for one target"
    );
    let section = &config.heartbeat.lease;
    let lease = LeaseConfig::new(&section.namespace, &section.name, target)?;
    let name = format!("{}-{target}", names::APPLICATION);
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
    Ok(Rights {
        name,
        roles,
        is_kcp: !config.sync_target.workspace.is_empty(),
    })
}

/// Prints the least rights of the hub of this configuration: those in each workspace that it
/// watches and, where several hubs lead in turn, those for their Lease in the kubeconfig's own; and
/// who has them if that is said.
#[cfg(feature = "hub")]
pub(crate) fn hub(config: &HubConfig, args: &RightsArgs) -> anyhow::Result<ExitCode> {
    let cluster = &config.cluster;
    let hub = manifests::HubRights {
        namespace: &cluster.namespace,
        write_conditions: cluster.write_conditions,
        token_review: config.auth.token_review,
    };
    let mut roles = manifests::hub_roles(names::HUB, hub);
    if cluster.leader_lease.enabled {
        roles.push(manifests::lease_role(
            &format!("{}-leader", names::HUB),
            &cluster.namespace,
            &cluster.leader_lease.name,
            true,
        ));
    }
    let rights = Rights {
        name: names::HUB.to_owned(),
        roles,
        is_kcp: !cluster.workspaces.is_empty(),
    };
    print(&rights.objects(&rights::subjects(args)))
}

fn print(objects: &[Value]) -> anyhow::Result<ExitCode> {
    for object in objects {
        let yaml = serde_saphyr::to_string(object).context("cannot write the manifest")?;
        say(&mut std::io::stdout(), &format!("---\n{}", yaml.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}
