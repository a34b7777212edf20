use std::fs::File;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;

use super::*;

#[tokio::test]
async fn a_file_is_judged_by_its_age() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stamp");
    std::fs::write(&path, "12345").unwrap();
    for (age, status) in [
        (0, HealthStatus::Healthy),
        (3000, HealthStatus::Healthy),
        (4000, HealthStatus::Degraded),
        (8000, HealthStatus::Unhealthy),
    ] {
        written(&path, SystemTime::now() - Duration::from_secs(age));
        let outcome = look(hourly(&path)).await.unwrap();
        assert_eq!(outcome.status, status, "{age} s");
        assert_eq!(outcome.metrics["sizeBytes"], 5.0);
        let seconds = outcome.metrics["ageSeconds"];
        let lower = Duration::from_secs(age).as_secs_f64();
        assert!((lower..lower + 60.0).contains(&seconds), "{seconds}");
        if status != HealthStatus::Healthy {
            assert_eq!(outcome.reason.as_str(), "FileTooOld");
            let shown = format!("{}: ", path.display());
            assert!(outcome.message.starts_with(&shown), "{}", outcome.message);
        }
    }
}

#[test]
fn the_limits_themselves_are_past() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stamp");
    std::fs::write(&path, "").unwrap();
    let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    self::written(&path, written);
    let check = FileCheck::new(hourly(&path)).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    for (millis, status) in [
        (3_599_999, HealthStatus::Healthy),
        (3_600_000, HealthStatus::Degraded),
        (7_199_999, HealthStatus::Degraded),
        (7_200_000, HealthStatus::Unhealthy),
    ] {
        let now = written + Duration::from_millis(millis);
        assert_eq!(
            check.judge(&metadata, now).unwrap().status,
            status,
            "{millis}"
        );
    }
}

#[tokio::test]
async fn a_file_from_the_future_is_new_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stamp");
    std::fs::write(&path, "").unwrap();
    written(&path, SystemTime::now() + Duration::from_secs(86_400));
    let outcome = look(hourly(&path)).await.unwrap();
    assert_eq!(outcome.status, HealthStatus::Healthy);
    assert_eq!(outcome.metrics["ageSeconds"], 0.0);
    assert!(
        outcome.message.ends_with("seconds in the future"),
        "{}",
        outcome.message
    );
}

#[tokio::test]
async fn a_missing_file_is_unhealthy_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("stamp");
    let missing = look(FileConfig::new(&path)).await.unwrap();
    assert_eq!(missing.status, HealthStatus::Unhealthy);
    assert_eq!(missing.reason.as_str(), "FileMissing");
    assert_eq!(missing.message, format!("{} is not there", path.display()));

    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let dangling = look(FileConfig::new(&link)).await.unwrap();
    assert_eq!(dangling.reason.as_str(), "FileMissing");

    std::fs::write(&path, "").unwrap();
    for path in [&path, &link, &dir.path().to_owned()] {
        let found = look(FileConfig::new(path)).await.unwrap();
        assert_eq!(found.status, HealthStatus::Healthy);
    }
    let below = look(FileConfig::new(path.join("below-a-file")))
        .await
        .unwrap();
    assert_eq!(below.reason.as_str(), "FileMissing");
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("circle");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    let error = look(FileConfig::new(&link)).await.unwrap_err();
    assert_eq!(error.reason.as_str(), "PathUnreadable");
    assert_eq!(error.to_string(), format!("failed to look at {link:?}"));
    assert_eq!(Outcome::from(error).status, HealthStatus::Unknown);
}

#[test]
fn configurations_that_cannot_be_meant_are_refused() {
    let mut config = hourly(Path::new("/x"));
    config.age_seconds.unhealthy = Some(60.0);
    assert_eq!(
        FileCheck::new(config).unwrap_err().to_string(),
        "ageSeconds: degraded 3600 lies beyond unhealthy 60"
    );
    let empty = FileCheck::new(FileConfig::new("")).unwrap_err();
    assert_eq!(empty, InvalidCheck::NoPath);
}

/// Degraded from an hour on, Unhealthy from two.
fn hourly(path: &Path) -> FileConfig {
    let mut config = FileConfig::new(path);
    config.age_seconds = Paired {
        degraded: Some(3600.0),
        unhealthy: Some(7200.0),
    };
    config
}

fn written(path: &Path, at: SystemTime) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(at).unwrap();
}

async fn look(config: FileConfig) -> Result<Outcome, CheckError> {
    let context = CheckContext::new(Duration::from_secs(20), Instant::now());
    FileCheck::new(config).unwrap().check(context).await
}
