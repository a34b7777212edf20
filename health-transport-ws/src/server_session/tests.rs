use super::*;

const HANDSHAKE_TEXT: &str = r#"{"id":"h1","type":"handshake","payload":{"syncTarget":"edge-1","version":"v1alpha1","capabilities":["heartbeat","status"],"token":"s3cr3t"}}"#;
const WAVE_4: &str = r#"{"id":"h1","type":"handshake","payload":{"syncTarget":"edge-1","version":"v1alpha1","capabilities":null}}"#;
const BEAT: &str = r#"{"type":"ping","timestamp":"2025-08-17T19:48:05Z","payload":{"slot":"pod-1","incarnation":"7f","sequence":42,"intervalSeconds":10,"timeoutSeconds":30,"status":"Healthy"}}"#;

#[test]
fn a_handshake_is_decided_about_and_answered_with_its_own_id() {
    let mut rig = Rig::new();
    rig.text(0, HANDSHAKE_TEXT);
    assert_eq!(rig.asked, 1);
    assert!(rig.sent().is_empty());
    rig.decide(1, Admission::Accept(Terms::default()));
    let sent = rig.sent();
    assert_eq!(
        (sent[0].id.as_str(), &sent[0].kind, &sent[0].error),
        ("h1", &MessageType::Handshake, &None)
    );
    let heard = rig.heard();
    assert_eq!(heard.len(), 1);
    let Heard::Opened(handshake) = &heard[0].1 else {
        panic!("{heard:?}");
    };
    assert_eq!(handshake.sync_target, "edge-1");
    assert!(handshake.token.is_none());
}

#[test]
fn a_refusal_is_answered_and_the_hub_hears_nothing() {
    let mut rig = Rig::new();
    rig.text(0, HANDSHAKE_TEXT);
    rig.decide(
        1,
        Admission::Refuse {
            reason: "unknown".to_owned(),
            retry_after: Some(ms(3_000)),
        },
    );
    let sent = rig.sent();
    assert_eq!(sent[0].error.as_deref(), Some("unknown"));
    assert_eq!(
        sent[0].payload.as_ref().unwrap().get(),
        r#"{"retryAfterSeconds":3.0}"#
    );
    assert_eq!(rig.ended, Some(ServerEnd::Refused("unknown".to_owned())));
    assert!(rig.heard().is_empty());
}

#[test]
fn what_is_no_handshake_and_silence_end_the_connection() {
    for text in [BEAT, "hello", r#"{"type":"close"}"#] {
        let mut rig = Rig::new();
        rig.text(0, text);
        assert!(rig.ended.is_some(), "{text}");
        assert!(rig.heard().is_empty());
    }
    let mut rig = Rig::new();
    rig.pass(9_999);
    assert_eq!(rig.ended, None);
    rig.pass(10_000);
    assert_eq!(rig.ended, Some(ServerEnd::NoHandshake(ms(10_000))));
}

#[test]
fn an_undecided_handshake_ends_at_its_deadline_and_a_late_decision_is_nothing() {
    let mut rig = Rig::new();
    rig.text(5_000, HANDSHAKE_TEXT);
    rig.pass(10_000);
    assert_eq!(rig.ended, Some(ServerEnd::NoHandshake(ms(10_000))));
    rig.decide(10_001, Admission::Accept(Terms::default()));
    assert!(rig.sent().is_empty());
}

#[test]
fn a_heartbeat_is_acknowledged_by_the_input_that_brings_it() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    rig.session.set_terms(Terms {
        interval: Some(ms(20_000)),
        retry_after: None,
    });
    rig.text(1_000, BEAT);
    let pong = &rig.sent()[0];
    assert_eq!(pong.kind, MessageType::Pong);
    assert_eq!(
        pong.payload.as_ref().unwrap().get(),
        r#"{"sequence":42,"intervalSeconds":20.0,"retryAfterSeconds":null}"#
    );
    let heard = rig.heard();
    let (at, Heard::Heartbeat { payload, sent }) = &heard[0] else {
        panic!("{heard:?}");
    };
    assert_eq!(*at, rig.start + ms(1_000));
    assert_eq!(payload.slot, "pod-1");
    assert!(sent.is_some());
}

#[test]
fn a_wave_4_ping_gets_an_empty_pong_and_is_a_sign_of_life() {
    for (handshake, ping) in [
        (WAVE_4, r#"{"type":"ping"}"#),
        (WAVE_4, BEAT),
        (HANDSHAKE_TEXT, r#"{"type":"ping","payload":{"slot":1}}"#),
    ] {
        let mut rig = Rig::open(handshake);
        rig.text(1_000, ping);
        assert!(rig.sent()[0].payload.is_none(), "{ping}");
        assert!(matches!(rig.heard()[0], (_, Heard::Frame)), "{ping}");
    }
}

/// A ping whose heartbeat comes where it usually does is read in one go; any other that JSON allows
/// must say the same.
#[test]
fn a_heartbeat_is_heard_however_it_is_written() {
    const PAYLOAD: &str = r#"{"slot":"pod-1","incarnation":"7f","sequence":42,"intervalSeconds":10,"timeoutSeconds":30,"status":"Healthy"}"#;
    const TIME: &str = r#""timestamp":"2025-08-17T19:48:05Z""#;
    for ping in [
        BEAT.to_owned(),
        format!(r#"{{"payload":{PAYLOAD},{TIME},"type":"ping"}}"#),
        format!(
            r#" {{ "error":"", "new":[{{}}], {TIME}, "type" : "p\u0069ng", "payload" : {PAYLOAD} }} "#
        ),
        format!(r#"{{"id":"\u0001","type":"ping",{TIME},"payload":{PAYLOAD},"error":null}}"#),
    ] {
        let mut rig = Rig::open(HANDSHAKE_TEXT);
        rig.text(1_000, &ping);
        let sent = rig.sent();
        let acknowledgement: AcknowledgementPayload = sent[0].decode().unwrap().unwrap();
        assert_eq!(acknowledgement.sequence, Some(42), "{ping}");
        let heard = rig.heard();
        let [(_, Heard::Heartbeat { payload, sent })] = &heard[..] else {
            panic!("{ping}: {heard:?}");
        };
        assert_eq!(payload.slot, "pod-1", "{ping}");
        assert!(sent.is_some(), "{ping}");
    }
}

#[test]
fn a_burst_of_frames_is_told_a_few_times_and_its_last_one_exactly() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    let mut heard = Vec::new();
    for at in 1_000..1_250 {
        rig.pass(at);
        rig.text(at, r#"{"type":"resource"}"#);
        heard.extend(rig.heard());
    }
    rig.pass(2_000);
    heard.extend(rig.heard());
    let at: Vec<_> = heard
        .iter()
        .map(|(at, _)| (*at - rig.start).as_millis())
        .collect();
    assert!(at.len() <= 5, "{at:?}");
    assert_eq!(at.last(), Some(&1_249));
}

#[test]
fn only_the_agents_own_report_is_kept() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    let status = |target: &str, size: usize| {
        format!(
            r#"{{"type":"status","payload":{{"resourceId":"synctargets.workload.kcp.io/{target}","status":{{"a":"{}"}}}}}}"#,
            "x".repeat(size)
        )
    };
    rig.text(0, &status("edge-2", 1));
    rig.text(0, &status("edge-1", 100_000));
    assert!(
        rig.heard()
            .iter()
            .all(|(_, heard)| matches!(heard, Heard::Frame))
    );
    rig.text(0, &status("edge-1", 1));
    let heard = rig.heard();
    let (_, Heard::Status(report)) = &heard[0] else {
        panic!("{heard:?}");
    };
    assert_eq!(report.get(), r#"{"a":"x"}"#);
}

#[test]
fn a_hub_that_does_not_listen_costs_one_event_of_each_kind() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    for at in 0..10_000 {
        rig.text(at, BEAT);
        rig.text(at, r#"{"type":"resource"}"#);
    }
    assert_eq!(rig.sent().len(), 10_000);
    assert_eq!(rig.heard().len(), 2);
}

#[test]
fn a_deep_message_is_refused_whole_or_broken_off() {
    let status = |deep: &str| {
        format!(
            r#"{{"type":"status","payload":{{"resourceId":"synctargets.workload.kcp.io/edge-1","status":{deep}}}}}"#
        )
    };
    for deep in [
        format!("{}{}", "[".repeat(20_000), "]".repeat(20_000)),
        "{\"a\":".repeat(100_000),
    ] {
        let mut rig = Rig::open(HANDSHAKE_TEXT);
        rig.text(1, &status(&deep));
        assert_eq!(rig.ended, Some(ServerEnd::TooDeep(128)));
    }
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    let legal = format!("{}{}", "[".repeat(120), "]".repeat(120));
    rig.text(1, &status(&legal));
    assert_eq!(rig.ended, None);
    assert!(matches!(rig.heard()[0].1, Heard::Status(_)));
}

#[test]
fn a_peer_that_floods_the_hub_is_closed_and_told_to_stay_away() {
    for text in [BEAT.to_owned(), format!("{BEAT}{}", " ".repeat(800_000))] {
        let mut rig = Rig::open(HANDSHAKE_TEXT);
        for _ in 0..60_001 {
            rig.text(1_000, &text);
        }
        let Some(ServerEnd::TooFast(_)) = rig.ended else {
            panic!("{:?}", rig.ended);
        };
        let last = rig.sent().pop().unwrap();
        assert_eq!(last.kind, MessageType::Close);
        assert!(last.error.unwrap().contains("20000 frames"));
        assert_eq!(last.payload.unwrap().get(), r#"{"retryAfterSeconds":10.0}"#);
        assert!(matches!(
            rig.heard().last(),
            Some((_, Heard::Closed { .. }))
        ));
    }
}

/// What the tunnel is meant for: bulk beside the heartbeats.
#[test]
fn a_syncer_s_whole_traffic_is_no_flood() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    let bulk = format!(r#"{{"type":"resource","payload":"{}"}}"#, "x".repeat(1_000));
    for at in 0..10_000 {
        for _ in 0..5 {
            rig.text(at, &bulk);
        }
    }
    assert_eq!(rig.ended, None);
}

#[test]
fn a_goodbye_is_told_before_the_end() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    rig.text(1, r#"{"type":"close","error":"going away"}"#);
    let heard = rig.heard();
    assert!(matches!(&heard[0].1, Heard::Goodbye { reason } if reason == "going away"));
    assert!(matches!(&heard[1].1, Heard::Closed { why } if *why == ServerEnd::Left));
}

/// The other direction of a socket that stays "open" (cloudflared #2242): the hub hears nothing.
#[test]
fn pitfall_45_silence_ends_an_open_tunnel() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    rig.frame(10_000, Frame::Control);
    rig.pass(99_999);
    assert_eq!(rig.ended, None);
    rig.pass(100_000);
    assert_eq!(rig.ended, Some(ServerEnd::Silent(ms(90_000))));
}

#[test]
fn a_close_by_the_hub_tells_the_peer_why_and_how_long() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    let now = rig.start + ms(1);
    rig.session
        .close(&CloseReason::Replaced, Some(ms(30_000)), now);
    let sent = rig.sent();
    assert_eq!(sent[0].kind, MessageType::Close);
    assert_eq!(sent[0].error.as_deref(), Some("replaced by a newer tunnel"));
    assert!(sent[0].payload.is_some());
    assert_eq!(rig.ended, Some(ServerEnd::Closed(CloseReason::Replaced)));
}

#[test]
fn what_is_not_the_tunnels_own_is_delivered_and_still_a_sign_of_life() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    for kind in ["resource", "event", "command", "teleport", "pong"] {
        rig.text(1, &format!(r#"{{"type":"{kind}"}}"#));
    }
    rig.text(
        1,
        r#"{"type":"status","payload":{"resourceId":"pods/a","status":{}}}"#,
    );
    let kinds: Vec<_> = rig.delivered.iter().map(|it| it.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["resource", "event", "command", "teleport", "status"]
    );
    assert!(matches!(rig.heard()[..], [(_, Heard::Frame)]));
}

#[test]
fn silence_while_nobody_reads_is_no_silence() {
    let mut rig = Rig::open(HANDSHAKE_TEXT);
    rig.session.pause();
    rig.pass(1_000_000);
    assert_eq!(rig.ended, None);
    rig.session.resume(rig.start + ms(1_000_000));
    rig.pass(1_089_999);
    assert_eq!(rig.ended, None);
    rig.pass(1_090_000);
    let idle = SessionLimits::default().idle;
    assert_eq!(rig.ended, Some(ServerEnd::Silent(idle)));
}

struct Rig {
    session: ServerSession,
    start: Instant,
    sent: Vec<Message>,
    delivered: Vec<Message>,
    asked: usize,
    ended: Option<ServerEnd>,
}

impl Rig {
    fn new() -> Self {
        let start = Instant::now();
        Self {
            session: ServerSession::new(SessionLimits::default(), start),
            start,
            sent: Vec::new(),
            delivered: Vec::new(),
            asked: 0,
            ended: None,
        }
    }

    fn open(handshake: &str) -> Self {
        let mut rig = Self::new();
        rig.text(0, handshake);
        rig.decide(0, Admission::Accept(Terms::default()));
        rig.sent();
        rig.heard();
        rig
    }

    fn text(&mut self, at: u64, text: &str) {
        self.frame(at, Frame::Text(text));
    }

    fn frame(&mut self, at: u64, frame: Frame<'_>) {
        self.session.handle_frame(frame, self.start + ms(at));
        self.drain();
    }

    fn decide(&mut self, at: u64, admission: Admission) {
        self.session.decide(admission, self.start + ms(at));
        self.drain();
    }

    fn pass(&mut self, to: u64) {
        let to = self.start + ms(to);
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= to) {
            self.session.handle_timeout(at);
            self.drain();
        }
    }

    fn sent(&mut self) -> Vec<Message> {
        self.drain();
        std::mem::take(&mut self.sent)
    }

    fn heard(&mut self) -> Vec<(Instant, Heard)> {
        std::iter::from_fn(|| self.session.poll_heard()).collect()
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll() {
            assert_eq!(self.ended, None, "nothing comes after the end");
            match output {
                ServerOutput::Decide(_) => self.asked += 1,
                ServerOutput::Send(message) => self.sent.push(message),
                ServerOutput::Deliver(message) => self.delivered.push(message),
                ServerOutput::Ended(end) => self.ended = Some(end),
            }
        }
    }
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
