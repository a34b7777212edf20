//! Where a request goes.

use std::fmt;
use std::io;
use std::path::PathBuf;

use http::HeaderMap;
use http::HeaderValue;
use http::Uri;
use http::uri::PathAndQuery;
use http::uri::Scheme;

use crate::checks::dial::unbracketed;

/// Where a request goes, and what goes with it.
///
/// Its `Debug` and every message show neither the query nor a header.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpTarget {
    url: Uri,
    shown: String,
    /// Sent with every request. Default: none.
    pub headers: HeaderMap,
    /// Holds a token that is sent as `Authorization: Bearer`. It is read before each request, and
    /// while it cannot be read the last token goes on. Default: none.
    pub bearer_token_file: Option<PathBuf>,
    /// Holds, in PEM, the authorities that a server's certificate may come from. Default: those of
    /// the system.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate is good enough. Default: no.
    pub insecure: bool,
}

/// Indicates that a target cannot be asked at all, now or later.
///
/// The URL is not part of the message, since it may hold a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// It is no URL.
    #[error("the URL is not valid")]
    Url(#[source] http::uri::InvalidUri),
    /// It is neither http nor https.
    #[error("the URL must begin with http:// or https:// and name a host")]
    Scheme,
    /// It names a user.
    #[error("the URL must not name a user or a password; send a header or a bearer token instead")]
    UserInfo,
    /// The host can be the name of no certificate.
    #[error("the URL's host can be the name of no certificate")]
    Host,
    /// The file with the authorities cannot be read.
    #[error("failed to read the CA file {path:?}")]
    Ca {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file with the token cannot be read.
    #[error("failed to read the token file {path:?}")]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// TLS cannot be set up.
    #[error("failed to set up TLS")]
    Tls(#[source] rustls::Error),
}

// === impl HttpTarget ===

impl HttpTarget {
    /// The target at `url`, with nothing added.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] if it is not an `http` or `https` URL with a host and without user info.
    pub fn new(url: &str) -> Result<Self, InvalidTarget> {
        let end = url.find('#').unwrap_or(url.len());
        let url: Uri = url[..end].parse().map_err(InvalidTarget::Url)?;
        let known = [Scheme::HTTP, Scheme::HTTPS];
        let is_known = url.scheme().is_some_and(|scheme| known.contains(scheme));
        if !is_known || url.host().is_none_or(str::is_empty) {
            return Err(InvalidTarget::Scheme);
        }
        if url.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(InvalidTarget::UserInfo);
        }
        Ok(Self {
            shown: shown(&url),
            url,
            headers: HeaderMap::new(),
            bearer_token_file: None,
            ca_file: None,
            insecure: false,
        })
    }

    /// The URL without its query.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == Some(&Scheme::HTTPS)
    }

    /// The host without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        unbracketed(self.url.host().unwrap_or_default())
    }

    pub(super) fn port(&self) -> u16 {
        let default = if self.is_tls() { 443 } else { 80 };
        self.url.port_u16().unwrap_or(default)
    }

    pub(super) fn host_header(&self) -> Result<HeaderValue, InvalidTarget> {
        let authority = self.url.authority().map_or("", |it| it.as_str());
        HeaderValue::from_str(authority).map_err(|_| InvalidTarget::Host)
    }

    /// What stands in the request's first line.
    pub(super) fn request_target(&self) -> Uri {
        let path = self.url.path_and_query().cloned();
        Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
    }
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpTarget").field(&self.shown).finish()
    }
}

/// A URL without user info and query.
pub(super) fn shown(url: &Uri) -> String {
    let mut shown = String::new();
    if let (Some(scheme), Some(authority)) = (url.scheme(), url.authority()) {
        let authority = authority.as_str();
        let host = authority.rsplit('@').next().unwrap_or(authority);
        shown = format!("{scheme}://{host}");
    }
    shown + url.path()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_has_no_query_and_no_user() {
        let url: Uri = "https://alice:secret@hub:8443/a/b?token=secret"
            .parse()
            .unwrap();
        assert_eq!(shown(&url), "https://hub:8443/a/b");
        let target = HttpTarget::new("http://[::1]:80/x?key=secret#secret").unwrap();
        assert_eq!(format!("{target:?}"), "HttpTarget(\"http://[::1]:80/x\")");
        assert_eq!(target.host(), "::1");
        assert_eq!(target.request_target(), "/x?key=secret");
    }

    #[test]
    fn urls_that_cannot_be_asked_are_refused_and_not_repeated() {
        for url in [
            "ftp://secret/",
            "secret",
            "/secret",
            "http://alice:secret@host/",
            "http://",
            "http://secret secret/",
            "",
        ] {
            let error = HttpTarget::new(url).unwrap_err();
            assert!(!crate::error::chain(&error).contains("secret"), "{error}");
        }
    }

    #[test]
    fn ports_follow_the_scheme() {
        for (url, port) in [("http://a", 80), ("https://a", 443), ("https://a:80/", 80)] {
            assert_eq!(HttpTarget::new(url).unwrap().port(), port);
        }
    }
}
