//! One connection: what the session decides, done.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio::time::timeout_at;

use super::CloseRequest;
use super::PingRequest;
use super::driver::Driver;
use super::driver::now;
use crate::CloseError;
use crate::CloseReason;
use crate::PingError;
use crate::Pong;
use crate::REPORT_MAX;
use crate::ReportSource;
use crate::Session;
use crate::SessionEnd;
use crate::SessionOutput;
use crate::alarm::Alarm;
use crate::cut_report;
use crate::dial::Stream;
use crate::link;
use crate::link::Link;
use crate::link::Turn;
use crate::protocol;
use crate::routes::Parked;
use crate::routes::unpark;
use crate::session::PingId;
use crate::wire;
use crate::wire::HandshakePayload;
use crate::wire::Message;
use crate::wire::MessageType;
use crate::wire::StatusPayload;

/// One connection: what the session decides, done.
pub(super) struct Connection<'a> {
    driver: &'a mut Driver,
    link: Link<Box<dyn Stream>>,
    session: Session,
    /// How long a frame may be on its way out.
    write: Duration,
    /// What the session wants sent; it is drained before anything else is taken.
    urgent: VecDeque<Outgoing>,
    /// No more than the session lets wait; nearly always one.
    waiting: Vec<(PingId, oneshot::Sender<Result<Pong, PingError>>)>,
    parked: Option<Parked>,
    alarm: Alarm,
}

/// How a connection is over.
pub(super) enum Over {
    /// By itself: it is dialed again.
    Ended(SessionEnd),
    /// On purpose.
    Closed,
}

enum Outgoing {
    Message(Message),
    Probe,
}

/// What happened next.
enum Input {
    Close(Option<CloseRequest>),
    Ping(PingRequest),
    Turn(Turn),
    Bulk(Message),
    Unparked,
    ReportChanged,
    Timeout,
}

/// While so many answers wait to be sent, no more questions are read: a peer that asks without
/// listening must not fill the memory.
const URGENT_MAX: usize = 16;

/// A close frame is a courtesy, which a dead peer does not get for long.
const COURTESY: Duration = Duration::from_secs(1);

// === impl Connection ===

impl<'a> Connection<'a> {
    pub(super) fn new(link: Link<Box<dyn Stream>>, driver: &'a mut Driver) -> Self {
        let config = &driver.config;
        let handshake = HandshakePayload {
            sync_target: config.sync_target.clone(),
            version: protocol::VERSION.to_owned(),
            capabilities: config.capabilities.clone(),
            token: None,
            metadata: config.metadata.clone(),
        };
        let deadlines = config.deadlines();
        Self {
            link,
            session: Session::new(&handshake, deadlines, now()),
            write: deadlines.write,
            urgent: VecDeque::new(),
            waiting: Vec::new(),
            parked: None,
            alarm: Alarm::new(now()),
            driver,
        }
    }

    pub(super) async fn run(mut self) -> Over {
        loop {
            self.take_pings();
            if let Some(end) = self.drain() {
                return self.over(end);
            }
            if let Err(error) = self.send_next().await {
                self.session.handle_broken(error);
                continue;
            }
            match self.input().await {
                Input::Close(request) => {
                    self.leave(request).await;
                    return Over::Closed;
                }
                Input::Ping(request) => self.ping(request),
                Input::Turn(Turn::Sent) => {}
                Input::Turn(Turn::Received(message)) => {
                    self.session.handle_frame(link::frame(&message), now());
                }
                Input::Turn(Turn::Broken(error)) => self.session.handle_broken(error),
                Input::Bulk(message) => self.urgent.push_back(Outgoing::Message(message)),
                Input::Unparked => self.session.resume(now()),
                Input::ReportChanged => self.driver.pace.want(),
                Input::Timeout => self.timeout(),
            }
        }
    }

    /// Pings go before everything but the session's own messages.
    fn take_pings(&mut self) {
        let idle = self.link.writing().is_none() && self.urgent.is_empty();
        while idle && self.session.is_established() {
            let Ok(request) = self.driver.lanes.pings.try_recv() else {
                return;
            };
            self.ping(request);
        }
    }

    /// Does what the session says; the end, if it is over.
    fn drain(&mut self) -> Option<SessionEnd> {
        while let Some(output) = self.session.poll() {
            match output {
                SessionOutput::Send(message) => {
                    self.urgent.push_back(Outgoing::Message(message));
                }
                SessionOutput::Probe => self.urgent.push_back(Outgoing::Probe),
                SessionOutput::Established => self.driver.established(now()),
                SessionOutput::Answered { ping, pong } => {
                    let place = self.waiting.iter().position(|(id, _)| *id == ping);
                    if let Some(place) = place {
                        let (_, reply) = self.waiting.swap_remove(place);
                        // Who asked may be gone.
                        let _ = reply.send(Ok(pong));
                    }
                }
                SessionOutput::Received(kind) => self.driver.metrics.received(&kind),
                SessionOutput::Deliver(message) => {
                    self.parked = self.driver.routes.deliver(message);
                    if self.parked.is_some() {
                        self.session.pause();
                    }
                }
                SessionOutput::Ended(end) => return Some(end),
            }
        }
        None
    }

    /// Sends what comes next as far as the socket takes it, if nothing is on its way.
    async fn send_next(&mut self) -> Result<(), String> {
        if self.link.writing().is_some() {
            return Ok(());
        }
        let now = now();
        match self.urgent.pop_front() {
            Some(Outgoing::Probe) => return self.link.probe(now).await,
            Some(Outgoing::Message(message)) => return self.send(message, now).await,
            None => {}
        }
        if !self.session.is_established() || !self.driver.pace.take(now) {
            return Ok(());
        }
        match self.status() {
            Some(message) => self.send(message, now).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, message: Message, now: Instant) -> Result<(), String> {
        self.driver.metrics.sent(&message.kind);
        let text = self.driver.stamp.encode(&message, SystemTime::now());
        self.link.send(text, now).await
    }

    fn status(&self) -> Option<Message> {
        let source = self.driver.report.as_ref()?;
        let report = cut_report((source.report)(), REPORT_MAX);
        let payload = StatusPayload {
            resource_id: protocol::status_resource(&self.driver.config.sync_target),
            status: wire::raw(&report).ok()?,
            conditions: None,
        };
        Message::with_payload(MessageType::Status, &payload).ok()
    }

    /// Waits for whatever comes first. Every branch is cancel safe.
    async fn input(&mut self) -> Input {
        let deadline = self.deadline();
        let idle = self.link.writing().is_none() && self.session.is_established();
        let read = self.parked.is_none() && self.urgent.len() < URGENT_MAX;
        let Driver { lanes, report, .. } = &mut *self.driver;
        tokio::select! {
            biased;
            request = lanes.close.recv() => Input::Close(request),
            Some(request) = lanes.pings.recv(), if idle => Input::Ping(request),
            turn = self.link.turn(read) => Input::Turn(turn),
            () = unpark(&mut self.parked) => Input::Unparked,
            () = changed(report) => Input::ReportChanged,
            Some(message) = lanes.bulk.recv(), if idle => Input::Bulk(message),
            () = self.alarm.until(deadline) => Input::Timeout,
        }
    }

    /// The earliest of what the session, the frame on its way out and the report wait for.
    fn deadline(&self) -> Option<Instant> {
        let written = self.link.writing().map(|since| since + self.write);
        let report = self
            .driver
            .pace
            .poll_timeout()
            .filter(|_| self.session.is_established() && written.is_none());
        [self.session.poll_timeout(), written, report]
            .into_iter()
            .flatten()
            .min()
    }

    fn timeout(&mut self) {
        let now = now();
        let stuck = self
            .link
            .writing()
            .is_some_and(|since| since + self.write <= now);
        if stuck {
            let error = format!("a frame could not be sent within {:?}", self.write);
            self.session.handle_broken(error);
        } else {
            self.session.handle_timeout(now);
        }
    }

    fn ping(&mut self, request: PingRequest) {
        if request.reply.is_closed() {
            return;
        }
        match self.session.ping(request.payload, request.sequence, now()) {
            Ok(id) => {
                self.waiting.retain(|(_, reply)| !reply.is_closed());
                self.waiting.push((id, request.reply));
            }
            Err(error) => {
                // Who asked may be gone.
                let _ = request.reply.send(Err(PingError::TooMany(error.0)));
            }
        }
    }

    fn over(self, end: SessionEnd) -> Over {
        for (_, reply) in self.waiting {
            // Who asked may be gone.
            let _ = reply.send(Err(PingError::ConnectionLost(end.to_string())));
        }
        if end.is_polite() {
            let reason = end.to_string();
            let link = self.link;
            tokio::spawn(async move { timeout(COURTESY, link.close(&reason)).await });
        }
        Over::Ended(end)
    }

    /// Says goodbye, as far as the time allows.
    async fn leave(self, request: Option<CloseRequest>) {
        let Some(request) = request else {
            return;
        };
        let goodbye = self.goodbye(&request.reason);
        let said = match timeout_at(request.by.into(), goodbye).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(CloseError::Unanswered),
        };
        // Who asked may be gone.
        let _ = request.reply.send(said);
    }

    async fn goodbye(mut self, reason: &CloseReason) -> Result<(), String> {
        self.session.close(reason);
        // How the session ended meanwhile makes no difference to a goodbye.
        let _ = self.drain();
        while self.link.writing().is_some() || !self.urgent.is_empty() {
            self.send_next().await?;
            if self.link.writing().is_some()
                && let Turn::Broken(error) = self.link.turn(true).await
            {
                return Err(error);
            }
        }
        self.link.close(reason.as_str()).await
    }
}

/// Waits until the report changed; for ever, if it never will.
async fn changed(report: &mut Option<ReportSource>) {
    let Some(source) = report else {
        return std::future::pending().await;
    };
    if source.changes.changed().await.is_err() {
        std::future::pending().await
    }
}
