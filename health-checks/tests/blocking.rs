//! Checks that never give their thread back, next to ones that do. A process of its own, so that
//! its threads can be counted.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use health_checks::CheckContext;
use health_checks::CheckError;
use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::Schedule;
use health_core::ComponentSpec;
use health_core::HealthStatus;
use health_core::Outcome;
use tokio::sync::watch;

const HEALTHY: usize = 50;

#[tokio::test]
async fn checks_that_block_their_threads_cost_nobody_else_anything() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let gate = Arc::new(Gate::default());
    let turn = Schedule::new(Duration::from_secs(1), Duration::from_millis(500));
    for name in ["parks", "spins"] {
        let checker = Arc::new(Blocks {
            gate: Arc::clone(&gate),
            spins: name == "spins",
        });
        monitor.register(spec(name), turn, checker).unwrap();
    }
    let runs = watch::Sender::new([0; HEALTHY]);
    let often = Schedule::new(Duration::from_millis(200), Duration::from_secs(2));
    for number in 0..HEALTHY {
        let checker = Arc::new(Counts {
            number,
            runs: runs.clone(),
        });
        let name = format!("healthy-{number}");
        monitor.register(spec(&name), often, checker).unwrap();
    }

    let began = Instant::now();
    let mut changes = monitor.changes();
    let timed_out = |name: &str| reason(&monitor, name) == "Timeout";
    let both = changes.wait_for(|_| timed_out("parks") && timed_out("spins"));
    both.await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "found out after {took:?}");

    let so_far = *runs.borrow();
    let mut counts = runs.subscribe();
    let all_went_on = counts.wait_for(|runs| {
        let mut both = runs.iter().zip(&so_far);
        both.all(|(now, then)| *now >= then + 3)
    });
    tokio::time::timeout(Duration::from_secs(20), all_went_on)
        .await
        .expect("everybody else goes on")
        .unwrap();

    let now = Instant::now();
    assert_eq!(monitor.pulse().stalled(now), None);
    assert!(now.duration_since(monitor.pulse().last()) < Duration::from_secs(2));
    for number in 0..HEALTHY {
        let health = monitor.component(&format!("healthy-{number}"), now);
        let health = health.unwrap();
        assert_eq!(health.status, HealthStatus::Healthy);
        assert_eq!(health.consecutive_failures, 0);
    }
    // Two that are stuck, two fresh workers, and perhaps one given up that is on its way out.
    assert!(threads() <= 6, "{} threads", threads());

    gate.open();
    let fine = |name: &str| reason(&monitor, name) == "Healthy";
    let both = changes.wait_for(|_| fine("parks") && fine("spins"));
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("what was stuck has turns again")
        .unwrap();
    monitor.shutdown().await;
}

/// Blocks its thread until the gate is open.
struct Blocks {
    gate: Arc<Gate>,
    spins: bool,
}

struct Counts {
    number: usize,
    runs: watch::Sender<[usize; HEALTHY]>,
}

#[derive(Default)]
struct Gate {
    is_open: AtomicBool,
    lock: Mutex<()>,
    opened: Condvar,
}

#[async_trait::async_trait]
impl HealthChecker for Blocks {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        if self.spins {
            while !self.gate.is_open.load(Ordering::SeqCst) {
                std::hint::spin_loop();
            }
        } else {
            let held = self.gate.lock.lock().unwrap();
            let is_closed = |_: &mut ()| !self.gate.is_open.load(Ordering::SeqCst);
            drop(self.gate.opened.wait_while(held, is_closed));
        }
        Ok(Outcome::healthy())
    }
}

#[async_trait::async_trait]
impl HealthChecker for Counts {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        self.runs.send_modify(|runs| runs[self.number] += 1);
        Ok(Outcome::healthy())
    }
}

impl Gate {
    fn open(&self) {
        let _held = self.lock.lock().unwrap();
        self.is_open.store(true, Ordering::SeqCst);
        self.opened.notify_all();
    }
}

fn spec(name: &str) -> ComponentSpec {
    ComponentSpec::new(name.parse().unwrap())
}

fn reason(monitor: &Monitor, name: &str) -> String {
    let health = monitor.component(name, Instant::now());
    health.unwrap().reason.to_string()
}

/// How many threads of this process run checks.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok())
        .filter(|name| name.starts_with("health-"))
        .count()
}
