//! A WebSocket frame, as a session sees it.

/// A WebSocket frame, as a session sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// One message.
    Text(&'a str),
    /// What the protocol does not have.
    Binary,
    /// A WebSocket ping or pong: a sign of life. A ping has been answered already.
    Control,
    /// The peer closes, with the text it gave.
    Close(&'a str),
}
