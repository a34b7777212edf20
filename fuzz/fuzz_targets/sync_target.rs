//! A SyncTarget as a server hands it over: its conditions, its owner reference, and for the machine
//! that writes its status.

#![no_main]

use std::time::Duration;
use std::time::Instant;
use std::time::UNIX_EPOCH;

use health_heartbeat::Identity;
use health_transport_lease::Change;
use health_transport_lease::Condition;
use health_transport_lease::RawResponse;
use health_transport_lease::StatusInput;
use health_transport_lease::StatusMachine;
use health_transport_lease::StatusOutput;
use health_transport_lease::SyncTargetConfig;
use health_transport_lease::merge;
use health_transport_lease::owner_reference;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOW: &str = "2025-08-17T19:48:05Z";

/// More calls than that are none for one beat.
const CALLS_MAX: usize = 64;

fuzz_target!(|bytes: &[u8]| {
    let lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
    for line in &lines {
        if let Ok(target) = serde_json::from_slice::<Value>(line) {
            let _ = owner_reference(&target);
            merged(target["status"]["conditions"].clone());
            merged(target);
        }
    }
    written(&lines);
});

fn merged(mut conditions: Value) {
    let others = |conditions: &Value| -> Vec<Value> {
        let list = conditions.as_array().into_iter().flatten();
        list.filter(|entry| entry["type"] != Condition::shutting_down().kind)
            .cloned()
            .collect()
    };
    let before = others(&conditions);
    merge(&mut conditions, &Condition::shutting_down(), NOW);
    assert_eq!(others(&conditions), before, "others' conditions stay");
    let again = merge(&mut conditions, &Condition::shutting_down(), NOW);
    assert_eq!(again, Change::Nothing, "{conditions}");
}

/// One beat after the other, until there are no more replies.
fn written(lines: &[&[u8]]) {
    let mut now = Instant::now();
    let identity = Identity {
        slot: "pod-1".into(),
        incarnation: "7f".into(),
    };
    let mut machine = StatusMachine::new(SyncTargetConfig::default(), &identity, 1);
    let mut lines = lines.iter();
    loop {
        let by = now + Duration::from_secs(5);
        let beat = StatusInput::Beat {
            condition: Condition::shutting_down(),
            wall: UNIX_EPOCH,
            by,
        };
        machine.handle(beat, now);
        let mut done = false;
        for _ in 0..CALLS_MAX {
            match machine.poll() {
                Some(StatusOutput::Call(_)) => {
                    let Some(line) = lines.next() else {
                        return;
                    };
                    let refused = line.first() == Some(&b'4');
                    let response = RawResponse {
                        status: if refused { 422 } else { 200 },
                        retry_after: None,
                        body: line[usize::from(refused)..].to_vec(),
                    };
                    machine.handle(StatusInput::Reply(response.reply()), now);
                }
                Some(StatusOutput::Event(_)) => {}
                Some(StatusOutput::Done(_)) => {
                    done = true;
                    break;
                }
                None => {
                    let next = machine.poll_timeout();
                    now = next.expect("who is not done waits for something").max(now);
                    machine.handle(StatusInput::Timeout, now);
                }
            }
        }
        if !done || lines.len() == 0 {
            return;
        }
        now = now.max(by) + Duration::from_secs(60);
    }
}
