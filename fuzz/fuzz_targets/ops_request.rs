//! A request to a hub's `ops`: the query and the cursor of `/fleet`, where `/events` go on, whose
//! cookie comes along, by which name the hub is asked, and the form of the login.

#![no_main]

use health_bin::fuzzing;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(end)) = request.parse(bytes) else {
        return;
    };
    let target = request.path.unwrap_or_default();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    if let Some(headers) = map(request.headers) {
        fuzzing::ops_request(query, &headers, &bytes[end..]);
    }
});

/// As the server would hand them over.
fn map(headers: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    let headers = headers.iter().map(|header| {
        let name: HeaderName = header.name.parse().ok()?;
        Some((name, HeaderValue::from_bytes(header.value).ok()?))
    });
    headers.collect()
}
