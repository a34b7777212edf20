//! A bearer token that a server asks for.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::http::HeaderMap;
use axum::http::header;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use crate::config::ConfigError;
use crate::reloaded::Reloaded;

/// The token that is asked for, read again when its file changes; none where everybody may.
#[derive(Debug)]
pub(crate) struct BearerToken(Option<Arc<Reloaded<SecretString>>>);

// === impl BearerToken ===

impl BearerToken {
    /// Reads the file that `key` names; an empty path means that nobody is asked.
    pub(crate) fn read(key: &'static str, path: &str, now: Instant) -> Result<Self, ConfigError> {
        if path.is_empty() {
            return Ok(Self(None));
        }
        let shown = path.to_owned();
        let make = move |contents: &[Vec<u8>]| parse(&contents.concat(), key, &shown);
        let files = vec![(key, PathBuf::from(path))];
        Ok(Self(Some(Reloaded::read(key, files, make, now)?)))
    }

    /// The token that is asked for now; nothing where nobody is asked.
    pub(crate) async fn current(&self, now: Instant) -> Option<Arc<SecretString>> {
        match &self.0 {
            Some(token) => Some(token.current(now).await),
            None => None,
        }
    }

    /// Looks at its file now.
    #[cfg(feature = "hub")]
    pub(crate) async fn look_again(&self, now: Instant) {
        if let Some(token) = &self.0 {
            token.look_again(now).await;
        }
    }
}

/// The token that a request with these headers brings.
pub(crate) fn brought(headers: &HeaderMap) -> Option<&str> {
    let authorization = headers.get(header::AUTHORIZATION)?;
    authorization.to_str().ok()?.strip_prefix("Bearer ")
}

fn parse(contents: &[u8], key: &str, path: &str) -> Result<SecretString, ConfigError> {
    let wrong = |what| ConfigError::one(key, format!("the file {path:?} {what}"));
    let text = std::str::from_utf8(contents).map_err(|_| wrong("holds no text"))?;
    match text.trim() {
        "" => Err(wrong("is empty")),
        token => Ok(token.into()),
    }
}

/// Compares in constant time, but for the length.
pub(crate) fn same(said: &str, token: &SecretString) -> bool {
    said.as_bytes()
        .ct_eq(token.expose_secret().as_bytes())
        .into()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bearer_token_is_brought() {
        for (value, token) in [
            (None, None),
            (Some("Bearer s3cr3t"), Some("s3cr3t")),
            (Some("Bearer "), Some("")),
            (Some("Basic s3cr3t"), None),
            (Some("s3cr3t"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(brought(&headers), token, "{value:?}");
        }
    }

    #[test]
    fn only_the_token_itself_is_the_same() {
        let token = parse(b" s3cr3t\n", "key", "token").unwrap();
        for (said, expected) in [
            ("s3cr3t", true),
            ("s3cr3", false),
            ("s3cr3T", false),
            ("", false),
        ] {
            assert_eq!(same(said, &token), expected, "{said}");
        }
        assert!(!format!("{token:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_file_without_a_token_is_an_error_that_names_it() {
        for (contents, says) in [(&b" \n"[..], "is empty"), (b"\xff", "holds no text")] {
            let error = format!("{:#}", parse(contents, "key", "/etc/token").unwrap_err());
            assert!(
                error.contains("/etc/token") && error.contains(says),
                "{error}"
            );
        }
    }
}
