use std::time::Duration;

use health_core::HealthStatus;
use health_core::Paired;

use super::*;
use crate::names;

/// The shape of what controller-runtime gives out.
const FIRST: &str = r#"# HELP controller_runtime_reconcile_errors_total Total number of reconciliation errors per controller
# TYPE controller_runtime_reconcile_errors_total counter
controller_runtime_reconcile_errors_total{controller="spec-up"} 3
controller_runtime_reconcile_errors_total{controller="status-down"} 0
# HELP controller_runtime_reconcile_time_seconds Length of time per reconciliation per controller
# TYPE controller_runtime_reconcile_time_seconds histogram
controller_runtime_reconcile_time_seconds_bucket{controller="spec-up",le="0.005"} 90
controller_runtime_reconcile_time_seconds_bucket{controller="spec-up",le="+Inf"} 100
controller_runtime_reconcile_time_seconds_sum{controller="spec-up"} 5
controller_runtime_reconcile_time_seconds_count{controller="spec-up"} 100
# HELP controller_runtime_reconcile_total Total number of reconciliations per controller
# TYPE controller_runtime_reconcile_total counter
controller_runtime_reconcile_total{controller="spec-up",result="error"} 3
controller_runtime_reconcile_total{controller="spec-up",result="requeue_after"} 0
controller_runtime_reconcile_total{controller="spec-up",result="success"} 97
# HELP workqueue_depth Current depth of workqueue by workqueue and priority
# TYPE workqueue_depth gauge
workqueue_depth{controller="spec-up",name="spec-up",priority=""} 7
workqueue_depth{controller="status-down",name="status-down",priority=""} 5
# TYPE workqueue_retries_total counter
workqueue_retries_total{controller="spec-up",name="spec-up"} 100000
"#;

#[test]
fn the_first_scrape_has_a_depth_and_no_rates() {
    let outcome = scraped(&[FIRST]);
    assert_eq!(outcome.status, HealthStatus::Healthy);
    assert_eq!(numbers(&outcome), [None, None, Some(12.0), None]);
}

#[test]
fn rates_are_between_two_scrapes() {
    let second = FIRST
        .replace("result=\"success\"} 97", "result=\"success\"} 112")
        .replace("result=\"error\"} 3", "result=\"error\"} 8")
        .replace(
            "errors_total{controller=\"spec-up\"} 3",
            "errors_total{controller=\"spec-up\"} 8",
        )
        .replace(
            "seconds_sum{controller=\"spec-up\"} 5",
            "seconds_sum{controller=\"spec-up\"} 7",
        )
        .replace(
            "seconds_count{controller=\"spec-up\"} 100",
            "seconds_count{controller=\"spec-up\"} 120",
        );
    let outcome = scraped(&[FIRST, &second]);
    assert_eq!(
        numbers(&outcome),
        [Some(2.0), Some(0.25), Some(12.0), Some(0.1)]
    );
}

#[test]
fn a_counter_that_went_back_counts_from_zero() {
    let after = FIRST
        .replace("result=\"success\"} 97", "result=\"success\"} 17")
        .replace(
            "errors_total{controller=\"spec-up\"} 3",
            "errors_total{controller=\"spec-up\"} 1",
        );
    let outcome = scraped(&[FIRST, &after]);
    assert_eq!(outcome.metrics[names::SYNC_RATE], 1.7);
    assert_eq!(outcome.metrics[names::ERROR_RATE], 1.0 / 17.0);
}

#[test]
fn without_an_attempt_there_is_no_error_rate_and_no_latency() {
    let outcome = scraped(&[FIRST, FIRST]);
    assert_eq!(numbers(&outcome), [Some(0.0), None, Some(12.0), None]);
}

#[test]
fn scrapes_too_close_together_keep_the_last_rates() {
    let check = check(SyncLimits::default());
    let start = Instant::now();
    let second = FIRST.replace("result=\"success\"} 97", "result=\"success\"} 117");
    for (text, at) in [(FIRST, 0), (&second, 10_000), (&second, 10_010)] {
        let now = start + Duration::from_millis(at);
        let outcome = check.judge(text.as_bytes(), now).unwrap();
        let rate = (at > 0).then_some(2.0);
        assert_eq!(numbers(&outcome)[0], rate);
    }
}

#[test]
fn a_family_that_is_not_there_leaves_its_number_absent() {
    let outcome = scraped(&["workqueue_depth 3\n", "workqueue_depth 4\n"]);
    assert_eq!(outcome.status, HealthStatus::Healthy);
    assert_eq!(numbers(&outcome), [None, None, Some(4.0), None]);
}

#[test]
fn without_any_of_the_families_nobody_knows() {
    for text in [
        "",
        "go_goroutines 7\n",
        "workqueue_retries_total 9\n",
        "workqueue_depth NaN\n",
    ] {
        let error = check(SyncLimits::default())
            .judge(text.as_bytes(), Instant::now())
            .unwrap_err();
        assert_eq!(error.reason.as_str(), "MetricMissing");
        assert!(error.message.contains("workqueue_depth"), "{error}");
    }
}

#[test]
fn limits_are_kept_and_one_on_a_missing_family_is_not_green() {
    let limits = SyncLimits {
        queue_depth: Paired {
            degraded: Some(12.0),
            unhealthy: None,
        },
        error_rate: Paired {
            degraded: None,
            unhealthy: Some(0.5),
        },
        latency_seconds: Paired::default(),
    };
    let outcome = check(limits)
        .judge(FIRST.as_bytes(), Instant::now())
        .unwrap();
    assert_eq!(outcome.reason.as_str(), "QueueDepthHigh");
    assert_eq!(outcome.status, HealthStatus::Degraded);
    let outcome = check(limits)
        .judge(b"workqueue_depth 1\n", Instant::now())
        .unwrap();
    assert_eq!(outcome.status, HealthStatus::Unknown);
    assert_eq!(outcome.reason.as_str(), "MetricMissing");
    assert_eq!(numbers(&outcome)[2], Some(1.0));
}

#[test]
fn other_families_may_be_named() {
    let mut config = config();
    config.families.queue_depth = "my_queue".to_owned();
    let check = PrometheusCheck::new(config).unwrap();
    let outcome = check.judge(b"my_queue{a=\"b\"} 9\nworkqueue_depth 1\n", Instant::now());
    assert_eq!(numbers(&outcome.unwrap())[2], Some(9.0));
}

/// Many a program has a histogram of its syncs and no counter beside it.
#[test]
fn one_family_may_be_named_for_several_numbers() {
    let mut config = config();
    config.families.attempts = "sync_seconds_count".to_owned();
    config.families.latency = "sync_seconds".to_owned();
    let check = PrometheusCheck::new(config).unwrap();
    let start = Instant::now();
    let first = b"sync_seconds_count 10\nsync_seconds_sum 1\n";
    check.judge(first, start).unwrap();
    let second = b"sync_seconds_count 30\nsync_seconds_sum 6\n";
    let outcome = check.judge(second, start + Duration::from_secs(10));
    assert_eq!(
        numbers(&outcome.unwrap()),
        [Some(2.0), None, None, Some(0.25)]
    );
}

#[test]
fn hostile_text_is_survived() {
    let big = "workqueue_depth{a=\"".repeat(600_000);
    let many: String = (0..100_000)
        .map(|number| format!("workqueue_depth{{n=\"{number}\"}} 1\n"))
        .collect();
    for (text, depth) in [
        (
            b"workqueue_depth 3\n\xff\xfe\x00{}} 1\n".as_slice(),
            Some(3.0),
        ),
        (b"workqueue_depth 3\nworkqueue_depth 4\n", Some(3.0)),
        (b"workqueue_depth 3\nworkqueue_depth{a=\"b\"} 12", Some(3.0)),
        (
            b"workqueue_depth 3\nworkqueue_depth{a=\"b\"} +Inf\n",
            Some(3.0),
        ),
        (
            b"workqueue_depth 3\nworkqueue_depth{a=\"b\"} NaN\n",
            Some(3.0),
        ),
        (b"workqueue_depth 3\nworkqueue_depth{a=\"b 1\n", Some(3.0)),
        (many.as_bytes(), Some(100_000.0)),
        (big.as_bytes(), None),
    ] {
        let outcome = check(SyncLimits::default()).judge(text, Instant::now());
        assert_eq!(outcome.ok().and_then(|outcome| numbers(&outcome)[2]), depth);
    }
}

#[test]
fn every_way_to_write_a_number_is_read_or_left_out() {
    for (line, depth) in [
        ("workqueue_depth 7 1700000000000", Some(7.0)),
        ("workqueue_depth 7 -1", Some(7.0)),
        (
            "workqueue_depth 7 # {trace_id=\"workqueue_depth 9\"} 0.67 1700000000.1",
            Some(7.0),
        ),
        ("workqueue_depth\t 7e0 \r", Some(7.0)),
        ("workqueue_depth{} 7", Some(7.0)),
        ("workqueue_depth{,,,=} 7", Some(7.0)),
        ("workqueue_depth{a=\"\u{1F980} }\",b=\"\\\"\"} 7", Some(7.0)),
        ("workqueue_depth 1e400", None),
        ("workqueue_depth -1e400", None),
        ("workqueue_depth 1e-400", Some(0.0)),
        ("workqueue_depth nan", None),
        ("workqueue_depth Infinity", None),
        ("workqueue_depth 0x7", None),
        ("workqueue_depth 1_000", None),
        ("workqueue_depth 7,5", None),
        ("workqueue_depth \u{0667}", None),
        ("workqueue_depth", None),
    ] {
        for end in ["\n", "\n# EOF\n", "\n\n\n", "\nworkqueue_depth{cut=\"off"] {
            let text = format!("{line}{end}");
            let outcome = check(SyncLimits::default()).judge(text.as_bytes(), Instant::now());
            let found = outcome.ok().and_then(|outcome| numbers(&outcome)[2]);
            assert_eq!(found, depth, "{text:?}");
        }
    }
}

/// A limit on what no number can hold is never green, and no number that is none is shown.
#[test]
fn sums_that_overflow_are_never_green_and_counters_are_never_negative() {
    let zero = |number: &str| {
        FIRST
            .replace("workqueue_depth{", "depth_of_none{")
            .lines()
            .filter(|line| !line.starts_with("depth_of_none"))
            .map(|line| match line.rsplit_once(' ') {
                Some((series, _)) if !line.starts_with('#') => format!("{series} {number}\n"),
                _ => String::new(),
            })
            .collect::<String>()
    };
    let all = Paired {
        degraded: None,
        unhealthy: Some(1e300),
    };
    let limits = SyncLimits {
        queue_depth: all,
        error_rate: Paired {
            degraded: None,
            unhealthy: Some(2.0),
        },
        latency_seconds: all,
    };
    let deep = "workqueue_depth{a=\"1\"} 1.7e308\nworkqueue_depth{a=\"2\"} 1.7e308\n";
    for (first, second) in [
        (zero("0"), zero("1.7e308")),
        (zero("-1.7e308"), zero("1.7e308")),
        (zero("5"), zero("-5")),
        (zero("-5"), zero("-1.7e308")),
    ] {
        let check = check(limits);
        let start = Instant::now();
        for (text, at) in [(&first, start), (&second, start + Duration::from_secs(10))] {
            let text = format!("{deep}{text}");
            let outcome = check.judge(text.as_bytes(), at).unwrap();
            assert_eq!(outcome.status, HealthStatus::Unhealthy, "{outcome:?}");
            for (name, value) in &outcome.metrics {
                assert!(*value >= 0.0 && value.is_finite(), "{name}: {value}");
            }
        }
    }
}

#[tokio::test]
async fn more_than_is_read_is_unknown_and_a_dead_server_unhealthy() {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let line = b"workqueue_depth 1\n".repeat(1000);
        // 10 MiB and more, if somebody reads it.
        for _ in 0..600 {
            if stream.write_all(&line).await.is_err() {
                return;
            }
        }
    };
    let target = HttpTarget::new(&format!("http://127.0.0.1:{port}/metrics")).unwrap();
    let check = PrometheusCheck::new(PrometheusConfig::new(target)).unwrap();
    let context = || CheckContext::new(Duration::from_secs(20), Instant::now());
    let (result, ()) = tokio::join!(check.check(context()), serve);
    assert_eq!(result.unwrap_err().reason.as_str(), "TooLarge");
    let nobody = self::check(SyncLimits::default());
    let outcome = nobody.check(context()).await.unwrap();
    assert_eq!(outcome.reason.as_str(), "ConnectionRefused");
}

/// Ten seconds apart.
fn scraped(texts: &[&str]) -> Outcome {
    let check = check(SyncLimits::default());
    let mut now = Instant::now();
    let mut last = None;
    for text in texts {
        last = Some(check.judge(text.as_bytes(), now).unwrap());
        now += Duration::from_secs(10);
    }
    last.unwrap()
}

/// Rate, error rate, depth and latency.
fn numbers(outcome: &Outcome) -> [Option<f64>; 4] {
    [
        names::SYNC_RATE,
        names::ERROR_RATE,
        names::QUEUE_DEPTH,
        names::LATENCY_SECONDS,
    ]
    .map(|name| outcome.metrics.get(name).copied())
}

fn config() -> PrometheusConfig {
    PrometheusConfig::new(HttpTarget::new("http://127.0.0.1:1/metrics").unwrap())
}

fn check(limits: SyncLimits) -> PrometheusCheck {
    let mut config = config();
    config.limits = limits;
    PrometheusCheck::new(config).unwrap()
}
