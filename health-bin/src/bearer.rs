//! A bearer token that a server asks for.

use axum::http::HeaderMap;
use axum::http::header;
use secrecy::ExposeSecret;
use secrecy::SecretString;
use subtle::ConstantTimeEq;

use crate::config::ConfigError;

/// The token that is asked for; none where everybody may.
#[derive(Debug)]
pub(crate) struct BearerToken(Option<SecretString>);

impl BearerToken {
    /// Reads the file that `key` names; an empty path means that nobody is asked.
    pub(crate) fn read(key: &str, path: &str) -> Result<Self, ConfigError> {
        if path.is_empty() {
            return Ok(Self(None));
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::one(key, format!("cannot read {path:?}: {error}")))?;
        match text.trim() {
            "" => Err(ConfigError::one(key, format!("the file {path:?} is empty"))),
            token => Ok(Self(Some(token.into()))),
        }
    }

    /// Whether a request with these headers may pass.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(token) = &self.0 else { return true };
        let authorization = headers.get(header::AUTHORIZATION);
        authorization
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .is_some_and(|said| same(said, token))
    }
}

#[cfg(feature = "hub")]
impl BearerToken {
    /// Whether anybody is asked.
    pub(crate) const fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this is the token that is asked for.
    pub(crate) fn is(&self, said: &str) -> bool {
        self.0.as_ref().is_some_and(|token| same(said, token))
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
    fn only_the_token_itself_passes() {
        let token = BearerToken(Some("s3cr3t".into()));
        for (value, admitted) in [
            (None, false),
            (Some("Bearer s3cr3t"), true),
            (Some("Bearer s3cr3"), false),
            (Some("Bearer "), false),
            (Some("Basic s3cr3t"), false),
            (Some("s3cr3t"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            }
            assert_eq!(token.admits(&headers), admitted, "{value:?}");
            assert!(BearerToken(None).admits(&headers));
        }
        assert!(!format!("{token:?}").contains("s3cr3t"));
    }
}
