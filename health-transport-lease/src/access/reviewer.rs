//! Asks the API server whose a token is and what that user may do.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Instant;

use tokio::sync::OnceCell;
use tokio::sync::Semaphore;

use crate::access::Access;
use crate::access::AccessConfig;
use crate::access::cache::AccessCache;
use crate::access::cache::Look;
use crate::access::key::AccessKey;
use crate::access::key::Hasher;
use crate::access::review;
use crate::api::BODY_MAX;
use crate::api::now;
use crate::call::ApiError;
use crate::cluster::Cluster;
use crate::error::describe_review;
use crate::exchange::Exchange;

/// Asks one cluster, by a TokenReview and then a SubjectAccessReview, whether who comes with a
/// token may write a SyncTarget's status.
///
/// A cheap handle. What was answered before counts for a while ([`AccessConfig`]), and is
/// remembered by a keyed hash; while the server does not answer, who was allowed stays so up to a
/// bound, and nobody else is let in. However many ask the same at the same time, the server is
/// asked once.
#[derive(Clone)]
pub struct AccessReviewer(Arc<Shared>);

struct Shared {
    exchange: Exchange,
    config: AccessConfig,
    hasher: Hasher,
    state: Mutex<State>,
    places: Semaphore,
}

struct State {
    cache: AccessCache,
    /// The questions that the server is being asked.
    flights: BTreeMap<AccessKey, Flight>,
}

type Flight = Arc<OnceCell<Access>>;

/// One who waits for a question's answer; the last one clears it away.
struct Waiting<'a> {
    shared: &'a Shared,
    key: AccessKey,
    flight: Flight,
}

/// So many reviews are under way at a time; the others wait, within their timeout.
const REVIEWS_MAX: usize = 16;
/// A longer token is nobody's: no header that carries one is longer.
const TOKEN_MAX: usize = 16 * 1024;

// === impl AccessReviewer ===

impl AccessReviewer {
    /// A reviewer that asks this cluster, with chance from `seed`.
    ///
    /// # Panics
    ///
    /// If the system has no randomness.
    #[must_use]
    pub fn new(cluster: Cluster, config: AccessConfig, seed: u64) -> Self {
        Self(Arc::new(Shared {
            exchange: Exchange::new(cluster),
            config,
            hasher: Hasher::new(),
            state: Mutex::new(State {
                cache: AccessCache::new(config, seed),
                flights: BTreeMap::new(),
            }),
            places: Semaphore::new(REVIEWS_MAX),
        }))
    }

    /// Whether who comes with this token may write the status of that SyncTarget. Takes at most
    /// [`AccessConfig::timeout`].
    ///
    /// # Cancel safety
    ///
    /// Another one who waits for the same answer asks in place of the one who was dropped.
    pub async fn review(&self, token: &str, target: &str) -> Access {
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Access::Unauthenticated;
        }
        let shared = &*self.0;
        let by = now() + shared.config.timeout;
        let key = shared.hasher.key(token, target);
        let waiting = {
            let mut state = shared.state();
            match state.cache.look(key, now()) {
                Look::Known(answer) => return answer,
                Look::Ask => Waiting {
                    shared,
                    key,
                    flight: Arc::clone(state.flights.entry(key).or_default()),
                },
            }
        };
        let ask = || shared.settle(key, token, target, by);
        waiting.flight.get_or_init(ask).await.clone()
    }
}

impl fmt::Debug for AccessReviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessReviewer")
            .field("server", &self.0.exchange.server())
            .finish_non_exhaustive()
    }
}

// === impl Shared ===

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and takes the answer in.
    async fn settle(&self, key: AccessKey, token: &str, target: &str, by: Instant) -> Access {
        let place = tokio::time::timeout_at(by.into(), self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            return Access::Unavailable {
                error: format!(
                    "too many tokens are being reviewed in {}",
                    self.exchange.server()
                ),
                retry_after: Some(self.config.timeout),
            };
        };
        // While this one waited the server may have failed others.
        if let Look::Known(answer) = self.state().cache.look(key, now()) {
            return answer;
        }
        let answer = self.ask(token, target, by).await;
        self.state().cache.settle(key, answer, now())
    }

    async fn ask(&self, token: &str, target: &str, by: Instant) -> Access {
        let failed = |resource: &str, error: ApiError| {
            let error = review::without(token, error);
            Access::Unavailable {
                error: describe_review(resource, self.exchange.server(), &error),
                retry_after: error.retry_after,
            }
        };
        let user = match self
            .exchange
            .ask_until(review::who(token), BODY_MAX, by)
            .await
        {
            Ok(answer) => review::user(&answer),
            Err(error) => return failed(review::TOKEN_REVIEWS, error),
        };
        let Some(user) = user else {
            return Access::Unauthenticated;
        };
        let question = review::whether(&user, target);
        match self.exchange.ask_until(question, BODY_MAX, by).await {
            Ok(answer) => match review::refusal(&answer, target) {
                None => Access::Allowed { user: user.name },
                Some(why) => Access::Forbidden {
                    user: user.name,
                    why,
                },
            },
            Err(error) => failed(review::ACCESS_REVIEWS, error),
        }
    }
}

// === impl Waiting ===

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // The map's and this one; whoever comes after the answer asks the cache.
        let last = Arc::strong_count(&self.flight) <= 2;
        let ours = |flight: &Flight| Arc::ptr_eq(flight, &self.flight);
        if (last || self.flight.initialized()) && state.flights.get(&self.key).is_some_and(ours) {
            state.flights.remove(&self.key);
        }
    }
}
