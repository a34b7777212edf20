//! Where a client asks, as people type it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::Context;
use hyper::Uri;
use hyper::http::uri::Authority;

/// A server's address, `http://HOST:PORT`, perhaps with a path that a proxy puts in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    authority: Authority,
    port: u16,
    /// Without a `/` at its end.
    prefix: String,
}

/// The port of a URL that names none.
const PORT: u16 = 80;

// === impl Url ===

impl Url {
    pub(super) const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The host and port to connect to.
    pub(super) fn place(&self) -> (&str, u16) {
        (self.host(), self.port)
    }

    /// A path as it is asked for.
    pub(super) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// The host, without the brackets of an address.
    pub(crate) fn host(&self) -> &str {
        self.authority.host().trim_matches(['[', ']'])
    }

    /// Whether what is sent there stays on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let address = self.host().parse::<IpAddr>();
        self.host().eq_ignore_ascii_case("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl FromStr for Url {
    type Err = anyhow::Error;

    /// Reads a URL; without a scheme it is `http`.
    fn from_str(text: &str) -> anyhow::Result<Self> {
        let text = text.trim();
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("http://{text}"),
        };
        let wrong = "write it like http://127.0.0.1:8081";
        let is_plain = whole.bytes().all(|byte| byte.is_ascii_graphic());
        anyhow::ensure!(is_plain, "{wrong}");
        let uri: Uri = whole.parse().context(wrong)?;
        anyhow::ensure!(
            uri.scheme_str() != Some("https"),
            "https is not spoken here; forward the port (kubectl port-forward) and ask on loopback"
        );
        anyhow::ensure!(uri.scheme_str() == Some("http"), "{wrong}");
        let authority = uri.authority().context(wrong)?.clone();
        let host = authority.host().trim_matches(['[', ']']);
        anyhow::ensure!(!host.is_empty(), "it names no host; {wrong}");
        anyhow::ensure!(
            !authority.as_str().contains('@'),
            "a name and a password do not belong into it"
        );
        anyhow::ensure!(uri.query().is_none(), "a query does not belong into it");
        let behind = &authority.as_str()[authority.host().len()..];
        let port = port_behind(behind).context("behind the host stands a port from 1 to 65535")?;
        Ok(Self {
            authority,
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// The port that stands behind a host. `Authority` is not asked: to it a port that is none is like no
/// port at all.
fn port_behind(text: &str) -> Option<u16> {
    if matches!(text, "" | ":") {
        return Some(PORT);
    }
    let digits = text.strip_prefix(':')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|port| *port > 0);
    port.filter(|_| is_number)
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.prefix)
    }
}

/// Reads a URL, and gives the port that is dialled: what is shown of it is one too, and asks the same
/// server.
#[cfg(fuzzing)]
pub fn fuzz(text: &str) -> Option<u16> {
    let url: Url = match text.parse() {
        Ok(url) => url,
        Err(error) => {
            assert!(!format!("{error:#}").contains('\n'), "{error:#}");
            return None;
        }
    };
    assert!(!url.host().is_empty() && url.target("/a").starts_with('/'));
    let again: Url = url.to_string().parse().expect("what is shown is one");
    assert_eq!(again, url);
    Some(url.port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_read_as_people_type_it() {
        for (text, shown, host, port, loopback) in [
            (
                "http://127.0.0.1:8081",
                "http://127.0.0.1:8081",
                "127.0.0.1",
                8081,
                true,
            ),
            (
                "http://127.0.0.1:8081/",
                "http://127.0.0.1:8081",
                "127.0.0.1",
                8081,
                true,
            ),
            (
                "localhost:8083",
                "http://localhost:8083",
                "localhost",
                8083,
                true,
            ),
            ("[::1]:8081", "http://[::1]:8081", "::1", 8081, true),
            ("hub", "http://hub", "hub", 80, false),
            (
                "http://proxy/a/hub/",
                "http://proxy/a/hub",
                "proxy",
                80,
                false,
            ),
            (
                "HTTP://10.0.0.1:1",
                "http://10.0.0.1:1",
                "10.0.0.1",
                1,
                false,
            ),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(url.place(), (host, port), "{text}");
            assert_eq!(url.is_loopback(), loopback, "{text}");
        }
        let url: Url = "http://proxy/hub".parse().unwrap();
        assert_eq!(url.target("/fleet?limit=1"), "/hub/fleet?limit=1");
    }

    #[test]
    fn what_is_none_is_refused_with_what_to_do() {
        for (text, told) in [
            ("", "write it like"),
            ("http://", "write it like"),
            ("http://:80", "write it like"),
            ("http://[]:80", "names no host"),
            ("http://a b", "write it like"),
            ("http://a/\u{85}#", "write it like"),
            ("ftp://a", "write it like"),
            ("https://hub", "kubectl port-forward"),
            ("http://me:secret@hub", "do not belong into it"),
            ("http://hub/?token=x", "a query"),
            ("hub:0", "a port from 1 to 65535"),
            ("hub:65536", "a port from 1 to 65535"),
            ("http://hub:8o83/", "a port from 1 to 65535"),
            ("http://[::1]:+80", "a port from 1 to 65535"),
        ] {
            let error = format!("{:#}", text.parse::<Url>().unwrap_err());
            assert!(error.contains(told), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
