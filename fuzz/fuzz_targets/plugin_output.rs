//! What a monitoring plugin wrote, and the checks that an API server lists.

#![no_main]

use health_checks::checks::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [code, whole, text @ ..] = bytes else {
        return;
    };
    fuzzing::plugin_output(*code, text, b"", whole % 2 == 0);
    fuzzing::plugin_output(*code, b"", text, whole % 2 == 0);
    fuzzing::readyz(200 + u16::from(*code) * 2, text);
});
