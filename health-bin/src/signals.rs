//! The signals that end the program.

use anyhow::Context;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::systemd::Manager;

/// SIGTERM, SIGINT and SIGHUP, from now on ours.
#[derive(Debug)]
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    manager: Manager,
}

impl Signals {
    /// Takes the signals from the system's default, which would end the process at once.
    pub(crate) fn install() -> anyhow::Result<Self> {
        let take = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self {
            terminate: take(SignalKind::terminate())?,
            interrupt: take(SignalKind::interrupt())?,
            hangup: take(SignalKind::hangup())?,
            manager: Manager::default(),
        })
    }

    /// Has the service manager told of each SIGHUP, which it may wait for.
    pub(crate) fn telling(mut self, manager: &Manager) -> Self {
        self.manager = manager.clone();
        self
    }

    /// Waits for the next one that asks the program to end. SIGHUP asks to read the configuration
    /// again, which is answered and not done yet.
    pub(crate) async fn stop(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    self.manager.reloading();
                    tracing::warn!("SIGHUP: the configuration is not read again; restart to do so");
                    self.manager.reloaded();
                }
            }
        }
    }
}
