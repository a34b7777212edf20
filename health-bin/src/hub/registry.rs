//! The running tunnels, by connection: whom to close, and whom to tell another interval.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use health_transport_ws::AcceptedHandle;
use health_transport_ws::CloseReason;
use health_transport_ws::ConnectionId;

use super::auth::TokenMark;

/// The running tunnels. Each has a place until it ends, so there are never more than the hub has
/// connections.
#[derive(Debug, Default)]
pub(super) struct Registry {
    tunnels: Mutex<HashMap<ConnectionId, Running>>,
}

#[derive(Debug)]
struct Running {
    handle: AcceptedHandle,
    mark: Option<TokenMark>,
}

/// The place of one tunnel; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Registered {
    registry: Arc<Registry>,
    connection: ConnectionId,
}

// === impl Registry ===

impl Registry {
    /// Takes a tunnel in, and the mark of the token that let it in.
    pub(super) fn insert(
        self: &Arc<Self>,
        connection: ConnectionId,
        handle: AcceptedHandle,
        mark: Option<TokenMark>,
    ) -> Registered {
        self.lock().insert(connection, Running { handle, mark });
        Registered {
            registry: Arc::clone(self),
            connection,
        }
    }

    /// Ends a tunnel and tells its agent why, and how long to stay away; whether there was one.
    pub(super) fn close(
        &self,
        connection: ConnectionId,
        reason: CloseReason,
        retry_after: Option<Duration>,
    ) -> bool {
        let handle = self.lock().get(&connection).map(|one| one.handle.clone());
        handle.is_some_and(|handle| {
            handle.close(reason, retry_after);
            true
        })
    }

    /// Every tunnel there is now.
    pub(super) fn handles(&self) -> Vec<AcceptedHandle> {
        let tunnels = self.lock();
        tunnels.values().map(|one| one.handle.clone()).collect()
    }

    /// The tunnels whose token `holds` no more.
    pub(super) fn revoked(&self, holds: impl Fn(TokenMark) -> bool) -> Vec<ConnectionId> {
        let tunnels = self.lock();
        let marked = tunnels.iter().filter_map(|(it, one)| Some((it, one.mark?)));
        let revoked = marked.filter(|(_, mark)| !holds(*mark));
        revoked.map(|(connection, _)| *connection).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ConnectionId, Running>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Registered ===

impl Drop for Registered {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.connection);
    }
}

#[cfg(test)]
mod tests {
    use health_transport_ws::AcceptOptions;
    use health_transport_ws::AcceptedTunnel;
    use health_transport_ws::Admission;
    use health_transport_ws::ServerEnd;
    use health_transport_ws::Terms;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_tunnel_is_closed_by_its_number_and_forgotten_when_it_ends() {
        let registry = Arc::<Registry>::default();
        let (_peer, stream) = tokio::io::duplex(64 * 1024);
        let connection = ConnectionId(7);
        let (tunnel, handle) = AcceptedTunnel::new(stream, connection, AcceptOptions::default());
        let registered = registry.insert(connection, handle, None);
        assert!(registry.close(connection, CloseReason::Replaced, None));
        assert!(!registry.close(ConnectionId(8), CloseReason::Replaced, None));
        let (events, _heard) = mpsc::channel(1);
        let decide = |_| std::future::ready(Admission::Accept(Terms::default()));
        let end = tunnel.run(decide, events).await;
        assert_eq!(end, ServerEnd::Closed(CloseReason::Replaced));
        assert_eq!(registry.handles().len(), 1);
        drop(registered);
        assert!(registry.handles().is_empty());
        assert!(!registry.close(connection, CloseReason::Replaced, None));
    }
}
