//! Files that people write: the configuration of the agent and of the hub with a variable over it,
//! a kubeconfig, and a file of tokens.

#![no_main]

use health_bin::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let last = text.lines().last().unwrap_or_default();
    fuzzing::configuration(text, ("SYNCER_HEALTH_HEARTBEAT_INTERVAL", last));
    fuzzing::kubeconfig(text);
    fuzzing::tokens(text);
});
