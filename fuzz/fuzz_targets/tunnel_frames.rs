//! Frames of a peer, one a line, for both ends of a tunnel: each as a message, and all of them as a
//! connection of the agent's and of the hub's.

#![no_main]

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::HeartbeatConfig;
use health_transport_ws::Admission;
use health_transport_ws::Deadlines;
use health_transport_ws::Frame;
use health_transport_ws::ServerOutput;
use health_transport_ws::ServerSession;
use health_transport_ws::Session;
use health_transport_ws::SessionLimits;
use health_transport_ws::SessionOutput;
use health_transport_ws::Terms;
use health_transport_ws::wire;
use health_transport_ws::wire::HandshakePayload;
use health_transport_ws::wire::Message;
use libfuzzer_sys::fuzz_target;

/// From one frame to the next.
const STEP: Duration = Duration::from_millis(40);

fuzz_target!(|bytes: &[u8]| {
    let frames: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    for text in &frames {
        a_message_is_written_as_it_was_read(text);
    }
    agent(&frames);
    hub(&frames);
});

fn a_message_is_written_as_it_was_read(text: &str) {
    let Ok(message) = Message::parse(text) else {
        return;
    };
    let written = message.encode();
    let again = Message::parse(&written).expect("what we write can be read");
    assert_eq!(again.encode(), written);
    assert_eq!(again.kind, message.kind);
    // Where it is no time, there is none.
    let _ = message.timestamp.time();
}

/// A prefix says what kind of frame it is, so that all kinds are found.
fn frame(text: &str) -> Frame<'_> {
    match text.as_bytes() {
        [b'!', ..] => Frame::Binary,
        [b'?', ..] => Frame::Control,
        [b'#', ..] => Frame::Close(&text[1..]),
        _ => Frame::Text(text),
    }
}

fn agent(frames: &[&str]) {
    let mut now = Instant::now();
    let deadlines = Deadlines::of(&HeartbeatConfig::default());
    let mut session = Session::new(&HandshakePayload::default(), deadlines, now);
    let (mut pings, mut ended) = (0, false);
    for (number, text) in frames.iter().enumerate() {
        now += STEP;
        session.handle_frame(frame(text), now);
        if session.is_established() && number % 3 == 0 {
            let payload = wire::raw(&number).expect("a number is JSON");
            let sequence = (number % 2 == 0).then_some(number as u64);
            pings += usize::from(session.ping(payload, sequence, now).is_ok());
        }
        session.handle_timeout(now);
        while let Some(output) = session.poll() {
            assert!(!ended, "{output:?} after the end");
            match output {
                SessionOutput::Answered { .. } => {
                    assert!(pings > 0, "an answer that nobody asked for");
                    pings -= 1;
                }
                SessionOutput::Ended(end) => {
                    ended = true;
                    assert!(!end.to_string().is_empty());
                    let _ = end.retry_after();
                }
                SessionOutput::Send(message) => drop(message.encode()),
                SessionOutput::Deliver(message) => assert!(!message.kind.is_control()),
                SessionOutput::Probe | SessionOutput::Established | SessionOutput::Received(_) => {}
            }
        }
        assert!(!(ended && session.is_established()));
    }
}

fn hub(frames: &[&str]) {
    let mut now = Instant::now();
    let mut session = ServerSession::new(SessionLimits::default(), now);
    let (mut decided, mut ended) = (false, false);
    for text in frames {
        now += STEP;
        session.handle_frame(frame(text), now);
        session.handle_timeout(now);
        let mut answers = 0;
        while let Some(output) = session.poll() {
            assert!(!ended, "{output:?} after the end");
            match output {
                ServerOutput::Decide(_) => {
                    assert!(!decided, "decided twice");
                    decided = true;
                    session.decide(Admission::Accept(Terms::default()), now);
                }
                ServerOutput::Send(message) => {
                    answers += 1;
                    drop(message.encode());
                }
                ServerOutput::Deliver(message) => assert!(!message.kind.is_control()),
                ServerOutput::Ended(_) => ended = true,
            }
        }
        assert!(answers <= 1, "{answers} answers to one frame");
    }
    // Of each kind one, however many came.
    let mut heard = 0;
    while session.poll_heard().is_some() {
        heard += 1;
    }
    assert!(heard <= 6, "{heard} things to tell");
}
