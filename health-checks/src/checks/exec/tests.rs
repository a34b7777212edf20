use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use health_core::HealthStatus;

use super::process::End;
use super::*;

#[tokio::test]
async fn exit_statuses_and_output_follow_the_convention() {
    for (script, status, reason, message) in [
        (
            "echo 'OK - fine | load=0.5;1;2'",
            HealthStatus::Healthy,
            "Healthy",
            "OK - fine",
        ),
        (
            "echo hm; exit 1",
            HealthStatus::Degraded,
            "ReportedWarning",
            "hm",
        ),
        (
            "echo bad; exit 2",
            HealthStatus::Unhealthy,
            "ReportedCritical",
            "bad",
        ),
        (
            "echo why; exit 3",
            HealthStatus::Unknown,
            "ReportedUnknown",
            "why",
        ),
        (
            "exit 42",
            HealthStatus::Unknown,
            "UnexpectedExit",
            "exit status 42",
        ),
        (
            "kill -9 $$",
            HealthStatus::Unknown,
            "Killed",
            "ended by signal 9",
        ),
        (
            "kill -15 $$",
            HealthStatus::Unknown,
            "Killed",
            "ended by signal 15",
        ),
        (
            "echo oh no >&2; exit 2",
            HealthStatus::Unhealthy,
            "ReportedCritical",
            "oh no",
        ),
        (
            "printf 'a\\377b'",
            HealthStatus::Healthy,
            "Healthy",
            "a\u{fffd}b",
        ),
        ("true", HealthStatus::Healthy, "Healthy", ""),
    ] {
        let outcome = run(script).await;
        assert_eq!(outcome.status, status, "{script}: {outcome:?}");
        assert_eq!(outcome.reason.as_str(), reason, "{script}");
        assert_eq!(outcome.message, message, "{script}");
    }
    let outcome = run("echo 'x | load=0.5;1;2 time=20ms'").await;
    assert_eq!(outcome.metrics["load"], 0.5);
    assert_eq!(outcome.metrics["time"], 0.02);
}

#[tokio::test]
async fn a_program_gets_its_own_environment_and_folder_and_no_input() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = shell("cat; echo $GREETING ${CARGO_MANIFEST_DIR-none} ${PATH:+path}; exit 1");
    config.env.insert("GREETING".to_owned(), "hello".to_owned());
    assert_eq!(run_config(config).await.message, "hello none path");

    let mut config = shell("pwd");
    config.working_dir = Some(dir.path().to_owned());
    let there = dir.path().canonicalize().unwrap();
    assert_eq!(Path::new(&run_config(config).await.message), there);
}

#[tokio::test]
async fn arguments_reach_the_program_as_they_are() {
    let config = ExecConfig::new(["/bin/echo", "a b", "$HOME", "'*'"]);
    assert_eq!(run_config(config).await.message, "a b $HOME '*'");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "no program").unwrap();
    let mut nowhere = shell("true");
    nowhere.working_dir = Some(dir.path().join("nowhere"));
    for config in [
        ExecConfig::new(["/nowhere/at-all", "s3cret"]),
        ExecConfig::new(["no-such-program-anywhere"]),
        ExecConfig::new([plain.to_str().unwrap()]),
        ExecConfig::new([dir.path().to_str().unwrap()]),
        nowhere,
    ] {
        let check = ExecCheck::new(config).unwrap();
        let error = check.check(context(20_000)).await.unwrap_err();
        assert_eq!(error.reason.as_str(), "NotStarted");
        let outcome = Outcome::from(error);
        assert_eq!(outcome.status, HealthStatus::Unknown);
        assert!(!outcome.message.contains("s3cret"), "{}", outcome.message);
    }
}

#[test]
fn commands_that_nobody_can_run_are_refused() {
    let no_args: [&str; 0] = [];
    let with = |name: &str, value: &str| {
        let mut config = shell("true");
        config.env.insert(name.to_owned(), value.to_owned());
        config
    };
    let mut in_no_folder = shell("true");
    in_no_folder.working_dir = Some("".into());
    for (config, expected) in [
        (ExecConfig::new(no_args), InvalidCheck::NoCommand),
        (ExecConfig::new([""]), InvalidCheck::NoCommand),
        (ExecConfig::new(["a\0b"]), InvalidCheck::Nul),
        (with("A", "b\0"), InvalidCheck::Nul),
        (with("", "b"), InvalidCheck::Variable(String::new())),
        (with("A=B", "c"), InvalidCheck::Variable("A=B".to_owned())),
        (in_no_folder, InvalidCheck::NoPath),
    ] {
        assert_eq!(ExecCheck::new(config).unwrap_err(), expected);
    }
}

#[test]
fn secrets_are_not_shown() {
    let mut config = ExecConfig::new(["check_db", "--password", "hunter2"]);
    config.env.insert("TOKEN".to_owned(), "hunter2".to_owned());
    let shown = format!("{config:?} {:?}", ExecCheck::new(config.clone()).unwrap());
    assert!(
        shown.contains("check_db") && shown.contains("TOKEN"),
        "{shown}"
    );
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn a_gigabyte_of_output_costs_no_memory() {
    let script = "echo 'fine | a=1'; head -c 1073741824 /dev/zero; exit 1";
    let run = program(script).run(context(60_000)).await.unwrap();
    assert_eq!(run.end, End::Exited(1));
    assert_eq!(run.stdout.bytes.len(), 64 * 1024);
    assert!(run.stdout.bytes.capacity() <= 256 * 1024);
    assert!(!run.stdout.is_whole && run.stderr.is_whole);
}

#[tokio::test]
async fn a_program_that_never_stops_writing_is_stopped() {
    let began = Instant::now();
    let outcome = run_within("yes 'so far'", 500).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(outcome.status, HealthStatus::Unhealthy);
    assert_eq!(outcome.reason.as_str(), "Timeout");
    assert_eq!(outcome.message, "did not end within 500ms: so far");
}

#[tokio::test]
async fn whoever_does_not_end_in_time_is_killed_with_its_children() {
    let family = Family::new();
    let script = family.script("trap '' TERM INT; sleep 1000 & note $!; note $$; wait; sleep 1000");
    let outcome = run_within(&script, 500).await;
    assert_eq!(outcome.reason.as_str(), "Timeout", "{}", outcome.message);
    family.is_gone(2).await;
}

/// The run is dropped at a time when the program surely runs.
#[tokio::test]
async fn pitfall_35_a_run_that_is_dropped_kills_its_program_and_harms_not_the_next() {
    let family = Family::new();
    let script = family.script(
        "if [ -e again ]; then echo again; exit 1; fi; touch again; \
         sleep 1000 & note $!; note $$; wait",
    );
    let mut config = shell(&script);
    config.working_dir = Some(family.dir.path().to_owned());
    let check = ExecCheck::new(config).unwrap();
    tokio::select! {
        ended = check.check(context(60_000)) => panic!("{ended:?}"),
        () = family.is_noted(2) => {}
    }
    family.is_gone(2).await;
    let outcome = check.check(context(20_000)).await.unwrap();
    assert_eq!(outcome.message, "again");
}

/// Run after run that hangs leaves nothing behind.
#[tokio::test]
async fn pitfall_36_hung_programs_do_not_pile_up() {
    const RUNS: usize = 20;
    let family = Family::new();
    let script = family.script("note $$; sleep 1000");
    let check = ExecCheck::new(shell(&script)).unwrap();
    for _ in 0..RUNS {
        let outcome = check.check(context(100)).await.unwrap();
        assert_eq!(outcome.reason.as_str(), "Timeout");
    }
    family.is_gone(0).await;
}

#[tokio::test]
async fn what_a_program_leaves_in_the_background_ends_with_it() {
    let family = Family::new();
    let began = Instant::now();
    let outcome = run(&family.script("sleep 1000 & note $!; echo done")).await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(outcome.status, HealthStatus::Healthy);
    assert_eq!(outcome.message, "done");
    family.is_gone(1).await;
}

/// It holds the output open, and is in no group that could be killed.
#[tokio::test]
async fn whoever_leaves_the_group_is_not_waited_for() {
    let began = Instant::now();
    let outcome = run("setsid sleep 15 & echo done; exit 1").await;
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(outcome.message, "done");
}

#[tokio::test]
#[ignore = "needs monitoring-plugins-basic: apt-get install monitoring-plugins-basic"]
async fn the_plugins_of_the_convention_are_understood() {
    let plugin = |name: &str, arguments: &[&str]| {
        let mut command = vec![format!("/usr/lib/nagios/plugins/{name}")];
        command.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        run_config(ExecConfig::new(command))
    };
    let limits = ["-w", "9999,9999,9999", "-c", "9999,9999,9999"];
    let load = plugin("check_load", &limits).await;
    assert_eq!(load.status, HealthStatus::Healthy, "{load:?}");
    let names: Vec<_> = load.metrics.keys().collect();
    assert_eq!(names, ["load1", "load15", "load5"]);
    let disk = plugin("check_disk", &["-w", "0%", "-c", "0%", "-p", "/"]).await;
    assert!(disk.metrics["/"] > 0.0, "{disk:?}");
    let refused = plugin("check_tcp", &["-H", "127.0.0.1", "-p", "1"]).await;
    assert_eq!(refused.status, HealthStatus::Unhealthy, "{refused:?}");
    let dummy = plugin("check_dummy", &["1", "hm"]).await;
    assert_eq!(
        (dummy.status, &*dummy.message),
        (HealthStatus::Degraded, "WARNING: hm")
    );
}

#[tokio::test]
async fn many_programs_at_once_do_not_mix() {
    let mut runs = tokio::task::JoinSet::new();
    for number in 0..40 {
        runs.spawn(async move {
            let script = format!("echo {number}; exit {}", number % 3);
            (number, run(&script).await)
        });
    }
    while let Some(ended) = runs.join_next().await {
        let (number, outcome) = ended.unwrap();
        assert_eq!(outcome.message, number.to_string());
        let statuses = [
            HealthStatus::Healthy,
            HealthStatus::Degraded,
            HealthStatus::Unhealthy,
        ];
        assert_eq!(outcome.status, statuses[number % 3]);
    }
}

/// The numbers of the processes that a script started, in a file.
struct Family {
    dir: tempfile::TempDir,
}

impl Family {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// `script` with a command `note`.
    fn script(&self, script: &str) -> String {
        let pids = self.dir.path().join("pids");
        format!("note() {{ echo $1 >> {}; }}; {script}", pids.display())
    }

    fn pids(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("pids")).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    }

    async fn is_noted(&self, count: usize) {
        while self.pids().len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// At least `count` were started, and none of them is left.
    async fn is_gone(&self, count: usize) {
        let pids = self.pids();
        assert!(pids.len() >= count, "{pids:?}");
        let began = Instant::now();
        while let Some(pid) = pids
            .iter()
            .find(|pid| Path::new("/proc").join(pid).exists())
        {
            assert!(began.elapsed() < Duration::from_secs(10), "{pid} is left");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn shell(script: &str) -> ExecConfig {
    ExecConfig::new(["/bin/sh", "-c", script])
}

fn program(script: &str) -> Program {
    Program::new(shell(script))
}

fn context(millis: u64) -> CheckContext {
    CheckContext::new(Duration::from_millis(millis), Instant::now())
}

async fn run(script: &str) -> Outcome {
    run_config(shell(script)).await
}

async fn run_within(script: &str, millis: u64) -> Outcome {
    let check = ExecCheck::new(shell(script)).unwrap();
    check.check(context(millis)).await.unwrap()
}

async fn run_config(config: ExecConfig) -> Outcome {
    let check = ExecCheck::new(config).unwrap();
    check.check(context(20_000)).await.unwrap()
}
