//! The real machines of a thousand agents and a hub, under a clock of their own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;
use std::time::Instant;

use health_heartbeat::HeartbeatConfig;
use health_transport_ws::Admission;
use health_transport_ws::CloseReason;
use health_transport_ws::Deadlines;
use health_transport_ws::Frame;
use health_transport_ws::Hint;
use health_transport_ws::Reconnect;
use health_transport_ws::ServerOutput;
use health_transport_ws::ServerSession;
use health_transport_ws::Session;
use health_transport_ws::SessionLimits;
use health_transport_ws::SessionOutput;
use health_transport_ws::Terms;
use health_transport_ws::wire::HandshakePayload;

use super::AGENTS;
use super::HORIZON;
use super::Seen;

/// From one end to the other.
const LATENCY: Duration = Duration::from_millis(1);

/// How the hub goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Death {
    /// Without a word.
    Killed,
    /// It asks all to stay away for so long.
    Goodbye(Duration),
}

/// Both ends of one connection.
struct Pair {
    agent: Session,
    hub: ServerSession,
}

/// All lose their hub, which is away for a while; everything they do until all are back.
pub(super) fn run(death: Death, away: Duration) -> Seen {
    let heartbeat = HeartbeatConfig::default();
    let mut seen = Seen::default();
    let start = Instant::now();
    let gone = start + heartbeat.interval() * 2;
    let mut agents = Vec::new();
    let mut due = BinaryHeap::new();
    for number in 0..AGENTS {
        let mut reconnect = Reconnect::new(&heartbeat, number as u64);
        let mut pair = Pair::dialed(&heartbeat, start);
        assert!(pair.is_established(start), "it is let in");
        reconnect.connected(start);
        let hint = Hint {
            retry_after: pair.ended(death, gone),
            replaced: false,
        };
        due.push(Reverse((reconnect.failed(hint, gone), number)));
        agents.push(reconnect);
    }
    while let Some(Reverse((at, number))) = due.pop() {
        assert!(at < gone + HORIZON, "agent {number} does not come back");
        seen.dials.push(at - gone);
        let answered = at + LATENCY * 2;
        if at < gone + away {
            let again = agents[number].failed(Hint::default(), answered);
            due.push(Reverse((again, number)));
        } else if Pair::dialed(&heartbeat, at).is_established(answered) {
            seen.back.push(answered + LATENCY * 2 - gone);
        }
    }
    seen
}

// === impl Death ===

impl Death {
    /// How long the hub asks all to stay away.
    pub(super) const fn asked(self) -> Duration {
        match self {
            Self::Killed => Duration::ZERO,
            Self::Goodbye(asked) => asked,
        }
    }
}

// === impl Pair ===

impl Pair {
    fn dialed(heartbeat: &HeartbeatConfig, now: Instant) -> Self {
        let handshake = HandshakePayload::default();
        Self {
            agent: Session::new(&handshake, Deadlines::of(heartbeat), now),
            hub: ServerSession::new(SessionLimits::default(), now),
        }
    }

    /// Lets both speak until neither says anything.
    fn is_established(&mut self, now: Instant) -> bool {
        self.exchange(now);
        self.agent.is_established() && self.hub.is_established()
    }

    /// What the agent is told of how long to stay away, if anything.
    fn ended(mut self, death: Death, now: Instant) -> Option<Duration> {
        match death {
            Death::Killed => self.agent.handle_broken("reset".to_owned()),
            Death::Goodbye(asked) => {
                let reason = CloseReason::ShuttingDown;
                self.hub.close(&reason, Some(asked), now);
            }
        }
        self.exchange(now)
    }

    fn exchange(&mut self, now: Instant) -> Option<Duration> {
        let mut asked = None;
        loop {
            let mut quiet = true;
            while let Some(output) = self.agent.poll() {
                quiet = false;
                match output {
                    SessionOutput::Send(message) => {
                        self.hub.handle_frame(Frame::Text(&message.encode()), now);
                    }
                    SessionOutput::Ended(end) => asked = end.retry_after(),
                    SessionOutput::Probe
                    | SessionOutput::Established
                    | SessionOutput::Answered { .. }
                    | SessionOutput::Received(_)
                    | SessionOutput::Deliver(_) => {}
                }
            }
            while let Some(output) = self.hub.poll() {
                quiet = false;
                match output {
                    ServerOutput::Decide(_) => {
                        let admission = Admission::Accept(Terms::default());
                        self.hub.decide(admission, now);
                    }
                    ServerOutput::Send(message) => {
                        self.agent.handle_frame(Frame::Text(&message.encode()), now);
                    }
                    ServerOutput::Deliver(_) | ServerOutput::Ended(_) => {}
                }
            }
            if quiet {
                return asked;
            }
        }
    }
}
