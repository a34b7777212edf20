//! What `status` is answered: JSON of an agent or a hub, one answer a line, and a stream of events.

#![no_main]

use health_bin::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    fuzzing::events(bytes);
    let answers: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .map(|line| answer(&String::from_utf8_lossy(line)))
        .collect();
    fuzzing::status(&answers);
});

/// An answer begins with its status where that is not 200, as `404 no agent`.
fn answer(line: &str) -> (u16, String) {
    let status = line.get(..4).and_then(|it| it.strip_suffix(' '));
    let status = status.and_then(|it| it.parse().ok());
    match status.filter(|it| (100..1000).contains(it)) {
        Some(status) => (status, line[4..].to_owned()),
        None => (200, line.to_owned()),
    }
}
