//! A WebSocket whose reading never waits for its writing.

mod counted;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::Sink;
use futures_util::Stream;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

pub(crate) use self::counted::Counted;
use crate::Frame;

/// A WebSocket whose reading never waits for its writing: two peers that both have much to say
/// would otherwise wait for each other until their deadlines.
///
/// At most one frame is on its way out. What comes next is decided when it has left, so a ping
/// waits for one frame of bulk at most.
#[derive(Debug)]
pub(crate) struct Link<S> {
    /// Taken out only to be made anew.
    socket: Option<WebSocketStream<S>>,
    writing: Option<Instant>,
    /// The bytes of the frames that came, as far as the messages tell.
    came: u64,
    /// A frame came that the socket's buffer grew for.
    grown: bool,
    /// A ping came, whose answer may not have left.
    owes_pong: bool,
}

/// What became of one turn.
#[derive(Debug)]
pub(crate) enum Turn {
    /// What was being sent has left, and nothing came.
    Sent,
    /// A frame came.
    Received(tungstenite::Message),
    /// The peer closed, or the socket broke.
    Broken(String),
}

/// The largest message, in and out.
pub(crate) const MESSAGE_MAX: usize = 1024 * 1024;

/// What one read asks for, and an idle connection's buffer.
const READ_BUFFER: usize = 4 * 1024;

/// The socket makes room for a frame's whole length beside what of it has come already, so one that
/// does not fit in twice makes its buffer grow: a report of 3 KiB to 8 KiB.
const FITS_TWICE: usize = READ_BUFFER / 2;

/// Buffers that cost an idle connection little: 6.8 KiB instead of 135.
pub(crate) fn config(message_max: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(Some(message_max))
        .max_frame_size(Some(message_max))
}

// === impl Link ===

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    pub(crate) const fn new(socket: WebSocketStream<S>) -> Self {
        Self {
            socket: Some(socket),
            writing: None,
            came: 0,
            grown: false,
            owes_pong: false,
        }
    }

    /// Since when a frame is on its way out.
    pub(crate) const fn writing(&self) -> Option<Instant> {
        self.writing
    }

    /// Sends what the socket takes of a message without waiting; [`turn`](Self::turn) sends the rest.
    /// Nothing else may be on its way out.
    pub(crate) async fn send(&mut self, text: String, now: Instant) -> Result<(), String> {
        self.start(tungstenite::Message::text(text), now).await
    }

    /// Sends a WebSocket ping in the same way.
    pub(crate) async fn probe(&mut self, now: Instant) -> Result<(), String> {
        self.start(tungstenite::Message::Ping(Vec::new().into()), now)
            .await
    }

    /// Waits until the frame on its way out has left or, if `read`, until one came.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn turn(&mut self, read: bool) -> Turn {
        poll_fn(|cx| self.poll_turn(read, cx)).await
    }

    /// Closes: sends what is on its way out and a close frame, and reads until the peer closes.
    pub(crate) async fn close(mut self, reason: &str) -> Result<(), String> {
        let frame = CloseFrame {
            code: CloseCode::Normal,
            // A control frame carries 125 bytes at most, two of them the code.
            reason: reason[..reason.floor_char_boundary(120)].into(),
        };
        match self.socket().get_mut().close(Some(frame)).await {
            // The peer closed first: reading sends the answer.
            Ok(()) | Err(Error::Protocol(ProtocolError::SendAfterClosing)) => {}
            Err(error) => return finished(&error),
        }
        loop {
            match poll_fn(|cx| self.socket().poll_next(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => return finished(&error),
                None => return Ok(()),
            }
        }
    }

    fn note(&mut self, message: &tungstenite::Message) {
        let len = message.len();
        self.owes_pong |= message.is_ping();
        let length = match len {
            0..=125 => 0,
            126..=0xFFFF => 2,
            _ => 8,
        };
        let (header, mask) = (2, 4);
        self.came += (header + length + mask + len) as u64;
        self.grown |= len > FITS_TWICE;
    }

    fn socket(&mut self) -> Pin<&mut WebSocketStream<S>> {
        Pin::new(
            self.socket
                .as_mut()
                .expect("it is taken only by slim(), which puts one back"),
        )
    }

    async fn start(&mut self, message: tungstenite::Message, now: Instant) -> Result<(), String> {
        debug_assert!(self.writing.is_none(), "one frame at a time");
        self.socket()
            .start_send(message)
            .map_err(|error| describe(&error))?;
        self.writing = Some(now);
        // Nearly every frame leaves at once, and then nobody need take a turn for it.
        poll_fn(|cx| match self.poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(())),
        })
        .await
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let flushed = self.socket().poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.writing = None;
            self.owes_pong = false;
        }
        flushed.map_err(|error| describe(&error))
    }

    fn poll_turn(&mut self, read: bool, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut idle = Poll::Pending;
        if self.writing.is_some() {
            match self.poll_flush(cx) {
                Poll::Ready(Ok(())) => idle = Poll::Ready(Turn::Sent),
                Poll::Ready(Err(error)) => return Poll::Ready(Turn::Broken(error)),
                Poll::Pending => {}
            }
        }
        if !read {
            return idle;
        }
        // Even when something was sent: who always has more to send must still hear.
        match self.socket().poll_next(cx) {
            Poll::Ready(Some(Ok(message))) => {
                self.note(&message);
                Poll::Ready(Turn::Received(message))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Turn::Broken(describe(&error))),
            Poll::Ready(None) => Poll::Ready(Turn::Broken("the connection was closed".to_owned())),
            Poll::Pending => idle,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<Counted<S>> {
    /// Gives back the memory of a large frame, which the socket's buffer would keep for good: a
    /// report at the start would cost each agent twice for as long as it lives.
    ///
    /// Only where nothing can be lost: nothing is on its way out, and every byte that was read has
    /// been part of a message. Frames that are masked and written as short as they can be account
    /// for no more bytes than were read; if they account for all of them, none waits in the buffer.
    pub(crate) fn slim(&mut self) {
        let settled = self.grown && self.writing.is_none() && !self.owes_pong;
        let Some(socket) = self
            .socket
            .take_if(|socket| settled && socket.get_ref().read() == self.came)
        else {
            return;
        };
        let config = *socket.get_config();
        let stream = Counted::new(socket.into_inner().into_inner());
        self.socket =
            WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).now_or_never();
        self.came = 0;
        self.grown = false;
    }
}

/// What a frame is to a session.
pub(crate) fn frame(message: &tungstenite::Message) -> Frame<'_> {
    match message {
        tungstenite::Message::Text(text) => Frame::Text(text.as_str()),
        tungstenite::Message::Binary(_) => Frame::Binary,
        tungstenite::Message::Ping(_)
        | tungstenite::Message::Pong(_)
        | tungstenite::Message::Frame(_) => Frame::Control,
        tungstenite::Message::Close(close) => {
            Frame::Close(close.as_ref().map_or("", |close| close.reason.as_str()))
        }
    }
}

fn finished(error: &Error) -> Result<(), String> {
    if matches!(error, Error::ConnectionClosed) {
        Ok(())
    } else {
        Err(describe(error))
    }
}

/// The library's texts begin in upper case and contain their sources.
fn describe(error: &Error) -> String {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "the connection was closed".to_owned(),
        Error::Io(error) => format!("the connection broke: {error}"),
        Error::Capacity(error) => format!("the message is too large: {error}"),
        Error::Protocol(error) => format!("WebSocket protocol error: {error}"),
        Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::Utf8(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => format!("the connection broke: {error}"),
    }
}

#[cfg(test)]
mod tests;
