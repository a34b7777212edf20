//! Programs whose children outlive them, where those come to us as they do to process 1 of a
//! container. A process of its own, so that it can be made to inherit them.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use health_checks::Monitor;
use health_checks::MonitorConfig;
use health_checks::Schedule;
use health_checks::checks::ExecCheck;
use health_checks::checks::ExecConfig;
use health_core::ComponentSpec;

/// One ends at once, one never does, and both leave children behind; a removed one is dropped in
/// the middle of its run.
#[tokio::test]
async fn programs_leave_no_process_behind_and_no_zombie() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let monitor = Monitor::spawn(MonitorConfig::default());
    let often = Schedule::new(Duration::from_millis(100), Duration::from_millis(100));
    let long = Schedule::new(Duration::from_secs(60), Duration::from_secs(30));
    let ends = register(
        &monitor,
        "ends",
        often,
        "sleep 1000 & sleep 1001 & echo done",
    );
    let hangs = register(
        &monitor,
        "hangs",
        often,
        "(sleep 1000 & sleep 1001); sleep 1002",
    );
    let mut changes = monitor.changes();
    let reason = |name: &str| {
        let health = monitor.component(name, Instant::now());
        health.unwrap().reason.to_string()
    };
    let both = changes.wait_for(|_| reason("ends") == "Healthy" && reason("hangs") == "Timeout");
    tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("each has its result")
        .unwrap();

    let removed = register(&monitor, "removed", long, "sleep 1003 & sleep 1004");
    // The shell sleeps once it waits for its children.
    until("it runs", || {
        children()
            .iter()
            .any(|child| child.starts_with("S /bin/sh -c sleep 1003"))
    })
    .await;
    assert!(removed.remove());
    until("its processes are dead", || {
        !children().iter().any(|child| child.contains("1003"))
    })
    .await;
    assert!(ends.remove() && hangs.remove());
    register(&monitor, "clears-up", often, "true");
    until("nobody is left, dead or alive", || {
        children().iter().all(|child| child.contains("true"))
    })
    .await;
    monitor.shutdown().await;
}

fn register(
    monitor: &Monitor,
    name: &str,
    schedule: Schedule,
    script: &str,
) -> health_checks::Registration {
    let check = ExecCheck::new(ExecConfig::new(["/bin/sh", "-c", script])).unwrap();
    let spec = ComponentSpec::new(name.parse().unwrap());
    monitor.register(spec, schedule, Arc::new(check)).unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{what}: {:?}",
            children()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The state and the command of each child of this process.
fn children() -> Vec<String> {
    let us = std::process::id().to_string();
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    folders
        .filter_map(|folder| {
            let stat = std::fs::read_to_string(folder.path().join("stat")).ok()?;
            let command = std::fs::read_to_string(folder.path().join("cmdline")).ok()?;
            let (_, fields) = stat.rsplit_once(") ")?;
            let mut fields = fields.split(' ');
            let (state, parent) = (fields.next()?, fields.next()?);
            (parent == us).then(|| format!("{state} {}", command.replace('\0', " ")))
        })
        .collect()
}
