//! What a process costs a processor.

use std::fs;
use std::time::Duration;

/// All the time that the process has had of a processor.
pub(crate) fn time_of(pid: u32) -> anyhow::Result<Duration> {
    let mut nanos = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end while it is looked at.
        let text = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
        let spent = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
        nanos += spent.unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}
