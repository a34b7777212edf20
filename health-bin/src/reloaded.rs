//! What is made from files: made anew when they change, and kept as it last was good.

use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use crate::config::ConfigError;
use crate::config::Problem;
use crate::config::Problems;
use crate::config::read_file;

/// Something that is made from files.
///
/// Nobody waits for a disk that hangs but the one who looked; all others get what there is.
pub(crate) struct Reloaded<T> {
    /// The configuration's key, for the log.
    key: &'static str,
    files: Vec<NamedFile>,
    make: Make<T>,
    hasher: RandomState,
    state: Mutex<State<T>>,
}

/// A file, and the key of the configuration that names it.
pub(crate) type NamedFile = (&'static str, PathBuf);

/// Makes it from the files' contents, in the order of the files.
type Make<T> = Box<dyn Fn(&[Vec<u8>]) -> Result<T, ConfigError> + Send + Sync>;

struct State<T> {
    value: Arc<T>,
    /// Of the contents that were last looked at; an attacker cannot choose two that are the same.
    seen: u64,
    look_at: Instant,
    looking: bool,
    /// What was last told to be wrong.
    told: Option<String>,
}

/// What a look at the files came to.
enum Looked<T> {
    /// They are as they last were good.
    Same,
    /// They are being written.
    Unsettled,
    /// They are others, and good.
    New(u64, T),
}

/// The files are read so often at most, however many dial in.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Files that changed are taken once they stay the same for so long: half of a file of tokens is a
/// good one too, and would throw out those that are in the other half.
const SETTLED: Duration = Duration::from_millis(100);

// === impl Reloaded ===

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Reads the files for the first time, with whatever is wrong with them as an error.
    pub(crate) fn read<M>(
        key: &'static str,
        files: Vec<NamedFile>,
        make: M,
        now: Instant,
    ) -> Result<Arc<Self>, ConfigError>
    where
        M: Fn(&[Vec<u8>]) -> Result<T, ConfigError> + Send + Sync + 'static,
    {
        let contents = read(&files)?;
        let value = Arc::new(make(&contents)?);
        let hasher = RandomState::new();
        let state = Mutex::new(State {
            value,
            seen: hasher.hash_one(&contents),
            look_at: now + LOOK_EVERY,
            looking: false,
            told: None,
        });
        Ok(Arc::new(Self {
            key,
            files,
            make: Box::new(make),
            hasher,
            state,
        }))
    }

    /// What there is, without looking at the files.
    pub(crate) fn last(&self) -> Arc<T> {
        Arc::clone(&self.lock().value)
    }

    /// What the files say now, or what they last said.
    ///
    /// # Cancel safety
    ///
    /// The files that are being looked at are looked at to the end.
    pub(crate) async fn current(self: &Arc<Self>, now: Instant) -> Arc<T> {
        let is_due = now >= self.lock().look_at;
        if is_due {
            self.look_again(now).await;
        }
        self.last()
    }

    /// Looks at the files, however lately somebody did; not where somebody does just now.
    ///
    /// # Cancel safety
    ///
    /// As of [`current`](Self::current).
    pub(crate) async fn look_again(self: &Arc<Self>, now: Instant) {
        {
            let mut state = self.lock();
            if state.looking {
                return;
            }
            state.looking = true;
            state.look_at = now + LOOK_EVERY;
        }
        // Who asked may be gone before the end.
        let look = tokio::spawn(Arc::clone(self).look());
        if let Err(error) = look.await {
            tracing::error!(%error, "{}: the files could not be looked at", self.key);
            self.lock().looking = false;
        }
    }

    async fn look(self: Arc<Self>) {
        let seen = self.lock().seen;
        let looked = self.made_unless(seen).await;
        let mut state = self.lock();
        state.looking = false;
        match looked {
            Ok(Looked::Unsettled) => {}
            Ok(Looked::Same) if state.told.is_none() => {}
            Ok(Looked::Same) => {
                tracing::info!("{}: the files are as they last were good", self.key);
                state.told = None;
            }
            Ok(Looked::New(now, value)) => {
                tracing::info!("{}: the files were read again", self.key);
                state.value = Arc::new(value);
                state.seen = now;
                state.told = None;
            }
            Err(error) => {
                let told = |it: &Problem| format!("{}: {}", it.key, it.what);
                let text = error.0.iter().map(told).collect::<Vec<_>>().join("; ");
                if state.told.as_ref() != Some(&text) {
                    tracing::warn!(error = text, "{}: the last good files are used", self.key);
                    state.told = Some(text);
                }
            }
        }
    }

    /// What the files say, unless they say what was `seen` before.
    async fn made_unless(self: &Arc<Self>, seen: u64) -> Result<Looked<T>, ConfigError> {
        let contents = self.aside(|this| read(&this.files)).await?;
        let now = self.hasher.hash_one(&contents);
        if now == seen {
            return Ok(Looked::Same);
        }
        tokio::time::sleep(SETTLED).await;
        self.aside(move |this| {
            if read(&this.files)? == contents {
                Ok(Looked::New(now, (this.make)(&contents)?))
            } else {
                Ok(Looked::Unsettled)
            }
        })
        .await
    }

    /// Works on a thread that may wait for a disk.
    async fn aside<R: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<R, ConfigError> + Send + 'static,
    ) -> Result<R, ConfigError> {
        let this = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || work(&this)).await;
        done.map_err(|error| ConfigError::caused(self.key, error))?
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloaded")
            .field("key", &self.key)
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

fn read(files: &[NamedFile]) -> Result<Vec<Vec<u8>>, ConfigError> {
    let mut problems = Problems::default();
    let mut contents = Vec::new();
    for (key, path) in files {
        contents.extend(problems.take(read_file(key, path)));
    }
    problems.finish().map(|()| contents)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn what_changed_is_read_again_and_the_last_good_one_outlives_what_is_wrong() {
        let (_folder, path) = file("1");
        let start = Instant::now();
        let number = Reloaded::read("key", vec![("key", path.clone())], parse, start).unwrap();
        let mut now = start;
        for (content, expected) in [(Some("2"), 2), (Some("x"), 2), (None, 2), (Some("3"), 3)] {
            match content {
                Some(content) => std::fs::write(&path, content).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            now += LOOK_EVERY;
            assert_eq!(*number.current(now).await, expected, "{content:?}");
        }
        assert!(number.lock().told.is_none());
    }

    #[tokio::test]
    async fn the_files_are_looked_at_once_a_second_however_many_ask() {
        let (_folder, path) = file("1");
        let start = Instant::now();
        let number = Reloaded::read("key", vec![("key", path.clone())], parse, start).unwrap();
        std::fs::write(&path, "2").unwrap();
        let early = start + LOOK_EVERY - Duration::from_millis(1);
        assert_eq!(*number.current(early).await, 1);
        assert_eq!(*number.current(start + LOOK_EVERY).await, 2);
    }

    #[tokio::test]
    async fn who_asks_for_it_has_the_files_looked_at_at_once() {
        let (_folder, path) = file("1");
        let start = Instant::now();
        let number = Reloaded::read("key", vec![("key", path.clone())], parse, start).unwrap();
        std::fs::write(&path, "2").unwrap();
        number.look_again(start).await;
        assert_eq!(*number.last(), 2);
    }

    /// Each part of it would be a good file.
    #[tokio::test]
    async fn a_file_that_is_being_written_is_taken_when_it_is_whole() {
        let (_folder, path) = file("x");
        let start = Instant::now();
        let length = |contents: &[Vec<u8>]| Ok(contents[0].len());
        let length = Reloaded::read("key", vec![("key", path.clone())], length, start).unwrap();
        let look = tokio::spawn({
            let length = Arc::clone(&length);
            async move { length.look_again(start).await }
        });
        let mut file = std::fs::File::create(&path).unwrap();
        while !look.is_finished() {
            file.write_all(b"y").unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(*length.last(), 1);
        file.set_len(7).unwrap();
        length.look_again(start).await;
        assert_eq!(*length.last(), 7);
    }

    #[test]
    fn what_is_wrong_at_the_start_is_an_error() {
        let missing = Reloaded::read(
            "key",
            vec![("key", "/nowhere".into())],
            parse,
            Instant::now(),
        );
        let error = format!("{:#}", missing.unwrap_err());
        assert!(error.contains("/nowhere"), "{error}");
    }

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn parse(contents: &[Vec<u8>]) -> Result<u32, ConfigError> {
        let text = String::from_utf8_lossy(&contents[0]);
        let wrong = |error| ConfigError::caused("key", anyhow::Error::from(error));
        text.parse::<u32>().map_err(wrong)
    }
}
