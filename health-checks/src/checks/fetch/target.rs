//! Where a request goes.

use std::fmt;
use std::io;

use http::HeaderMap;
use http::HeaderValue;
use http::Uri;
use http::uri::PathAndQuery;
use http::uri::Scheme;

use crate::checks::dial::unbracketed;
use crate::checks::fetch::Material;

/// Where a request goes, and what goes with it.
///
/// Its `Debug` and every message show neither the query nor a header.
#[derive(Clone)]
#[non_exhaustive]
pub struct HttpTarget {
    url: Uri,
    port: u16,
    shown: String,
    /// Sent with every request. Default: none.
    pub headers: HeaderMap,
    /// A token that is sent as `Authorization: Bearer`. A file is read before each request.
    /// Default: none.
    pub bearer_token: Option<Material>,
    /// The authorities, in PEM, that a server's certificate may come from. A file is read before
    /// each new connection. Default: those of the system.
    pub ca: Option<Material>,
    /// Who we are, to a server that asks for a certificate. Files are read before each new
    /// connection. Default: nobody.
    pub client_certificate: Option<ClientCertificate>,
    /// The name that the server's certificate must have. Default: the URL's host.
    pub server_name: Option<String>,
    /// Whether any certificate is good enough; `ca` is not looked at then. Default: no.
    pub insecure: bool,
}

/// A certificate and its key, both in PEM; they may be in the same file.
///
/// While the two do not fit each other, as between the writing of the one and of the other, those
/// that were last good go on.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate, followed by those of the authorities between it and the root.
    pub certificate: Material,
    /// Its key, not encrypted.
    pub key: Material,
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
    /// It names a port that is none.
    #[error("the URL's port must be from 1 to 65535")]
    Port,
    /// It names a user.
    #[error("the URL must not name a user or a password; send a header or a bearer token instead")]
    UserInfo,
    /// Where the server's certificate is looked at, there is no name to look for.
    #[error("the server's name, or else the URL's host, can be the name of no certificate")]
    Host,
    /// The authorities cannot be read.
    #[error("failed to read the CA {from}")]
    Ca {
        /// Where they should be.
        from: Material,
        /// Why not.
        source: io::Error,
    },
    /// The client certificate cannot be read.
    #[error("failed to read the client certificate {from}")]
    Certificate {
        /// Where it should be.
        from: Material,
        /// Why not.
        source: io::Error,
    },
    /// The client certificate's key cannot be read.
    #[error("failed to read the key {from} of the client certificate")]
    Key {
        /// Where it should be.
        from: Material,
        /// Why not.
        source: io::Error,
    },
    /// The client certificate and the key do not belong together, or are of no known kind.
    #[error("the client certificate and its key cannot be used")]
    Pair(#[source] rustls::Error),
    /// The token cannot be read.
    #[error("failed to read the token {from}")]
    Token {
        /// Where it should be.
        from: Material,
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
    /// [`InvalidTarget`] if it is not an `http` or `https` URL with a host and without user info, or
    /// its port is none.
    pub fn new(url: &str) -> Result<Self, InvalidTarget> {
        let end = url.find('#').unwrap_or(url.len());
        let url: Uri = url[..end].parse().map_err(InvalidTarget::Url)?;
        let known = [Scheme::HTTP, Scheme::HTTPS];
        let is_known = url.scheme().is_some_and(|scheme| known.contains(scheme));
        let host = url.host().map(unbracketed);
        if !is_known || host.is_none_or(str::is_empty) {
            return Err(InvalidTarget::Scheme);
        }
        if url.authority().is_some_and(|it| it.as_str().contains('@')) {
            return Err(InvalidTarget::UserInfo);
        }
        Ok(Self {
            shown: shown(&url),
            port: port(&url).ok_or(InvalidTarget::Port)?,
            url,
            headers: HeaderMap::new(),
            bearer_token: None,
            ca: None,
            client_certificate: None,
            server_name: None,
            insecure: false,
        })
    }

    /// The URL without its query.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// The URL of `path` below this one, without its query.
    pub(in crate::checks) fn shown_below(&self, path: &str) -> String {
        format!("{}{path}", self.shown.trim_end_matches('/'))
    }

    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == Some(&Scheme::HTTPS)
    }

    /// The host without the brackets of an IPv6 address.
    pub(in crate::checks) fn host(&self) -> &str {
        unbracketed(self.url.host().unwrap_or_default())
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
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

    /// What stands there for `path` below this URL, which keeps its query.
    pub(super) fn request_below(&self, path: &'static str) -> Uri {
        let below = self.url.path().trim_end_matches('/');
        let query = self.url.query().map(|query| format!("?{query}"));
        let joined = format!("{below}{path}{}", query.unwrap_or_default());
        // Each part came out of a URL, so the whole can stand in one.
        let joined = joined.parse();
        Uri::from(joined.unwrap_or_else(|_| PathAndQuery::from_static(path)))
    }
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpTarget").field(&self.shown).finish()
    }
}

/// The port of a URL without user info, or that of its scheme. `Uri` is not asked: to it a port that is
/// none is like no port at all.
fn port(url: &Uri) -> Option<u16> {
    let authority = url.authority()?;
    let behind = &authority.as_str()[authority.host().len()..];
    if matches!(behind, "" | ":") {
        let is_tls = url.scheme() == Some(&Scheme::HTTPS);
        return Some(if is_tls { 443 } else { 80 });
    }
    let digits = behind.strip_prefix(':')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| *port > 0);
    port.filter(|_| is_number)
}

/// The port that is dialled for a URL.
#[cfg(fuzzing)]
pub fn fuzz(url: &str) -> Option<u16> {
    let target = HttpTarget::new(url).ok()?;
    assert!(!target.shown().contains(['?', '#']) && !target.host().is_empty());
    let again = HttpTarget::new(target.shown()).expect("what is shown is one");
    assert_eq!((again.host(), again.port), (target.host(), target.port));
    assert!(target.request_target().to_string().starts_with('/'));
    assert!(target.request_below("/readyz").path().ends_with("/readyz"));
    Some(target.port)
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
            "http://[]/",
            "http://a:0/",
            "http://a:65536/",
            "https://a:secret/",
            "https://[::1]:+443/",
            "",
        ] {
            let error = HttpTarget::new(url).unwrap_err();
            assert!(!crate::error::chain(&error).contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_path_below_keeps_the_urls_own_path_and_query() {
        for (url, shown, request) in [
            ("https://a", "https://a/readyz", "/readyz"),
            ("https://a/", "https://a/readyz", "/readyz"),
            ("https://a/b/c/", "https://a/b/c/readyz", "/b/c/readyz"),
            ("https://a/b?c=d", "https://a/b/readyz", "/b/readyz?c=d"),
        ] {
            let target = HttpTarget::new(url).unwrap();
            assert_eq!(target.shown_below("/readyz"), shown);
            assert_eq!(target.request_below("/readyz"), request);
        }
    }

    #[test]
    fn ports_follow_the_scheme() {
        for (url, port) in [("http://a", 80), ("https://a", 443), ("https://a:80/", 80)] {
            assert_eq!(HttpTarget::new(url).unwrap().port(), port);
        }
    }
}
