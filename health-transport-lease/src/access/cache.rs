//! What was answered before, and for how long that counts.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::Backoff;

use crate::access::Access;
use crate::access::AccessConfig;
use crate::access::key::AccessKey;

/// What was answered before.
#[derive(Debug)]
pub(super) struct AccessCache {
    config: AccessConfig,
    allowed: Shelf,
    denied: Shelf,
    outage: Option<Outage>,
    backoff: Backoff,
}

/// What is to be done about a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look {
    /// This is the answer.
    Known(Access),
    /// Ask the server.
    Ask,
}

/// The server failed: until then it is not asked.
#[derive(Debug)]
struct Outage {
    error: String,
    until: Instant,
}

/// Answers, the oldest first out.
#[derive(Debug)]
struct Shelf {
    max: usize,
    answers: BTreeMap<AccessKey, (Access, Instant)>,
    ages: BTreeSet<(Instant, AccessKey)>,
}

/// More agents than a hub takes connections of.
const ALLOWED_MAX: usize = 20_000;
/// Whoever tries tokens pushes out refusals, and no permission.
const DENIED_MAX: usize = 1000;
/// The first wait after the server failed, doubling to the longest.
const OUTAGE_BASE: Duration = Duration::from_millis(500);
const OUTAGE_CAP: Duration = Duration::from_secs(10);

// === impl AccessCache ===

impl AccessCache {
    pub(super) fn new(config: AccessConfig, seed: u64) -> Self {
        Self {
            config,
            allowed: Shelf::new(ALLOWED_MAX),
            denied: Shelf::new(DENIED_MAX),
            outage: None,
            backoff: Backoff::new(OUTAGE_BASE, OUTAGE_CAP, seed),
        }
    }

    /// What is known about a question.
    pub(super) fn look(&self, key: AccessKey, now: Instant) -> Look {
        let allowed = self.allowed.within(key, self.config.allowed_ttl, now);
        let denied = || self.denied.within(key, self.config.denied_ttl, now);
        if let Some(answer) = allowed.or_else(denied) {
            return Look::Known(answer);
        }
        match &self.outage {
            Some(outage) if now < outage.until => {
                let answer = self.allowed.within(key, self.config.outage_max, now);
                Look::Known(answer.unwrap_or_else(|| outage.answer(now)))
            }
            Some(_) | None => Look::Ask,
        }
    }

    /// Takes an answer in, and says what it comes to: who was allowed stays so for a while when
    /// the server does not answer any more.
    pub(super) fn settle(&mut self, key: AccessKey, answer: Access, now: Instant) -> Access {
        match &answer {
            Access::Allowed { .. } => {
                self.answered();
                self.denied.remove(key);
                self.allowed.put(key, answer.clone(), now);
            }
            Access::Unauthenticated | Access::Forbidden { .. } => {
                self.answered();
                self.allowed.remove(key);
                self.denied.put(key, answer.clone(), now);
            }
            Access::Unavailable { error, retry_after } => {
                self.fail(error.clone(), *retry_after, now);
                let kept = self.allowed.within(key, self.config.outage_max, now);
                return kept.unwrap_or(answer);
            }
        }
        answer
    }

    fn answered(&mut self) {
        self.outage = None;
        self.backoff.reset();
    }

    fn fail(&mut self, error: String, retry_after: Option<Duration>, now: Instant) {
        let over = self.outage.as_ref().is_none_or(|it| it.until <= now);
        // Of several calls that fail together the first one counts.
        let wait = if over {
            self.backoff.next_delay()
        } else {
            Duration::ZERO
        };
        let until = now + wait.max(retry_after.unwrap_or_default());
        let until = self.outage.as_ref().map_or(until, |it| it.until.max(until));
        self.outage = Some(Outage { error, until });
    }
}

// === impl Outage ===

impl Outage {
    fn answer(&self, now: Instant) -> Access {
        Access::Unavailable {
            error: self.error.clone(),
            retry_after: Some(self.until.saturating_duration_since(now)),
        }
    }
}

// === impl Shelf ===

impl Shelf {
    const fn new(max: usize) -> Self {
        Self {
            max,
            answers: BTreeMap::new(),
            ages: BTreeSet::new(),
        }
    }

    fn within(&self, key: AccessKey, ttl: Duration, now: Instant) -> Option<Access> {
        let (answer, at) = self.answers.get(&key)?;
        (now.saturating_duration_since(*at) < ttl).then(|| answer.clone())
    }

    fn put(&mut self, key: AccessKey, answer: Access, now: Instant) {
        self.remove(key);
        if self.answers.len() >= self.max
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.answers.remove(&oldest);
        }
        self.answers.insert(key, (answer, now));
        self.ages.insert((now, key));
    }

    fn remove(&mut self, key: AccessKey) {
        if let Some((_, at)) = self.answers.remove(&key) {
            self.ages.remove(&(at, key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every answer before × its age × what the server says now.
    #[test]
    fn every_answer_counts_for_as_long_as_it_is_meant_to() {
        for before in [
            None,
            Some(allowed()),
            Some(Access::Unauthenticated),
            Some(forbidden()),
        ] {
            for age in [0, 9, 10, 119, 120, 599, 600, 100_000] {
                for next in [
                    allowed(),
                    Access::Unauthenticated,
                    forbidden(),
                    failed(None),
                ] {
                    check(before.as_ref(), age, &next);
                }
            }
        }
    }

    #[track_caller]
    fn check(before: Option<&Access>, age: u64, next: &Access) {
        let case = format!("{before:?} {age} {next:?}");
        let start = Instant::now();
        let mut cache = AccessCache::new(AccessConfig::default(), 7);
        if let Some(before) = before {
            assert_eq!(cache.settle(key(1), before.clone(), start), *before);
        }
        let now = start + secs(age);
        let was_allowed = before == Some(&allowed());
        let fresh = if was_allowed { age < 120 } else { age < 10 };
        let known = before.filter(|_| fresh);
        let look = known.map_or(Look::Ask, |answer| Look::Known(answer.clone()));
        assert_eq!(cache.look(key(1), now), look, "{case}");
        assert_eq!(cache.look(key(2), now), Look::Ask, "{case}");
        let comes_to = match next {
            Access::Unavailable { .. } if was_allowed && age < 600 => allowed(),
            Access::Allowed { .. }
            | Access::Forbidden { .. }
            | Access::Unauthenticated
            | Access::Unavailable { .. } => next.clone(),
        };
        assert_eq!(cache.settle(key(1), next.clone(), now), comes_to, "{case}");
    }

    #[test]
    fn a_server_that_fails_is_not_asked_again_at_once_and_nobody_new_is_let_in() {
        let start = Instant::now();
        let mut cache = AccessCache::new(AccessConfig::default(), 7);
        cache.settle(key(1), allowed(), start);
        let now = start + secs(120);
        assert_eq!(cache.settle(key(1), failed(Some(60)), now), allowed());
        for after in [0, 59] {
            let now = now + secs(after);
            assert_eq!(cache.look(key(1), now), Look::Known(allowed()));
            let closed = Look::Known(failed(Some(60 - after)));
            assert_eq!(cache.look(key(2), now), closed);
        }
        assert_eq!(cache.look(key(1), now + secs(60)), Look::Ask);
        // The bound counts from the permission, however often the server fails.
        for at in [240, 400, 599] {
            let answer = cache.settle(key(1), failed(None), start + secs(at));
            assert_eq!(answer, allowed(), "{at}");
        }
        let answer = cache.settle(key(1), failed(None), start + secs(600));
        assert_eq!(answer, failed(None));
        // An answer about anybody ends it.
        cache.settle(key(3), forbidden(), start + secs(601));
        assert_eq!(cache.look(key(1), start + secs(601)), Look::Ask);
    }

    #[test]
    fn a_right_that_was_taken_away_is_not_given_back_by_an_outage() {
        let start = Instant::now();
        let mut cache = AccessCache::new(AccessConfig::default(), 7);
        cache.settle(key(1), allowed(), start);
        cache.settle(key(1), forbidden(), start + secs(120));
        let answer = cache.settle(key(1), failed(None), start + secs(130));
        assert_eq!(answer, failed(None));
    }

    #[test]
    fn the_waits_grow_to_their_cap() {
        let mut now = Instant::now();
        let mut cache = AccessCache::new(AccessConfig::default(), 7);
        let mut longest = Duration::ZERO;
        for _ in 0..200 {
            cache.settle(key(1), failed(None), now);
            let until = cache.outage.as_ref().unwrap().until;
            longest = longest.max(until - now);
            // One that fails beside it does not make it longer.
            cache.settle(key(2), failed(None), now);
            assert_eq!(cache.outage.as_ref().unwrap().until, until);
            now = until;
        }
        assert!(
            longest <= OUTAGE_CAP && longest > OUTAGE_CAP / 2,
            "{longest:?}"
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_strangers_push_out_no_friend() {
        let start = Instant::now();
        let mut cache = AccessCache::new(AccessConfig::default(), 7);
        for number in 0..=ALLOWED_MAX {
            let age = Duration::from_micros(number as u64);
            cache.settle(key(number), allowed(), start + age);
        }
        for number in 0..5000 {
            cache.settle(key(1_000_000 + number), Access::Unauthenticated, start);
        }
        assert_eq!(cache.allowed.answers.len(), ALLOWED_MAX);
        assert_eq!(cache.allowed.ages.len(), ALLOWED_MAX);
        assert_eq!(cache.denied.answers.len(), DENIED_MAX);
        let now = start + secs(1);
        assert_eq!(cache.look(key(0), now), Look::Ask, "the oldest went");
        assert_eq!(cache.look(key(1), now), Look::Known(allowed()));
    }

    fn allowed() -> Access {
        Access::Allowed {
            user: "alice".to_owned(),
        }
    }

    fn forbidden() -> Access {
        Access::Forbidden {
            user: "alice".to_owned(),
            why: "no".to_owned(),
        }
    }

    fn failed(retry_after: Option<u64>) -> Access {
        Access::Unavailable {
            error: "down".to_owned(),
            retry_after: retry_after.map(secs),
        }
    }

    fn key(number: usize) -> AccessKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        AccessKey(key)
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
}
