//! The configuration, read again: when somebody asks for it, and when its file has changed.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::ConfigError;
use crate::config::LogConfig;
use crate::config::differences;
use crate::logging;
use crate::signals::Signals;
use crate::signals::Wish;
use crate::systemd::Manager;

/// A configuration that can be read again.
pub(crate) struct Source<C> {
    file: Option<PathBuf>,
    /// What was last in it.
    seen: Option<Vec<u8>>,
    is_watched: bool,
    read: Read<C>,
}

/// Reads and checks all of it, with files and environment; on a thread of the runtime that may wait.
type Read<C> = Arc<dyn Fn() -> Result<C, ConfigError> + Send + Sync>;

/// What runs, and takes a new configuration as far as it can.
pub(crate) trait Reload {
    /// What it is configured by.
    type Config: Serialize + Clone + Send + 'static;

    /// How it logs.
    fn log(config: &Self::Config) -> LogConfig;

    /// Takes what it can of `new` over into `running`, which is what it runs by: all of it, or
    /// nothing where something is wrong.
    fn take(&mut self, running: &mut Self::Config, new: &Self::Config) -> anyhow::Result<()>;

    /// Has the files looked at that the configuration names, whatever becomes of it. For what looks
    /// at them by itself whenever it needs them, there is nothing to do.
    fn look_again(&self) {}
}

/// The file is looked at so often: as a kubelet does not bring a changed one sooner either, and
/// nobody who edits one waits longer.
const LOOK_EVERY: Duration = Duration::from_secs(5);

// === impl Source ===

impl<C: Send + 'static> Source<C> {
    /// Looks at the file for the first time, so what is read at the start is read after this: then
    /// no change is missed.
    pub(crate) fn new(
        file: Option<PathBuf>,
        read: impl Fn() -> Result<C, ConfigError> + Send + Sync + 'static,
    ) -> Self {
        let read = Arc::new(read);
        let seen = file.as_ref().and_then(|file| std::fs::read(file).ok());
        Self {
            file,
            seen,
            is_watched: true,
            read,
        }
    }

    /// Whether a change of the file is noticed by itself, which is the default.
    pub(crate) fn watched(mut self, is_watched: bool) -> Self {
        self.is_watched = is_watched;
        self
    }

    async fn read(&self) -> Result<C, ConfigError> {
        let read = Arc::clone(&self.read);
        let reading = tokio::task::spawn_blocking(move || read());
        let panicked = |error| ConfigError::one("--config", format!("cannot read it: {error}"));
        reading.await.map_err(panicked)?
    }

    /// What is in the file; nothing where there is none, or nobody can read it just now.
    async fn content(&self) -> Option<Vec<u8>> {
        let file = self.file.clone()?;
        let reading = tokio::task::spawn_blocking(move || std::fs::read(file));
        reading.await.ok()?.ok()
    }

    /// Waits until the file has another content than it was last seen with.
    ///
    /// # Cancel safety
    ///
    /// A look that was given up is made again later.
    async fn changed(&mut self) {
        if !self.is_watched {
            std::future::pending::<()>().await;
        }
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            // A file that is away for a moment is about to be replaced.
            let content = self.content().await;
            if content.is_some() && content != self.seen {
                self.seen = content;
                return;
            }
        }
    }
}

/// Runs until a signal asks to end, and meanwhile has `runs` take each new configuration.
pub(crate) async fn until_end<R: Reload>(
    runs: &mut R,
    mut running: R::Config,
    mut source: Source<R::Config>,
    signals: &mut Signals,
    manager: &Manager,
) {
    loop {
        let wish = tokio::select! {
            wish = signals.next() => wish,
            () = source.changed() => Wish::Reload,
        };
        match wish {
            Wish::End => return,
            Wish::Reload => {
                manager.reloading();
                runs.look_again();
                again(runs, &mut running, source.read()).await;
                manager.reloaded();
            }
        }
    }
}

/// Reads it once more, and says what came of it.
async fn again<R: Reload>(
    runs: &mut R,
    running: &mut R::Config,
    read: impl Future<Output = Result<R::Config, ConfigError>>,
) {
    let new = match read.await {
        Ok(new) => new,
        Err(wrong) => {
            for line in wrong.to_string().lines() {
                tracing::error!("{line}");
            }
            tracing::error!("the configuration is wrong, so all goes on as it was");
            return;
        }
    };
    let before = running.clone();
    if let Err(error) = runs.take(running, &new) {
        let error = format!("{error:#}");
        tracing::error!(
            error,
            "the configuration cannot be taken, so all goes on as it was"
        );
        return;
    }
    logging::set_level(&R::log(running));
    let taken = differences(&before, running).join(", ");
    let left = differences(running, &new).join(", ");
    if taken.is_empty() {
        tracing::info!("the configuration was read again: nothing to change");
    } else {
        tracing::info!(taken, "the configuration was read again");
    }
    if !left.is_empty() {
        tracing::warn!(keys = left, "these keys are taken at the next start only");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_is_noticed_once_and_only_where_the_file_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.yaml");
        std::fs::write(&file, "a").unwrap();
        let new = || Source::<()>::new(Some(file.clone()), || Ok(()));
        let (mut watched, mut other) = (new(), new().watched(false));
        let long = Duration::from_secs(3600);
        assert!(timeout(long, watched.changed()).await.is_err());
        std::fs::write(&file, "b").unwrap();
        assert!(timeout(LOOK_EVERY * 2, watched.changed()).await.is_ok());
        assert!(timeout(long, watched.changed()).await.is_err());
        std::fs::remove_file(&file).unwrap();
        assert!(timeout(long, watched.changed()).await.is_err());
        assert!(timeout(long, other.changed()).await.is_err());
    }
}
