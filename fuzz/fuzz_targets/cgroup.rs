//! The kernel's files: limits of cgroups, where they are mounted, the process's and the host's.

#![no_main]

use health_checks::checks::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| fuzzing::kernel_files(bytes));
