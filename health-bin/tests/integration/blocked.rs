//! A check that blocks its thread for good changes nothing about heartbeats and probes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use async_trait::async_trait;
use health_checks::CheckContext;
use health_checks::CheckError;
use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::Schedule;
use health_core::ComponentSpec;
use health_core::HealthStatus;
use health_core::Outcome;
use health_core::Probe;
use health_core::ProbeRules;
use health_heartbeat::Acknowledgement;
use health_heartbeat::AgentState;
use health_heartbeat::BeatError;
use health_heartbeat::Heartbeat;
use health_heartbeat::HeartbeatConfig;
use health_heartbeat::HeartbeatTransport;
use health_heartbeat::Heartbeater;
use health_heartbeat::HeartbeaterConfig;
use health_heartbeat::Identity;
use health_heartbeat::Requirement;
use health_heartbeat::TransportName;
use health_heartbeat::TransportSetup;

use crate::support::eventually;
use crate::support::secs;

/// How long the blocked checks block: far longer than anything here waits.
static LET_GO: AtomicBool = AtomicBool::new(false);

/// Uses its thread up without ever yielding.
struct Spins;

/// Puts its thread to sleep without ever yielding.
struct Sleeps;

/// Works.
struct Works;

#[tokio::test(flavor = "current_thread")]
async fn blocked_checks_change_nothing_about_heartbeats_and_probes() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let schedule = Schedule::new(Duration::from_millis(500), secs(1));
    for (name, checker) in [
        ("spins", Arc::new(Spins) as Arc<dyn HealthChecker>),
        ("sleeps", Arc::new(Sleeps)),
        ("works", Arc::new(Works)),
    ] {
        let spec = ComponentSpec::new(name.parse().expect("a name"))
            .with_stale_after(schedule.stale_after());
        monitor
            .register(spec, schedule, checker)
            .expect("the name is free");
    }
    let beats = Arc::new(AtomicUsize::new(0));
    let heartbeater = heartbeater(&monitor, Arc::clone(&beats));
    for blocked in ["spins", "sleeps"] {
        eventually(
            &format!("{blocked} is Unhealthy, Timeout"),
            secs(5),
            || async {
                let health = monitor.component(blocked, Instant::now())?;
                let timed_out = health.reason.as_str() == "Timeout";
                (timed_out && health.status == HealthStatus::Unhealthy).then_some(())
            },
        )
        .await;
    }
    // Watched for long after both block: that this goes on at all is what is shown, and that
    // nothing on the way was missed.
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = Instant::now();
        let works = monitor.component("works", now).expect("it is registered");
        assert_eq!(works.status, HealthStatus::Healthy, "{works:?}");
        let livez = monitor.probe(Probe::Liveness, ProbeRules::default(), &[], &[], now);
        let readyz = monitor.probe(Probe::Readiness, ProbeRules::default(), &[], &[], now);
        assert!(livez.holds && !readyz.holds, "{livez:?} {readyz:?}");
        assert_eq!(
            heartbeater.snapshot().transports[0].state,
            AgentState::Alive
        );
    }
    let beats = beats.load(Ordering::Relaxed);
    assert!(
        beats >= 6,
        "{beats} beats in more than 3 s, one is due every 500 ms"
    );
    assert_eq!(heartbeater.snapshot().transports[0].missed, 0);
    LET_GO.store(true, Ordering::Relaxed);
    monitor.shutdown().await;
}

/// The same with the whole program: the agent's probes are asked while its checks hang on a server
/// that accepts and never answers.
#[tokio::test]
async fn a_service_that_never_answers_is_a_timeout_and_the_probes_go_on() {
    use crate::support::Program;
    use crate::support::get;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let silent: SocketAddr = listener.local_addr().expect("a listener has an address");
    let config = format!(
        "
server: {{ bind: '127.0.0.1:0' }}
checks:
  interval: 500ms
  timeout: 500ms
  components: [{{ name: silent, http: {{ url: 'http://{silent}/readyz' }} }}]
"
    );
    let agent = Program::start("run", &config, &[]);
    let address = agent.address("address").await;
    eventually("silent is shown as Timeout", secs(5), || async {
        let answer = get(address, "/readyz", &[]).await?;
        answer
            .body
            .contains("[-]silent Unhealthy (Timeout)")
            .then_some(())
    })
    .await;
    assert_eq!(get(address, "/livez", &[]).await.unwrap().status, 200);
}

fn heartbeater(monitor: &Monitor, beats: Arc<AtomicUsize>) -> Heartbeater {
    let config = HeartbeaterConfig {
        identity: Identity {
            slot: "alice".into(),
            incarnation: "1".into(),
        },
        requirement: Requirement::Any,
        seed: 1,
        source: Arc::new(monitor.clone()),
        changes: monitor.changes(),
    };
    let interval = Duration::from_millis(500);
    let setup = TransportSetup {
        transport: Box::new(Counts(beats)),
        config: HeartbeatConfig::new(interval, interval * 4, 3).expect("they fit together"),
        prompt: false,
    };
    Heartbeater::spawn(&config, vec![setup])
}

/// A transport that counts how often it was asked to beat.
struct Counts(Arc<AtomicUsize>);

#[async_trait]
impl HeartbeatTransport for Counts {
    fn name(&self) -> TransportName {
        TransportName("counts")
    }

    async fn beat(&mut self, beat: &Heartbeat, _by: Instant) -> Result<Acknowledgement, BeatError> {
        assert_ne!(
            beat.carried.verdict.status,
            HealthStatus::Healthy,
            "two checks hang"
        );
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Acknowledgement::default())
    }

    async fn release(&mut self, _by: Instant) -> Result<(), BeatError> {
        Ok(())
    }
}

#[async_trait]
impl HealthChecker for Spins {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        while !LET_GO.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
        Ok(Outcome::healthy())
    }
}

#[async_trait]
impl HealthChecker for Sleeps {
    #[expect(
        clippy::disallowed_methods,
        reason = "blocking the thread is what is tested"
    )]
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        while !LET_GO.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        Ok(Outcome::healthy())
    }
}

#[async_trait]
impl HealthChecker for Works {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        Ok(Outcome::healthy())
    }
}
