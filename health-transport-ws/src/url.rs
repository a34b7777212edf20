//! Where to dial.

use std::fmt;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;
use rustls::pki_types::ServerName;

/// Where to dial: `ws://` or `wss://`, a host, a path.
///
/// It is shown without its query, which may be a secret and never leaves the process but to the
/// peer.
#[derive(Clone, PartialEq, Eq)]
pub struct TunnelUrl {
    secure: bool,
    host: String,
    port: u16,
    path_and_query: String,
}

/// Indicates a text that is no URL of a tunnel. Permanent: the configuration must change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("url {wrong}, expected something like wss://hub.example.org:8082/tunnel")]
pub struct InvalidUrl {
    wrong: String,
}

// === impl TunnelUrl ===

impl TunnelUrl {
    /// Whether the connection is encrypted.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// What is asked for.
    pub(crate) fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// The `Host` header.
    pub(crate) fn authority(&self) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual {
            host
        } else {
            format!("{host}:{}", self.port)
        }
    }

    /// Whether what is sent stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether a bearer token may be sent there.
    pub(crate) fn may_carry_token(&self, allow_plaintext: bool) -> bool {
        self.secure || self.is_loopback() || allow_plaintext
    }
}

impl FromStr for TunnelUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let wrong = |wrong: String| InvalidUrl { wrong };
        let uri: Uri = text
            .parse()
            .map_err(|error| wrong(format!("is not a URL ({error})")))?;
        let secure = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            Some(other) => {
                return Err(wrong(format!(
                    "has the scheme {other:?}, only ws and wss are allowed"
                )));
            }
            None => return Err(wrong("has no scheme, ws or wss is needed".to_owned())),
        };
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(wrong(
                "carries a user name, which is not allowed (a token belongs into tokenFile)"
                    .to_owned(),
            ));
        }
        let host = uri.host().unwrap_or_default();
        let usual = if secure { 443 } else { 80 };
        let port = port_behind(&authority[host.len()..], usual);
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if bracketed.is_some_and(|host| host.parse::<Ipv6Addr>().is_err()) {
            let what = "has brackets around what is no IPv6 address";
            return Err(wrong(what.to_owned()));
        }
        let host = bracketed.unwrap_or(host);
        if host.is_empty() {
            return Err(wrong("names no host".to_owned()));
        }
        if secure && ServerName::try_from(host).is_err() {
            return Err(wrong(format!(
                "names the host {host:?}, which no certificate can name"
            )));
        }
        let Some(port) = port else {
            return Err(wrong("has a port that is not from 1 to 65535".to_owned()));
        };
        Ok(Self {
            secure,
            host: host.to_owned(),
            port,
            path_and_query: uri
                .path_and_query()
                .map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

/// The port that stands behind a host, if any does.
///
/// `Uri` is not asked: to it a port that is none is like no port at all, and the usual one would be
/// dialled in its place.
fn port_behind(text: &str, usual: u16) -> Option<u16> {
    if matches!(text, "" | ":") {
        return Some(usual);
    }
    let digits = text.strip_prefix(':')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| *port > 0);
    port.filter(|_| is_number)
}

impl fmt::Display for TunnelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

impl fmt::Debug for TunnelUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart_and_shown_without_its_query() {
        for (text, host, port, shown) in [
            (
                "wss://hub:8082/tunnel",
                "hub",
                8082,
                "wss://hub:8082/tunnel",
            ),
            ("wss://hub", "hub", 443, "wss://hub/"),
            ("ws://hub?key=s3cr3t", "hub", 80, "ws://hub/"),
            ("ws://[::1]:1/a?b", "::1", 1, "ws://[::1]:1/a"),
        ] {
            let url: TunnelUrl = text.parse().unwrap();
            assert_eq!((url.host(), url.port()), (host, port));
            assert_eq!(
                (url.to_string(), format!("{url:?}")),
                (shown.into(), shown.into())
            );
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said_and_what_would_be_right() {
        for (text, says) in [
            ("", "is not a URL"),
            ("hub:8082", "has no scheme"),
            ("https://hub/tunnel", "only ws and wss are allowed"),
            ("wss://alice:s3cr3t@hub/", "user name"),
            ("wss://hub:0/", "port"),
            ("wss://a..b/", "which no certificate can name"),
            ("wss://hub:65536/", "port"),
            ("wss://hub:8o82/", "port"),
            ("ws://[::1]:+80/", "port"),
            ("ws://[%]:#c", "no IPv6 address"),
        ] {
            let error = text.parse::<TunnelUrl>().unwrap_err().to_string();
            assert!(error.starts_with("url ") && error.contains(says), "{error}");
            assert!(error.contains("wss://hub.example.org"), "{error}");
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_token_travels_in_the_clear_only_on_this_machine_or_when_told_so() {
        for (text, may) in [
            ("wss://hub/", true),
            ("ws://localhost/", true),
            ("ws://127.3.4.5/", true),
            ("ws://[::1]/", true),
            ("ws://[::ffff:127.0.0.1]/", true),
            ("ws://hub/", false),
            ("ws://10.0.0.1/", false),
            ("ws://localhost.example.org/", false),
        ] {
            let url: TunnelUrl = text.parse().unwrap();
            assert_eq!(url.may_carry_token(false), may, "{text}");
            assert!(url.may_carry_token(true), "{text}");
        }
    }
}
