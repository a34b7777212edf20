//! Whatever a check ends with, its thresholds stand in between.

use std::sync::Arc;
use std::time::Instant;

use health_checks::HealthChecker;
use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::PushedResult;
use health_checks::Reporter;
use health_checks::Schedule;
use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use health_core::ComponentHealth;
use health_core::HealthStatus;
use health_core::Outcome;
use health_core::Thresholds;

use crate::support::Does;
use crate::support::Gate;
use crate::support::Told;
use crate::support::ms;
use crate::support::rarely;
use crate::support::run;
use crate::support::spec;
use crate::support::until;

const NAME: &str = "it";

const THRESHOLDS: Thresholds = Thresholds {
    failure: 3,
    success: 2,
};

/// Karmada #7408: one error path set the condition itself, without asking the threshold's cache.
#[tokio::test]
async fn pitfall_21_every_way_to_fail_needs_as_many_failures() {
    let refused = run(&HttpCheck::new(HttpConfig::new(nobody())).unwrap()).await;
    assert_eq!(refused.reason.as_str(), "ConnectionRefused");
    let gate = Arc::new(Gate::default());
    let often = Schedule::new(ms(100), ms(50));
    for (does, schedule, reason) in [
        (unhealthy(), rarely(), "Broken"),
        (Does::Says(refused), rarely(), "ConnectionRefused"),
        (Does::Panics, rarely(), "Panicked"),
        (Does::Hangs, often, "Timeout"),
        // It never ends, and each interval counts.
        (Does::Blocks(Arc::clone(&gate)), often, "Timeout"),
    ] {
        let bench = Bench::new(schedule, MonitorConfig::default()).await;
        bench.told.tell(does);
        loop {
            bench.refresh();
            let health = bench.health();
            let expected = match health.consecutive_failures {
                0..3 => (HealthStatus::Healthy, "Healthy"),
                _ => (HealthStatus::Unhealthy, reason),
            };
            assert_eq!((health.status, health.reason.as_str()), expected);
            if health.status == HealthStatus::Unhealthy {
                break;
            }
            bench.changed(&health).await;
        }
    }
    gate.open();
}

/// The way back has its threshold too, and a failure in between begins it anew.
#[tokio::test]
async fn pitfall_21_every_way_back_needs_as_many_successes() {
    for does in [unhealthy(), Does::Panics] {
        let bench = Bench::new(rarely(), MonitorConfig::default()).await;
        for (does, status) in [
            (&does, HealthStatus::Healthy),
            (&does, HealthStatus::Healthy),
            (&does, HealthStatus::Unhealthy),
            (&healthy(), HealthStatus::Unhealthy),
            (&does, HealthStatus::Unhealthy),
            (&healthy(), HealthStatus::Unhealthy),
            (&healthy(), HealthStatus::Healthy),
        ] {
            assert_eq!(bench.turn(does).await.status, status);
        }
    }
}

/// Karmada #7431 is the same for each way: not to know is shown at once, and neither counts nor
/// resets.
#[tokio::test]
async fn pitfall_21_every_way_not_to_know_goes_the_same_way() {
    let unknown = Does::Says(Outcome::unknown("Odd", ""));
    for does in [Does::Errs, unknown] {
        let bench = Bench::new(rarely(), MonitorConfig::default()).await;
        for (does, status) in [
            (&does, HealthStatus::Unknown),
            (&does, HealthStatus::Unknown),
            (&does, HealthStatus::Unknown),
            (&healthy(), HealthStatus::Healthy),
            (&unhealthy(), HealthStatus::Healthy),
            (&does, HealthStatus::Unknown),
            (&unhealthy(), HealthStatus::Unknown),
            (&does, HealthStatus::Unknown),
            (&Does::Panics, HealthStatus::Unhealthy),
        ] {
            assert_eq!(bench.turn(does).await.status, status);
        }
    }
}

#[tokio::test]
async fn pitfall_21_what_is_reported_and_what_is_pushed_goes_the_same_way() {
    type Report = fn(&Reporter, HealthStatus);
    let reported: Report = |reporter, status| {
        let outcome = Outcome::new(status, "Told".into(), "");
        assert!(reporter.report(outcome));
    };
    let pushed: Report = |reporter, status| {
        let outcome = Outcome::try_from(PushedResult::new(status)).unwrap();
        assert!(reporter.report(outcome));
    };
    for report in [reported, pushed] {
        let monitor = Monitor::spawn(MonitorConfig::default());
        let spec = spec(NAME).with_thresholds(THRESHOLDS);
        let reporter = monitor.register_reported(spec).unwrap();
        for (told, shown) in [
            (HealthStatus::Healthy, HealthStatus::Unknown),
            (HealthStatus::Healthy, HealthStatus::Healthy),
            (HealthStatus::Unhealthy, HealthStatus::Healthy),
            (HealthStatus::Unhealthy, HealthStatus::Healthy),
            (HealthStatus::Unknown, HealthStatus::Unknown),
            (HealthStatus::Degraded, HealthStatus::Degraded),
            (HealthStatus::Healthy, HealthStatus::Degraded),
            (HealthStatus::Healthy, HealthStatus::Healthy),
        ] {
            report(&reporter, told);
            let health = monitor.component(NAME, Instant::now()).unwrap();
            assert_eq!(health.status, shown, "{told}");
        }
    }
}

/// A check that is not run for want of a thread is Unknown, never Unhealthy, however often.
#[tokio::test]
async fn pitfall_21_a_check_without_a_thread_goes_the_same_way() {
    let (own, others) = (Arc::new(Gate::default()), Arc::new(Gate::default()));
    let config = MonitorConfig::default().with_workers(1).with_blocked_max(1);
    let bench = Bench::new(rarely(), config).await;
    // Once it has blocked it is known to do so.
    bench.told.tell(Does::Blocks(Arc::clone(&own)));
    bench.refresh();
    let other = Told::new(healthy());
    let blocks = Arc::clone(&other) as Arc<dyn HealthChecker>;
    bench
        .monitor
        .register(spec("other"), rarely(), blocks)
        .unwrap();
    until("the others have a runtime again", || other.runs() == 1).await;
    let before = bench.health();
    own.open();
    bench.changed(&before).await;
    // From now on somebody else has the only place.
    other.tell(Does::Blocks(Arc::clone(&others)));
    until("the other's run has begun", || {
        bench.monitor.refresh(&"other".parse().unwrap());
        other.runs() == 2
    })
    .await;
    for _ in 0..5 {
        let health = until_no_thread(&bench).await;
        assert_eq!(health.status, HealthStatus::Unknown);
        assert_eq!(health.consecutive_failures, 0);
    }
    others.open();
    bench.told.tell(healthy());
    until("it is Healthy as before", || {
        bench.refresh();
        bench.health().status == HealthStatus::Healthy
    })
    .await;
}

/// A component with thresholds that was Healthy, and the check behind it.
struct Bench {
    monitor: Monitor,
    told: Arc<Told>,
}

impl Bench {
    async fn new(schedule: Schedule, config: MonitorConfig) -> Self {
        let monitor = Monitor::spawn(config);
        let told = Told::new(healthy());
        let spec = spec(NAME).with_thresholds(THRESHOLDS);
        let checker = Arc::clone(&told) as Arc<dyn HealthChecker>;
        monitor.register(spec, schedule, checker).unwrap();
        let bench = Self { monitor, told };
        until("the first result", || bench.health().last_check.is_some()).await;
        let first = bench.health();
        bench.refresh();
        let second = bench.changed(&first).await;
        assert_eq!(second.status, HealthStatus::Healthy);
        bench
    }

    fn refresh(&self) -> bool {
        self.monitor.refresh(&NAME.parse().unwrap())
    }

    fn health(&self) -> Arc<ComponentHealth> {
        self.monitor.component(NAME, Instant::now()).unwrap()
    }

    /// A result after the one in `before`.
    async fn changed(&self, before: &ComponentHealth) -> Arc<ComponentHealth> {
        until("another result", || {
            self.health().last_check != before.last_check
        })
        .await;
        self.health()
    }

    /// Has it do that once.
    async fn turn(&self, does: &Does) -> Arc<ComponentHealth> {
        // One that still runs would do what it was told before.
        let runs = self.told.runs();
        let before = self.health();
        self.told.tell(does.clone());
        assert!(self.refresh());
        let after = self.changed(&before).await;
        assert_eq!(self.told.runs(), runs + 1);
        after
    }
}

async fn until_no_thread(bench: &Bench) -> Arc<ComponentHealth> {
    let before = bench.health();
    until("there is no thread for it", || {
        bench.refresh();
        let health = bench.health();
        health.last_check != before.last_check && health.reason.as_str() == "NoThread"
    })
    .await;
    bench.health()
}

fn healthy() -> Does {
    Does::Says(Outcome::healthy())
}

fn unhealthy() -> Does {
    Does::Says(Outcome::unhealthy("Broken", ""))
}

/// A port that nobody listens at.
fn nobody() -> HttpTarget {
    HttpTarget::new("http://127.0.0.1:1/").unwrap()
}
