//! A client's certificate, and whom it names.

#![no_main]

use health_bin::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::certificate(bytes));
