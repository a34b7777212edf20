//! What a tunnel is made from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use health_core::Revision;
use health_heartbeat::HeartbeatConfig;
use serde_json::Value;
use tokio::sync::watch;

use crate::DialError;
use crate::TunnelUrl;
use crate::dial::Dialer;
use crate::protocol;

/// What a tunnel is made from. The files are read again at each dial, so a rotated token or
/// certificate is found by itself; one that cannot be read any more keeps its last good content.
#[derive(Debug, Clone)]
pub struct TunnelConfig {
    /// Where to dial.
    pub url: TunnelUrl,
    /// The SyncTarget that this agent speaks for.
    pub sync_target: String,
    /// Its logical cluster; empty where the credentials tell.
    pub workspace: String,
    /// The file with the bearer token. Default: none.
    pub token_file: Option<PathBuf>,
    /// The file with the only certificates (PEM) that are trusted. Default: the system's.
    pub ca_file: Option<PathBuf>,
    /// The client certificate. Default: none.
    pub client_certificate: Option<ClientCertificate>,
    /// Whether the bearer token may be sent in the clear beyond this machine. Default: no.
    pub allow_plaintext: bool,
    /// What the handshake says that this agent can do. Default: `heartbeat` and `status`.
    pub capabilities: Vec<String>,
    /// What else the handshake says. Default: nothing.
    pub metadata: BTreeMap<String, String>,
    /// How often heartbeats go and what silence means: the tunnel's own deadlines follow from it.
    pub heartbeat: HeartbeatConfig,
    /// The seed of all chance: jitter and message ids.
    pub seed: u64,
}

/// A client certificate (PEM) and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The file with the certificate and those that lead to its root.
    pub cert_file: PathBuf,
    /// The file with the private key.
    pub key_file: PathBuf,
}

/// The report that is sent on each new connection and whenever it changed.
#[derive(Clone)]
pub struct ReportSource {
    /// Moves whenever the report changed.
    pub changes: watch::Receiver<Revision>,
    /// Makes the report, from memory.
    pub report: Arc<dyn Fn() -> Value + Send + Sync>,
}

/// The deadlines of a tunnel, from the heartbeat's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the first packet to the upgrade's answer: 30 s, or half of the heartbeat's timeout, so
    /// that a hang leaves room for another dial.
    pub dial: Duration,
    /// For the handshake's answer: 10 s, or half of the heartbeat's timeout.
    pub handshake: Duration,
    /// Without any frame: 60 s, or the heartbeat's timeout.
    pub read: Duration,
    /// For one frame to leave: 10 s, or the heartbeat's timeout.
    pub write: Duration,
    /// For a ping's answer, before the connection counts as dead: two thirds of what an interval
    /// leaves of the heartbeat's timeout, so that there is time for another connection.
    pub pong: Duration,
}

/// The protocol's own deadlines, which a short heartbeat shortens.
const DIAL: Duration = Duration::from_secs(30);
const HANDSHAKE: Duration = Duration::from_secs(10);
const READ: Duration = Duration::from_secs(60);
const WRITE: Duration = Duration::from_secs(10);

// === impl TunnelConfig ===

impl TunnelConfig {
    /// A tunnel to `url` for the SyncTarget `sync_target`, without credentials.
    #[must_use]
    pub fn new(url: TunnelUrl, sync_target: impl Into<String>) -> Self {
        Self {
            url,
            sync_target: sync_target.into(),
            workspace: String::new(),
            token_file: None,
            ca_file: None,
            client_certificate: None,
            allow_plaintext: false,
            capabilities: [protocol::CAPABILITY_HEARTBEAT, protocol::CAPABILITY_STATUS]
                .map(str::to_owned)
                .to_vec(),
            metadata: BTreeMap::new(),
            heartbeat: HeartbeatConfig::default(),
            seed: 0,
        }
    }

    /// Everything that is wrong before anybody is dialed, each with its key
    /// ([`DialError::key`]): a file that cannot be read or holds what it should not, a token that
    /// may not be sent to that URL. Nothing where a dial can be tried.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has changed nothing. Nothing but the caller bounds how long it waits.
    pub async fn check(&self) -> Vec<DialError> {
        Dialer::new(self).check(self).await
    }

    /// The deadlines that follow from the heartbeat's.
    #[must_use]
    pub fn deadlines(&self) -> Deadlines {
        Deadlines::of(&self.heartbeat)
    }
}

// === impl Deadlines ===

impl Deadlines {
    /// The deadlines that follow from the heartbeat's.
    #[must_use]
    pub fn of(heartbeat: &HeartbeatConfig) -> Self {
        let timeout = heartbeat.timeout();
        Self {
            dial: DIAL.min(timeout / 2),
            handshake: HANDSHAKE.min(timeout / 2),
            read: READ.min(timeout),
            write: WRITE.min(timeout),
            pong: timeout.saturating_sub(heartbeat.interval()) * 2 / 3,
        }
    }
}

// === impl ReportSource ===

impl std::fmt::Debug for ReportSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportSource").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconnect::Hint;
    use crate::reconnect::Reconnect;
    use std::time::Instant;

    #[test]
    fn a_short_heartbeat_shortens_the_deadlines_and_a_long_one_leaves_them() {
        let of = |interval, timeout| {
            let (interval, timeout) = (secs(interval), secs(timeout));
            let deadlines = Deadlines::of(&HeartbeatConfig::new(interval, timeout, 3).unwrap());
            let Deadlines {
                dial,
                handshake,
                read,
                write,
                pong,
            } = deadlines;
            [dial, handshake, read, write, pong].map(|deadline| deadline.as_secs())
        };
        assert_eq!(of(10, 30), [15, 10, 30, 10, 13]);
        assert_eq!(of(60, 180), [30, 10, 60, 10, 80]);
        assert_eq!(of(1, 4), [2, 2, 4, 4, 2]);
    }

    /// Kubernetes #121793: the grace for a node was shorter than the time in which the kubelet
    /// found its connection dead. Here a dead one is found, and the next one dialed, before the
    /// timeout is over: the ping that nobody answers goes within a jittered interval.
    #[test]
    fn pitfall_48_a_dead_connection_is_found_while_there_is_time_for_another() {
        for (interval, timeout) in [(1, 2), (1, 4), (10, 20), (10, 30), (60, 120), (60, 600)] {
            let heartbeat = HeartbeatConfig::new(secs(interval), secs(timeout), 3).unwrap();
            let ping = heartbeat.interval().mul_f64(1.04);
            let found = ping + Deadlines::of(&heartbeat).pong;
            let start = Instant::now();
            for seed in 0..100 {
                let mut reconnect = Reconnect::new(&heartbeat, seed);
                reconnect.connected(start);
                let again = reconnect.failed(Hint::default(), start + found) - start;
                let left = heartbeat.timeout().saturating_sub(again);
                let share = left.as_secs_f64() / heartbeat.timeout().as_secs_f64();
                assert!(share > 0.05, "{interval} s, {timeout} s: {left:?} left");
            }
        }
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }
}
