//! What the service manager is told while the program runs, and when to look again.

use std::time::Duration;

/// How the program is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// Whether liveness holds.
    pub(crate) lives: bool,
    /// One line for people.
    pub(crate) status: String,
}

/// Decides what is told of each look.
#[derive(Debug)]
pub(super) struct Watch {
    /// How long the service manager waits for a sign of life; nothing if it does not wait for any.
    patience: Option<Duration>,
    told: String,
}

/// How often the line for people is made anew.
const STATUS_EVERY: Duration = Duration::from_secs(5);

/// So often within its patience a sign of life that is owed is tried again.
const TRIES: u32 = 8;

/// The longest line for people, in bytes: a datagram must hold it, and `systemctl` a line.
const STATUS_MAX: usize = 256;

// === impl Watch ===

impl Watch {
    pub(super) const fn new(patience: Option<Duration>) -> Self {
        Self {
            patience,
            told: String::new(),
        }
    }

    /// What to tell; nothing where nothing is new and no sign of life is due.
    pub(super) fn message(&self, look: &Look) -> Option<String> {
        let sign = self.patience.is_some() && look.lives;
        let is_new = line(&look.status) != self.told;
        let sign = sign.then(|| super::WATCHDOG.to_owned());
        let status = is_new.then(|| super::status(&look.status));
        let parts: Vec<_> = sign.into_iter().chain(status).collect();
        (!parts.is_empty()).then(|| parts.join("\n"))
    }

    /// How long to wait until the next look. `taken` says whether the message was.
    pub(super) fn next(&mut self, look: &Look, taken: bool) -> Duration {
        if taken {
            self.told = line(&look.status);
        }
        let Some(patience) = self.patience else {
            return STATUS_EVERY;
        };
        // Who could give no sign of life gives one as soon as it can: its time runs already.
        let sign = if taken && look.lives {
            patience / 2
        } else {
            patience / TRIES
        };
        sign.min(STATUS_EVERY)
    }
}

/// One line, however many it was, and no longer than a line may be.
pub(super) fn line(text: &str) -> String {
    let line = text.replace(char::is_control, " ");
    line[..line.floor_char_boundary(STATUS_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(8);

    #[test]
    fn a_sign_of_life_is_given_at_half_of_the_patience_while_liveness_holds() {
        let mut watch = Watch::new(Some(PATIENCE));
        let first = watch.message(&look(true, "Healthy")).unwrap();
        assert_eq!(first, "WATCHDOG=1\nSTATUS=Healthy");
        assert_eq!(watch.next(&look(true, "Healthy"), true), PATIENCE / 2);
        let second = watch.message(&look(true, "Healthy")).unwrap();
        assert_eq!(second, "WATCHDOG=1");
    }

    #[test]
    fn none_is_given_while_liveness_fails_and_one_soon_after() {
        let mut watch = Watch::new(Some(PATIENCE));
        let dead = look(false, "Unhealthy");
        assert_eq!(watch.message(&dead).unwrap(), "STATUS=Unhealthy");
        assert_eq!(watch.next(&dead, true), Duration::from_secs(1));
        assert_eq!(watch.message(&dead), None);
        assert!(watch.message(&look(true, "Healthy")).is_some());
    }

    #[test]
    fn what_was_not_taken_is_told_again_while_there_is_time() {
        let mut watch = Watch::new(Some(PATIENCE));
        let alive = look(true, "Healthy");
        assert_eq!(watch.next(&alive, false), Duration::from_secs(1));
        let again = watch.message(&alive).unwrap();
        assert_eq!(again, "WATCHDOG=1\nSTATUS=Healthy");
    }

    #[test]
    fn without_a_watchdog_only_news_is_told() {
        let mut watch = Watch::new(None);
        let alive = look(true, "Healthy");
        assert_eq!(watch.message(&alive).unwrap(), "STATUS=Healthy");
        assert_eq!(watch.next(&alive, true), STATUS_EVERY);
        assert_eq!(watch.message(&alive), None);
    }

    #[test]
    fn a_long_patience_does_not_make_the_line_for_people_old() {
        let mut watch = Watch::new(Some(Duration::from_secs(3600)));
        assert_eq!(watch.next(&look(true, ""), true), STATUS_EVERY);
    }

    /// Whatever a component is named, it gives no sign of life.
    #[test]
    fn a_status_is_one_line_of_bounded_length() {
        assert_eq!(line("a\nWATCHDOG=1"), "a WATCHDOG=1");
        let long = "ö".repeat(STATUS_MAX);
        assert_eq!(line(&long).len(), STATUS_MAX);
    }

    fn look(lives: bool, status: &str) -> Look {
        let status = status.to_owned();
        Look { lives, status }
    }
}
