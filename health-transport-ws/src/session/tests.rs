use health_heartbeat::HeartbeatConfig;

use super::*;

#[test]
fn the_handshake_goes_first_and_its_answer_establishes() {
    let mut rig = Rig::new();
    assert_eq!(rig.sent(), ["handshake"]);
    rig.text(0, r#"{"type":"handshake"}"#);
    assert!(rig.established);
    assert_eq!(rig.ended, None);
}

#[test]
fn an_unanswered_handshake_ends_at_its_deadline() {
    let mut rig = Rig::new();
    rig.pass(9_999);
    assert_eq!(rig.ended, None);
    rig.pass(10_000);
    assert_eq!(rig.ended, Some(SessionEnd::HandshakeUnanswered(ms(10_000))));
}

#[test]
fn a_refusal_says_why_and_when_to_come_back() {
    let mut rig = Rig::new();
    let answer = r#"{"type":"handshake","error":"not registered in \u003croot\u003e","payload":{"retryAfterSeconds":7}}"#;
    rig.text(0, answer);
    let end = rig.ended.unwrap();
    assert_eq!(end.retry_after(), Some(ms(7_000)));
    assert_eq!(
        end.to_string(),
        "the handshake was refused: not registered in <root>"
    );
}

#[test]
fn anything_but_a_handshake_is_no_answer() {
    for (text, end) in [
        (
            r#"{"type":"pong"}"#,
            SessionEnd::NoHandshake(MessageType::Pong),
        ),
        (
            r#"{"type":"close","error":"server is shutting down"}"#,
            SessionEnd::ClosedByPeer {
                reason: CloseReason::ShuttingDown,
                retry_after: None,
            },
        ),
    ] {
        let mut rig = Rig::new();
        rig.text(0, text);
        assert_eq!(rig.ended, Some(end));
    }
}

#[test]
fn silence_is_probed_at_half_and_ends_at_the_read_deadline() {
    let mut rig = Rig::established();
    rig.pass(15_000);
    assert_eq!((rig.probes, &rig.ended), (1, &None));
    rig.frame(16_000, Frame::Control);
    rig.pass(45_999);
    assert_eq!((rig.probes, &rig.ended), (2, &None));
    rig.pass(46_000);
    assert_eq!(rig.ended, Some(SessionEnd::Silent(ms(30_000))));
}

/// A socket of cloudflared stayed "open" while one direction was dead.
#[test]
fn pitfall_45_a_peer_that_talks_but_never_answers_a_ping_is_left() {
    let mut rig = Rig::established();
    rig.ping(1_000, None).unwrap();
    let pong = Deadlines::of(&HeartbeatConfig::default()).pong;
    for second in 1..=14 {
        rig.text(second * 1_000, r#"{"type":"ping"}"#);
        assert_eq!(rig.ended, None, "{second}");
    }
    rig.pass(14_400);
    assert_eq!(rig.ended, Some(SessionEnd::PingUnanswered(pong)));
}

#[test]
fn a_pong_that_names_a_sequence_answers_every_try_of_that_ping() {
    let mut rig = Rig::established();
    let first = rig.ping(0, Some(1)).unwrap();
    let second = rig.ping(5_000, Some(2)).unwrap();
    let again = rig.ping(6_000, Some(2)).unwrap();
    rig.text(7_000, r#"{"type":"pong","payload":{"sequence":2}}"#);
    assert_eq!(rig.take_answered(), [(second, 2_000), (again, 1_000)]);
    rig.text(7_000, r#"{"type":"pong","payload":{"sequence":2}}"#);
    assert_eq!(rig.take_answered(), []);
    rig.text(8_000, r#"{"type":"pong","payload":{"sequence":1}}"#);
    assert_eq!(rig.take_answered(), [(first, 8_000)]);
}

#[test]
fn pongs_that_name_nothing_answer_pings_in_order() {
    for pong in [
        r#"{"type":"pong"}"#,
        r#"{"type":"pong","payload":null}"#,
        r#"{"type":"pong","payload":{}}"#,
        r#"{"type":"pong","payload":"hi"}"#,
        r#"{"payload":{"new":1},"type":"p\u006fng"}"#,
    ] {
        let mut rig = Rig::established();
        let first = rig.ping(0, Some(1)).unwrap();
        let second = rig.ping(1_000, None).unwrap();
        rig.text(2_000, pong);
        assert_eq!(rig.take_answered(), [(first, 2_000)], "{pong}");
        rig.text(3_000, pong);
        assert_eq!(rig.take_answered(), [(second, 2_000)], "{pong}");
        rig.text(3_000, pong);
        assert_eq!(rig.take_answered(), [], "{pong}");
    }
}

#[test]
fn pings_in_flight_are_bounded() {
    let mut rig = Rig::established();
    for _ in 0..64 {
        rig.ping(0, None).unwrap();
    }
    assert_eq!(rig.ping(0, None), Err(TooManyPings(64)));
    rig.text(1, r#"{"type":"pong"}"#);
    assert!(rig.ping(1, None).is_ok());
}

#[test]
fn a_ping_from_the_peer_is_always_answered() {
    let mut rig = Rig::established();
    rig.text(0, r#"{"id":"x","type":"ping","payload":{"any":1}}"#);
    assert_eq!(rig.sent(), ["pong"]);
}

#[test]
fn what_is_not_the_tunnels_own_is_delivered() {
    let mut rig = Rig::established();
    for kind in ["resource", "status", "event", "command", "teleport"] {
        rig.text(0, &format!(r#"{{"type":"{kind}"}}"#));
    }
    assert_eq!(
        rig.delivered,
        ["resource", "status", "event", "command", "teleport"]
    );
    assert_eq!(rig.ended, None);
}

#[test]
fn what_is_no_message_ends_the_connection() {
    for frame in [Frame::Binary, Frame::Text("hello"), Frame::Text("[]")] {
        let mut rig = Rig::established();
        rig.frame(0, frame);
        assert!(rig.ended.unwrap().to_string().starts_with("the peer sent"));
    }
}

#[test]
fn a_newer_tunnel_s_place_is_told_apart_from_other_goodbyes() {
    for (error, replaced) in [
        ("replaced by a newer tunnel", true),
        ("server is shutting down", false),
        ("", false),
    ] {
        let mut rig = Rig::established();
        rig.text(0, &format!(r#"{{"type":"close","error":"{error}"}}"#));
        assert_eq!(rig.ended.unwrap().is_replaced(), replaced, "{error}");
    }
}

#[test]
fn after_a_goodbye_of_our_own_whatever_comes_is_the_end_that_we_wanted() {
    let mut rig = Rig::established();
    rig.session.close(&CloseReason::Leaving);
    assert_eq!(rig.sent(), ["close"]);
    assert!(rig.ping(0, None).is_err());
    rig.frame(1, Frame::Close(""));
    assert_eq!(rig.ended, Some(SessionEnd::Left));
}

#[test]
fn while_nobody_reads_silence_proves_nothing() {
    let mut rig = Rig::established();
    rig.ping(0, None).unwrap();
    rig.session.pause();
    assert_eq!(rig.session.poll_timeout(), None);
    rig.session.resume(rig.start + ms(100_000));
    rig.pass(113_333);
    assert_eq!(rig.ended, None, "the ping has its full deadline again");
    rig.pass(113_334);
    assert!(rig.ended.is_some());
}

#[test]
fn after_the_end_nothing_comes_any_more() {
    let mut rig = Rig::established();
    rig.session.handle_broken("reset".to_owned());
    rig.session.handle_broken("again".to_owned());
    rig.text(1, r#"{"type":"ping"}"#);
    assert_eq!(rig.ended, Some(SessionEnd::Broken("reset".to_owned())));
    assert_eq!(rig.sent(), Vec::<String>::new());
    assert_eq!(rig.session.poll_timeout(), None);
}

struct Rig {
    session: Session,
    start: Instant,
    established: bool,
    sent: Vec<String>,
    answered: Vec<(PingId, u64)>,
    delivered: Vec<String>,
    probes: usize,
    ended: Option<SessionEnd>,
}

impl Rig {
    fn new() -> Self {
        let start = Instant::now();
        let deadlines = Deadlines::of(&HeartbeatConfig::default());
        Self {
            session: Session::new(&HandshakePayload::default(), deadlines, start),
            start,
            established: false,
            sent: Vec::new(),
            answered: Vec::new(),
            delivered: Vec::new(),
            probes: 0,
            ended: None,
        }
    }

    fn established() -> Self {
        let mut rig = Self::new();
        rig.text(0, r#"{"type":"handshake"}"#);
        rig.sent();
        rig
    }

    fn text(&mut self, at: u64, text: &str) {
        self.frame(at, Frame::Text(text));
    }

    fn frame(&mut self, at: u64, frame: Frame<'_>) {
        self.session.handle_frame(frame, self.start + ms(at));
        self.drain();
    }

    fn pass(&mut self, to: u64) {
        let to = self.start + ms(to);
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= to) {
            self.session.handle_timeout(at);
            self.drain();
        }
    }

    fn ping(&mut self, at: u64, sequence: Option<u64>) -> Result<PingId, TooManyPings> {
        let result = self
            .session
            .ping(Box::default(), sequence, self.start + ms(at));
        self.drain();
        result
    }

    fn sent(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.sent)
    }

    fn take_answered(&mut self) -> Vec<(PingId, u64)> {
        std::mem::take(&mut self.answered)
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            assert_eq!(self.ended, None, "nothing comes after the end");
            match output {
                SessionOutput::Send(message) => self.sent.push(message.kind.to_string()),
                SessionOutput::Probe => self.probes += 1,
                SessionOutput::Established => self.established = true,
                SessionOutput::Answered { ping, pong } => {
                    let millis = pong.round_trip.as_millis().try_into().unwrap();
                    self.answered.push((ping, millis));
                }
                SessionOutput::Received(_) => {}
                SessionOutput::Deliver(message) => self.delivered.push(message.kind.to_string()),
                SessionOutput::Ended(end) => self.ended = Some(end),
            }
        }
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
