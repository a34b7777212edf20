//! The program as a process.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;
use tokio::process::Child;
use tokio::process::ChildStdout;
use tokio::process::Command;

use super::Answer;
use super::eventually_or;
use super::get;
use super::secs;

/// A running `syncer-health`, killed when this is dropped.
pub(crate) struct Program {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// With its configuration.
    folder: TempDir,
}

const CONFIG: &str = "config.yaml";

impl Program {
    /// Starts a command, with its flags, with a configuration, and the environment that is given
    /// only.
    pub(crate) fn start(command: &str, config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join(CONFIG);
        std::fs::write(&file, config).expect("the configuration can be written");
        let mut program = syncer_health();
        program.args(command.split(' ')).arg("--config").arg(&file);
        program.envs(environment.iter().copied());
        program.stdout(Stdio::null());
        Self::run(program, folder)
    }

    /// Starts a command without a configuration.
    #[cfg(all(feature = "hub", feature = "transport-lease"))]
    pub(crate) fn bare(args: &[&str]) -> Self {
        let mut program = syncer_health();
        program.args(args).stdout(Stdio::null());
        Self::run(program, TempDir::new().expect("a temporary folder"))
    }

    /// Starts a command without a configuration, and gives what it prints as it does.
    pub(crate) fn printing(args: &[&str]) -> (Self, ChildStdout) {
        let mut program = syncer_health();
        program.args(args).stdout(Stdio::piped());
        let mut program = Self::run(program, TempDir::new().expect("a temporary folder"));
        let stdout = program.child.stdout.take().expect("stdout is piped");
        (program, stdout)
    }

    fn run(mut program: Command, folder: TempDir) -> Self {
        let mut child = program
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be started");
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = Arc::clone(&log);
        let stderr = child.stderr.take().expect("stderr is piped");
        tokio::spawn(async move {
            let mut reader = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                lines.lock().expect("no reader panics").push(line);
            }
        });
        Self { child, log, folder }
    }

    /// Puts another configuration in its place, as a whole.
    pub(crate) fn reconfigure(&self, config: &str) {
        let [new, file] = ["new.yaml", CONFIG].map(|name| self.folder.path().join(name));
        std::fs::write(&new, config).expect("the configuration can be written");
        std::fs::rename(&new, &file).expect("a file can be replaced");
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no reader panics").join("\n")
    }

    /// Waits for a line that contains `needle`, and gives it.
    pub(crate) async fn logged(&self, needle: &str, within: Duration) -> String {
        let what = || format!("a log line with {needle:?} in:\n{}", self.log());
        eventually_or(what, within, || async {
            let log = self.log.lock().expect("no reader panics");
            log.iter().find(|line| line.contains(needle)).cloned()
        })
        .await
    }

    /// The address that the log tells behind `field`.
    pub(crate) async fn address(&self, field: &str) -> SocketAddr {
        let line = self.logged(&format!("{field}="), secs(10)).await;
        let (_, rest) = line
            .split_once(&format!("{field}="))
            .expect("the field is there");
        let address = rest.split_whitespace().next().expect("an address");
        address
            .parse()
            .unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits until a path answers with a status, and gives the answer.
    pub(crate) async fn answers(&self, address: SocketAddr, path: &str, status: u16) -> Answer {
        let what = || format!("{path} answers {status}; the log is:\n{}", self.log());
        eventually_or(what, secs(20), || async {
            get(address, path, &[])
                .await
                .filter(|answer| answer.status == status)
        })
        .await
    }

    /// A number that `/proc/PID/status` tells, in its own unit; of memory that is KiB.
    #[cfg(feature = "hub")]
    pub(crate) fn proc_status(&self, field: &str) -> u64 {
        let status = self.proc("status");
        let text = std::fs::read_to_string(status).expect("the program runs");
        let line = text.lines().find_map(|line| line.strip_prefix(field));
        let value = line.and_then(|rest| rest.trim_start_matches(':').split_whitespace().next());
        let value = value.unwrap_or_else(|| panic!("no {field} in:\n{text}"));
        value.parse().expect("a number")
    }

    /// How many files the program has open.
    #[cfg(feature = "hub")]
    pub(crate) fn open_files(&self) -> usize {
        let files = std::fs::read_dir(self.proc("fd"));
        files.expect("the program runs").count()
    }

    #[cfg(feature = "hub")]
    fn proc(&self, name: &str) -> String {
        let pid = self.child.id().expect("the program runs");
        format!("/proc/{pid}/{name}")
    }

    /// Sends a signal by its name, as `TERM`, `STOP` or `KILL`.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the program runs").to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status()
            .await;
        assert!(
            sent.expect("kill can be started").success(),
            "kill -{name} {pid}"
        );
    }

    /// Waits for the end, and gives the exit code; nothing where a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        let ended = tokio::time::timeout(secs(20), self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("it does not end:\n{}", self.log()));
        status.expect("a child can be waited for").code()
    }

    /// Asks it to end, and gives the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        self.signal("TERM").await;
        self.ended().await
    }
}

impl Drop for Program {
    /// Where lines are counted, only a program that ends by itself tells which ones it reached.
    #[expect(
        clippy::disallowed_methods,
        reason = "a destructor cannot wait otherwise"
    )]
    fn drop(&mut self) {
        let Some(pid) = self.child.id().filter(|_| counts_lines()) else {
            return;
        };
        // The second signal ends it at once.
        let twice = format!("kill -TERM {pid}; sleep 0.2; kill -TERM {pid}");
        let asked = std::process::Command::new("sh")
            .args(["-c", &twice])
            .status();
        let tries = if asked.is_ok() { 50 } else { 0 };
        for _ in 0..tries {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The program that is tested.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_syncer-health");

/// Where an instrumented program writes which lines it reached.
const PROFILE: &str = "LLVM_PROFILE_FILE";

/// Runs the program to its end: exit code, standard output, standard error.
pub(crate) async fn run_to_end(
    args: &[&str],
    environment: &[(&str, &str)],
) -> (i32, String, String) {
    let run = syncer_health()
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(secs(20), run).await.expect("it ends");
    let output = output.expect("the program can be started");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (
        output.status.code().unwrap_or(-1),
        text(output.stdout),
        text(output.stderr),
    )
}

fn syncer_health() -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear();
    if let Some(file) = std::env::var_os(PROFILE) {
        command.env(PROFILE, file);
    }
    command
}

/// Whether this is a run of `cargo xtask coverage`.
fn counts_lines() -> bool {
    std::env::var_os(PROFILE).is_some()
}
