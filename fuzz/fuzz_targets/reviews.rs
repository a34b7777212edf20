//! What an API server says of a token, and then of what its user may do: a line each.

#![no_main]

use health_transport_lease::RawResponse;
use health_transport_lease::fuzz_review;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for body in bytes.split(|byte| *byte == b'\n') {
        let response = RawResponse {
            status: 201,
            retry_after: None,
            body: body.to_vec(),
        };
        if let Ok(answer) = response.reply() {
            fuzz_review(&answer);
        }
    }
});
