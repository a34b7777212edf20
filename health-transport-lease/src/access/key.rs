//! By what answers are remembered: never by the token.

use std::fmt;

use ring::hmac;
use ring::rand::SystemRandom;

/// A token and a target, hashed with a key that this process alone has and that ends with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AccessKey(pub(super) [u8; 32]);

/// The key that tokens are hashed with.
pub(super) struct Hasher(hmac::Key);

// === impl AccessKey ===

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(..)")
    }
}

// === impl Hasher ===

impl Hasher {
    /// # Panics
    ///
    /// If the system has no randomness: without it no secret can be kept.
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system has randomness"))
    }

    pub(super) fn key(&self, token: &str, target: &str) -> AccessKey {
        let mut context = hmac::Context::with_key(&self.0);
        // The length keeps token and target apart.
        context.update(&(token.len() as u64).to_be_bytes());
        context.update(token.as_bytes());
        context.update(target.as_bytes());
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        AccessKey(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_of_one_token_one_target_and_one_process() {
        let hasher = Hasher::new();
        let key = hasher.key("ab", "c");
        assert_eq!(key, hasher.key("ab", "c"));
        for (token, target) in [("a", "bc"), ("ab", "d"), ("abc", ""), ("", "abc")] {
            assert_ne!(key, hasher.key(token, target));
        }
        assert_ne!(key, Hasher::new().key("ab", "c"));
        assert_eq!(format!("{key:?}"), "AccessKey(..)");
    }
}
