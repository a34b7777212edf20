//! A syncer that registers three components, records its syncs and serves probes. Run it with
//! `cargo run -p health-checks --example syncer`, and ask `curl -i http://127.0.0.1:8081/readyz`.
#![expect(clippy::print_stdout, reason = "an example talks to people")]

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use health_checks::checks::{DiskCheck, DiskConfig, SyncEngineCheck, SyncLimits, SyncRecorder};
use health_checks::checks::{TcpCheck, TcpConfig};
use health_checks::{HealthChecker, Monitor, MonitorConfig, Schedule};
use health_core::{ComponentSpec, LoopState, Probe};
use hyper::server::conn::http1;
use hyper::{Request, Response, StatusCode, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let syncs = SyncRecorder::new(Instant::now());
    let engine = SyncEngineCheck::new(syncs.clone(), SyncLimits::default());
    register(&monitor, "sync-engine", Arc::new(engine))?;
    let upstream = TcpCheck::new(TcpConfig::new("127.0.0.1:6443"))?;
    register(&monitor, "upstream", Arc::new(upstream))?;
    register(
        &monitor,
        "disk",
        Arc::new(DiskCheck::new(DiskConfig::new("/"))?),
    )?;
    tokio::spawn(async move {
        loop {
            // Here a syncer would sync.
            tokio::time::sleep(Duration::from_millis(20)).await;
            syncs.record_sync(Duration::from_millis(20));
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8081").await?;
    println!("probes answer on http://127.0.0.1:8081/livez, /readyz and /startupz");
    loop {
        let (stream, _) = listener.accept().await?;
        let monitor = monitor.clone();
        let service = service_fn(move |request| std::future::ready(answer(&monitor, &request)));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

fn register(
    monitor: &Monitor,
    name: &str,
    check: Arc<dyn HealthChecker>,
) -> Result<(), Box<dyn Error>> {
    let every = Schedule::new(Duration::from_secs(10), Duration::from_secs(2));
    let spec = ComponentSpec::new(name.parse()?).with_stale_after(every.stale_after());
    monitor.register(spec, every, check)?;
    Ok(())
}

fn answer(monitor: &Monitor, request: &Request<Incoming>) -> Result<Response<String>, Infallible> {
    let path = request.uri().path().trim_start_matches('/');
    let probe = Probe::ALL.into_iter().find(|probe| probe.path() == path);
    let now = Instant::now();
    let loops = [LoopState::of(monitor.pulse(), now)];
    let rules = monitor.probe_rules();
    let answer = probe.map(|probe| monitor.probe(probe, rules, &[], &loops, now));
    let (status, text) = match answer {
        Some(answer) if answer.holds => (StatusCode::OK, "ok".to_owned()),
        Some(answer) => (StatusCode::SERVICE_UNAVAILABLE, answer.message()),
        None => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(text);
    *response.status_mut() = status;
    Ok(response)
}
