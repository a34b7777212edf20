//! What `--help` teaches beyond the options: examples that work, and the exit codes.
//!
//! Every line that begins with `syncer-health` is parsed by a test.

/// The heading of the options that choose agents of a hub.
pub(super) const CHOOSING: &str = "Choose agents of a hub";

/// The commands in groups, in the order in which one needs them.
pub(super) const GROUPS: [(&str, &[&str]); 4] = [
    ("Run", &["run", "hub", "demo"]),
    ("Look", &["status", "probe"]),
    ("Set up", &["config", "manifests"]),
    ("Other", &["completions", "help"]),
];

#[cfg(feature = "hub")]
pub(super) const TOP: &str = "\
Examples:
  syncer-health demo                          see it work; nothing else is needed
  syncer-health run --config agent.yaml       beside a syncer
  syncer-health status                        how is the agent here?
  syncer-health status --url http://127.0.0.1:8083 --watch

Every command explains itself: syncer-health help COMMAND

Exit codes: 0; 1 it failed, or the probe says no; 2 usage or configuration.";

#[cfg(not(feature = "hub"))]
pub(super) const TOP: &str = "\
Examples:
  syncer-health run --config agent.yaml       beside a syncer
  syncer-health status                        how is the agent here?

Every command explains itself: syncer-health help COMMAND

Exit codes: 0; 1 it failed, or the probe says no; 2 usage or configuration.";

pub(super) const RUN: &str = "\
Examples:
  syncer-health config default > agent.yaml   a file to begin with
  syncer-health config check agent.yaml
  syncer-health run --config agent.yaml

Each key has an environment variable: SYNCER_HEALTH_HEARTBEAT_INTERVAL=5s is heartbeat.interval.

Exit codes: 0 ended by SIGTERM or SIGINT; 1 it failed; 2 the configuration is wrong.";

#[cfg(feature = "hub")]
pub(super) const HUB: &str = "\
Examples:
  syncer-health config default --hub > hub.yaml
  syncer-health hub --config hub.yaml
  syncer-health status --url http://127.0.0.1:8083

Each key has an environment variable: SYNCER_HEALTH_HUB_OPS_BIND=127.0.0.1:9083 is ops.bind.

Exit codes: 0 ended by SIGTERM or SIGINT; 1 it failed; 2 the configuration is wrong.";

#[cfg(feature = "hub")]
pub(super) const DEMO: &str = "\
Examples:
  syncer-health demo
  syncer-health demo --agents 20 --duration 1m
  syncer-health status --watch                in a second terminal: the first agent
  syncer-health status --url http://127.0.0.1:8083 --watch

Exit codes: 0 it ended cleanly; 1 it failed, for example where a port is taken; 2 usage.";

pub(super) const PROBE: &str = "\
Examples:
  syncer-health probe livez
  syncer-health probe readyz --url http://127.0.0.1:9081

In a pod, for an image without a shell or curl:
  readinessProbe:
    exec: { command: [syncer-health, probe, readyz] }

Exit codes: 0 it holds; 1 it does not, or nothing answers; 2 usage.";

pub(super) const STATUS: &str = "\
Examples:
  syncer-health status                             the agent on this machine
  syncer-health status --url http://127.0.0.1:8083 --watch
  syncer-health status --verdict lost,suspect      the silent of the hub on this machine
  syncer-health status root:org:edge/edge-1        one of its agents
  syncer-health status -o name --verdict lost --token-file /etc/hub/token
  syncer-health status -o json | jq .components

Exit codes: 0 whatever the health is (ask `probe` for that); 1 nothing answers, or it refuses;
2 usage.";

pub(super) const CONFIG: &str = "\
Examples:
  syncer-health config default > agent.yaml
  syncer-health config default --hub > hub.yaml
  syncer-health config check agent.yaml
  syncer-health config schema > agent.schema.json

An editor completes and checks a file that begins with this line:
  # yaml-language-server: $schema=agent.schema.json

Exit codes: 0; 2 the configuration is wrong: a line for each problem, FILE:LINE:COLUMN: KEY: what is
wrong and what would be right.";

#[cfg(feature = "transport-lease")]
pub(super) const MANIFESTS: &str = "\
Examples:
  syncer-health manifests crd | kubectl apply -f -
  syncer-health manifests rbac --config agent.yaml --service-account default:edge-1
  syncer-health manifests agent --config agent.yaml | kubectl apply -f -

Exit codes: 0; 1 the configuration names no target; 2 it is wrong.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  syncer-health completions bash > ~/.local/share/bash-completion/completions/syncer-health
  syncer-health completions zsh > ~/.zfunc/_syncer-health
  syncer-health completions fish > ~/.config/fish/completions/syncer-health.fish

For one session of bash only: source <(syncer-health completions bash)

Exit codes: 0; 2 usage.";
