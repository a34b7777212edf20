//! Every option of the built-in checks changes what they say.
//!
//! Spring Boot #28882: the cache's time to live was an option that nobody read.

use std::path::Path;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use health_checks::HealthChecker;
use health_checks::checks::DiskCheck;
use health_checks::checks::DiskConfig;
use health_checks::checks::ExecCheck;
use health_checks::checks::ExecConfig;
use health_checks::checks::FileCheck;
use health_checks::checks::FileConfig;
use health_checks::checks::HttpCheck;
use health_checks::checks::HttpConfig;
use health_checks::checks::HttpTarget;
use health_checks::checks::PrometheusCheck;
use health_checks::checks::PrometheusConfig;
use health_checks::checks::ResourcesCheck;
use health_checks::checks::ResourcesConfig;
use health_checks::checks::RuntimeCheck;
use health_checks::checks::RuntimeConfig;
use health_checks::checks::SyncEngineCheck;
use health_checks::checks::SyncLimits;
use health_checks::checks::SyncRecorder;
use health_checks::checks::TcpCheck;
use health_checks::checks::TcpConfig;
use health_core::HealthStatus;
use health_core::Outcome;
use health_core::Paired;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use crate::support::Server;
use crate::support::head;
use crate::support::ms;
use crate::support::run;
use crate::support::run_within;

/// Each half of a pair, at a limit that every number reaches.
const HALVES: [(Paired, HealthStatus); 2] = [
    (
        Paired {
            degraded: Some(0.0),
            unhealthy: None,
        },
        HealthStatus::Degraded,
    ),
    (
        Paired {
            degraded: None,
            unhealthy: Some(0.0),
        },
        HealthStatus::Unhealthy,
    ),
];

const NO_LIMIT: Paired = Paired {
    degraded: None,
    unhealthy: None,
};

#[tokio::test]
async fn pitfall_41_every_option_of_http_has_an_effect() {
    type Change = fn(&mut HttpConfig, token: &Path);
    let server = picky().await;
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "s3cret").unwrap();
    let rows: [(&str, Change, &str, &str); 5] = [
        (
            "/head",
            |config, _| config.method = Method::HEAD,
            "UnexpectedStatus",
            "Healthy",
        ),
        (
            "/teapot",
            |config, _| config.expected_status = vec![StatusCode::IM_A_TEAPOT],
            "UnexpectedStatus",
            "Healthy",
        ),
        (
            "/",
            |config, _| config.expected_status = vec![StatusCode::NO_CONTENT],
            "Healthy",
            "UnexpectedStatus",
        ),
        (
            "/header",
            |config, _| {
                let value = HeaderValue::from_static("yes");
                config.target.headers.insert("x-probe", value);
            },
            "Unauthorized",
            "Healthy",
        ),
        (
            "/token",
            |config, token| config.target.bearer_token = Some(token.into()),
            "Unauthorized",
            "Healthy",
        ),
    ];
    for (path, change, before, after) in rows {
        let mut config = HttpConfig::new(HttpTarget::new(&server.url(path)).unwrap());
        let outcome = run(&HttpCheck::new(config.clone()).unwrap()).await;
        assert_eq!(outcome.reason.as_str(), before, "{path}");
        change(&mut config, token.path());
        let outcome = run(&HttpCheck::new(config).unwrap()).await;
        assert_eq!(outcome.reason.as_str(), after, "{path}");
    }
    let config = HttpConfig::new(HttpTarget::new(&server.url("/")).unwrap());
    limits_count(|limit| {
        let mut config = config.clone();
        config.latency_seconds = limit;
        HttpCheck::new(config).unwrap()
    })
    .await;
}

#[tokio::test]
async fn pitfall_41_every_option_of_tcp_has_an_effect() {
    let server = picky().await;
    limits_count(|limit| {
        let mut config = TcpConfig::new(format!("127.0.0.1:{}", server.port));
        config.latency_seconds = limit;
        TcpCheck::new(config).unwrap()
    })
    .await;
}

#[tokio::test]
async fn pitfall_41_every_option_of_prometheus_has_an_effect() {
    type Family = fn(&mut PrometheusConfig) -> &mut String;
    let families: [(Family, &str, &str); 4] = [
        (
            |config| &mut config.families.queue_depth,
            "queueDepth",
            "depth",
        ),
        (|config| &mut config.families.attempts, "syncRate", "tries"),
        (|config| &mut config.families.errors, "errorRate", "fails"),
        (
            |config| &mut config.families.latency,
            "latencySeconds",
            "took",
        ),
    ];
    let server = metrics(&["depth", "tries", "fails", "took"]).await;
    let mut config = PrometheusConfig::new(HttpTarget::new(&server.url("/metrics")).unwrap());
    for (family, _, name) in families {
        *family(&mut config) = name.to_owned();
    }
    let scraped = |config: PrometheusConfig| async move {
        let check = PrometheusCheck::new(config).unwrap();
        let is_rated = |outcome: &Outcome| {
            let mut rates = ["syncRate", "latencySeconds"].into_iter();
            rates.any(|rate| outcome.metrics.contains_key(rate))
        };
        let mut outcome = run(&check).await;
        // Two scrapes that are too close together give no rate.
        while !is_rated(&outcome) {
            tokio::time::sleep(ms(50)).await;
            outcome = run(&check).await;
        }
        outcome
    };
    let mut scrapes = JoinSet::new();
    for (family, number, _) in families {
        let mut other = config.clone();
        *family(&mut other) = "not_there".to_owned();
        for (config, is_there) in [(config.clone(), true), (other, false)] {
            let outcome = scraped(config);
            scrapes.spawn(async move {
                let outcome = outcome.await;
                let found = outcome.metrics.contains_key(number);
                assert_eq!(found, is_there, "{number}: {outcome:?}");
            });
        }
    }
    let limits: [fn(&mut SyncLimits) -> &mut Paired; 3] = [
        |limits| &mut limits.queue_depth,
        |limits| &mut limits.error_rate,
        |limits| &mut limits.latency_seconds,
    ];
    for limit in limits {
        for (half, status) in HALVES {
            let mut config = config.clone();
            *limit(&mut config.limits) = half;
            let outcome = scraped(config);
            scrapes.spawn(async move {
                let outcome = outcome.await;
                assert_eq!(outcome.status, status, "{outcome:?}");
            });
        }
    }
    scrapes.join_all().await;
}

#[tokio::test]
async fn pitfall_41_every_option_of_sync_engine_has_an_effect() {
    let recorder = SyncRecorder::new(Instant::now());
    recorder.record_sync(ms(20));
    recorder.record_error();
    recorder.set_queue_depth(17);
    let limits: [fn(&mut SyncLimits) -> &mut Paired; 3] = [
        |limits| &mut limits.queue_depth,
        |limits| &mut limits.error_rate,
        |limits| &mut limits.latency_seconds,
    ];
    for limit in limits {
        limits_count(|half| {
            let mut limits = SyncLimits::default();
            *limit(&mut limits) = half;
            SyncEngineCheck::new(recorder.clone(), limits)
        })
        .await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn pitfall_41_every_option_of_exec_has_an_effect() {
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().canonicalize().unwrap();
    let ask = async |config: ExecConfig| run(&ExecCheck::new(config).unwrap()).await.message;
    let config = ExecConfig::new(["/bin/sh", "-c", "echo \"$(pwd) [$COLOUR]\""]);
    let here = std::env::current_dir().unwrap();
    assert_eq!(ask(config.clone()).await, format!("{} []", here.display()));
    let mut coloured = config.clone();
    coloured.env.insert("COLOUR".to_owned(), "red".to_owned());
    assert_eq!(ask(coloured).await, format!("{} [red]", here.display()));
    let mut elsewhere = config.clone();
    elsewhere.working_dir = Some(there.clone());
    assert_eq!(ask(elsewhere).await, format!("{} []", there.display()));
    let mut other = config;
    other.command = vec!["/bin/echo".to_owned(), "other".to_owned()];
    assert_eq!(ask(other).await, "other");
}

#[cfg(unix)]
#[tokio::test]
async fn pitfall_41_every_option_of_disk_has_an_effect() {
    // Not zero, as a file system may have no fixed number of inodes: it must have some for this.
    let without_limits = || {
        let mut config = DiskConfig::new("/");
        config.used_ratio = NO_LIMIT;
        config.inodes_used_ratio = NO_LIMIT;
        config
    };
    limits_count(|limit| {
        let mut config = without_limits();
        config.used_ratio = limit;
        DiskCheck::new(config).unwrap()
    })
    .await;
    limits_count(|limit| {
        let mut config = without_limits();
        // At or below, and no disk is as large as this.
        let all = |half: Option<f64>| half.map(|_| 1e30);
        config.free_bytes = Paired {
            degraded: all(limit.degraded),
            unhealthy: all(limit.unhealthy),
        };
        DiskCheck::new(config).unwrap()
    })
    .await;
    let looked = run(&DiskCheck::new(without_limits()).unwrap()).await;
    if looked.metrics.contains_key("inodesUsedRatio") {
        limits_count(|limit| {
            let mut config = without_limits();
            config.inodes_used_ratio = limit;
            DiskCheck::new(config).unwrap()
        })
        .await;
    }
    let nowhere = run(&DiskCheck::new(DiskConfig::new("/nowhere")).unwrap()).await;
    assert_eq!(nowhere.reason.as_str(), "PathMissing");
}

#[tokio::test]
async fn pitfall_41_every_option_of_file_has_an_effect() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let hour_ago = SystemTime::now() - Duration::from_secs(3600);
    file.as_file().set_modified(hour_ago).unwrap();
    limits_count(|limit| {
        let mut config = FileConfig::new(file.path());
        config.age_seconds = limit;
        FileCheck::new(config).unwrap()
    })
    .await;
    let nowhere = run(&FileCheck::new(FileConfig::new("/nowhere")).unwrap()).await;
    assert_eq!(nowhere.reason.as_str(), "FileMissing");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn pitfall_41_every_option_of_resources_has_an_effect() {
    let options: [fn(&mut ResourcesConfig) -> &mut Paired; 5] = [
        |config| &mut config.memory_ratio,
        |config| &mut config.cpu_ratio,
        |config| &mut config.open_files_ratio,
        |config| &mut config.threads,
        |config| &mut config.tasks,
    ];
    for option in options {
        for (limit, status) in HALVES
            .into_iter()
            .chain([(NO_LIMIT, HealthStatus::Healthy)])
        {
            let mut config = ResourcesConfig::default();
            for option in options {
                *option(&mut config) = NO_LIMIT;
            }
            *option(&mut config) = limit;
            let check = ResourcesCheck::new(config).unwrap();
            let check = check.with_runtime(tokio::runtime::Handle::current());
            let mut outcome = run(&check).await;
            // Processor time is measured from run to run, and not over too short a time.
            while config.cpu_ratio != NO_LIMIT && !outcome.metrics.contains_key("cpuCores") {
                tokio::time::sleep(ms(50)).await;
                outcome = run(&check).await;
            }
            assert_eq!(outcome.status, status, "{config:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn pitfall_41_every_option_of_runtime_has_an_effect() {
    let quick = RuntimeConfig {
        timer: ms(1),
        delay_seconds: NO_LIMIT,
    };
    limits_count(|delay_seconds| {
        RuntimeCheck::spawn(RuntimeConfig {
            delay_seconds,
            ..quick
        })
    })
    .await;
    let slow = RuntimeCheck::spawn(RuntimeConfig {
        timer: Duration::from_secs(1),
        ..quick
    });
    let check = run_within(&slow, Duration::from_secs(60));
    let early = tokio::time::timeout(ms(500), check).await;
    assert!(
        early.is_err(),
        "a timer of a second was measured: {early:?}"
    );
}

/// Without a limit it is Healthy, and with each half of the pair what that half says.
async fn limits_count<C: HealthChecker>(make: impl Fn(Paired) -> C) {
    let without = run(&make(NO_LIMIT)).await;
    assert_eq!(without.status, HealthStatus::Healthy, "{without:?}");
    for (limit, status) in HALVES {
        let outcome = run(&make(limit)).await;
        assert_eq!(outcome.status, status, "{limit:?}: {outcome:?}");
    }
}

/// Answers each path only to whom it likes.
async fn picky() -> Server {
    Server::start(|mut stream, _| async move {
        loop {
            let head = head(&mut stream).await.to_lowercase();
            let mut words = head.split(' ');
            let (Some(method), Some(path)) = (words.next(), words.next()) else {
                return;
            };
            let is_good = match path {
                "/head" => method == "head",
                "/header" => head.contains("x-probe: yes\r\n"),
                "/token" => head.contains("authorization: bearer s3cret\r\n"),
                _ => true,
            };
            let status = match (path, is_good) {
                ("/teapot", _) => "418 I'm a teapot",
                (_, true) => "200 OK",
                ("/head", false) => "405 Method Not Allowed",
                (_, false) => "401 Unauthorized",
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Metrics under these names: depth, attempts, errors and latency; each scrape has counted more.
async fn metrics(names: &'static [&'static str; 4]) -> Server {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;

    let scrapes = Arc::new(AtomicU64::new(0));
    let [depth, tries, fails, took] = *names;
    Server::start(move |mut stream, _| {
        let scrapes = Arc::clone(&scrapes);
        async move {
            while !head(&mut stream).await.is_empty() {
                let count = 10 * scrapes.fetch_add(1, Ordering::SeqCst);
                let body = format!(
                    "{depth} 7\n{tries} {count}\n{fails} {count}\n{took}_sum {count}\n\
                     {took}_count {count}\n"
                );
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await
}
