//! How a workspace is watched.

use std::time::Duration;

use crate::config::InvalidConfig;
use crate::config::check_namespace;

/// How a workspace is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchConfig {
    namespace: String,
    call_timeout: Duration,
    stream: Duration,
    silence: Duration,
}

/// A server that takes longer for one page than this is as good as gone.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// A quiet stream is ended, or a bookmark sent, this soon: so soon can a stall be told from quiet.
const STREAM: Duration = Duration::from_secs(30);
/// What the end of a stream may take on its way.
const SLACK: Duration = Duration::from_secs(10);

/// A server reads whole seconds, and sends its bookmark two before the end.
const STREAM_FLOOR: Duration = Duration::from_secs(3);
const SLACK_FLOOR: Duration = Duration::from_secs(1);

// === impl WatchConfig ===

impl WatchConfig {
    /// Watches Leases in `namespace`, with the default times: 10 s a call, 30 s a stream, and a
    /// stall once nothing was heard for 40 s.
    ///
    /// # Errors
    ///
    /// If Kubernetes has no namespace of that name.
    pub fn new(namespace: &str) -> Result<Self, InvalidConfig> {
        check_namespace(namespace)?;
        Ok(Self {
            namespace: namespace.to_owned(),
            call_timeout: CALL_TIMEOUT,
            stream: STREAM,
            silence: STREAM + SLACK,
        })
    }

    /// The same with other times: how long a page, or the beginning of a stream, may take; how
    /// long the server is asked to keep a stream open, in whole seconds; and after how long of
    /// nothing, not even a bookmark, a stream has stalled.
    ///
    /// # Errors
    ///
    /// If a call has no time, a stream is shorter than 3 s or of half a second, or `silence` is
    /// not longer than `stream` by at least 1 s: the end of a quiet stream would be a stall.
    pub fn with_times(
        mut self,
        call_timeout: Duration,
        stream: Duration,
        silence: Duration,
    ) -> Result<Self, InvalidConfig> {
        if call_timeout.is_zero() {
            return Err(invalid("callTimeout", call_timeout, "more than 0 is"));
        }
        if stream < STREAM_FLOOR || stream.subsec_nanos() > 0 {
            return Err(invalid("stream", stream, "whole seconds, at least 3, are"));
        }
        if silence < stream + SLACK_FLOOR {
            let least = format!("at least 1 s more than stream ({stream:?}) is");
            return Err(invalid("silence", silence, &least));
        }
        self.call_timeout = call_timeout;
        self.stream = stream;
        self.silence = silence;
        Ok(self)
    }

    /// Where the Leases are.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How long a page, or the beginning of a stream, may take.
    #[must_use]
    pub const fn call_timeout(&self) -> Duration {
        self.call_timeout
    }

    /// How long the server is asked to keep a stream open.
    #[must_use]
    pub const fn stream(&self) -> Duration {
        self.stream
    }

    /// After how long of nothing a stream has stalled.
    #[must_use]
    pub const fn silence(&self) -> Duration {
        self.silence
    }
}

fn invalid(key: &'static str, value: Duration, allowed: &str) -> InvalidConfig {
    InvalidConfig {
        key,
        value: format!("{value:?}"),
        allowed: format!("{allowed} allowed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_stream_ends_before_its_silence_is_a_stall() {
        assert!(WatchConfig::new("Bad_NS").is_err());
        let config = WatchConfig::new("default").unwrap();
        assert!(config.silence() >= config.stream() + SLACK_FLOOR);
        let secs = Duration::from_secs;
        for (call, stream, silence, key) in [
            (1, secs(3), secs(4), None),
            (0, secs(3), secs(4), Some("callTimeout")),
            (1, secs(2), secs(4), Some("stream")),
            (1, Duration::from_millis(3500), secs(9), Some("stream")),
            (1, secs(3), secs(3), Some("silence")),
        ] {
            let result = config.clone().with_times(secs(call), stream, silence);
            assert_eq!(result.err().map(|error| error.key), key);
        }
    }
}
