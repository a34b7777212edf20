//! Every option of the monitor, of a schedule and of a component changes what they do.
//!
//! Spring Boot #28882: the cache's time to live was an option that nobody read. How the monitor's
//! seed moves the turns, and all options of pushed results, are tested beside their code.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread::ThreadId;
use std::time::Duration;
use std::time::Instant;

use health_checks::CheckContext;
use health_checks::CheckError;
use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::Schedule;
use health_core::ComponentSpec;
use health_core::Criticality;
use health_core::HealthSource;
use health_core::Outcome;
use health_core::Probe;
use health_core::ProbeRules;
use health_core::Scope;
use health_core::Thresholds;
use tokio::sync::Barrier;

use crate::support::Does;
use crate::support::Gate;
use crate::support::Told;
use crate::support::ms;
use crate::support::rarely;
use crate::support::spec;
use crate::support::until;

const CHECKS: usize = 4;

#[tokio::test]
async fn pitfall_41_the_rules_of_a_monitor_are_those_of_what_it_carries() {
    for ready_when_degraded in [false, true] {
        let rules = ProbeRules {
            ready_when_degraded,
        };
        let monitor = Monitor::spawn(MonitorConfig::default().with_probe_rules(rules));
        let reporter = monitor.register_reported(spec("it")).unwrap();
        reporter.report(Outcome::degraded("Slow", ""));
        let carried = monitor.carried(Instant::now());
        assert_eq!(carried.readiness.holds, ready_when_degraded);
    }
}

#[tokio::test]
async fn pitfall_41_concurrency_bounds_how_many_checks_run_at_a_time() {
    // Together they pass a barrier that none of them passes alone.
    let monitor = Monitor::spawn(MonitorConfig::default());
    let meeting = Arc::new(Meets {
        barrier: Barrier::new(CHECKS),
        ..Meets::new()
    });
    register_all(&monitor, &meeting);
    until("all met", || meeting.ended() == CHECKS).await;
    assert_eq!(meeting.most(), CHECKS);

    let monitor = Monitor::spawn(MonitorConfig::default().with_concurrency(1));
    let alone = Arc::new(Meets::new());
    register_all(&monitor, &alone);
    until("all had their turn", || alone.ended() == CHECKS).await;
    assert_eq!(alone.most(), 1);
}

#[tokio::test]
async fn pitfall_41_workers_is_how_many_threads_the_checks_share() {
    for workers in [1, 3] {
        let monitor = Monitor::spawn(MonitorConfig::default().with_workers(workers));
        let checker = Arc::new(Meets {
            // As many as there are threads hold one each until all of them do.
            threads_meet: Some(std::sync::Barrier::new(workers)),
            ..Meets::new()
        });
        for number in 0..workers {
            let name = spec(&format!("c{number}"));
            monitor.register(name, rarely(), checker.clone()).unwrap();
        }
        until("all met", || checker.ended() == workers).await;
        assert_eq!(checker.threads.lock().unwrap().len(), workers);
    }
}

#[tokio::test]
async fn pitfall_41_blocked_max_bounds_how_many_checks_block() {
    for (blocked_max, reason) in [(1, "NoThread"), (2, "Healthy")] {
        let config = MonitorConfig::default()
            .with_workers(1)
            .with_blocked_max(blocked_max);
        let monitor = Monitor::spawn(config);
        let register = |name: &str, does| {
            let told = Told::new(does);
            monitor
                .register(spec(name), rarely(), told.clone())
                .unwrap();
            told
        };
        let health = |name: &str| monitor.component(name, Instant::now()).unwrap();
        let gates = [(); 2].map(|()| Arc::new(Gate::default()));
        let held = register("held", Does::Blocks(Arc::clone(&gates[0])));
        until("it has the only worker", || held.runs() == 1).await;
        // One that runs beside it shows that it is known to block by now.
        let beside = register("first-beside", Does::Says(Outcome::healthy()));
        until("there is another worker", || beside.runs() == 1).await;
        gates[0].open();
        until("it has ended", || health("held").last_check.is_some()).await;

        let holds = register("holds", Does::Blocks(Arc::clone(&gates[1])));
        until("another has the only worker", || holds.runs() == 1).await;
        let beside = register("second-beside", Does::Says(Outcome::healthy()));
        until("there is another worker", || beside.runs() == 1).await;
        let before = health("held").last_check;
        assert!(monitor.refresh(&"held".parse().unwrap()));
        until("it had its turn", || health("held").last_check != before).await;
        assert_eq!(health("held").reason.as_str(), reason, "{blocked_max}");
        gates[1].open();
    }
}

#[tokio::test]
async fn pitfall_41_a_schedule_has_its_interval_and_its_timeout() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let often = Told::new(Does::Says(Outcome::healthy()));
    let schedule = Schedule::new(ms(20), Duration::from_secs(600));
    monitor
        .register(spec("often"), schedule, often.clone())
        .unwrap();
    let hangs = Told::new(Does::Hangs);
    let schedule = Schedule::new(Duration::from_secs(3600), ms(20));
    monitor
        .register(spec("hangs"), schedule, hangs.clone())
        .unwrap();
    // By the defaults, 30 s and 5 s, neither would come while this waits.
    until("it runs again and again", || often.runs() >= 5).await;
    until("it times out", || {
        let health = monitor.component("hangs", Instant::now()).unwrap();
        health.message == "no answer within 20ms"
    })
    .await;
    assert_eq!(hangs.runs(), 1);
}

/// What a component with that option shows otherwise than one without it.
#[tokio::test]
async fn pitfall_41_every_option_of_a_component_has_an_effect() {
    type Change = fn(ComponentSpec) -> ComponentSpec;
    type Look = fn(&Monitor) -> String;
    let verdict: Look = |monitor| {
        monitor
            .verdict(Scope::All, Instant::now())
            .status
            .to_string()
    };
    let shown: Look = |monitor| {
        let health = monitor.component("it", Instant::now()).unwrap();
        health.status.to_string()
    };
    let live: Look = |monitor| {
        let now = Instant::now();
        let answer = monitor.probe(Probe::Liveness, ProbeRules::default(), &[], &[], now);
        answer.holds.to_string()
    };
    let (healthy, unhealthy) = (Outcome::healthy, || Outcome::unhealthy("Broken", ""));
    let rows: [(Change, &[Outcome], Look, &str, &str); 6] = [
        (
            |spec| spec.with_criticality(Criticality::Degrading),
            &[unhealthy()],
            verdict,
            "Unhealthy",
            "Degraded",
        ),
        (
            |spec| spec.with_criticality(Criticality::Informational),
            &[unhealthy()],
            verdict,
            "Unhealthy",
            "Unknown",
        ),
        (
            |spec| spec.with_scopes(&[Scope::Liveness]),
            &[unhealthy()],
            live,
            "true",
            "false",
        ),
        (
            |spec| {
                spec.with_thresholds(Thresholds {
                    failure: 2,
                    success: 1,
                })
            },
            &[healthy(), unhealthy()],
            shown,
            "Unhealthy",
            "Healthy",
        ),
        (
            |spec| {
                spec.with_thresholds(Thresholds {
                    failure: 1,
                    success: 2,
                })
            },
            &[unhealthy(), healthy()],
            shown,
            "Healthy",
            "Unhealthy",
        ),
        (
            |spec| spec.with_stale_after(Duration::ZERO),
            &[healthy()],
            shown,
            "Healthy",
            "Unknown",
        ),
    ];
    for (change, outcomes, look, without, with) in rows {
        for (spec, expected) in [(spec("it"), without), (change(spec("it")), with)] {
            let monitor = Monitor::spawn(MonitorConfig::default());
            let case = format!("{spec:?}");
            let reporter = monitor.register_reported(spec).unwrap();
            for outcome in outcomes {
                reporter.report(outcome.clone());
            }
            assert_eq!(look(&monitor), expected, "{case}");
        }
    }
}

/// A check of which many runs meet.
struct Meets {
    barrier: Barrier,
    threads_meet: Option<std::sync::Barrier>,
    threads: Mutex<HashSet<ThreadId>>,
    inside: AtomicUsize,
    most: AtomicUsize,
    ended: AtomicUsize,
}

impl Meets {
    fn new() -> Self {
        Self {
            barrier: Barrier::new(1),
            threads_meet: None,
            threads: Mutex::default(),
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
        }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl HealthChecker for Meets {
    async fn check(&self, _cx: CheckContext) -> Result<Outcome, CheckError> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        if let Some(meet) = &self.threads_meet {
            meet.wait();
        }
        self.threads
            .lock()
            .unwrap()
            .insert(std::thread::current().id());
        self.barrier.wait().await;
        // Whoever may run beside this one has every chance to.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        self.inside.fetch_sub(1, Ordering::SeqCst);
        self.ended.fetch_add(1, Ordering::SeqCst);
        Ok(Outcome::healthy())
    }
}

fn register_all(monitor: &Monitor, checker: &Arc<Meets>) {
    for number in 0..CHECKS {
        let spec = spec(&format!("c{number}"));
        monitor.register(spec, rarely(), checker.clone()).unwrap();
    }
}
