//! The component `heartbeat`: what the transports' machines say, as a component.

use std::time::Duration;

use health_checks::Monitor;
use health_checks::names;
use health_core::ComponentSpec;
use health_core::Scope;
use health_heartbeat::Heartbeater;
use tokio::sync::broadcast::error::RecvError;

/// It is told again this often even if nothing happens.
const RETELL: Duration = Duration::from_secs(5);

/// A loop that tells nothing for this long has died, and the component is Unknown.
const STALE_AFTER: Duration = Duration::from_secs(30);

/// Registers the component and keeps it told.
pub(super) fn register(monitor: &Monitor, heartbeater: &Heartbeater) -> anyhow::Result<()> {
    let spec = ComponentSpec::new(names::HEARTBEAT.parse()?)
        .with_scopes(&[Scope::Readiness])
        .with_stale_after(STALE_AFTER);
    let reporter = monitor.register_reported(spec)?;
    let mut events = heartbeater.subscribe();
    let heartbeater = heartbeater.clone();
    tokio::spawn(async move {
        loop {
            let snapshot = heartbeater.snapshot();
            if !reporter.report(snapshot.outcome()) {
                return;
            }
            match tokio::time::timeout(RETELL, events.recv()).await {
                Ok(Err(RecvError::Closed)) => return,
                // An event, a gap in them, or none for a while: look again.
                Ok(Ok(_) | Err(RecvError::Lagged(_))) | Err(_) => {}
            }
        }
    });
    Ok(())
}
