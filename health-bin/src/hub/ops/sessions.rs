//! Who has logged in: sessions that end, and a bounded number of guesses.
//!
//! A pure decision: time and chance are arguments.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use secrecy::ExposeSecret;
use secrecy::SecretString;

use crate::bearer::same;

/// The sessions of one process; they end with it.
#[derive(Debug)]
pub(super) struct Sessions {
    /// The oldest first.
    open: VecDeque<Session>,
    /// Guesses that may be made at once, and since when they are that many.
    guesses: f64,
    counted_at: Instant,
}

#[derive(Debug)]
struct Session {
    id: SecretString,
    /// What it was begun with: where the token is another, it is over.
    token: Arc<SecretString>,
    ends: Instant,
}

/// More people do not look at one hub; the oldest session ends where another begins.
pub(super) const SESSIONS_MAX: usize = 256;

/// A session lasts a long working day, whatever happens in it.
pub(super) const SESSION_LENGTH: Duration = Duration::from_secs(12 * 3600);

/// Guesses in a row before the rate counts: a person's typing errors.
const GUESSES_MAX: f64 = 5.0;

/// Guesses a second of all clients together.
const GUESSES_PER_SECOND: f64 = 1.0;

// === impl Sessions ===

impl Sessions {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            open: VecDeque::new(),
            guesses: GUESSES_MAX,
            counted_at: now,
        }
    }

    /// Whether a token may be tried now. It counts as a guess, whether it is right or not: what
    /// comes too fast is not looked at.
    pub(super) fn may_guess(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.guesses = (self.guesses + passed * GUESSES_PER_SECOND).min(GUESSES_MAX);
        self.counted_at = now;
        let may = self.guesses >= 1.0;
        if may {
            self.guesses -= 1.0;
        }
        may
    }

    /// Begins a session with an id that nobody can guess, for who said this token.
    pub(super) fn begin(&mut self, id: SecretString, token: Arc<SecretString>, now: Instant) {
        self.end_old(now);
        if self.open.len() == SESSIONS_MAX {
            self.open.pop_front();
        }
        let ends = now + SESSION_LENGTH;
        self.open.push_back(Session { id, token, ends });
    }

    /// Whether a session of this id is open while `token` is asked for. Every one is compared, so
    /// that time tells nothing.
    pub(super) fn holds(&self, id: &str, token: &SecretString, now: Instant) -> bool {
        let mut held = false;
        for session in &self.open {
            let is_its = same(id, &session.id) & same(token.expose_secret(), &session.token);
            held |= is_its & (now < session.ends);
        }
        held
    }

    /// Ends a session.
    pub(super) fn end(&mut self, id: &str) {
        self.open.retain(|session| session.id.expose_secret() != id);
    }

    /// All sessions are equally long, so the oldest end first.
    fn end_old(&mut self, now: Instant) {
        while self.open.front().is_some_and(|first| first.ends <= now) {
            self.open.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_until_its_end_or_its_logout() {
        let now = Instant::now();
        let mut sessions = Sessions::new(now);
        let token = Arc::new(SecretString::from("t"));
        sessions.begin("alice".into(), Arc::clone(&token), now);
        sessions.begin("bob".into(), Arc::clone(&token), now + secs(1));
        let holds = |sessions: &Sessions, id: &str, now| sessions.holds(id, &token, now);
        assert!(holds(&sessions, "alice", now) && holds(&sessions, "bob", now));
        assert!(!holds(&sessions, "", now) && !holds(&sessions, "alic", now));
        sessions.end("bob");
        assert!(!holds(&sessions, "bob", now));
        assert!(holds(&sessions, "alice", now + SESSION_LENGTH - secs(1)));
        assert!(!holds(&sessions, "alice", now + SESSION_LENGTH));
        assert!(
            !sessions.holds("alice", &"new".into(), now),
            "another token"
        );
        assert!(
            !format!("{sessions:?}").contains("alice"),
            "an id is a secret"
        );
    }

    #[test]
    fn the_oldest_session_ends_where_there_are_too_many() {
        let now = Instant::now();
        let mut sessions = Sessions::new(now);
        let token = Arc::new(SecretString::from("t"));
        for number in 0..=SESSIONS_MAX {
            sessions.begin(number.to_string().into(), Arc::clone(&token), now);
        }
        assert!(!sessions.holds("0", &token, now));
        assert!(
            sessions.holds("1", &token, now)
                && sessions.holds(&SESSIONS_MAX.to_string(), &token, now)
        );
        sessions.begin("late".into(), token, now + SESSION_LENGTH);
        assert_eq!(sessions.open.len(), 1, "those that have ended are not kept");
    }

    #[test]
    fn guesses_are_few_and_come_back_slowly() {
        let mut now = Instant::now();
        let mut sessions = Sessions::new(now);
        let mut made = 0;
        for _ in 0..1000 {
            made += u32::from(sessions.may_guess(now));
        }
        assert_eq!(made, 5, "at once");
        for _ in 0..10_000 {
            now += Duration::from_millis(10);
            made += u32::from(sessions.may_guess(now));
        }
        assert!((104..=105).contains(&made), "{made} in 100 s more");
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
}
