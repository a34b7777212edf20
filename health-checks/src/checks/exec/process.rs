//! One run of a program, from its start to the end of its process group.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::pin::pin;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::WaitId;
use rustix::process::WaitIdOptions;
use rustix::process::WaitOptions;
use rustix::process::kill_process_group;
use rustix::process::waitid;
use rustix::process::waitpgid;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tokio::time::Instant;

use crate::CheckContext;
use crate::CheckError;
use crate::checks::ExecConfig;
use crate::reasons;

/// What is run, time and again.
pub(super) struct Program {
    config: ExecConfig,
    path: Option<OsString>,
}

/// What came of a run.
pub(super) struct Run {
    pub(super) end: End,
    pub(super) stdout: Kept,
    pub(super) stderr: Kept,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exited(i32),
    Signalled(i32),
    TimedOut,
}

/// The beginning of what a program wrote.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    /// Whether nothing was thrown away.
    pub(super) is_whole: bool,
}

/// The process group of a run. Dropped before it is over, it is killed.
struct Group {
    id: Pid,
    is_over: bool,
    /// Whether no process of it is left to be waited for.
    is_reaped: bool,
}

/// The groups that may have left somebody to be waited for: whoever is process 1 of a container
/// inherits their orphans. They are the process's, as children are, and the next run of any program
/// sees to them.
static DROPPED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// So much of each stream is kept: a message and every metric fit many times over.
const OUTPUT_MAX: usize = 64 * 1024;

/// Once the group is dead, its output ends at once. Only who left the group can hold it open.
const LINGER: Duration = Duration::from_millis(50);

/// Killed processes are gone within a few of these.
const REAP_EVERY: Duration = Duration::from_millis(2);

// === impl Program ===

impl Program {
    pub(super) fn new(config: ExecConfig) -> Self {
        Self {
            config,
            path: std::env::var_os("PATH"),
        }
    }

    /// Runs the program once.
    ///
    /// # Cancel safety
    ///
    /// A run that is dropped kills its process group. It ends by itself shortly before the deadline
    /// of `cx`.
    pub(super) async fn run(&self, cx: CheckContext) -> Result<Run, CheckError> {
        reap_dropped();
        // Listening begins before the start, so that no end is missed.
        let mut ends = signal(SignalKind::child()).map_err(|error| self.not_started(error))?;
        let child = self.command().spawn();
        let mut child = child.map_err(|error| self.not_started(error))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        let Some(id) = id.and_then(Pid::from_raw) else {
            return Err(self.not_started(io::Error::other("it has no process id")));
        };
        let group = Group {
            id,
            is_over: false,
            is_reaped: false,
        };
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (mut out, mut err) = (Kept::new(), Kept::new());
        let mut is_read = false;
        let ended = {
            let mut reading = pin!(async { tokio::join!(out.read(stdout), err.read(stderr)) });
            let ended = async {
                while !has_ended(id) {
                    tokio::select! {
                        _ = ends.recv() => {}
                        _ = &mut reading, if !is_read => is_read = true,
                    }
                }
            };
            let give_up_at = Instant::from_std(cx.give_up_at());
            let ended = tokio::time::timeout_at(give_up_at, ended).await;
            group.kill();
            if !is_read {
                tokio::time::timeout(LINGER, reading).await.ok();
            }
            ended
        };
        // One that cannot die, in the middle of a call to a dead file system, is not waited for.
        let deadline = Instant::from_std(cx.deadline);
        let status = tokio::time::timeout_at(deadline, child.wait()).await;
        let end = match (ended, status) {
            (Ok(()), Ok(Ok(status))) => End::of(status),
            (Ok(()), Ok(Err(error))) => return Err(self.not_started(error)),
            (Ok(()), Err(_)) | (Err(_), _) => End::TimedOut,
        };
        group.over(deadline).await;
        Ok(Run {
            end,
            stdout: out,
            stderr: err,
        })
    }

    fn command(&self) -> Command {
        let (program, arguments) = match self.config.command.split_first() {
            Some((program, arguments)) => (program.as_str(), arguments),
            None => ("", &[][..]),
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.path.iter().map(|path| ("PATH", path)))
            .envs(&self.config.env)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = &self.config.working_dir {
            command.current_dir(folder);
        }
        command
    }

    fn not_started(&self, error: io::Error) -> CheckError {
        let program = self.config.command.first();
        let mut message = format!("failed to run {:?}", program.map_or("", String::as_str));
        if let Some(folder) = &self.config.working_dir {
            message.push_str(&format!(" in {folder:?}"));
        }
        CheckError::new(reasons::NOT_STARTED, message).with_source(error)
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Program").field(&self.config).finish()
    }
}

// === impl End ===

impl End {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signalled(signal.unwrap_or_default()),
        }
    }
}

// === impl Kept ===

impl Kept {
    const fn new() -> Self {
        Self {
            bytes: Vec::new(),
            is_whole: true,
        }
    }

    /// Reads to the end, and throws away what is too much: a program that nobody reads from stands
    /// still.
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; 16 * 1024];
        while let Ok(read @ 1..) = stream.read(&mut chunk).await {
            let room = OUTPUT_MAX - self.bytes.len();
            self.bytes.extend_from_slice(&chunk[..read.min(room)]);
            self.is_whole &= read <= room;
        }
    }
}

// === impl Group ===

impl Group {
    /// The first of the group was not waited for yet, so that its number is still its own.
    fn kill(&self) {
        // All of it may have ended.
        kill_process_group(self.id, Signal::KILL).ok();
    }

    /// It was killed, and the first of it was waited for.
    async fn over(mut self, deadline: Instant) {
        self.is_over = true;
        self.is_reaped = reap(self.id);
        while !self.is_reaped && Instant::now() < deadline {
            tokio::time::sleep(REAP_EVERY).await;
            self.is_reaped = reap(self.id);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.is_over {
            self.kill();
        }
        if !self.is_reaped {
            dropped().push(self.id);
        }
    }
}

fn dropped() -> MutexGuard<'static, Vec<Pid>> {
    DROPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reap_dropped() {
    dropped().retain(|id| !reap(*id));
}

/// Whether the child has ended; it still is to be waited for then.
fn has_ended(id: Pid) -> bool {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(id), look), Ok(None))
}

/// Waits for those children in a group that have ended. Whether there are no others.
fn reap(group: Pid) -> bool {
    loop {
        match waitpgid(group, WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => return false,
            Err(_) => return true,
        }
    }
}
