//! Who may dial in, and for which target.
//!
//! Every credential that is shown and that this hub knows how to check must hold, and all of them
//! must name the same target: a client certificate and a static token do so by themselves, a token
//! that the API server reviews is asked about together with the target that the request names.
//! Nobody's word is taken where a credential says otherwise.

use std::fmt;
use std::future::Future;
use std::hash::RandomState;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::AgentId;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::tls::Certified;
use crate::config::ConfigError;
use crate::config::HubConfig;
use crate::reloaded::Reloaded;

mod tokens;

pub(super) use tokens::TargetChanges;
pub(super) use tokens::TokenMark;
pub(super) use tokens::Tokens;

/// What is asked of those who dial in.
#[derive(Debug)]
pub(super) struct Auth {
    tokens: Option<Arc<Reloaded<Tokens>>>,
    /// The tokens whose targets were told.
    told: Mutex<Option<Arc<Tokens>>>,
    reviewer: Option<Reviewer>,
    anonymous: bool,
}

/// Asks an API server about tokens: whose they are, and whether that user may report for a target.
pub(super) struct Reviewer {
    review: Box<Ask>,
    places: Semaphore,
}

/// Asks about one token and one target. It remembers by itself what it was told.
pub(super) type Ask = dyn Fn(SecretString, AgentId) -> Reviewing + Send + Sync;

/// A review under way; it may be dropped at any time.
pub(super) type Reviewing = Pin<Box<dyn Future<Output = Review> + Send>>;

/// What a reviewer says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, feature = "transport-lease")),
    expect(dead_code, reason = "without that transport no API server is asked")
)]
pub(super) enum Review {
    /// The token is this user's, who may report for the target.
    Allowed {
        /// For the log.
        user: String,
    },
    /// The token is nobody's.
    Unauthenticated,
    /// The token's user may not report for this target.
    Forbidden {
        /// For whoever dials in.
        why: String,
    },
    /// Nobody could find out.
    Unavailable {
        /// For the log.
        why: String,
    },
}

/// What a request says of its target, and shows for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) certified: Option<&'a Certified>,
    pub(super) bearer: Option<&'a SecretString>,
    pub(super) workspace: &'a str,
    pub(super) name: Option<&'a str>,
}

/// Whom credentials let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) id: AgentId,
    /// Of the static token that let it in.
    pub(super) mark: Option<TokenMark>,
}

/// Indicates a request whose credentials do not let it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Denied {
    /// It shows nothing, or what belongs to nobody.
    Unauthorized(&'static str),
    /// What it shows belongs to another target.
    Forbidden(String),
    /// Nobody could find out.
    Unavailable,
}

/// The configuration's key.
const TOKEN_FILE: &str = "auth.tokenFile";

/// Reviews under way at once: an API server that hangs must not hold as many requests as there are
/// agents. More are told to come back.
const REVIEWS_MAX: usize = 64;

/// A review that takes longer is unavailable; whoever dials in waits for less than twice of it.
const REVIEW_TIMEOUT: Duration = Duration::from_secs(5);

const NOTHING_SHOWN: &str = "a bearer token or a client certificate is needed";
const UNKNOWN_TOKEN: &str = "the bearer token belongs to no target";

// === impl Auth ===

impl Auth {
    /// Reads what the configuration names.
    pub(super) fn read(
        config: &HubConfig,
        reviewer: Option<Reviewer>,
        now: Instant,
    ) -> Result<Self, ConfigError> {
        let tokens = Self::tokens(config, now)?;
        if config.auth.token_review && reviewer.is_none() {
            let what = "is true, but this hub does not ask an API server yet; use auth.tokenFile \
                        or server.tls.clientCaFile";
            return Err(ConfigError::one("auth.tokenReview", what));
        }
        let in_the_clear = config.server.tls.cert_file.is_empty();
        if tokens.is_some() && in_the_clear && !config.server.bind.ip().is_loopback() {
            tracing::warn!(
                "server has no TLS: bearer tokens travel in the clear, unless something in front \
                 of it ends TLS; set server.tls.certFile and server.tls.keyFile"
            );
        }
        Ok(Self {
            tokens,
            told: Mutex::default(),
            reviewer,
            anonymous: config.lets_anybody_in(),
        })
    }

    /// Reads what [`read`](Self::read) reads, for what is wrong with it.
    pub(super) fn check(config: &HubConfig, now: Instant) -> Result<(), ConfigError> {
        Self::tokens(config, now).map(drop)
    }

    /// The static tokens, where the configuration names a file of them.
    fn tokens(
        config: &HubConfig,
        now: Instant,
    ) -> Result<Option<Arc<Reloaded<Tokens>>>, ConfigError> {
        let path = &config.auth.token_file;
        if path.is_empty() {
            return Ok(None);
        }
        let files = vec![(TOKEN_FILE, PathBuf::from(path))];
        let hasher = RandomState::new();
        let parse = move |contents: &[Vec<u8>]| parse(contents, &hasher);
        Reloaded::read(TOKEN_FILE, files, parse, now).map(Some)
    }

    /// Looks at the file of the tokens now.
    pub(super) async fn look_again(&self, now: Instant) {
        if let Some(tokens) = &self.tokens {
            tokens.look_again(now).await;
        }
    }

    /// Hands over the tokens and how their targets have changed, if they have since the last time.
    /// Changes come one after the other, so that no older one overtakes a newer one.
    pub(super) fn follow(&self, tell: impl FnOnce(&Tokens, &TargetChanges)) {
        let Some(tokens) = self.tokens.as_ref().map(|tokens| tokens.last()) else {
            return;
        };
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.as_ref().is_some_and(|told| Arc::ptr_eq(told, &tokens)) {
            return;
        }
        tell(&tokens, &tokens.changes(told.as_deref()));
        *told = Some(tokens);
    }

    /// Whether who came in by that token would come in by it now.
    pub(super) fn holds(&self, mark: TokenMark) -> bool {
        let tokens = self.tokens.as_ref().map(|tokens| tokens.last());
        tokens.is_some_and(|tokens| tokens.holds(mark))
    }

    /// Whose tunnel this is.
    ///
    /// What the headers leave out comes from the credential; where there is none and no name is
    /// sent, the name comes from the handshake and is empty here.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind; a review takes 5 s at most.
    pub(super) async fn admit(&self, claim: Claim<'_>, now: Instant) -> Result<Admitted, Denied> {
        let certified = match claim.certified {
            None => None,
            Some(Certified::Target(id)) => Some(agree(claim, id, "client certificate")?),
            Some(Certified::Other(subject)) => {
                let why = format!(
                    "the client certificate's common name is {subject:?}, expected {}",
                    crate::target::EXPECTED
                );
                return Err(Denied::Forbidden(why));
            }
        };
        let tokens = match &self.tokens {
            Some(tokens) => Some(tokens.current(now).await),
            None => None,
        };
        let owned = match (&tokens, claim.bearer) {
            (Some(tokens), Some(bearer)) => tokens
                .owner(bearer)
                .map(|owner| (owner, tokens.mark(owner, bearer))),
            (Some(_) | None, Some(_) | None) => None,
        };
        if let Some((owner, mark)) = owned {
            let id = agree(claim, owner, "bearer token")?;
            let mark = Some(mark);
            return match certified {
                Some(other) if other != id => Err(Denied::Forbidden(format!(
                    "the bearer token belongs to {id}, the client certificate to {other}"
                ))),
                Some(_) | None => Ok(Admitted { id, mark }),
            };
        }
        let said = || certified.clone().unwrap_or_else(|| claim.said());
        let id = match (claim.bearer, &self.reviewer) {
            (Some(bearer), Some(reviewer)) => reviewer.review(bearer, said()).await?,
            (Some(_), None) if tokens.is_some() => {
                return Err(Denied::Unauthorized(UNKNOWN_TOKEN));
            }
            (Some(_) | None, Some(_) | None) => match certified {
                Some(id) => id,
                None => self.anybody(claim, tokens.as_deref())?,
            },
        };
        Ok(Admitted { id, mark: None })
    }

    /// Where anybody may come in, nobody may come in as one who has a token.
    fn anybody(&self, claim: Claim<'_>, tokens: Option<&Tokens>) -> Result<AgentId, Denied> {
        let id = claim.said();
        let taken = tokens.is_some_and(|tokens| tokens.has(&id));
        if self.anonymous && !taken {
            Ok(id)
        } else {
            Err(Denied::Unauthorized(NOTHING_SHOWN))
        }
    }

    /// Whether a handshake that names what the request left out may go on: a target that has a token
    /// is not taken by one that showed none.
    pub(super) fn may_be_named(&self, id: &AgentId) -> bool {
        let tokens = self.tokens.as_ref().map(|tokens| tokens.last());
        !tokens.is_some_and(|tokens| tokens.has(id))
    }
}

// === impl Reviewer ===

impl Reviewer {
    #[cfg_attr(
        not(any(test, feature = "transport-lease")),
        expect(dead_code, reason = "without that transport no API server is asked")
    )]
    pub(super) fn new<F>(review: F) -> Self
    where
        F: Fn(SecretString, AgentId) -> Reviewing + Send + Sync + 'static,
    {
        Self {
            review: Box::new(review),
            places: Semaphore::new(REVIEWS_MAX),
        }
    }

    async fn review(&self, bearer: &SecretString, id: AgentId) -> Result<AgentId, Denied> {
        if id.name.is_empty() {
            let why = "the request names no sync target, which a reviewed token needs";
            return Err(Denied::Forbidden(why.to_owned()));
        }
        let Ok(_place) = self.places.try_acquire() else {
            return Err(Denied::Unavailable);
        };
        let asked = (self.review)(bearer.clone(), id.clone());
        let review = tokio::time::timeout(REVIEW_TIMEOUT, asked).await;
        match review.unwrap_or_else(|_| late()) {
            Review::Allowed { user } => {
                tracing::debug!(agent = %id, user, "the API server lets it in");
                Ok(id)
            }
            Review::Unauthenticated => Err(Denied::Unauthorized(UNKNOWN_TOKEN)),
            Review::Forbidden { why } => Err(Denied::Forbidden(why)),
            Review::Unavailable { why } => {
                tracing::debug!(agent = %id, why, "nobody could say whether it may come in");
                Err(Denied::Unavailable)
            }
        }
    }
}

fn late() -> Review {
    Review::Unavailable {
        why: format!("no answer within {REVIEW_TIMEOUT:?}"),
    }
}

impl fmt::Debug for Reviewer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviewer").finish_non_exhaustive()
    }
}

// === impl Claim ===

impl Claim<'_> {
    /// Whom the request names; without a name where it leaves that to its credential.
    pub(super) fn said(&self) -> AgentId {
        AgentId {
            workspace: self.workspace.to_owned(),
            name: self.name.unwrap_or_default().to_owned(),
        }
    }
}

fn parse(contents: &[Vec<u8>], hasher: &RandomState) -> Result<Tokens, ConfigError> {
    let tokens = Tokens::parse(&contents.concat(), hasher);
    tokens.map_err(|error| ConfigError::caused(TOKEN_FILE, error))
}

/// What the request says must be what its credential says, or nothing.
fn agree(claim: Claim<'_>, id: &AgentId, credential: &str) -> Result<AgentId, Denied> {
    for (what, said, held) in [
        ("workspace", claim.workspace, &id.workspace),
        ("sync target", claim.name.unwrap_or_default(), &id.name),
    ] {
        if !said.is_empty() && said != held {
            return Err(Denied::Forbidden(format!(
                "the {credential} belongs to {id}, the request names the {what} {said:?}"
            )));
        }
    }
    Ok(id.clone())
}

/// Reads a file of tokens.
#[cfg(fuzzing)]
pub fn fuzz(text: &str) {
    if let Err(error) = Tokens::parse(text.as_bytes(), &RandomState::new()) {
        assert!(!error.to_string().is_empty());
    }
}

#[cfg(test)]
mod tests;
