//! `manifests`: what is applied to a control plane before an agent runs.

use std::process::ExitCode;

use anyhow::Context;
use health_transport_lease::LeaseConfig;
use health_transport_lease::manifests;
use serde_json::Value;

use crate::config::AgentConfig;
use crate::run::say;

/// The names of the roles of an agent, before the target's name.
const ROLE: &str = "syncer-health";

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

fn print(objects: &[Value]) -> anyhow::Result<ExitCode> {
    for object in objects {
        let yaml = serde_saphyr::to_string(object).context("cannot write the manifest")?;
        say(&mut std::io::stdout(), &format!("---\n{}", yaml.trim_end()));
    }
    Ok(ExitCode::SUCCESS)
}
