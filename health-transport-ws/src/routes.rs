//! Who gets which messages.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::PoisonError;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::Taken;
use crate::wire::Message;
use crate::wire::MessageType;

/// Who gets which messages.
#[derive(Debug, Default)]
pub(crate) struct Routes(Mutex<HashMap<MessageType, mpsc::Sender<Message>>>);

/// A message whose receiver is full. While there is one, nothing is read.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) to: mpsc::Sender<Message>,
    pub(crate) message: Message,
}

// === impl Routes ===

impl Routes {
    pub(crate) fn add(
        &self,
        of: MessageType,
        capacity: usize,
    ) -> Result<mpsc::Receiver<Message>, Taken> {
        let mut routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = routes.get(&of).is_some_and(|route| !route.is_closed());
        if taken || of.is_control() {
            return Err(Taken(of));
        }
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        routes.insert(of, sender);
        Ok(receiver)
    }

    /// Delivers a message; one that has no room comes back, one that nobody wants is dropped.
    pub(crate) fn deliver(&self, message: Message) -> Option<Parked> {
        let routes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(route) = routes.get(&message.kind) else {
            tracing::debug!(kind = %message.kind, "ignored a message that nobody takes");
            return None;
        };
        match route.try_send(message) {
            Ok(()) => None,
            Err(TrySendError::Full(message)) => Some(Parked {
                to: route.clone(),
                message,
            }),
            Err(TrySendError::Closed(message)) => {
                tracing::debug!(kind = %message.kind, "ignored a message whose receiver is gone");
                None
            }
        }
    }
}

/// Hands over the parked message once its receiver has room; drops it, if that is gone.
///
/// # Cancel safety
///
/// A dropped call has left it where it was.
pub(crate) async fn unpark(parked: &mut Option<Parked>) {
    let Some(to) = parked.as_ref().map(|parked| parked.to.clone()) else {
        return std::future::pending().await;
    };
    let permit = to.reserve_owned().await;
    if let (Some(parked), Ok(permit)) = (parked.take(), permit) {
        permit.send(parked.message);
    }
}
