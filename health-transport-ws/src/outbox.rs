//! What an accepted tunnel sends behind its answers.

use tokio::sync::mpsc;

use crate::SendError;
use crate::link::MESSAGE_MAX;
use crate::wire::Message;

/// Sends messages to the agent, behind all answers: a cheap handle.
#[derive(Debug, Clone)]
pub struct Outbox {
    bulk: mpsc::Sender<Message>,
}

/// An envelope without its payload, at most.
const ENVELOPE: usize = 1024;

/// Whether a peer takes a message of that size.
pub(crate) fn check_size(message: &Message) -> Result<(), SendError> {
    let error = message.error.as_ref().map_or(0, String::len);
    let payload = message.payload.as_ref().map_or(0, |it| it.get().len());
    let bytes = payload + message.id.len() + error + ENVELOPE;
    if bytes > MESSAGE_MAX {
        let max = MESSAGE_MAX;
        return Err(SendError::TooLarge { bytes, max });
    }
    Ok(())
}

// === impl Outbox ===

impl Outbox {
    /// An outbox for `capacity` messages, at least one, and where they come out.
    pub(crate) fn new(capacity: usize) -> (Self, mpsc::Receiver<Message>) {
        let (bulk, messages) = mpsc::channel(capacity.max(1));
        (Self { bulk }, messages)
    }

    /// Sends a message, and waits while the outbox is full. One that was taken is sent once at
    /// most: what is left when the connection ends is lost.
    ///
    /// # Errors
    ///
    /// [`SendError`] if the tunnel has ended, or the message is larger than 1 MiB.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has sent nothing. Nothing but the caller bounds how long it waits.
    pub async fn send(&self, message: Message) -> Result<(), SendError> {
        check_size(&message)?;
        self.bulk.send(message).await.map_err(|_| SendError::Closed)
    }
}
