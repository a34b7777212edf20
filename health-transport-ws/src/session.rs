//! One connection of the client, as a pure state machine.

mod end;

mod in_flight;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::wire::AcknowledgementPayload;
use health_heartbeat::wire::duration;
use serde_json::value::RawValue;

pub use self::end::SessionEnd;
pub use self::in_flight::PingId;
use crate::CloseReason;
use crate::Deadlines;
use crate::Frame;
use crate::session::in_flight::InFlight;
use crate::timers::TimerTable;
use crate::wire;
use crate::wire::Acknowledgement;
use crate::wire::ClosePayload;
use crate::wire::HandshakePayload;
use crate::wire::Message;
use crate::wire::MessageType;
use crate::wire::RawEnvelope;

/// One connection of the client: from the handshake to the end.
///
/// ```text
/// Handshaking ──answer──► Established ──close()──► Closing ──► Ended
///      │                       │                     the peer closes, or the socket breaks
///      │ refusal, timeout      │ silence, an unanswered ping, a goodbye,
///      └──────► Ended ◄────────┘ a frame that is no message
/// ```
///
/// The caller hands in what happens ([`handle_frame`](Self::handle_frame),
/// [`handle_timeout`](Self::handle_timeout), [`handle_broken`](Self::handle_broken)) and, after each,
/// does what [`poll`](Self::poll) says until it says nothing, then waits for the next input or for
/// [`poll_timeout`](Self::poll_timeout). `now` never goes back.
/// After [`SessionOutput::Ended`] nothing comes any more.
#[derive(Debug)]
pub struct Session {
    state: State,
    deadlines: Deadlines,
    timers: TimerTable<4>,
    in_flight: InFlight,
    /// Bounded by the caller, who polls until nothing is left after each input; one input makes as
    /// many as pings can be in flight at most.
    outputs: VecDeque<SessionOutput>,
}

/// What to do.
#[derive(Debug)]
pub enum SessionOutput {
    /// Send this message, before everything else that waits.
    Send(Message),
    /// Send a WebSocket ping: nothing has been heard for half of the read deadline.
    Probe,
    /// The handshake is answered.
    Established,
    /// A pong came.
    Answered {
        /// The ping that it answers.
        ping: PingId,
        /// The answer.
        pong: Pong,
    },
    /// A message of that type came: count it.
    Received(MessageType),
    /// A message that is not the tunnel's own.
    Deliver(Message),
    /// It is over: close the socket.
    Ended(SessionEnd),
}

/// The answer to a ping.
#[derive(Debug, Clone)]
pub struct Pong {
    /// What it carries; a default one where that is none, as from a Wave 4 peer.
    pub acknowledgement: AcknowledgementPayload,
    /// From the ping to its pong.
    pub round_trip: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The handshake is sent. To Established with its answer, to Ended with anything else.
    Handshaking,
    /// To Closing by the caller, to Ended by the peer, by silence, or by what is no message.
    Established,
    /// The goodbye is sent. To Ended when the peer closes.
    Closing,
    /// For good.
    Ended,
}

/// The handshake's answer.
const HANDSHAKE: usize = 0;
/// Half of the read deadline: a probe goes.
const PROBE: usize = 1;
/// The read deadline.
const READ: usize = 2;
/// The oldest ping's answer.
const PONG: usize = 3;

// === impl Session ===

impl Session {
    /// A connection that was just made; the handshake is the first output.
    #[must_use]
    pub fn new(handshake: &HandshakePayload, deadlines: Deadlines, now: Instant) -> Self {
        let mut message = Message::new(MessageType::Handshake);
        message.payload = wire::raw(handshake).ok();
        let mut timers = TimerTable::new();
        timers.set(HANDSHAKE, now + deadlines.handshake);
        Self {
            state: State::Handshaking,
            deadlines,
            timers,
            in_flight: InFlight::default(),
            outputs: VecDeque::from([SessionOutput::Send(message)]),
        }
    }

    /// A frame came.
    pub fn handle_frame(&mut self, frame: Frame<'_>, now: Instant) {
        match self.state {
            State::Ended => return,
            State::Established => self.listen(now),
            State::Handshaking | State::Closing => {}
        }
        match frame {
            Frame::Text(text) => self.handle_text(text, now),
            Frame::Binary => self.end(SessionEnd::Binary),
            Frame::Control => {}
            Frame::Close(reason) => self.end(SessionEnd::ClosedByPeer {
                reason: reason.into(),
                retry_after: None,
            }),
        }
    }

    /// The socket broke.
    pub fn handle_broken(&mut self, error: String) {
        self.end(SessionEnd::Broken(error));
    }

    /// A deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.timers.expired(HANDSHAKE, now) {
            self.end(SessionEnd::HandshakeUnanswered(self.deadlines.handshake));
        } else if self.timers.expired(READ, now) {
            self.end(SessionEnd::Silent(self.deadlines.read));
        } else if self.timers.expired(PONG, now) {
            self.end(SessionEnd::PingUnanswered(self.deadlines.pong));
        } else if self.timers.expired(PROBE, now) {
            self.outputs.push_back(SessionOutput::Probe);
        }
    }

    /// Sends a ping. A pong that names a sequence answers every ping with that one; any other
    /// answers the oldest ping.
    ///
    /// # Errors
    ///
    /// [`TooManyPings`] while too many wait, or when the connection is not established.
    pub fn ping(
        &mut self,
        payload: Box<RawValue>,
        sequence: Option<u64>,
        now: Instant,
    ) -> Result<PingId, TooManyPings> {
        if self.state != State::Established {
            return Err(TooManyPings(0));
        }
        let id = self.in_flight.begin(sequence, now)?;
        self.watch_oldest();
        let mut message = Message::new(MessageType::Ping);
        message.payload = Some(payload);
        self.outputs.push_back(SessionOutput::Send(message));
        Ok(id)
    }

    /// Says goodbye.
    pub fn close(&mut self, reason: &CloseReason) {
        match self.state {
            State::Handshaking | State::Established => {
                let message = Message::new(MessageType::Close).with_error(reason.as_str());
                self.outputs.push_back(SessionOutput::Send(message));
                self.timers.stop_all();
                self.state = State::Closing;
            }
            State::Closing | State::Ended => {}
        }
    }

    /// The caller stops reading, since nobody takes what comes: silence proves nothing now.
    pub const fn pause(&mut self) {
        self.timers.stop_all();
    }

    /// The caller reads again.
    pub fn resume(&mut self, now: Instant) {
        if self.state == State::Established {
            self.listen(now);
            self.in_flight.forgive(now);
            self.watch_oldest();
        }
    }

    /// What to do next.
    #[must_use]
    pub fn poll(&mut self) -> Option<SessionOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether the handshake is answered and nobody said goodbye.
    #[must_use]
    pub fn is_established(&self) -> bool {
        self.state == State::Established
    }

    fn handle_text(&mut self, text: &str, now: Instant) {
        if self.is_established()
            && let Ok(pong) = Acknowledgement::parse(text)
        {
            let received = SessionOutput::Received(MessageType::Pong);
            self.outputs.push_back(received);
            return self.handle_acknowledgement(&pong.payload.unwrap_or_default(), now);
        }
        match RawEnvelope::parse(text) {
            Ok(message) => self.handle_message(message, now),
            Err(error) => self.end(SessionEnd::malformed(&error)),
        }
    }

    fn handle_message(&mut self, message: RawEnvelope<'_>, now: Instant) {
        self.outputs
            .push_back(SessionOutput::Received(message.kind.clone()));
        match self.state {
            State::Handshaking => self.handle_answer(&message, now),
            State::Established => self.handle_established(message, now),
            State::Closing => {
                if message.kind == MessageType::Close {
                    self.handle_close(&message);
                }
            }
            State::Ended => {}
        }
    }

    fn handle_answer(&mut self, message: &RawEnvelope<'_>, now: Instant) {
        if message.kind == MessageType::Close {
            return self.handle_close(message);
        }
        if message.kind != MessageType::Handshake {
            return self.end(SessionEnd::NoHandshake(message.kind.clone()));
        }
        if let Some(reason) = message.error() {
            let retry_after = retry_after(message);
            return self.end(SessionEnd::refused(reason, retry_after));
        }
        self.timers.stop(HANDSHAKE);
        self.state = State::Established;
        self.listen(now);
        self.outputs.push_back(SessionOutput::Established);
    }

    fn handle_established(&mut self, message: RawEnvelope<'_>, now: Instant) {
        match message.kind {
            MessageType::Ping => {
                let pong = Message::new(MessageType::Pong);
                self.outputs.push_back(SessionOutput::Send(pong));
            }
            MessageType::Pong => {
                let acknowledgement = message.decode().ok().flatten();
                self.handle_acknowledgement(&acknowledgement.unwrap_or_default(), now);
            }
            MessageType::Close => self.handle_close(&message),
            MessageType::Handshake => tracing::debug!("ignored a second handshake answer"),
            MessageType::Resource
            | MessageType::Status
            | MessageType::Event
            | MessageType::Command
            | MessageType::Other(_) => self
                .outputs
                .push_back(SessionOutput::Deliver(message.into())),
        }
    }

    fn handle_acknowledgement(&mut self, acknowledgement: &AcknowledgementPayload, now: Instant) {
        let sequence = acknowledgement.sequence;
        let mut answered = self.in_flight.answered(sequence);
        if answered.is_none() {
            tracing::debug!(?sequence, "ignored a pong that answers no ping");
        }
        // A heartbeat that was tried twice has arrived, whichever of its pongs came.
        while let Some((ping, sent)) = answered {
            let pong = Pong {
                acknowledgement: acknowledgement.clone(),
                round_trip: now.saturating_duration_since(sent),
            };
            self.outputs
                .push_back(SessionOutput::Answered { ping, pong });
            answered = sequence.and_then(|_| self.in_flight.answered(sequence));
        }
        self.watch_oldest();
    }

    fn handle_close(&mut self, message: &RawEnvelope<'_>) {
        let reason = message.error().unwrap_or_default();
        self.end(SessionEnd::ClosedByPeer {
            reason: reason.into(),
            retry_after: retry_after(message),
        });
    }

    fn listen(&mut self, now: Instant) {
        self.timers.set(PROBE, now + self.deadlines.read / 2);
        self.timers.set(READ, now + self.deadlines.read);
    }

    fn watch_oldest(&mut self) {
        match self.in_flight.oldest() {
            Some(sent) => self.timers.set(PONG, sent + self.deadlines.pong),
            None => self.timers.stop(PONG),
        }
    }

    fn end(&mut self, end: SessionEnd) {
        let end = match self.state {
            State::Handshaking | State::Established => end,
            State::Closing => SessionEnd::Left,
            State::Ended => return,
        };
        self.timers.stop_all();
        self.state = State::Ended;
        self.outputs.push_back(SessionOutput::Ended(end));
    }
}

/// Indicates that too many pings wait for their pongs, or none can be sent now. Transient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} pings wait for their pongs already")]
pub struct TooManyPings(pub usize);

fn retry_after(message: &RawEnvelope<'_>) -> Option<Duration> {
    let payload = message.decode::<ClosePayload>().ok().flatten()?;
    payload.retry_after_seconds.and_then(duration)
}
