//! From the command line to the thing that runs.

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use crate::agent::Agent;
use crate::agent::AgentSetup;
use crate::agent::identity;
use crate::cli;
use crate::cli::CheckTarget;
use crate::cli::Command;
use crate::cli::ConfigAction;
use crate::cli::DefaultTarget;
#[cfg(feature = "transport-lease")]
use crate::cli::Manifests;
use crate::cli::SchemaTarget;
use crate::cli::ServeArgs;
use crate::completions;
use crate::config;
use crate::config::AgentConfig;
use crate::config::ConfigError;
use crate::config::Environment;
use crate::configured;
use crate::gates::Gate;
use crate::gates::Gates;
#[cfg(feature = "hub")]
use crate::hub::HubSetup;
use crate::logging;
#[cfg(feature = "transport-lease")]
use crate::manifests;
use crate::probe;
use crate::process;
use crate::reload;
use crate::schemas;
use crate::signals;
use crate::status;
use crate::systemd::Manager;
use crate::telemetry;
use crate::telemetry::Exporter;

/// Usage or configuration.
const EXIT_CONFIG: u8 = 2;

/// Runs the program; every error ends up here: with its chain, on one line; what is wrong with a
/// configuration on a line each.
pub(crate) fn main() -> ExitCode {
    let cli = cli::parse();
    // With two rustls providers in a build none is the default, so one is chosen here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match dispatch(cli.command) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<ConfigError>() {
            // A line each, and each begins with its place, as compilers do it.
            Some(wrong) => {
                say(&mut std::io::stderr(), &wrong.to_string());
                ExitCode::from(EXIT_CONFIG)
            }
            None => {
                say(&mut std::io::stderr(), &format!("syncer-health: {error:#}"));
                ExitCode::FAILURE
            }
        },
    }
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    let environment: Environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    match command {
        Command::Run(args) => pulse(run(args, environment)),
        #[cfg(feature = "hub")]
        Command::Hub(args) => pulse(hub(args, environment)),
        #[cfg(feature = "hub")]
        Command::Demo(args) => pulse(crate::demo::run(args)),
        Command::Probe(args) => pulse(probe::run(args)),
        Command::Status(args) => pulse(status::run(args, &environment)),
        Command::Completions(args) => completions::run(&args),
        Command::Config(args) => match args.action {
            ConfigAction::Check(target) => pulse(check(target, environment)),
            ConfigAction::Default(target) => Ok(print_default(target)),
            ConfigAction::Schema(target) => Ok(print_schema(target)),
        },
        #[cfg(feature = "transport-lease")]
        Command::Manifests(args) => print_manifests(args.what, &environment),
    }
}

/// The files that the configuration names are those of another machine: none is opened.
#[cfg(feature = "transport-lease")]
fn print_manifests(what: Manifests, environment: &Environment) -> anyhow::Result<ExitCode> {
    match what {
        Manifests::Crd => manifests::crd(),
        Manifests::Rbac(args) => {
            let file = configured::read(args.config.as_deref())?;
            let config = configured::unchecked(&file, environment, config::AGENT_VARIABLES)?;
            manifests::rbac(&config, &args)
        }
        Manifests::Agent(args) => {
            let file = configured::read(Some(&args.config))?;
            // What this shell's environment says is not what the container's says.
            let none = Environment::new();
            let config = configured::unchecked(&file, &none, config::AGENT_VARIABLES)?;
            manifests::agent(&config, &file.text, &args)
        }
        #[cfg(feature = "hub")]
        Manifests::Hub(args) => {
            let file = configured::read(args.config.as_deref())?;
            let config = configured::unchecked(&file, environment, config::HUB_VARIABLES)?;
            manifests::hub(&config, &args)
        }
    }
}

/// Runs on the pulse runtime: one thread for our own loops. Checks have threads of their own.
fn pulse(main: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(main);
    // What still blocks a thread, as a name look-up, is not waited for.
    runtime.shutdown_background();
    code
}

async fn run(args: ServeArgs, environment: Environment) -> anyhow::Result<ExitCode> {
    let (path, gates) = (args.run.config, args.feature_gates);
    let source = configured::agent_source(path.clone(), environment.clone());
    let source = source.watched(gates.is_open(Gate::ConfigFileWatch));
    let loaded = configured::agent(path.as_deref(), &environment).await?;
    logging::init(&loaded.config.log);
    warn(&loaded.warnings);
    let run = run_agent(loaded.config, source, gates, environment);
    run.await
        .map_err(|error| configured::placed(error, &loaded.written))
}

#[cfg(feature = "hub")]
async fn hub(args: ServeArgs, environment: Environment) -> anyhow::Result<ExitCode> {
    let (path, gates) = (args.run.config, args.feature_gates);
    let source = configured::hub_source(path.clone(), environment.clone());
    let source = source.watched(gates.is_open(Gate::ConfigFileWatch));
    let loaded = configured::hub(path.as_deref(), &environment).await?;
    logging::init(&loaded.config.log);
    warn(&loaded.warnings);
    let manager = Manager::of(&environment);
    let setup = HubSetup {
        config: loaded.config,
        kubeconfig_variable: environment.get("KUBECONFIG").cloned(),
        identity: identity("", &environment),
        gates,
    };
    let run = crate::hub::run(setup, source, manager);
    run.await
        .map_err(|error| configured::placed(error, &loaded.written))
}

async fn run_agent(
    config: AgentConfig,
    source: reload::Source<AgentConfig>,
    gates: Gates,
    environment: Environment,
) -> anyhow::Result<ExitCode> {
    let manager = Manager::of(&environment);
    let mut signals = signals::Signals::install()?;
    let exporter = Exporter::install(&[telemetry::CHECK_DURATIONS])?;
    gates.tell();
    let setup = AgentSetup {
        identity: identity(&config.identity, &environment),
        kubeconfig_variable: environment.get("KUBECONFIG").cloned(),
        config: config.clone(),
        exporter,
        process: process::spawn_sampler(),
        seed: rand_seed(),
    };
    let mut agent = Agent::start(setup).await?;
    manager.ready(agent.look());
    reload::until_end(&mut agent, config, source, &mut signals, &manager).await;
    let drain_delay = agent.drain_delay();
    manager.stopping("ending: readiness fails first");
    tracing::info!(
        ?drain_delay,
        "ending: readiness fails first; a second signal aborts"
    );
    tokio::select! {
        () = agent.stop(drain_delay) => Ok(ExitCode::SUCCESS),
        () = signals.end() => anyhow::bail!("aborted by a second signal"),
    }
}

/// Looks at a configuration as a start does, and at nothing else.
async fn check(target: CheckTarget, environment: Environment) -> anyhow::Result<ExitCode> {
    let path = target.file();
    #[cfg(feature = "hub")]
    let warnings = match target.hub {
        true => configured::hub(path, &environment).await?.warnings,
        false => configured::agent(path, &environment).await?.warnings,
    };
    #[cfg(not(feature = "hub"))]
    let warnings = configured::agent(path, &environment).await?.warnings;
    for warning in warnings {
        say(&mut std::io::stderr(), &format!("warning: {warning}"));
    }
    say(&mut std::io::stdout(), "the configuration is right");
    Ok(ExitCode::SUCCESS)
}

fn print_default(target: DefaultTarget) -> ExitCode {
    let mut stdout = std::io::stdout();
    #[cfg(feature = "hub")]
    if target.hub {
        say(&mut stdout, config::HUB_DEFAULT.trim_end());
        return ExitCode::SUCCESS;
    }
    let DefaultTarget { .. } = target;
    say(&mut stdout, config::AGENT_DEFAULT.trim_end());
    ExitCode::SUCCESS
}

fn print_schema(target: SchemaTarget) -> ExitCode {
    let mut stdout = std::io::stdout();
    #[cfg(feature = "hub")]
    if target.hub {
        say(&mut stdout, schemas::HUB.trim_end());
        return ExitCode::SUCCESS;
    }
    let schema = match target.report {
        true => schemas::REPORT,
        false => schemas::AGENT,
    };
    say(&mut stdout, schema.trim_end());
    ExitCode::SUCCESS
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// A seed for jitter: it must differ from agent to agent, and need not be secret.
pub(crate) fn rand_seed() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().0
}

/// Writes a line; a reader that has gone is no reason to fail.
pub(crate) fn say(out: &mut impl Write, line: &str) {
    let _ = writeln!(out, "{line}");
}
