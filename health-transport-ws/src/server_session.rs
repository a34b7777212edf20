//! One accepted connection of the hub, as a pure state machine.

mod end;

mod rate;

mod terms;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::wire::AcknowledgementPayload;
use health_heartbeat::wire::HeartbeatPayload;

pub use self::end::ServerEnd;
use self::rate::Meter;
pub use self::rate::RateLimit;
pub use self::terms::{Admission, SessionLimits, Terms};
use crate::CloseReason;
use crate::Frame;
use crate::event::Heard;
use crate::event::Undelivered;
use crate::protocol;
use crate::timers::TimerTable;
use crate::wire::ClosePayload;
use crate::wire::HandshakePayload;
use crate::wire::Heartbeat;
use crate::wire::Message;
use crate::wire::MessageType;
use crate::wire::RawEnvelope;
use crate::wire::StatusPayload;
use crate::wire::Timestamp;
use crate::wire::is_deeper;

/// One accepted connection of the hub: from the upgrade to the end.
///
/// ```text
/// Awaiting ──handshake──► Deciding ──accept()──► Established ──► Ended
///     └── silence, anything else ──┴── refuse() ───────┴── goodbye, silence, close() ──► Ended
/// ```
///
/// The caller hands in what happens and, after each, does what [`poll`](Self::poll) says until it
/// says nothing, delivers what [`poll_heard`](Self::poll_heard) gives when the hub can take it, then
/// waits for the next input or for [`poll_timeout`](Self::poll_timeout). `now` never goes back.
/// A ping is answered by the same input that brings it, whatever the hub does meanwhile.
#[derive(Debug)]
pub struct ServerSession {
    state: State,
    limits: SessionLimits,
    timers: TimerTable<3>,
    terms: Terms,
    peer: Peer,
    meter: Meter,
    /// When the hub was last told of a frame.
    told: Option<Instant>,
    frame: Option<Instant>,
    outputs: VecDeque<ServerOutput>,
    heard: Undelivered,
}

/// What to do.
#[derive(Debug)]
pub enum ServerOutput {
    /// Decide about this handshake, then call [`ServerSession::decide`].
    Decide(HandshakePayload),
    /// Send this message.
    Send(Message),
    /// A message that is not the tunnel's own; a hub that has no use for it drops it.
    Deliver(Message),
    /// It is over: close the socket.
    Ended(ServerEnd),
}

/// What is remembered of the handshake.
#[derive(Debug, Default)]
struct Peer {
    handshake_id: String,
    sync_target: String,
    heartbeats: bool,
}

#[derive(Debug)]
enum State {
    /// To Deciding with the handshake, to Ended with anything else.
    Awaiting,
    /// To Established or Ended by [`ServerSession::decide`]; nothing else may come from the peer.
    Deciding(HandshakePayload),
    /// To Ended by either side, by silence, or by what is no message.
    Established,
    /// For good.
    Ended,
}

/// The handshake, decision included.
const HANDSHAKE: usize = 0;
/// Silence.
const IDLE: usize = 1;
/// A frame of which the hub was not told yet.
const FRAME: usize = 2;

/// Of frames that are no heartbeats the hub is told at most that often; it is told when the last
/// one came, so a burst costs it little and no evidence is lost.
const FRAME_EVERY: Duration = Duration::from_millis(100);

/// How long one that sent too much is told to stay away: an interval by default, so that it is not
/// Lost for it, and costs the hub a tenth of what it would by coming back at once.
const FLOOD_AWAY: Duration = Duration::from_secs(10);

/// The longest report that is kept; an agent of ours cuts its own to half of that.
const STATUS_MAX: usize = 64 * 1024;

/// The longest text of a peer that is shown.
const TEXT_MAX: usize = 512;

// === impl ServerSession ===

impl ServerSession {
    /// A connection that was just upgraded.
    #[must_use]
    pub fn new(limits: SessionLimits, now: Instant) -> Self {
        let mut timers = TimerTable::new();
        timers.set(HANDSHAKE, now + limits.handshake);
        Self {
            state: State::Awaiting,
            limits,
            timers,
            terms: Terms::default(),
            peer: Peer::default(),
            meter: Meter::new(limits.rate, now),
            told: None,
            frame: None,
            outputs: VecDeque::new(),
            heard: Undelivered::default(),
        }
    }

    /// A frame came.
    pub fn handle_frame(&mut self, frame: Frame<'_>, now: Instant) {
        match self.state {
            State::Ended => return,
            State::Established => self.timers.set(IDLE, now + self.limits.idle),
            State::Awaiting | State::Deciding(_) => {}
        }
        let bytes = match frame {
            Frame::Text(text) => text.len(),
            Frame::Binary | Frame::Control | Frame::Close(_) => 0,
        };
        if !self.meter.take(bytes, now) {
            return self.too_fast(now);
        }
        match frame {
            Frame::Text(text) => self.handle_text(text, now),
            Frame::Binary => self.end(ServerEnd::Binary, now),
            Frame::Control => self.note_frame(now),
            Frame::Close(_) => self.end(ServerEnd::ClosedByPeer, now),
        }
    }

    /// The socket broke.
    pub fn handle_broken(&mut self, error: String, now: Instant) {
        self.end(ServerEnd::Broken(error), now);
    }

    /// A deadline may have passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.timers.expired(HANDSHAKE, now) {
            self.end(ServerEnd::NoHandshake(self.limits.handshake), now);
        } else if self.timers.expired(IDLE, now) {
            self.end(ServerEnd::Silent(self.limits.idle), now);
        } else if self.timers.expired(FRAME, now) {
            self.tell_frame(now);
        }
    }

    /// Answers the handshake.
    pub fn decide(&mut self, admission: Admission, now: Instant) {
        let State::Deciding(handshake) = &mut self.state else {
            return;
        };
        let handshake = std::mem::take(handshake);
        let mut answer = Message::new(MessageType::Handshake);
        answer.id = std::mem::take(&mut self.peer.handshake_id);
        match admission {
            Admission::Accept(terms) => {
                self.terms = terms;
                self.state = State::Established;
                self.timers.stop(HANDSHAKE);
                self.timers.set(IDLE, now + self.limits.idle);
                self.outputs.push_back(ServerOutput::Send(answer));
                self.heard.push(Heard::Opened(handshake), now);
            }
            Admission::Refuse {
                reason,
                retry_after,
            } => {
                let answer = with_retry_after(answer, retry_after).with_error(&reason);
                self.outputs.push_back(ServerOutput::Send(answer));
                self.end(ServerEnd::Refused(reason), now);
            }
        }
    }

    /// What each acknowledgement from now on tells the agent.
    pub const fn set_terms(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// Ends the connection and tells the peer why.
    pub fn close(&mut self, reason: &CloseReason, retry_after: Option<Duration>, now: Instant) {
        match self.state {
            State::Awaiting | State::Deciding(_) | State::Established => {
                let message = with_retry_after(Message::new(MessageType::Close), retry_after)
                    .with_error(reason.as_str());
                self.outputs.push_back(ServerOutput::Send(message));
                self.end(ServerEnd::Closed(reason.clone()), now);
            }
            State::Ended => {}
        }
    }

    /// The caller stops reading, since nobody takes what comes: silence proves nothing now.
    pub const fn pause(&mut self) {
        self.timers.stop(IDLE);
    }

    /// The caller reads again.
    pub fn resume(&mut self, now: Instant) {
        if matches!(self.state, State::Established) {
            self.timers.set(IDLE, now + self.limits.idle);
        }
    }

    /// What to do next.
    #[must_use]
    pub fn poll(&mut self) -> Option<ServerOutput> {
        self.outputs.pop_front()
    }

    /// What to tell the hub next, and when it was received.
    #[must_use]
    pub fn poll_heard(&mut self) -> Option<(Instant, Heard)> {
        self.heard.pop()
    }

    /// Whether there is something to tell the hub.
    #[must_use]
    pub const fn has_heard(&self) -> bool {
        !self.heard.is_empty()
    }

    /// Whether the handshake is accepted and nobody said goodbye.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Established)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    fn handle_text(&mut self, text: &str, now: Instant) {
        if is_deeper(text, self.limits.depth) {
            return self.end(ServerEnd::TooDeep(self.limits.depth), now);
        }
        if self.may_beat()
            && let Ok(ping) = Heartbeat::parse(text)
            && let (sent, Some(payload)) = (ping.timestamp(), ping.payload)
        {
            return self.handle_heartbeat(payload, sent, now);
        }
        match RawEnvelope::parse(text) {
            Ok(message) => self.handle_message(message, now),
            Err(error) => self.end(ServerEnd::malformed(&error), now),
        }
    }

    /// Whether the peer is to be believed when it beats.
    const fn may_beat(&self) -> bool {
        self.peer.heartbeats && self.is_established()
    }

    /// One that floods the hub is told why it is closed, and to stay away for a while.
    fn too_fast(&mut self, now: Instant) {
        let end = ServerEnd::TooFast(self.limits.rate);
        let message = with_retry_after(Message::new(MessageType::Close), Some(FLOOD_AWAY))
            .with_error(end.to_string());
        self.outputs.push_back(ServerOutput::Send(message));
        self.end(end, now);
    }

    fn handle_message(&mut self, message: RawEnvelope<'_>, now: Instant) {
        match self.state {
            State::Awaiting => self.handle_handshake(message, now),
            State::Deciding(_) => self.end(ServerEnd::Early(message.kind), now),
            State::Established => self.handle_established(message, now),
            State::Ended => {}
        }
    }

    fn handle_handshake(&mut self, message: RawEnvelope<'_>, now: Instant) {
        if message.kind != MessageType::Handshake {
            return self.end(ServerEnd::Early(message.kind), now);
        }
        let mut handshake: HandshakePayload = match message.decode() {
            Ok(payload) => payload.unwrap_or_default(),
            Err(error) => return self.end(ServerEnd::Malformed(error.to_string()), now),
        };
        self.peer = Peer {
            handshake_id: message.id.into_owned(),
            sync_target: handshake.sync_target.clone(),
            heartbeats: handshake.can(protocol::CAPABILITY_HEARTBEAT),
        };
        let ask = ServerOutput::Decide(handshake.clone());
        handshake.token = None;
        self.state = State::Deciding(handshake);
        self.outputs.push_back(ask);
    }

    fn handle_established(&mut self, message: RawEnvelope<'_>, now: Instant) {
        match &message.kind {
            MessageType::Ping => self.handle_ping(&message, now),
            MessageType::Status => self.handle_status(message, now),
            MessageType::Close => {
                let text = message.error().unwrap_or_default();
                let reason = text[..text.floor_char_boundary(TEXT_MAX)].to_owned();
                self.heard.push(Heard::Goodbye { reason }, now);
                self.end(ServerEnd::Left, now);
            }
            MessageType::Handshake | MessageType::Pong => self.note_frame(now),
            MessageType::Resource
            | MessageType::Event
            | MessageType::Command
            | MessageType::Other(_) => {
                self.note_frame(now);
                self.outputs
                    .push_back(ServerOutput::Deliver(message.into()));
            }
        }
    }

    fn handle_ping(&mut self, message: &RawEnvelope<'_>, now: Instant) {
        let heartbeat = self.may_beat().then(|| message.decode());
        match heartbeat.transpose() {
            Ok(Some(Some(payload))) => {
                return self.handle_heartbeat(payload, message.timestamp(), now);
            }
            Ok(Some(None) | None) => {}
            Err(error) => tracing::debug!(%error, "a ping's payload is no heartbeat"),
        }
        self.note_frame(now);
        let pong = Message::new(MessageType::Pong);
        self.outputs.push_back(ServerOutput::Send(pong));
    }

    fn handle_heartbeat(&mut self, payload: HeartbeatPayload, sent: Timestamp, now: Instant) {
        let acknowledgement = AcknowledgementPayload {
            sequence: Some(payload.sequence),
            interval_seconds: self.terms.interval.map(|it| it.as_secs_f64()),
            retry_after_seconds: self.terms.retry_after.map(|it| it.as_secs_f64()),
        };
        let mut pong = Message::new(MessageType::Pong);
        pong.payload = crate::wire::raw(&acknowledgement).ok();
        self.outputs.push_back(ServerOutput::Send(pong));
        self.heard.push_heartbeat(payload.bounded(), sent, now);
    }

    fn handle_status(&mut self, message: RawEnvelope<'_>, now: Instant) {
        let own = protocol::status_resource(&self.peer.sync_target);
        match message.decode::<StatusPayload>() {
            Ok(Some(payload))
                if payload.resource_id == own && payload.status.get().len() <= STATUS_MAX =>
            {
                self.heard.push(Heard::Status(payload.status), now);
            }
            Ok(Some(payload)) if payload.resource_id != own => {
                self.outputs
                    .push_back(ServerOutput::Deliver(message.into()));
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "ignored a status message"),
        }
        self.note_frame(now);
    }

    fn note_frame(&mut self, now: Instant) {
        if !matches!(self.state, State::Established) {
            return;
        }
        self.frame = Some(now);
        match self.told {
            Some(told) if now < told + FRAME_EVERY => {
                if !self.timers.is_set(FRAME) {
                    self.timers.set(FRAME, told + FRAME_EVERY);
                }
            }
            Some(_) | None => self.tell_frame(now),
        }
    }

    fn tell_frame(&mut self, now: Instant) {
        if let Some(at) = self.frame.take() {
            self.told = Some(now);
            self.heard.push(Heard::Frame, at);
        }
    }

    fn end(&mut self, end: ServerEnd, now: Instant) {
        let was = std::mem::replace(&mut self.state, State::Ended);
        self.timers.stop_all();
        match was {
            State::Ended => return,
            State::Awaiting | State::Deciding(_) => {}
            State::Established => {
                self.tell_frame(now);
                self.heard.push(Heard::Closed { why: end.clone() }, now);
            }
        }
        self.outputs.push_back(ServerOutput::Ended(end));
    }
}

fn with_retry_after(mut message: Message, retry_after: Option<Duration>) -> Message {
    message.payload = retry_after.and_then(|retry_after| {
        crate::wire::raw(&ClosePayload {
            retry_after_seconds: Some(retry_after.as_secs_f64()),
        })
        .ok()
    });
    message
}
