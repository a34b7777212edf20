use std::fs;

use health_core::HealthStatus;
use tempfile::TempDir;

use super::*;
use crate::checks::resources::usage::Stat;
use crate::checks::resources::usage::host_cores;
use crate::checks::resources::usage::host_memory;
use crate::checks::resources::usage::open_files_max;

const MIB: f64 = 1024.0 * 1024.0;

#[test]
fn each_number_has_limits_and_a_reason_of_its_own() {
    for (set, reason, message) in [
        (
            (|config, pair| config.memory_ratio = pair) as fn(&mut ResourcesConfig, Paired),
            "MemoryHigh",
            "0.5 of the memory that it may use, the limit is 0.5",
        ),
        (
            |config, pair| config.cpu_ratio = pair,
            "CpuHigh",
            "0.5 of the processor time that it may use, the limit is 0.5",
        ),
        (
            |config, pair| config.open_files_ratio = pair,
            "OpenFilesHigh",
            "0.5 of the files that it may open, the limit is 0.5",
        ),
        (
            |config, pair| config.threads = pair,
            "ThreadsHigh",
            "10 threads, the limit is 0.5",
        ),
        (
            |config, pair| config.tasks = pair,
            "TasksHigh",
            "20 tasks, the limit is 0.5",
        ),
    ] {
        let mut config = without_limits();
        set(&mut config, pair(Some(0.5), None));
        let outcome = judge(&half_used(), Some(1.0), Some(20.0), &config);
        assert_eq!(outcome.status, HealthStatus::Degraded, "{reason}");
        assert_eq!(outcome.reason.as_str(), reason);
        assert_eq!(outcome.message, message);
        set(&mut config, pair(None, Some(0.5)));
        let outcome = judge(&half_used(), Some(1.0), Some(20.0), &config);
        assert_eq!(outcome.status, HealthStatus::Unhealthy, "{reason}");
    }
}

#[test]
fn by_default_memory_and_open_files_are_judged_and_all_is_reported() {
    let mut usage = half_used();
    let config = ResourcesConfig::default();
    let outcome = judge(&usage, Some(2.0), Some(20.0), &config);
    assert_eq!(outcome.status, HealthStatus::Healthy);
    let shown: Vec<_> = outcome
        .metrics
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let expected = [
        ("cpuCores", 2.0),
        ("memoryBytes", 512.0 * MIB),
        ("memoryLimitBytes", 1024.0 * MIB),
        ("memoryRatio", 0.5),
        ("openFiles", 512.0),
        ("tasks", 20.0),
        ("threads", 10.0),
    ];
    assert_eq!(shown, expected);
    for (bytes, status) in [
        (0.8, HealthStatus::Degraded),
        (0.95, HealthStatus::Unhealthy),
        (7.0, HealthStatus::Unhealthy),
    ] {
        usage.memory_bytes = Some(1024.0 * MIB * bytes);
        assert_eq!(judge(&usage, None, None, &config).status, status, "{bytes}");
    }
}

#[test]
fn what_cannot_be_read_is_absent_and_a_limit_on_it_is_unknown() {
    let outcome = judge(&Usage::default(), None, None, &without_limits());
    assert_eq!(outcome, Outcome::healthy());
    let outcome = judge(&Usage::default(), None, None, &ResourcesConfig::default());
    assert_eq!(outcome.status, HealthStatus::Unknown);
    assert_eq!(outcome.reason.as_str(), "NotMeasured");
    assert_eq!(
        outcome.message,
        "there is a limit but no memoryRatio, openFilesRatio"
    );
    assert!(outcome.metrics.is_empty());
    let all = ResourcesConfig {
        cpu_ratio: pair(Some(1.0), None),
        threads: pair(None, Some(1.0)),
        tasks: pair(Some(1.0), None),
        ..ResourcesConfig::default()
    };
    let outcome = judge(&Usage::default(), None, None, &all);
    assert!(
        outcome
            .message
            .ends_with("cpuRatio, openFilesRatio, threads, tasks"),
        "{}",
        outcome.message
    );
}

#[test]
fn what_is_known_to_be_bad_is_not_hidden_by_what_is_not_known() {
    let usage = Usage {
        memory_bytes: None,
        open_files: Some(1023.0),
        ..half_used()
    };
    let outcome = judge(&usage, None, None, &ResourcesConfig::default());
    assert_eq!(outcome.reason.as_str(), "OpenFilesHigh");
}

#[test]
fn without_a_limit_on_open_files_any_number_is_fine() {
    let usage = Usage {
        open_files: Some(1e6),
        open_files_max: Some(f64::INFINITY),
        ..half_used()
    };
    let outcome = judge(&usage, None, None, &ResourcesConfig::default());
    assert_eq!(outcome.status, HealthStatus::Healthy);
}

#[test]
fn the_first_run_is_not_judged_by_processor_time() {
    let config = ResourcesConfig {
        cpu_ratio: pair(Some(0.1), None),
        ..without_limits()
    };
    let outcome = judge(&half_used(), None, None, &config);
    assert_eq!(outcome.status, HealthStatus::Healthy);
    assert!(!outcome.metrics.contains_key("cpuCores"));
    let unreadable = Usage {
        cpu_seconds: None,
        ..half_used()
    };
    let outcome = judge(&unreadable, None, None, &config);
    assert_eq!(outcome.reason.as_str(), "NotMeasured");
}

#[test]
fn processor_time_is_averaged_from_run_to_run() {
    let start = Instant::now();
    let at = |millis| start + Duration::from_millis(millis);
    let mut meter = CpuMeter::default();
    assert_eq!(meter.take(Some(7.0), at(0)), None);
    assert_eq!(meter.take(Some(7.2), at(100)), None, "too soon");
    assert_eq!(meter.take(Some(10.0), at(2000)), Some(1.5));
    assert_eq!(meter.take(Some(10.4), at(2100)), Some(1.5), "too soon");
    assert_eq!(meter.take(Some(10.5), at(3000)), Some(0.5));
    assert_eq!(meter.take(Some(9.0), at(4000)), Some(0.0), "went back");
    assert_eq!(meter.take(None, at(5000)), None);
    assert_eq!(meter.take(Some(20.0), at(6000)), None, "begins anew");
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    ResourcesConfig::default().validate().unwrap();
    let default = ResourcesConfig::default();
    for (config, key) in [
        (
            ResourcesConfig {
                memory_ratio: pair(Some(0.9), Some(0.8)),
                ..default
            },
            "memoryRatio: ",
        ),
        (
            ResourcesConfig {
                cpu_ratio: pair(Some(80.0), None),
                ..default
            },
            "cpuRatio: ",
        ),
        (
            ResourcesConfig {
                open_files_ratio: pair(None, Some(f64::NAN)),
                ..default
            },
            "openFilesRatio: ",
        ),
        (
            ResourcesConfig {
                threads: pair(Some(-1.0), None),
                ..default
            },
            "threads: ",
        ),
        (
            ResourcesConfig {
                tasks: pair(Some(2.0), Some(1.0)),
                ..default
            },
            "tasks: ",
        ),
    ] {
        let error = ResourcesCheck::new(config).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}

#[test]
fn the_files_of_the_kernel_are_read() {
    let stat = Stat {
        cpu_ticks: 300.0,
        threads: 9.0,
        resident_pages: 4321.0,
    };
    assert_eq!(Stat::parse(STAT), Some(stat));
    let limits = "Max processes             63432     63432     processes\n";
    let files =
        |soft: &str| format!("{limits}Max open files            {soft}      4096    files\n");
    assert_eq!(open_files_max(&files("1024")), Some(1024.0));
    assert_eq!(open_files_max(&files("unlimited")), Some(f64::INFINITY));
    let meminfo = "MemTotal:       16384 kB\nMemFree:          204 kB\n";
    assert_eq!(host_memory(meminfo), Some(16.0 * MIB));
    let cores = "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\ncpufreq 3\nintr 1 2 3\n";
    assert_eq!(host_cores(cores), Some(2.0));
    for garbage in [
        "",
        ")",
        "1 (x) S 1",
        "Max open files",
        "MemTotal: 0 kB",
        "cpu",
    ] {
        assert_eq!(Stat::parse(garbage), None, "{garbage:?}");
        assert_eq!(open_files_max(garbage), None, "{garbage:?}");
        assert_eq!(host_memory(garbage), None, "{garbage:?}");
        assert_eq!(host_cores(garbage), None, "{garbage:?}");
    }
}

#[test]
fn a_machine_is_read_and_the_smaller_of_cgroup_and_host_counts() {
    for (max, cpu, memory, cores) in [
        ("8388608", "50000 100000", 8.0 * MIB, 0.5),
        ("max", "max 100000", 16.0 * MIB, 2.0),
        ("999999999999", "800000 100000", 16.0 * MIB, 2.0),
    ] {
        let machine = machine(max, cpu);
        let usage = Usage::read(machine.path());
        assert_eq!(usage.memory_limit_bytes, Some(memory), "{max}");
        assert_eq!(usage.cores_max, Some(cores), "{cpu}");
        assert_eq!(usage.threads, Some(9.0));
        assert_eq!(usage.open_files, Some(3.0));
        assert_eq!(usage.open_files_max, Some(1024.0));
    }
}

#[test]
fn each_file_that_is_not_there_leaves_its_own_numbers_absent() {
    let without = |path: &str| {
        let machine = machine("max", "max 100000");
        fs::remove_file(machine.path().join(path)).unwrap();
        Usage::read(machine.path())
    };
    let usage = without("proc/self/stat");
    assert_eq!((usage.memory_bytes, usage.cpu_seconds), (None, None));
    assert_eq!(usage.threads, None);
    let usage = without("proc/meminfo");
    assert_eq!(usage.memory_limit_bytes, None);
    assert_eq!(usage.cores_max, Some(2.0));
    let usage = without("proc/stat");
    assert_eq!(usage.cores_max, None);
    assert_eq!(usage.memory_limit_bytes, Some(16.0 * MIB));
    assert_eq!(without("proc/self/limits").open_files_max, None);
    let usage = without("proc/self/mountinfo");
    assert_eq!((usage.memory_limit_bytes, usage.cores_max), (None, None));
    let nothing = tempfile::tempdir().unwrap();
    assert_eq!(Usage::read(nothing.path()), Usage::default());
}

#[test]
fn a_cgroups_limit_needs_no_host() {
    let machine = machine("8388608", "50000 100000");
    fs::remove_file(machine.path().join("proc/meminfo")).unwrap();
    let usage = Usage::read(machine.path());
    assert_eq!(usage.memory_limit_bytes, Some(8.0 * MIB));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn this_process_is_measured() {
    let check = ResourcesCheck::new(without_limits())
        .unwrap()
        .with_runtime(Handle::current());
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let waiting = tokio::spawn(told);
    let outcome = check.look(Instant::now());
    assert_eq!(outcome.status, HealthStatus::Healthy);
    let number = |name: &str| outcome.metrics.get(name).copied();
    assert!(number("memoryBytes") > Some(100_000.0), "{outcome:?}");
    assert!(number("openFiles") >= Some(3.0), "{outcome:?}");
    assert!(number("threads") >= Some(1.0), "{outcome:?}");
    assert_eq!(number("tasks"), Some(1.0));
    assert_eq!(number("cpuCores"), None);
    let later = check.look(Instant::now() + Duration::from_secs(10));
    assert!(later.metrics.contains_key("cpuCores"), "{later:?}");
    tell.send(()).unwrap();
    waiting.await.unwrap().unwrap();
}

const STAT: &str = "7 (a) b) S 1 7 7 0 -1 4194304 1 2 3 4 100 200 5 6 20 0 9 0 1234 99999 4321 \
                    18446744073709551615 1 1 0 0 0 0\n";

/// A machine of 2 cores and 16 MiB, with version 2 of cgroups.
fn machine(memory_max: &str, cpu_max: &str) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("proc/self/stat", STAT),
        ("proc/self/fd/0", ""),
        ("proc/self/fd/1", ""),
        ("proc/self/fd/2", ""),
        (
            "proc/self/limits",
            "Max open files            1024      4096      files\n",
        ),
        ("proc/meminfo", "MemTotal:       16384 kB\n"),
        ("proc/stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\n"),
        ("proc/self/cgroup", "0::/x\n"),
        (
            "proc/self/mountinfo",
            "31 23 0:28 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        ),
        ("sys/fs/cgroup/x/memory.max", memory_max),
        ("sys/fs/cgroup/x/cpu.max", cpu_max),
    ] {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// Half of everything, of 1 GiB, 2 cores and 1024 files, once a core is used; and 10 threads.
fn half_used() -> Usage {
    Usage {
        memory_bytes: Some(512.0 * MIB),
        memory_limit_bytes: Some(1024.0 * MIB),
        cpu_seconds: Some(60.0),
        cores_max: Some(2.0),
        threads: Some(10.0),
        open_files: Some(512.0),
        open_files_max: Some(1024.0),
    }
}

fn without_limits() -> ResourcesConfig {
    ResourcesConfig {
        memory_ratio: Paired::default(),
        open_files_ratio: Paired::default(),
        ..ResourcesConfig::default()
    }
}

fn pair(degraded: Option<f64>, unhealthy: Option<f64>) -> Paired {
    Paired {
        degraded,
        unhealthy,
    }
}
