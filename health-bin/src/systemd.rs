//! What a service manager is told: that the program is ready, lives, reads its configuration again,
//! ends.
//!
//! The protocol is a line or more in a datagram to the socket that the environment names, so this
//! needs no library; where none is named nobody is told anything.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::clock;
use crate::config::Environment;

mod watch;

pub(crate) use watch::Look;
use watch::Watch;

/// The service manager, if there is one that wants to be told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Manager {
    socket: Option<Arc<Socket>>,
    /// How long it waits for a sign of life; nothing if it does not wait for any.
    patience: Option<Duration>,
}

#[derive(Debug)]
struct Socket {
    datagrams: UnixDatagram,
    /// Each datagram is addressed anew: a manager that was replaced has a new socket there.
    address: SocketAddr,
}

/// Where notifications go: a path, or a name in the abstract namespace behind an `@`.
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";
/// How long the manager waits for a sign of life, in microseconds.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// Whom it waits for, if not for whoever reads this.
const WATCHDOG_PID: &str = "WATCHDOG_PID";

const READY: &str = "READY=1";
const STOPPING: &str = "STOPPING=1";
const RELOADING: &str = "RELOADING=1";
const WATCHDOG: &str = "WATCHDOG=1";

// === impl Manager ===

impl Manager {
    /// The one that the environment names.
    pub(crate) fn of(environment: &Environment) -> Self {
        let Some(name) = environment.get(NOTIFY_SOCKET) else {
            return Self::default();
        };
        match Socket::open(name) {
            Ok(socket) => Self {
                socket: Some(Arc::new(socket)),
                patience: patience(environment, std::process::id()),
            },
            Err(error) => {
                tracing::warn!(%error, "{NOTIFY_SOCKET} is of no use: nobody is told how it goes");
                Self::default()
            }
        }
    }

    /// Probes and listeners answer. From now on signs of life are given for as long as `look` finds
    /// that liveness holds, and the current runtime's loop turns, where they are given from.
    pub(crate) fn ready(&self, look: impl Fn(Instant) -> Look + Send + 'static) {
        if self.socket.is_none() {
            return;
        }
        let status = look(Instant::now()).status;
        self.tell(&format!("{READY}\n{}", self::status(&status)));
        let manager = self.clone();
        tokio::spawn(async move {
            let mut watch = Watch::new(manager.patience);
            loop {
                let look = look(Instant::now());
                let message = watch.message(&look);
                let taken = message.is_none_or(|message| manager.tell(&message));
                tokio::time::sleep(watch.next(&look, taken)).await;
            }
        });
    }

    /// The configuration is read again.
    pub(crate) fn reloading(&self) {
        let now = clock::monotonic().as_micros();
        self.tell(&format!("{RELOADING}\nMONOTONIC_USEC={now}"));
    }

    /// The configuration was read again.
    pub(crate) fn reloaded(&self) {
        self.tell(READY);
    }

    /// The program begins to end.
    pub(crate) fn stopping(&self, why: &str) {
        self.tell(&format!("{STOPPING}\n{}", status(why)));
    }

    /// Whether the message was taken, which is never waited for.
    fn tell(&self, message: &str) -> bool {
        let Some(socket) = &self.socket else {
            return true;
        };
        let sent = socket.send(message);
        if let Err(error) = &sent {
            tracing::debug!(%error, "the service manager took no notification");
        }
        sent.is_ok()
    }
}

// === impl Socket ===

impl Socket {
    fn open(name: &str) -> io::Result<Self> {
        let address = match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if name.starts_with('/') => SocketAddr::from_pathname(name)?,
            None => {
                let text = format!("{name:?} is neither a path nor a name behind an @");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        };
        let datagrams = UnixDatagram::unbound()?;
        datagrams.set_nonblocking(true)?;
        Ok(Self { datagrams, address })
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let sent = self
            .datagrams
            .send_to_addr(message.as_bytes(), &self.address);
        sent.map(|_| ())
    }
}

fn status(text: &str) -> String {
    format!("STATUS={}", watch::line(text))
}

/// How long `process` is waited for.
fn patience(environment: &Environment, process: u32) -> Option<Duration> {
    let micros = environment.get(WATCHDOG_USEC)?.parse().ok()?;
    let is_meant = match environment.get(WATCHDOG_PID) {
        Some(pid) => pid.parse() == Ok(process),
        None => true,
    };
    (is_meant && micros > 0).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_waited_for_gives_signs_of_life() {
        for (usec, pid, expected) in [
            (Some("2000000"), None, Some(2)),
            (Some("2000000"), Some("7"), Some(2)),
            (Some("2000000"), Some("8"), None),
            (Some("2000000"), Some(""), None),
            (Some("0"), None, None),
            (Some("-1"), None, None),
            (None, Some("7"), None),
        ] {
            let given = [(WATCHDOG_USEC, usec), (WATCHDOG_PID, pid)];
            let given = given
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)));
            let environment = environment(given);
            let found = patience(&environment, 7);
            assert_eq!(found, expected.map(Duration::from_secs), "{usec:?} {pid:?}");
        }
    }

    #[test]
    fn a_notification_arrives_at_a_path_and_at_an_abstract_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let at_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("syncer-health-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let at_name = UnixDatagram::bind_addr(&address).unwrap();
        let path = path.to_str().unwrap().to_owned();
        for (place, socket) in [(path, at_path), (format!("@{name}"), at_name)] {
            let manager = Manager::of(&environment([(NOTIFY_SOCKET, place.as_str())]));
            manager.stopping("the end\nis near");
            let mut buffer = [0; 256];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], b"STOPPING=1\nSTATUS=the end is near");
        }
    }

    #[test]
    fn a_manager_that_takes_nothing_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let nobody = path.to_str().unwrap();
        let manager = Manager::of(&environment([(NOTIFY_SOCKET, nobody)]));
        assert!(!manager.tell(READY));
        let silent = UnixDatagram::bind(&path).unwrap();
        let taken = (0..100_000).take_while(|_| manager.tell(READY)).count();
        assert!((1..100_000).contains(&taken), "{taken}");
        drop(silent);
    }

    #[test]
    fn a_name_of_another_kind_is_nobody() {
        for name in ["", "notify", "vsock:2:1234"] {
            let manager = Manager::of(&environment([(NOTIFY_SOCKET, name)]));
            assert!(manager.socket.is_none(), "{name:?}");
        }
    }

    fn environment<'a>(given: impl IntoIterator<Item = (&'a str, &'a str)>) -> Environment {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        given.into_iter().map(owned).collect()
    }
}
