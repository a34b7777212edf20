use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;

use super::*;

#[test]
fn used_is_the_share_of_what_everyone_can_use() {
    for (all, free, available, expected) in [
        (100, 100, 100, Some(0.0)),
        (100, 0, 0, Some(1.0)),
        (100, 50, 50, Some(0.5)),
        // Ten are reserved for root.
        (100, 30, 20, Some(70.0 / 90.0)),
        (100, 10, 0, Some(1.0)),
        (100, 100, 0, Some(1.0)),
        (0, 0, 0, None),
        // What makes no sense gives no nonsense.
        (0, 5, 5, None),
        (100, 200, 200, Some(0.0)),
        (u64::MAX, 0, u64::MAX, Some(0.5)),
    ] {
        assert_eq!(
            used(all, free, available),
            expected,
            "{all} {free} {available}"
        );
    }
}

#[test]
fn each_number_is_judged_by_its_own_limits() {
    let mut config = DiskConfig::new("/");
    config.free_bytes = Paired {
        degraded: Some(2000.0),
        unhealthy: Some(1000.0),
    };
    for (used_ratio, free_bytes, inodes, status, reason, message) in [
        (0.5, 1e6, Some(0.5), HealthStatus::Healthy, "Healthy", ""),
        (0.5, 1e6, None, HealthStatus::Healthy, "Healthy", ""),
        (
            0.85,
            1e6,
            Some(0.5),
            HealthStatus::Degraded,
            "DiskSpaceLow",
            "0.85 of the space is used, the limit is 0.85",
        ),
        (
            1.0,
            1e6,
            Some(0.9),
            HealthStatus::Unhealthy,
            "DiskSpaceLow",
            "1 of the space is used, the limit is 0.95",
        ),
        (
            0.9,
            1000.0,
            None,
            HealthStatus::Unhealthy,
            "DiskSpaceLow",
            "1000 bytes are free, the limit is 1000",
        ),
        (
            0.5,
            2000.0,
            None,
            HealthStatus::Degraded,
            "DiskSpaceLow",
            "2000 bytes are free, the limit is 2000",
        ),
        (
            0.9,
            1e6,
            Some(1.0),
            HealthStatus::Unhealthy,
            "InodesLow",
            "1 of the inodes are used, the limit is 0.95",
        ),
    ] {
        let usage = Usage {
            used_ratio,
            free_bytes,
            inodes_used_ratio: inodes,
        };
        let outcome = usage.judge(&config);
        assert_eq!(outcome.status, status, "{usage:?}");
        assert_eq!(outcome.reason.as_str(), reason);
        assert_eq!(outcome.message, message);
        assert_eq!(outcome.metrics["usedRatio"], used_ratio);
        assert_eq!(outcome.metrics["freeBytes"], free_bytes);
        assert_eq!(outcome.metrics.get("inodesUsedRatio"), inodes.as_ref());
    }
}

#[test]
fn configurations_that_cannot_be_meant_are_refused() {
    let pair = |degraded, unhealthy| Paired {
        degraded: Some(degraded),
        unhealthy: Some(unhealthy),
    };
    let refused = |change: fn(&mut DiskConfig, Paired), limits| {
        let mut config = DiskConfig::new("/");
        change(&mut config, limits);
        DiskCheck::new(config).unwrap_err().to_string()
    };
    assert_eq!(
        refused(|config, limits| config.used_ratio = limits, pair(0.9, 0.8)),
        "usedRatio: degraded 0.9 lies beyond unhealthy 0.8"
    );
    assert_eq!(
        refused(
            |config, limits| config.inodes_used_ratio = limits,
            pair(85.0, 95.0)
        ),
        "inodesUsedRatio: 85 is not allowed, a share lies between 0 and 1"
    );
    assert_eq!(
        refused(
            |config, limits| config.free_bytes = limits,
            pair(10.0, 20.0)
        ),
        "freeBytes: degraded 10 lies beyond unhealthy 20"
    );
    assert_eq!(
        DiskCheck::new(DiskConfig::new("")).unwrap_err(),
        InvalidCheck::NoPath
    );
}

#[tokio::test]
async fn a_real_file_system_has_numbers_that_make_sense() {
    let dir = tempfile::tempdir().unwrap();
    for path in [Path::new("/"), dir.path()] {
        let mut config = DiskConfig::new(path);
        config.used_ratio = Paired::default();
        config.inodes_used_ratio = Paired::default();
        let outcome = look(config.clone()).await.unwrap();
        assert_eq!(outcome.status, HealthStatus::Healthy, "{outcome:?}");
        let ratio = outcome.metrics["usedRatio"];
        assert!((0.0..=1.0).contains(&ratio), "{ratio}");
        assert!(outcome.metrics["freeBytes"] > 0.0);

        config.free_bytes.unhealthy = Some(1e300);
        let outcome = look(config).await.unwrap();
        assert_eq!(outcome.status, HealthStatus::Unhealthy);
        let shown = format!("{}: ", path.display());
        assert!(outcome.message.starts_with(&shown), "{}", outcome.message);
    }
}

#[tokio::test]
async fn a_path_that_is_not_there_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [dir.path().join("missing"), file.join("below-a-file")] {
        let error = look(DiskConfig::new(path)).await.unwrap_err();
        assert_eq!(error.reason.as_str(), "PathMissing");
        assert_eq!(Outcome::from(error).status, HealthStatus::Unknown);
    }
    let long = look(DiskConfig::new("x".repeat(5000))).await.unwrap_err();
    assert_eq!(long.reason.as_str(), "PathUnreadable");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_file_system_without_a_size_is_unknown_and_nothing_is_divided() {
    let error = look(DiskConfig::new("/proc")).await.unwrap_err();
    assert_eq!(error.reason.as_str(), "NoCapacity");
    assert_eq!(
        error.to_string(),
        "the file system of \"/proc\" has no size"
    );
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "needs the right to mount: run it as root"]
async fn a_full_file_system_is_unhealthy_for_its_space_and_for_its_inodes() {
    let mounted = Mounted::tmpfs("size=256k,nr_inodes=20");
    let healthy = look(DiskConfig::new(mounted.path())).await.unwrap();
    assert_eq!(healthy.status, HealthStatus::Healthy, "{healthy:?}");
    assert_eq!(healthy.metrics["freeBytes"], 256.0 * 1024.0);

    let big = mounted.path().join("big");
    std::fs::write(&big, vec![b'x'; 240 * 1024]).unwrap();
    let degraded = look(DiskConfig::new(&big)).await.unwrap();
    assert_eq!(degraded.status, HealthStatus::Degraded, "{degraded:?}");
    // It takes as much as there is, and fails.
    std::fs::write(&big, vec![b'x'; 300 * 1024]).unwrap_err();
    let full = look(DiskConfig::new(&big)).await.unwrap();
    assert_eq!(full.status, HealthStatus::Unhealthy);
    assert_eq!(full.reason.as_str(), "DiskSpaceLow");
    assert_eq!(full.metrics["usedRatio"], 1.0);
    assert_eq!(full.metrics["freeBytes"], 0.0);

    // Emptied and not removed: a process that another test starts just now has it open until its
    // exec, and what is open keeps its space.
    std::fs::write(&big, "").unwrap();
    let mut number = 0;
    while std::fs::write(mounted.path().join(number.to_string()), "").is_ok() {
        number += 1;
    }
    let full = look(DiskConfig::new(mounted.path())).await.unwrap();
    assert_eq!(full.status, HealthStatus::Unhealthy);
    assert_eq!(full.reason.as_str(), "InodesLow");
}

/// A mounted file system that ends with this.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn tmpfs(options: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "tmpfs"]);
        let done = mount.arg(dir.path()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
        Self(dir)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let mut unmount = std::process::Command::new("umount");
        unmount.arg(self.0.path()).status().ok();
    }
}

async fn look(config: DiskConfig) -> Result<Outcome, CheckError> {
    let context = CheckContext::new(Duration::from_secs(20), Instant::now());
    DiskCheck::new(config).unwrap().check(context).await
}
