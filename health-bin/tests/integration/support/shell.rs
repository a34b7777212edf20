//! A shell in which commands are typed, one after the other, as a person does it.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::BufReader;
use tokio::io::Lines;
use tokio::process::Child;
use tokio::process::ChildStdin;
use tokio::process::ChildStdout;
use tokio::process::Command;
use tokio::sync::Mutex;

use super::PROGRAM;

/// A folder of its own with a shell in it, and what it started: all of it ends with this.
pub(crate) struct Shell {
    folder: TempDir,
    environment: Vec<(String, String)>,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    stdin: ChildStdin,
    /// An exit code, or the number of a process, of each command.
    numbers: Lines<BufReader<ChildStdout>>,
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: i32,
    /// Both streams, as a terminal shows them.
    pub(crate) shown: String,
}

/// A command that ends takes no longer; some build a crate.
const ENDS_WITHIN: Duration = Duration::from_secs(900);

// === impl Shell ===

impl Shell {
    /// An empty folder, and a shell that knows `syncer-health`.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = std::env::var("PATH").unwrap_or_default();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder");
        let mut shell = Self {
            folder,
            environment: Vec::new(),
            running: Mutex::default(),
        };
        shell.link("bin/syncer-health", PROGRAM);
        shell.set("PATH", &format!("{}:{path}", bin.display()));
        let home = shell.folder.path().to_owned();
        shell.set("HOME", home.to_str().expect("a path in UTF-8"));
        shell
    }

    /// A file in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders that it is in.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let folder = path.parent().expect("it is in a folder");
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// The files whose names begin so, with what is in them.
    pub(crate) fn texts(&self, prefix: &str) -> String {
        let files = std::fs::read_dir(self.folder.path()).expect("the folder is there");
        let names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        let texts = names.into_iter().map(|name| {
            let text = std::fs::read(self.path(&name)).unwrap_or_default();
            format!("{name}:\n{}", String::from_utf8_lossy(&text))
        });
        texts.collect()
    }

    /// Puts something from elsewhere into the folder.
    pub(crate) fn link(&self, name: &str, to: impl AsRef<Path>) {
        symlink(to, self.path(name)).expect("a link");
    }

    /// Sets a variable of the environment; there is no other one that is not set here.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        assert!(self.running.get_mut().is_none(), "the shell runs already");
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Types a command, and waits for its end.
    pub(crate) async fn run(&self, command: &str) -> Done {
        let shown = self.path(".shown");
        let typed = format!("{{ {command}\n}} >{} 2>&1 </dev/null", shown.display());
        let code = tokio::time::timeout(ENDS_WITHIN, self.type_in(&typed, "$?")).await;
        let text = std::fs::read(&shown).unwrap_or_default();
        let shown = String::from_utf8_lossy(&text).into_owned();
        let code = code.unwrap_or_else(|_| panic!("{command}\ndoes not end:\n{shown}"));
        Done { code, shown }
    }

    /// Types a command that lasts, and gives its process. What it shows goes to the file `log`, of
    /// what goes elsewhere by the command itself not the errors.
    pub(crate) async fn start(&self, command: &str, log: &str) -> i32 {
        let log = self.path(log);
        File::create(&log).expect("a file");
        let command = command.trim_end().trim_end_matches('&');
        let errors = if command.contains("2>") { "" } else { "2>&1" };
        let typed = format!("{command} >>{} {errors} </dev/null &", log.display());
        self.type_in(&typed, "$!").await
    }

    /// Waits for the end of what was started; gives its exit code.
    pub(crate) async fn wait_for(&self, process: i32) -> i32 {
        self.type_in(&format!("wait {process}"), "$?").await
    }

    /// Types a text, and gives the number that the shell answers with.
    async fn type_in(&self, text: &str, number: &str) -> i32 {
        let mut running = self.running.lock().await;
        if running.is_none() {
            *running = Some(self.begin());
        }
        let running = running.as_mut().expect("it has begun");
        let text = format!("{text}\necho {number}\n");
        let typed = running.stdin.write_all(text.as_bytes()).await;
        typed.expect("the shell reads");
        let line = running
            .numbers
            .next_line()
            .await
            .expect("the shell answers");
        let line = line.unwrap_or_else(|| panic!("the shell ended: {text}"));
        line.parse().unwrap_or_else(|_| panic!("{line}: {text}"))
    }

    fn begin(&self) -> Running {
        let mut child = Command::new("bash")
            .args(["--norc", "--noprofile", "-o", "pipefail"])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("bash can be started");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().expect("it is piped");
        Running {
            child,
            stdin,
            numbers: BufReader::new(stdout).lines(),
        }
    }
}

impl Drop for Running {
    /// What was started does not end with the shell.
    fn drop(&mut self) {
        if let Some(shell) = self.child.id() {
            let group = format!("-{shell}");
            let kill = std::process::Command::new("kill")
                .args(["-KILL", "--", &group])
                .status();
            drop(kill);
        }
    }
}
