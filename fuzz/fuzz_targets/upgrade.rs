//! The HTTP of the upgrade: the server's answer as the agent reads it, and the agent's request as
//! the hub reads it.

#![no_main]

use health_transport_ws::UpgradeRequest;
use health_transport_ws::fuzz_answer;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fuzz_target!(|bytes: &[u8]| {
    match fuzz_answer(bytes, KEY) {
        Ok(frames) => {
            let answer = bytes.strip_suffix(&*frames);
            let answer = answer.expect("no byte of the frames is lost");
            assert!(answer.ends_with(b"\n"));
        }
        Err(error) => {
            let said = error.to_string();
            assert!(
                !said.is_empty() && !said.contains(char::is_control),
                "{said:?}"
            );
            let _ = error.retry_after();
        }
    }
    if let Some(headers) = headers(bytes) {
        if let Ok(request) = UpgradeRequest::from_headers(&headers) {
            assert!(!request.accept.is_empty());
            assert!(request.workspace.is_ascii());
        }
    }
});

/// As the server in front of the hub would hand them over.
fn headers(bytes: &[u8]) -> Option<HeaderMap> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    request.parse(bytes).ok()?;
    let headers = request.headers.iter();
    headers
        .map(|header| {
            let name: HeaderName = header.name.parse().ok()?;
            Some((name, HeaderValue::from_bytes(header.value).ok()?))
        })
        .collect()
}
