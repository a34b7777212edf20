//! URLs that people write: where an agent dials, whom a check asks, and whom a command does.

#![no_main]

use health_bin::fuzzing;
use health_checks::checks::fuzzing as checks;
use health_transport_ws::TunnelUrl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(port) = fuzzing::url(text) {
        assert_eq!(port, port_of(text.trim()).unwrap_or(80));
    }
    if let Some(port) = checks::http_target(text) {
        let is_tls = text
            .get(..6)
            .is_some_and(|it| it.eq_ignore_ascii_case("https:"));
        let usual = if is_tls { 443 } else { 80 };
        assert_eq!(port, port_of(text).unwrap_or(usual));
    }
    tunnel(text);
});

fn tunnel(text: &str) {
    let url = match text.parse::<TunnelUrl>() {
        Ok(url) => url,
        Err(error) => return assert!(!error.to_string().contains(char::is_control), "{error}"),
    };
    assert!(!url.host().is_empty() && !url.host().contains(['@', '/']));
    let usual = if url.is_secure() { 443 } else { 80 };
    assert_eq!(url.port(), port_of(text).unwrap_or(usual));
    let shown = url.to_string();
    assert!(!shown.contains(['?', '#']), "{shown}");
    let again: TunnelUrl = shown.parse().expect("what is shown is one");
    assert_eq!(again.to_string(), shown);
    assert_eq!((again.host(), again.port()), (url.host(), url.port()));
    assert_eq!(again.is_secure(), url.is_secure());
    assert_eq!(again.is_loopback(), url.is_loopback());
}

/// The port that somebody finds who reads an accepted URL with the naked eye.
fn port_of(url: &str) -> Option<u16> {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let authority = behind.split(['/', '?', '#']).next().unwrap_or_default();
    let (_, behind) = authority.rsplit_once(']').unwrap_or(("", authority));
    let (_, port) = behind.rsplit_once(':')?;
    if port.is_empty() {
        return None;
    }
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    assert!(is_number, "{port:?} is no port");
    let port = port.parse().expect("no port is greater");
    assert!(port > 0, "nobody listens there");
    Some(port)
}
