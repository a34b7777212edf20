//! What stops reporting is not green for longer than it may be.
//!
//! The exact instants are `health-core`'s tests' business; here it is about who shows it.

use std::time::Duration;
use std::time::Instant;

use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::PushConfig;
use health_checks::PushedResult;
use health_checks::Reporter;
use health_checks::Schedule;
use health_core::Carried;
use health_core::ComponentSpec;
use health_core::HealthSource;
use health_core::HealthStatus;
use health_core::Outcome;

use crate::support::Does;
use crate::support::Told;
use crate::support::ms;
use crate::support::rarely;
use crate::support::spec;
use crate::support::until;

const ALLOWANCE: Duration = ms(300);

/// Microsoft's DICOM service went on with a Healthy for six days.
#[tokio::test]
async fn pitfall_2_a_heartbeat_carries_no_green_of_a_reporter_that_stopped() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let reporter = reporter(&monitor, spec("job").with_stale_after(ALLOWANCE));
    reporter.report(Outcome::healthy());
    assert_fresh(&monitor.carried(Instant::now()));
    stale(&monitor).await;
    reporter.report(Outcome::healthy());
    assert_fresh(&monitor.carried(Instant::now()));
}

#[tokio::test]
async fn pitfall_2_a_heartbeat_carries_no_green_of_a_push_whose_ttl_is_over() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let ttl = PushConfig {
        ttl: Duration::from_secs(1),
    };
    let reporter = reporter(&monitor, ttl.spec(spec("job")).unwrap());
    for status in [HealthStatus::Healthy, HealthStatus::Degraded] {
        reporter.report(PushedResult::new(status).try_into().unwrap());
        assert_eq!(monitor.carried(Instant::now()).verdict.status, status);
        stale(&monitor).await;
    }
}

/// A check whose interval is longer than its results may be believed.
#[tokio::test]
async fn pitfall_2_a_heartbeat_carries_no_green_of_a_check_that_is_not_run() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let told = Told::new(Does::Says(Outcome::healthy()));
    monitor
        .register(spec("job").with_stale_after(ALLOWANCE), rarely(), told)
        .unwrap();
    stale(&monitor).await;
}

/// Dex #4985: a check that never came back left its last green for 13 hours.
#[tokio::test]
async fn pitfall_1_a_heartbeat_carries_no_green_of_a_check_that_hangs() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let told = Told::new(Does::Says(Outcome::healthy()));
    let often = Schedule::new(ms(50), ms(100));
    monitor.register(spec("job"), often, told.clone()).unwrap();
    until("it is Healthy", || {
        monitor.carried(Instant::now()).readiness.holds
    })
    .await;
    told.tell(Does::Hangs);
    until("it is Unhealthy", || {
        let carried = monitor.carried(Instant::now());
        carried.verdict.status == HealthStatus::Unhealthy
            && carried.verdict.reason.as_str() == "Timeout"
            && !carried.readiness.holds
    })
    .await;
}

fn reporter(monitor: &Monitor, spec: ComponentSpec) -> Reporter {
    monitor.register_reported(spec).unwrap()
}

#[track_caller]
fn assert_fresh(carried: &Carried) {
    assert_eq!(carried.verdict.status, HealthStatus::Healthy);
    assert!(carried.readiness.holds);
}

/// Waits until the heartbeat carries what is due for a component that is too old, and nothing else.
async fn stale(monitor: &Monitor) {
    until("it is Stale", || {
        monitor.carried(Instant::now()).verdict.reason.as_str() == "Stale"
    })
    .await;
    let carried = monitor.carried(Instant::now());
    assert_eq!(carried.verdict.status, HealthStatus::Unknown);
    assert!(!carried.readiness.holds);
    assert_eq!(carried.readiness.verdict.status, HealthStatus::Unknown);
    assert_eq!(carried.verdict.deciding[0].component.as_str(), "job");
}
