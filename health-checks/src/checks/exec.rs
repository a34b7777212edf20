//! `exec`: what a program says, by the convention of the monitoring plugins.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use health_core::Outcome;

use crate::CheckContext;
use crate::CheckError;
use crate::HealthChecker;
use crate::checks::InvalidCheck;

mod output;

mod perfdata;

mod process;

use process::Program;

/// What an [`ExecCheck`] runs.
///
/// Its `Debug` shows neither an argument nor a variable's value: either may be a secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExecConfig {
    /// The program and its arguments; no shell comes between. A program without a slash is looked
    /// for in `PATH`. No default.
    pub command: Vec<String>,
    /// The program's environment variables. Nothing else is inherited but `PATH`, which can be set
    /// here too. Default: none.
    pub env: BTreeMap<String, String>,
    /// The folder that it runs in. Default: ours.
    pub working_dir: Option<PathBuf>,
}

/// What a program says, by the convention of the monitoring plugins (Nagios, Icinga, …).
///
/// Exit status 0 is Healthy, 1 Degraded, 2 Unhealthy, anything else Unknown: so is a program that
/// was ended by a signal, or cannot be started. The first line that it prints, up to a `|`, is the
/// message; without one, what it wrote to its standard error is. At most 64 KiB are kept, the rest
/// is read and thrown away.
///
/// The performance data after `|` become metrics by their label, in seconds (`s`, `ms`, `us`,
/// `ns`) and in bytes (`B`, and `KB`, `MB`, `GB`, `TB` and `PB` by powers of 1024, as the plugins
/// count); percent, counters and numbers in other units stay as they are. Their limits are not
/// looked at, since the program has judged already.
///
/// The program has a process group of its own, and nothing of that group survives the run: not
/// past the time at which the check gives up (which is `Timeout`), not where the run is dropped,
/// and not in the background of a program that ended. It gets nothing on its standard input.
///
/// ```
/// use health_checks::checks::ExecCheck;
/// use health_checks::checks::ExecConfig;
///
/// let check = ExecCheck::new(ExecConfig::new(["check_load", "-w", "4", "-c", "8"]))?;
/// # Ok::<(), health_checks::checks::InvalidCheck>(())
/// ```
#[derive(Debug)]
pub struct ExecCheck {
    program: Program,
}

/// Judges what a plugin wrote.
#[cfg(fuzzing)]
#[doc(hidden)]
pub fn fuzz(code: u8, stdout: &[u8], stderr: &[u8], is_whole: bool) {
    let kept = |bytes: &[u8]| process::Kept {
        bytes: bytes.to_vec(),
        is_whole,
    };
    let run = process::Run {
        end: process::End::Exited(code.into()),
        stdout: kept(stdout),
        stderr: kept(stderr),
    };
    let outcome = output::judge(&run, std::time::Duration::from_secs(1));
    let is_readable = |text: &str| !text.contains(char::is_control);
    assert!(is_readable(&outcome.message), "{outcome:?}");
    for (name, value) in &outcome.metrics {
        assert!(is_readable(name) && value.is_finite(), "{name:?} {value}");
    }
}

// === impl ExecConfig ===

impl ExecConfig {
    /// Runs `command`, in our folder and with nothing but our `PATH`.
    pub fn new<T: Into<String>>(command: impl IntoIterator<Item = T>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            working_dir: None,
        }
    }
}

impl fmt::Debug for ExecConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecConfig")
            .field("program", &self.command.first())
            .field("variables", &self.env.keys())
            .field("working_dir", &self.working_dir)
            .finish_non_exhaustive()
    }
}

// === impl ExecCheck ===

impl ExecCheck {
    /// A check as `config` says. The program may appear later.
    ///
    /// # Errors
    ///
    /// [`InvalidCheck`] if no program is named, or the operating system could hand it none of that.
    pub fn new(config: ExecConfig) -> Result<Self, InvalidCheck> {
        validate(&config)?;
        Ok(Self {
            program: Program::new(config),
        })
    }
}

#[async_trait::async_trait]
impl HealthChecker for ExecCheck {
    async fn check(&self, cx: CheckContext) -> Result<Outcome, CheckError> {
        let run = self.program.run(cx).await?;
        Ok(output::judge(&run, cx.timeout))
    }
}

fn validate(config: &ExecConfig) -> Result<(), InvalidCheck> {
    if config.command.first().is_none_or(String::is_empty) {
        return Err(InvalidCheck::NoCommand);
    }
    let has_nul = |text: &String| text.contains('\0');
    let folder = config.working_dir.as_ref();
    if config.command.iter().any(has_nul)
        || config.env.values().any(has_nul)
        || folder.is_some_and(|folder| folder.as_os_str().as_encoded_bytes().contains(&0))
    {
        return Err(InvalidCheck::Nul);
    }
    let is_name = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
    match config.env.keys().find(|name| !is_name(name)) {
        Some(name) => Err(InvalidCheck::Variable(name.clone())),
        None if folder.is_some_and(|folder| folder.as_os_str().is_empty()) => {
            Err(InvalidCheck::NoPath)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
