//! Another process's metrics, scraped twice.

#![no_main]

use health_checks::checks::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Where the second scrape begins.
    const CUT: &[u8] = b"\n---\n";
    let cut = bytes.windows(CUT.len()).position(|window| window == CUT);
    let (first, second) = match cut {
        Some(at) => (&bytes[..=at], &bytes[at + CUT.len()..]),
        None => (bytes, bytes),
    };
    fuzzing::prometheus(first, second);
});
