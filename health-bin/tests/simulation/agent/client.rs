//! The glue of the tunnel's client: what `tunnel/driver.rs` and `tunnel/connection.rs` do.

use std::time::Instant;

use health_heartbeat::Acknowledgement;
use health_heartbeat::HeartbeatConfig;
use health_heartbeat::Standing;
use health_heartbeat::wire::HeartbeatPayload;
use health_heartbeat::wire::duration;
use health_transport_ws::CloseReason;
use health_transport_ws::Deadlines;
use health_transport_ws::Frame;
use health_transport_ws::Hint;
use health_transport_ws::PingId;
use health_transport_ws::Pong;
use health_transport_ws::Reconnect;
use health_transport_ws::Session;
use health_transport_ws::SessionEnd;
use health_transport_ws::SessionOutput;
use health_transport_ws::protocol;
use health_transport_ws::wire;
use health_transport_ws::wire::HandshakePayload;
use health_transport_ws::wire::Message;
use health_transport_ws::wire::MessageType;
use health_transport_ws::wire::StatusPayload;
use health_transport_ws::wire::Timestamp;

use super::Here;
use crate::link::Segment;
use crate::link::Way;
use crate::log::Who;

/// The client's end of a tunnel that is kept up.
#[derive(Debug)]
pub(super) struct Client {
    deadlines: Deadlines,
    reconnect: Reconnect,
    phase: Phase,
    /// A ping that waits for a connection.
    asked: Option<HeartbeatPayload>,
    /// A ping that waits for its pong.
    waiting: Option<PingId>,
    leaving: bool,
    messages: u64,
}

#[derive(Debug)]
enum Phase {
    /// To be dialed again at that time; nothing for never.
    Away(Option<Instant>),
    Dialing {
        connection: u64,
        by: Instant,
    },
    Open {
        connection: u64,
        session: Box<Session>,
    },
}

/// What whoever waits for the tunnel hears.
#[derive(Debug)]
pub(super) enum Said {
    /// A connection stands.
    Connected,
    Acknowledged(Acknowledgement),
    Failed(String),
    /// The goodbye's end.
    Gone {
        acknowledged: bool,
    },
}

// === impl Client ===

impl Client {
    pub(super) fn new(config: &HeartbeatConfig, seed: u64, now: Instant) -> Self {
        Self {
            deadlines: Deadlines::of(config),
            reconnect: Reconnect::new(config, seed),
            phase: Phase::Away(Some(now)),
            asked: None,
            waiting: None,
            leaving: false,
            messages: 0,
        }
    }

    pub(super) const fn connection(&self) -> Option<u64> {
        match &self.phase {
            Phase::Away(_) => None,
            Phase::Dialing { connection, .. } | Phase::Open { connection, .. } => Some(*connection),
        }
    }

    /// Sends a heartbeat as soon as there is a connection.
    pub(super) fn beat(&mut self, payload: HeartbeatPayload, here: &mut Here<'_>) -> Vec<Said> {
        self.waiting = None;
        self.asked = Some(payload);
        self.drain(here)
    }

    /// Whoever waited for the ping is gone; a request that still stands in the lane is skipped.
    pub(super) fn abandon(&mut self) {
        self.asked = None;
        self.waiting = None;
    }

    pub(super) fn leave(&mut self, here: &mut Here<'_>) -> Vec<Said> {
        self.abandon();
        match &mut self.phase {
            Phase::Open {
                session,
                connection,
            } => {
                let connection = *connection;
                self.leaving = true;
                session.close(&CloseReason::Leaving);
                let said = self.drain(here);
                // The goodbye's message is followed by a close frame.
                let reason = CloseReason::Leaving.as_str().to_owned();
                here.core
                    .transmit(connection, Way::Up, Segment::Close(reason));
                said
            }
            Phase::Away(_) | Phase::Dialing { .. } => {
                self.hang_up(here);
                vec![Said::Gone {
                    acknowledged: false,
                }]
            }
        }
    }

    /// Drops the connection, whatever it is at.
    pub(super) fn hang_up(&mut self, here: &mut Here<'_>) {
        if let Some(connection) = self.connection() {
            here.core.transmit(connection, Way::Up, Segment::Reset);
        }
        self.phase = Phase::Away(None);
    }

    pub(super) fn packet(&mut self, from: u64, segment: Segment, here: &mut Here<'_>) -> Vec<Said> {
        if self.connection() != Some(from) {
            if !matches!(segment, Segment::Reset | Segment::Close(_)) {
                here.core.transmit(from, Way::Up, Segment::Reset);
            }
            return Vec::new();
        }
        match (&mut self.phase, segment) {
            (Phase::Away(_), _) => {}
            (Phase::Dialing { connection, .. }, Segment::Accepted) => {
                let handshake = HandshakePayload {
                    sync_target: here.core.objects[here.target].target.clone(),
                    version: protocol::VERSION.to_owned(),
                    capabilities: vec!["heartbeat".to_owned(), "status".to_owned()],
                    ..HandshakePayload::default()
                };
                let session = Session::new(&handshake, self.deadlines, here.now);
                self.phase = Phase::Open {
                    connection: *connection,
                    session: Box::new(session),
                };
            }
            (Phase::Dialing { .. }, _) => self.again(Hint::default(), here),
            (Phase::Open { session, .. }, segment) => match segment {
                Segment::Text(text) => session.handle_frame(Frame::Text(&text), here.now),
                Segment::Control => session.handle_frame(Frame::Control, here.now),
                Segment::Close(reason) => session.handle_frame(Frame::Close(&reason), here.now),
                Segment::Reset | Segment::Dial | Segment::Accepted => {
                    session.handle_broken("connection reset".to_owned());
                }
            },
        }
        self.drain(here)
    }

    pub(super) fn wake(&mut self, here: &mut Here<'_>) -> Vec<Said> {
        match &mut self.phase {
            Phase::Away(Some(at)) if *at <= here.now => self.dial(here),
            Phase::Away(_) => {}
            Phase::Dialing { by, connection } if *by <= here.now => {
                let connection = *connection;
                here.core.transmit(connection, Way::Up, Segment::Reset);
                self.again(Hint::default(), here);
            }
            Phase::Dialing { .. } => {}
            Phase::Open { session, .. } => {
                if session.poll_timeout().is_some_and(|at| at <= here.now) {
                    session.handle_timeout(here.now);
                }
            }
        }
        self.drain(here)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Away(at) => *at,
            Phase::Dialing { by, .. } => Some(*by),
            Phase::Open { session, .. } => session.poll_timeout(),
        }
    }

    fn dial(&mut self, here: &mut Here<'_>) {
        let connection = here.core.connect(here.agent, here.start);
        let (now, who) = (here.core.now, Who::Agent(here.agent));
        here.core
            .log
            .note(now, who, "dial", || format!("connection {connection}"));
        here.core.facts.dialed(here.agent, now);
        here.core.transmit(connection, Way::Up, Segment::Dial);
        self.phase = Phase::Dialing {
            connection,
            by: here.now + self.deadlines.dial,
        };
    }

    fn again(&mut self, hint: Hint, here: &mut Here<'_>) {
        let at = self.reconnect.failed(hint, here.now);
        let at = here.core.tamper.redial(at, here.now);
        let now = here.core.now;
        here.core
            .facts
            .stay_away(here.agent, hint.retry_after, here.now, now);
        self.phase = Phase::Away(at);
    }

    /// Does what the session says until it says nothing.
    fn drain(&mut self, here: &mut Here<'_>) -> Vec<Said> {
        let mut said = Vec::new();
        let mut polled = 0;
        while let Phase::Open {
            connection,
            session,
        } = &mut self.phase
        {
            let connection = *connection;
            if session.is_established()
                && let Some(payload) = self.asked.take()
            {
                let raw = wire::raw(&payload).expect("a heartbeat can be written");
                match session.ping(raw, Some(payload.sequence), here.now) {
                    Ok(ping) => self.waiting = Some(ping),
                    Err(error) => said.push(Said::Failed(error.to_string())),
                }
            }
            let Some(output) = session.poll() else {
                break;
            };
            polled += 1;
            match output {
                SessionOutput::Send(message) => self.send(connection, message, here),
                SessionOutput::Probe => here.core.transmit(connection, Way::Up, Segment::Control),
                SessionOutput::Established => {
                    said.push(Said::Connected);
                    self.established(connection, here);
                }
                SessionOutput::Answered { ping, pong } => {
                    if self.waiting.take_if(|waiting| *waiting == ping).is_some() {
                        said.push(Said::Acknowledged(acknowledgement(&pong)));
                    }
                }
                SessionOutput::Received(_) | SessionOutput::Deliver(_) => {}
                SessionOutput::Ended(end) => self.ended(connection, &end, &mut said, here),
            }
        }
        here.core.facts.queue("outputs of a session", polled, 70);
        said
    }

    fn established(&mut self, connection: u64, here: &mut Here<'_>) {
        self.reconnect.connected(here.now);
        let target = &here.core.objects[here.target].target;
        let payload = StatusPayload {
            resource_id: protocol::status_resource(target),
            status: wire::raw(&here.health.as_str()).expect("a text can be written"),
            conditions: None,
        };
        let message = Message::with_payload(MessageType::Status, &payload);
        self.send(connection, message.expect("it can be written"), here);
    }

    fn ended(
        &mut self,
        connection: u64,
        end: &SessionEnd,
        said: &mut Vec<Said>,
        here: &mut Here<'_>,
    ) {
        let (now, who) = (here.core.now, Who::Agent(here.agent));
        here.core.log.note(now, who, "tunnel ended", || {
            format!("connection {connection}: {end}")
        });
        if self.leaving {
            let acknowledged = *end == SessionEnd::Left;
            said.push(Said::Gone { acknowledged });
            self.phase = Phase::Away(None);
            return;
        }
        here.core
            .transmit(connection, Way::Up, Segment::Close(String::new()));
        if self.waiting.take().is_some() {
            said.push(Said::Failed(end.to_string()));
        }
        let hint = Hint {
            retry_after: end.retry_after(),
            replaced: end.is_replaced(),
        };
        self.again(hint, here);
    }

    fn send(&mut self, connection: u64, mut message: Message, here: &mut Here<'_>) {
        self.messages += 1;
        message.id = self.messages.to_string();
        message.timestamp = Timestamp::from(here.wall);
        let text = message.encode();
        here.core.transmit(connection, Way::Up, Segment::Text(text));
    }
}

/// What a pong means, as `transport.rs` reads it.
fn acknowledgement(pong: &Pong) -> Acknowledgement {
    let payload = &pong.acknowledgement;
    Acknowledgement {
        standing: Standing::Beating,
        interval: payload.interval_seconds.and_then(duration),
        retry_after: payload.retry_after_seconds.and_then(duration),
        again_within: None,
    }
}
