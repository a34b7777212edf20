//! Subcommand: cargo xtask layers

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use anyhow::Context;
use serde_json::Value;
use xshell::Shell;
use xshell::cmd;

/// Which crates of ours each crate may depend on.
const ALLOWED: [(&str, &[&str]); 8] = [
    ("health-core", &[]),
    ("health-checks", &["health-core"]),
    ("health-heartbeat", &["health-core"]),
    ("health-transport-ws", &["health-core", "health-heartbeat"]),
    (
        "health-transport-lease",
        &["health-core", "health-heartbeat"],
    ),
    (
        "health-bin",
        &[
            "health-core",
            "health-checks",
            "health-heartbeat",
            "health-transport-ws",
            "health-transport-lease",
        ],
    ),
    // What tests depend on is free, and it has nothing else.
    ("simulation", &[]),
    ("xtask", &[]),
];

/// What only one crate may use directly, so that it can be replaced in one place.
const OWNED: [(&str, &str); 7] = [
    ("kube", "health-transport-lease"),
    ("tokio-tungstenite", "health-transport-ws"),
    ("axum", "health-bin"),
    ("tonic", "health-bin"),
    ("metrics-prometheus", "health-bin"),
    ("prometheus", "health-bin"),
    ("serde-saphyr", "health-bin"),
];

/// What must never be in the tree, and why.
const BANNED: [(&str, &str); 4] = [
    ("aws-lc-sys", "a second rustls provider, and it needs cmake"),
    ("openssl-sys", "it needs a system library"),
    ("serde_yaml", "it is not kept any more"),
    (
        "quanta",
        "its clock computes for up to 200 ms as it is made, and a start has 100",
    ),
];

/// The only dependencies that the core may have.
const CORE_MAY_USE: [&str; 3] = ["rustc-hash", "serde", "thiserror"];

/// Checks the edges between crates and what they bring in.
pub(crate) fn run(sh: &Shell) -> anyhow::Result<()> {
    let json = cmd!(
        sh,
        "cargo metadata --format-version 1 --locked --all-features"
    )
    .quiet()
    .read()?;
    let metadata: Value = serde_json::from_str(&json)?;
    let mut wrong = Vec::new();
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata lists packages")?;
    for package in packages {
        let name = text(&package["name"]);
        for (banned, why) in BANNED {
            if name == banned {
                wrong.push(format!("{banned} is in the tree: {why}"));
            }
        }
    }
    let members = members(&metadata, packages);
    let ours: BTreeSet<_> = members.keys().copied().collect();
    let known: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| *name).collect();
    if ours != known {
        wrong.push(format!(
            "the crates are {ours:?}, the layers know {known:?}"
        ));
    }
    for (name, allowed) in ALLOWED {
        for dependency in members.get(name).into_iter().flatten() {
            if ours.contains(dependency) && !allowed.contains(dependency) {
                wrong.push(format!("{name} must not depend on {dependency}"));
            }
            if let Some((_, owner)) = OWNED.iter().find(|(owned, _)| owned == dependency)
                && *owner != name
            {
                wrong.push(format!("{name} uses {dependency}, which only {owner} may"));
            }
            if name == "health-core" && !CORE_MAY_USE.contains(dependency) {
                wrong.push(format!(
                    "health-core uses {dependency}; it may use {CORE_MAY_USE:?}"
                ));
            }
        }
    }
    anyhow::ensure!(wrong.is_empty(), "layers:\n  {}", wrong.join("\n  "));
    println!("layers: {} crates, every edge points down", ours.len());
    Ok(())
}

/// Our crates with the normal dependencies of each; dev-dependencies are free.
fn members<'a>(metadata: &'a Value, packages: &'a [Value]) -> BTreeMap<&'a str, Vec<&'a str>> {
    let ids: BTreeSet<_> = metadata["workspace_members"]
        .as_array()
        .into_iter()
        .flatten()
        .map(text)
        .collect();
    packages
        .iter()
        .filter(|package| ids.contains(text(&package["id"])))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            (
                text(&package["name"]),
                normal.map(|dependency| text(&dependency["name"])).collect(),
            )
        })
        .collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
