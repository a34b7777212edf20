//! Standard output: a terminal, a file, or a pipe whose reader may go.

use std::io;
use std::io::IsTerminal;
use std::io::Write;
use std::os::fd::AsFd;

use anyhow::Context;
use tokio::io::Interest;
use tokio::net::unix::pipe::Sender;

use super::watch::Size;
use crate::config::Environment;

/// Where an answer is written.
#[derive(Debug)]
pub(super) struct Screen {
    /// Whether it obeys escape sequences, and may be sent them.
    pub(super) is_terminal: bool,
    /// Whether colour is wanted.
    pub(super) colour: bool,
}

/// Whether there is still somebody who reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    There,
    Gone,
}

// === impl Screen ===

impl Screen {
    pub(super) fn new(environment: &Environment) -> Self {
        let is_terminal = io::stdout().is_terminal() && obeys(environment);
        Self {
            is_terminal,
            colour: is_terminal && wants_colour(environment),
        }
    }

    /// How large the terminal is, if it tells.
    pub(super) fn size(&self) -> Option<Size> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        let known = size.ws_col > 0 && size.ws_row > 0;
        known.then_some(Size {
            columns: size.ws_col.into(),
            lines: size.ws_row.into(),
        })
    }

    /// Writes all of it. A reader that has gone, as `head` does, is no error; one that is slow, or a
    /// terminal that is held, blocks another thread than ours, so that a signal still ends us.
    ///
    /// # Cancel safety
    ///
    /// What is being written is written on, as far as somebody reads.
    pub(super) async fn write(&self, text: String) -> anyhow::Result<Reader> {
        let written = tokio::task::spawn_blocking(move || {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        match written.await? {
            Ok(()) => Ok(Reader::There),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => Err(error).context("cannot write to standard output"),
        }
    }
}

/// Waits until nobody reads any more; for ever where that cannot be told, as of a file.
pub(super) async fn reader_gone() {
    if let Ok(out) = watched() {
        // Only an error is waited for, so a reader that is slow does not end this.
        while let Ok(ready) = out.ready(Interest::ERROR).await {
            if ready.is_error() {
                return;
            }
        }
    }
    std::future::pending().await
}

/// Standard output once more, of which only the readiness is asked: it stays blocking, as whoever
/// shares it expects.
fn watched() -> io::Result<Sender> {
    Sender::from_owned_fd_unchecked(io::stdout().as_fd().try_clone_to_owned()?)
}

/// Whether the terminal of this environment knows escape sequences.
fn obeys(environment: &Environment) -> bool {
    let kind = environment.get("TERM").map_or("", String::as_str);
    !matches!(kind, "" | "dumb")
}

/// Whether nobody has asked for no colour (<https://no-color.org>).
fn wants_colour(environment: &Environment) -> bool {
    environment.get("NO_COLOR").is_none_or(String::is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_and_redrawing_are_what_the_environment_allows() {
        for (variables, sequences, colour) in [
            (&[("TERM", "xterm-256color")][..], true, true),
            (&[("TERM", "xterm"), ("NO_COLOR", "1")], true, false),
            (&[("TERM", "xterm"), ("NO_COLOR", "")], true, true),
            (&[("TERM", "dumb")], false, true),
            (&[("TERM", "")], false, true),
            (&[], false, true),
        ] {
            let pairs = variables.iter();
            let environment = pairs.map(|(key, value)| ((*key).into(), (*value).into()));
            let environment: Environment = environment.collect();
            assert_eq!(obeys(&environment), sequences, "{variables:?}");
            assert_eq!(wants_colour(&environment), colour, "{variables:?}");
        }
    }
}
