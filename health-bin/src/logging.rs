//! Logs on stderr, as text or JSON.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::LogConfig;
use crate::config::LogFilter;
use crate::config::LogFormat;
use crate::config::LogLevel;

/// What is logged can be changed later.
static FILTER: OnceLock<reload::Handle<Targets, Registry>> = OnceLock::new();

/// Starts logging. What libraries say is shown from warnings up, unless all is traced.
///
/// A second call changes nothing: the first subscriber stays.
pub(crate) fn init(config: &LogConfig) {
    let (filter, handle) = reload::Layer::new(filter(&config.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match config.format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            registry
                .with(lines.with_ansi(ansi).with_target(false))
                .try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    // A second call, as from a test that runs two agents, is no error.
    if started.is_ok() {
        let _ = FILTER.set(handle);
    }
}

/// From now on that much is logged. The format stays.
pub(crate) fn set_level(config: &LogConfig) {
    if let Some(handle) = FILTER.get() {
        // Only a subscriber that is gone does not take it.
        let _ = handle.reload(filter(&config.level));
    }
}

fn filter(filter: &LogFilter) -> Targets {
    let level = level_of(filter.level);
    let libraries = if level == LevelFilter::TRACE {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    let ours = [
        "health_bin",
        "health_core",
        "health_checks",
        "health_heartbeat",
        "health_transport_ws",
        "health_transport_lease",
    ];
    // kube logs every failed call as an error, without its object; our own line names it.
    let kube = if level == LevelFilter::TRACE {
        level
    } else {
        LevelFilter::OFF
    };
    Targets::new()
        .with_default(libraries)
        .with_target("kube_client", kube)
        .with_targets(ours.map(|target| (target, level)))
        // Whoever names a part means it, one of a library too.
        .with_targets(
            filter
                .parts
                .iter()
                .map(|(part, level)| (part, level_of(*level))),
        )
}

const fn level_of(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
