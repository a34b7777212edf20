//! How many files the process may open, and what the hub does with them.

use rustix::process::Resource;
use rustix::process::Rlimit;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Places {
    /// Tunnels.
    pub(super) tunnels: usize,
    /// Those that are no tunnels yet.
    pub(super) half_open: usize,
}

/// Places for those that are no tunnels yet: an honest agent needs its own for a few round trips, so
/// this is enough for as many dials a second as the hub takes even where one takes a second. It is
/// also the number of TLS handshakes and of requests' heads that are under way at once.
pub(super) const HALF_OPEN_MAX: usize = 1_024;

/// Files beside the connections: listeners, the log, the runtime's own, what is read again, the
/// connections to an API server, and those of people who look (256 at most).
const RESERVED: usize = 256 + 128;

// === impl Places ===

impl Places {
    /// As many tunnels as are wanted, as far as the process may open files: it first asks for as
    /// many as it can get, and says so once where that is not enough.
    pub(super) fn find(wanted: usize) -> Self {
        let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        let files = match rustix::process::setrlimit(Resource::Nofile, raised) {
            Ok(()) => maximum,
            Err(_) => current,
        };
        let places = Self::within(wanted, files);
        if let Some(files) = files.filter(|_| places.tunnels < wanted) {
            tracing::warn!(
                wanted,
                files,
                tunnels = places.tunnels,
                "limits.connections is more than this process may open files for; raise its limit \
                 of open files (ulimit -n)"
            );
        }
        places
    }

    /// The same for a process that may open that many files, or any number.
    fn within(wanted: usize, files: Option<u64>) -> Self {
        let files = files.map_or(usize::MAX, |files| {
            usize::try_from(files).unwrap_or(usize::MAX)
        });
        let half_open = HALF_OPEN_MAX.min(files / 8).max(1);
        let left = files.saturating_sub(RESERVED.min(files / 2) + half_open);
        Self {
            tunnels: wanted.min(left).max(1),
            half_open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_given_as_far_as_the_files_go() {
        for (wanted, files, tunnels, half_open) in [
            (10_000, None, 10_000, 1_024),
            (10_000, Some(20_000), 10_000, 1_024),
            (1_000_000, Some(20_000), 18_592, 1_024),
            (10_000, Some(1_024), 512, 128),
            (10_000, Some(256), 96, 32),
            (10, Some(4), 1, 1),
            (10, Some(0), 1, 1),
        ] {
            let expected = Places { tunnels, half_open };
            assert_eq!(Places::within(wanted, files), expected, "{files:?}");
        }
    }
}
