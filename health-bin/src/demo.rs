//! `demo`: a hub and some agents in one process on loopback. No cluster is touched.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use health_checks::Schedule;
use health_checks::checks::SyncEngineCheck;
use health_checks::checks::SyncLimits;
use health_checks::checks::SyncRecorder;
use health_core::ComponentName;
use health_core::ComponentSpec;
use health_core::Paired;
use health_heartbeat::Identity;
use tracing::Instrument;

use crate::agent::Agent;
use crate::agent::AgentSetup;
use crate::agent::identity;
use crate::cli::DemoArgs;
use crate::config::AgentConfig;
use crate::config::ConfigDuration;
use crate::config::Environment;
use crate::config::HubConfig;
use crate::config::LogConfig;
use crate::gates::Gates;
use crate::hub::Hub;
use crate::hub::HubSetup;
use crate::logging;
use crate::process;
use crate::run::rand_seed;
use crate::run::say;
use crate::signals::Signals;
use crate::telemetry;
use crate::telemetry::Exporter;

mod engine;

/// The demo's workspace.
const WORKSPACE: &str = "root:demo";

/// Shorter than in production, so that something happens while one looks.
const BEAT: ConfigDuration = ConfigDuration::secs(2);
const TIMEOUT: ConfigDuration = ConfigDuration::secs(6);
const CHECK_EVERY: Duration = Duration::from_secs(1);

/// Runs until Ctrl-C or for the given duration, and ends cleanly.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    logging::init(&LogConfig::default());
    let mut signals = Signals::install()?;
    let exporter = Exporter::install(&[telemetry::CHECK_DURATIONS, telemetry::CLOCK_SKEWS])?;
    let process = process::spawn_sampler();
    let mut hub = HubSetup {
        config: HubConfig::default(),
        kubeconfig_variable: None,
        identity: identity("demo-hub", &Environment::new()),
        gates: Gates::default(),
    };
    hub.config.server.bind = free(hub.config.server.bind.port());
    hub.config.ops.bind = free(hub.config.ops.bind.port());
    let hub = Hub::start(&hub, exporter.clone(), process.clone()).await?;
    let mut agents = Vec::new();
    for number in 1..=args.agents {
        let setup = AgentSetup {
            config: agent_config(number, hub.server_address()),
            kubeconfig_variable: None,
            identity: Identity {
                slot: format!("demo-{number}").as_str().into(),
                incarnation: uuid::Uuid::new_v4().simple().to_string().as_str().into(),
            },
            exporter: exporter.clone(),
            process: process.clone(),
            seed: rand_seed(),
        };
        let span = tracing::info_span!("agent", name = setup.config.sync_target.name);
        let agent = Agent::start(setup).instrument(span.clone()).await?;
        start_engine(&agent, number)?;
        agents.push((agent, span));
    }
    print_where_to_look(&hub, &agents);
    let duration = args.duration.map(|duration| duration.0);
    tokio::select! {
        () = signals.end() => {}
        () = sleep_or_forever(duration) => {}
    }
    say(&mut std::io::stdout(), "\nending cleanly ...");
    let end = async {
        let mut ends = tokio::task::JoinSet::new();
        for (agent, span) in agents {
            ends.spawn(agent.stop(Duration::ZERO).instrument(span));
        }
        ends.join_all().await;
        hub.stop().await;
    };
    tokio::select! {
        () = end => {}
        () = signals.end() => anyhow::bail!("aborted by a second signal"),
    }
    say(&mut std::io::stdout(), "ended");
    Ok(ExitCode::SUCCESS)
}

/// The first agent is on the default port if that is free, the others on free ones.
fn agent_config(number: u32, hub: SocketAddr) -> AgentConfig {
    let mut config = AgentConfig::default();
    config.server.bind = match number {
        1 => free(config.server.bind.port()),
        _ => loopback(0),
    };
    config.sync_target.name = format!("edge-{number}");
    WORKSPACE.clone_into(&mut config.sync_target.workspace);
    config.cluster.enabled = false;
    config.heartbeat.interval = BEAT;
    config.heartbeat.timeout = TIMEOUT;
    config.heartbeat.websocket.url = format!("ws://{hub}/tunnel");
    config
}

/// Registers a simulated sync engine whose queue and errors visibly rise and fall.
fn start_engine(agent: &Agent, number: u32) -> anyhow::Result<()> {
    let recorder = SyncRecorder::new(std::time::Instant::now());
    // The first one, at which people look first, is well when it begins.
    tokio::spawn(engine::run(recorder.clone(), number - 1));
    let name: ComponentName = "sync-engine".parse()?;
    let limits = SyncLimits {
        queue_depth: Paired {
            degraded: Some(60.0),
            unhealthy: Some(90.0),
        },
        error_rate: Paired {
            degraded: Some(0.2),
            unhealthy: Some(0.5),
        },
        latency_seconds: Paired::default(),
    };
    let schedule = Schedule::new(CHECK_EVERY, CHECK_EVERY);
    let spec = ComponentSpec::new(name.clone()).with_stale_after(schedule.stale_after());
    let check = SyncEngineCheck::new(recorder, limits);
    agent.monitor().register(spec, schedule, Arc::new(check))?;
    agent.set_sync_engine(name);
    Ok(())
}

fn print_where_to_look(hub: &Hub, agents: &[(Agent, tracing::Span)]) {
    let mut out = std::io::stdout();
    let program = std::env::args().next();
    let program = program.unwrap_or_else(|| "syncer-health".to_owned());
    let ops = hub.ops_address();
    say(
        &mut out,
        "\nA hub and its agents run in this process. Look at the fleet, in a browser or here:\n",
    );
    say(&mut out, &format!("  http://{ops}/"));
    let status = format!("  {program} status --url http://{ops} --watch");
    say(&mut out, &status);
    say(&mut out, &format!("  curl -s http://{ops}/fleet"));
    say(
        &mut out,
        &format!("  curl -s http://{ops}/fleet/{WORKSPACE}/edge-1"),
    );
    say(&mut out, &format!("  curl -s http://{ops}/metrics"));
    say(
        &mut out,
        "\nand at each agent. Its queue rises and falls within a minute; while that is long, the agent is\n\
         Degraded and /readyz answers 503:\n",
    );
    for (number, (agent, _)) in agents.iter().enumerate().take(3) {
        let address = agent.address();
        say(&mut out, &format!("  edge-{}", number + 1));
        for path in ["livez", "readyz?verbose", "startupz", "report", "metrics"] {
            say(&mut out, &format!("    curl -s 'http://{address}/{path}'"));
        }
    }
    if agents.len() > 3 {
        say(&mut out, &format!("  ... and {} more", agents.len() - 3));
    }
    say(&mut out, "\nCtrl-C ends it.\n");
}

async fn sleep_or_forever(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// This port, or any where somebody has it.
fn free(port: u16) -> SocketAddr {
    let address = loopback(port);
    match std::net::TcpListener::bind(address) {
        Ok(_) => address,
        Err(_) => loopback(0),
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}
