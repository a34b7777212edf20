use std::time::Instant;

use health_core::Board;
use health_core::ComponentHealth;
use health_core::ComponentId;
use health_core::Paired;
use health_core::TrendConfig;
use health_core::TrendLimits;
use health_core::Trends;

use super::*;
use crate::Monitor;
use crate::MonitorConfig;

#[test]
fn a_good_report_is_believed_for_its_ttl_and_then_stale() {
    for status in [HealthStatus::Healthy, HealthStatus::Degraded] {
        let mut rig = Rig::new(PushConfig::default());
        assert_eq!(
            rig.shown(3600),
            (HealthStatus::Unknown, "Pending".to_owned())
        );
        rig.push(PushedResult::new(status), 3600);
        assert_eq!(rig.shown(3600 + 119).0, status);
        let stale = (HealthStatus::Unknown, "Stale".to_owned());
        assert_eq!(rig.shown(3600 + 120), stale, "{status}");
        rig.push(PushedResult::new(status), 9000);
        assert_eq!(rig.shown(9000).0, status, "the next one is believed again");
    }
}

#[test]
fn each_report_begins_the_ttl_anew() {
    let mut rig = Rig::new(PushConfig::default());
    for secs in [0, 100, 200, 300] {
        rig.push(PushedResult::new(HealthStatus::Healthy), secs);
    }
    assert_eq!(rig.shown(419).0, HealthStatus::Healthy);
    assert_eq!(rig.shown(420).0, HealthStatus::Unknown);
}

/// A process that died of what it reported must not look better for being silent.
#[test]
fn an_old_unhealthy_stays_and_has_its_age() {
    let mut rig = Rig::new(PushConfig::default());
    rig.push(PushedResult::new(HealthStatus::Unhealthy), 0);
    assert_eq!(rig.shown(86_400).0, HealthStatus::Unhealthy);
    let day = Duration::from_secs(86_400);
    assert_eq!(rig.health().age(rig.start + day), Some(day));
}

#[tokio::test]
async fn a_monitor_shows_what_is_pushed() {
    let monitor = Monitor::spawn(MonitorConfig::default());
    let reporter = monitor
        .register_reported(spec(PushConfig::default()))
        .unwrap();
    let pushed = PushedResult {
        reason: Some("disk full".to_owned()),
        message: Some("no space left".to_owned()),
        metrics: [("freeBytes".to_owned(), 0.0)].into(),
        ..PushedResult::new(HealthStatus::Unhealthy)
    };
    assert!(reporter.report(pushed.try_into().unwrap()));
    let health = monitor.component("job", Instant::now()).unwrap();
    assert_eq!(health.status, HealthStatus::Unhealthy);
    assert_eq!(health.reason.as_str(), "DiskFull");
    assert_eq!(health.message, "no space left");
    assert_eq!(health.metrics["freeBytes"], 0.0);
    assert!(!monitor.refresh(reporter.name()), "nothing is run for it");
}

#[tokio::test]
async fn pushed_numbers_are_judged_by_their_past() {
    let limits = TrendLimits {
        deviations: Paired {
            degraded: Some(4.0),
            unhealthy: None,
        },
        ..TrendLimits::default()
    };
    let config = TrendConfig::for_number("lag");
    let trends = Trends::default().with("lag", config, limits).unwrap();
    let monitor = Monitor::spawn(MonitorConfig::default());
    let reporter = monitor.register_reported(spec(PushConfig::default()));
    let reporter = reporter.unwrap().with_trends(trends);
    let other = reporter.clone();
    for lag in [3.0; 12] {
        assert!(reporter.report(measured("lag", lag).unwrap()));
    }
    assert!(other.report(measured("lag", 300.0).unwrap()));
    let health = monitor.component("job", Instant::now()).unwrap();
    assert_eq!(health.status, HealthStatus::Degraded);
    assert_eq!(health.reason.as_str(), "Anomalous");
    assert_eq!(health.metrics["lag"], 300.0);
    assert_eq!(health.metrics["lagMean"], 3.0);
}

#[test]
fn a_ttl_is_bounded() {
    for (ttl, is_valid) in [
        (Duration::ZERO, false),
        (Duration::from_millis(999), false),
        (TTL_MIN, true),
        (TTL_MAX, true),
        (TTL_MAX + Duration::from_nanos(1), false),
        (Duration::MAX, false),
    ] {
        let spec = PushConfig { ttl }.spec(ComponentSpec::new("job".parse().unwrap()));
        match spec {
            Ok(spec) => assert_eq!((spec.stale_after, is_valid), (ttl, true)),
            Err(error) => assert_eq!((error, is_valid), (InvalidPush::Ttl(ttl), false)),
        }
    }
}

#[test]
fn a_status_alone_is_enough() {
    for (status, reason) in [
        (HealthStatus::Healthy, "Healthy"),
        (HealthStatus::Degraded, "Unspecified"),
        (HealthStatus::Unhealthy, "Unspecified"),
        (HealthStatus::Unknown, "Unspecified"),
    ] {
        let outcome = Outcome::try_from(PushedResult::new(status)).unwrap();
        assert_eq!(outcome, Outcome::new(status, Reason::from(reason), ""));
    }
}

#[test]
fn texts_are_cut_and_cannot_steer_a_terminal_or_break_a_line() {
    let pushed = PushedResult {
        reason: Some("\u{1b}[31m$(reboot)\n".to_owned() + &"x".repeat(1_000_000)),
        message: Some("\u{1b}[2J\r\nall is well\0\u{9b}".to_owned() + &"ä".repeat(1_000_000)),
        ..PushedResult::new(HealthStatus::Unhealthy)
    };
    let outcome = Outcome::try_from(pushed).unwrap();
    assert!(
        outcome.reason.as_str().starts_with("MReboot"),
        "{outcome:?}"
    );
    assert_eq!(outcome.reason.as_str().len(), 63);
    assert!(outcome.message.starts_with(" [2J  all is well  ä"));
    assert!(outcome.message.len() <= 1024 + '…'.len_utf8());
    assert!(!outcome.message.contains(char::is_control));
    let pushed = PushedResult {
        reason: Some("💥".to_owned()),
        ..PushedResult::new(HealthStatus::Unhealthy)
    };
    let outcome = Outcome::try_from(pushed).unwrap();
    assert_eq!(outcome.reason.as_str(), "Unspecified");
}

#[test]
fn sixty_four_metrics_are_taken_and_one_more_is_refused() {
    let many = |count: usize| PushedResult {
        metrics: (0..count).map(|n| (format!("m{n}"), 1.0)).collect(),
        ..PushedResult::new(HealthStatus::Healthy)
    };
    assert_eq!(Outcome::try_from(many(64)).unwrap().metrics.len(), 64);
    let refused = Outcome::try_from(many(65));
    assert_eq!(refused, Err(InvalidPush::TooManyMetrics(65)));
}

#[test]
fn metrics_have_names_that_fit_everywhere_and_finite_values() {
    for name in [
        "a",
        "queueDepth",
        "queue_depth",
        "p99.ms",
        "a-b",
        &"x".repeat(63),
    ] {
        assert!(measured(name, -1e300).is_ok(), "{name:?}");
    }
    for name in [
        "",
        "1a",
        "_a",
        "a b",
        "a\n",
        "a\"}",
        "ä",
        "a/b",
        &"x".repeat(64),
    ] {
        let name_refused = matches!(measured(name, 1.0), Err(InvalidPush::MetricName(_)));
        assert!(name_refused, "{name:?}");
    }
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let refused = measured("depth", value).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "metric \"depth\" is not a finite number"
        );
    }
}

#[test]
fn a_refusal_does_not_repeat_a_name_whole() {
    let refused = measured(&"ä\u{1b}".repeat(500_000), 1.0).unwrap_err();
    let text = refused.to_string();
    assert!(text.len() < 1024, "{} bytes", text.len());
    assert!(!text.contains('\u{1b}'));
}

/// A component of a board, and the epoch that seconds are counted from.
struct Rig {
    board: Board,
    id: ComponentId,
    start: Instant,
}

impl Rig {
    fn new(config: PushConfig) -> Self {
        let start = Instant::now();
        let mut board = Board::new(start);
        let id = board.register(spec(config), start).unwrap();
        Self { board, id, start }
    }

    fn push(&mut self, pushed: PushedResult, secs: u64) {
        let outcome = Outcome::try_from(pushed).unwrap();
        let now = self.start + Duration::from_secs(secs);
        assert!(self.board.record(self.id, outcome, Duration::ZERO, now));
    }

    fn shown(&mut self, secs: u64) -> (HealthStatus, String) {
        self.board.advance(self.start + Duration::from_secs(secs));
        let health = self.health();
        (health.status, health.reason.to_string())
    }

    fn health(&self) -> &ComponentHealth {
        self.board.component("job").unwrap()
    }
}

fn spec(config: PushConfig) -> ComponentSpec {
    let spec = ComponentSpec::new("job".parse().unwrap());
    config.spec(spec).unwrap()
}

fn measured(name: &str, value: f64) -> Result<Outcome, InvalidPush> {
    let pushed = PushedResult {
        metrics: [(name.to_owned(), value)].into(),
        ..PushedResult::new(HealthStatus::Healthy)
    };
    Outcome::try_from(pushed)
}
