//! A Lease as a server hands it over: as an answer, as an object that is read and edited, and for
//! the machine that renews it.

#![no_main]

use std::time::Duration;
use std::time::Instant;
use std::time::UNIX_EPOCH;

use health_core::HealthStatus;
use health_heartbeat::HolderIdentity;
use health_heartbeat::Identity;
use health_heartbeat::Sequence;
use health_transport_lease::Claim;
use health_transport_lease::LeaseInput;
use health_transport_lease::LeaseMachine;
use health_transport_lease::LeaseObject;
use health_transport_lease::LeaseOutput;
use health_transport_lease::Objects;
use health_transport_lease::Observed;
use health_transport_lease::Plan;
use health_transport_lease::RawResponse;
use health_transport_lease::Renewal;
use health_transport_lease::Reply;
use health_transport_lease::plan;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// More calls than that are none for one beat.
const CALLS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let replies: Vec<_> = bytes.split(|byte| *byte == b'\n').map(reply).collect();
    for value in replies.iter().flatten() {
        edited(value.clone());
    }
    renewed(replies);
});

/// An answer begins with its status, as `409 {"kind":"Status"}`; without one it is 200.
fn reply(line: &[u8]) -> Reply {
    let status = line
        .get(..3)
        .and_then(|digits| std::str::from_utf8(digits).ok());
    let status = status.and_then(|digits| digits.parse().ok());
    let body = match status {
        Some(_) => &line[3..],
        None => line,
    };
    let response = RawResponse {
        status: status.unwrap_or(200),
        retry_after: Some(String::from_utf8_lossy(&body[..body.len().min(4)]).into_owned()),
        body: body.to_vec(),
    };
    response.reply()
}

fn edited(value: Value) {
    let now = Instant::now();
    let mine = HolderIdentity::from("pod-1_7f");
    let lease = LeaseObject::from(value);
    let _ = lease.sequence();
    let claim = Claim {
        holder: mine.clone(),
        newcomer: true,
        duration: Duration::from_secs(30),
    };
    let planned = plan(&Observed::Lease(lease.sight(now)), &claim, now);
    match (lease.holder(), planned) {
        (None, plan) => assert_eq!(plan, Plan::TakeOver),
        (Some(holder), Plan::Renew) => assert_eq!(holder, mine),
        (Some(holder), Plan::StandBy { .. }) => assert_ne!(holder, mine),
        (Some(_), Plan::Create | Plan::TakeOver) => {}
    }
    let transitions = lease.transitions();
    let mut ours = lease.clone();
    ours.acquire(&mine, 1, UNIX_EPOCH);
    ours.renew(&renewal(), "edge-1", UNIX_EPOCH);
    assert_eq!(ours.holder(), Some(mine));
    assert_eq!(ours.sequence(), Some(Sequence(7)));
    assert_eq!(ours.duration(), Some(Duration::from_secs(30)));
    assert_eq!(ours.transitions(), transitions.saturating_add(1));
    ours.release(UNIX_EPOCH);
    assert_eq!(ours.holder(), None);
}

/// One beat after the other, until there are no more replies.
fn renewed(replies: Vec<Reply>) {
    let mut now = Instant::now();
    let objects = Objects {
        namespace: "default".to_owned(),
        lease: "edge-1-heartbeat".to_owned(),
        target: "edge-1".to_owned(),
    };
    let identity = Identity {
        slot: "pod-1".into(),
        incarnation: "7f".into(),
    };
    let mut machine = LeaseMachine::new(objects, &identity, 1);
    let mut replies = replies.into_iter();
    loop {
        let by = now + Duration::from_secs(5);
        let beat = LeaseInput::Beat {
            renewal: renewal(),
            wall: UNIX_EPOCH,
            by,
        };
        machine.handle(beat, now);
        for _ in 0..CALLS_MAX {
            match machine.poll() {
                Some(LeaseOutput::Call(_)) => {
                    let Some(reply) = replies.next() else {
                        return;
                    };
                    machine.handle(LeaseInput::Reply(reply), now);
                }
                Some(LeaseOutput::Event(_)) => {}
                Some(LeaseOutput::Done(_)) => break,
                None => {
                    let next = machine.poll_timeout();
                    now = next.expect("who is not done waits for something").max(now);
                    machine.handle(LeaseInput::Timeout, now);
                }
            }
        }
        now = now.max(by);
    }
}

fn renewal() -> Renewal {
    Renewal {
        sequence: Sequence(7),
        timeout: Duration::from_secs(30),
        status: HealthStatus::Healthy,
    }
}
