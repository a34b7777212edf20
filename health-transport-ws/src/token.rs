//! The bearer token and the file it is in.

use std::io;
use std::path::PathBuf;

use secrecy::SecretString;

/// The file with the bearer token, and what was last read from it.
#[derive(Debug)]
pub(crate) struct TokenFile {
    path: PathBuf,
    last_good: Option<SecretString>,
}

/// Indicates a file without a usable token. Transient: the file may be written again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// It cannot be read.
    #[error("tokenFile {path:?} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds no token.
    #[error("tokenFile {0:?} is empty, expected a bearer token on one line")]
    Empty(PathBuf),
    /// It holds what cannot stand in a header.
    #[error("tokenFile {0:?} holds more than visible ASCII, expected a bearer token on one line")]
    Malformed(PathBuf),
}

/// The configuration's key.
pub(crate) const TOKEN_FILE: &str = "tokenFile";

// === impl TokenFile ===

impl TokenFile {
    pub(crate) const fn new(path: PathBuf) -> Self {
        Self {
            path,
            last_good: None,
        }
    }

    /// The token as it is in the file now, or as it last was there.
    pub(crate) async fn read(&mut self) -> Result<SecretString, TokenError> {
        match self.read_now().await {
            Ok(token) => {
                self.last_good = Some(token.clone());
                Ok(token)
            }
            Err(error) => match &self.last_good {
                Some(token) => {
                    tracing::warn!(
                        error = crate::chain(&error),
                        "the last good bearer token is used"
                    );
                    Ok(token.clone())
                }
                None => Err(error),
            },
        }
    }

    async fn read_now(&self) -> Result<SecretString, TokenError> {
        let text = tokio::fs::read(&self.path)
            .await
            .map_err(|source| TokenError::Unreadable {
                path: self.path.clone(),
                source,
            })?;
        let token = text.trim_ascii();
        if token.is_empty() {
            return Err(TokenError::Empty(self.path.clone()));
        }
        match std::str::from_utf8(token) {
            Ok(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token.into()),
            Ok(_) | Err(_) => Err(TokenError::Malformed(self.path.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[tokio::test]
    async fn a_token_is_read_anew_and_an_unreadable_file_keeps_the_last_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let mut file = TokenFile::new(path.clone());
        let missing = file.read().await.unwrap_err();
        assert!(missing.to_string().contains("tokenFile"), "{missing}");
        for (content, token) in [("a\n", "a"), ("  b ", "b"), ("", "b"), ("c d", "b")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(file.read().await.unwrap().expose_secret(), token);
        }
        assert!(!format!("{file:?}").contains("\"b\""));
    }

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_said_without_its_content() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        for (content, says) in [("\n", "is empty"), ("s3cr3t\nmore", "visible ASCII")] {
            std::fs::write(&path, content).unwrap();
            let error = TokenFile::new(path.clone()).read().await.unwrap_err();
            assert!(error.to_string().contains(says), "{error}");
            assert!(!error.to_string().contains("s3cr3t"), "{error}");
        }
    }
}
