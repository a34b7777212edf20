//! A saved flight of a hub, read, written again and flown to its end.

#![no_main]

use std::time::Instant;

use health_heartbeat::FleetOutput;
use health_heartbeat::Flight;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let flight = match Flight::parse(text) {
        Ok(flight) => flight,
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty() && !said.contains('\n'), "{said:?}");
            return;
        }
    };
    let written = written(&flight);
    let again = Flight::parse(&written).expect("what we write can be read");
    assert_eq!(self::written(&again), written);
    let beginning = Instant::now();
    let told = told(&flight, beginning);
    assert_eq!(self::told(&again, beginning), told, "it is another story");
});

fn written(flight: &Flight) -> String {
    flight.lines().map(|line| line + "\n").collect()
}

/// What came in and what the fleet told, step by step.
fn told(flight: &Flight, beginning: Instant) -> Vec<String> {
    let mut replay = flight.replay(beginning);
    let mut told = Vec::new();
    while let Some(step) = replay.next() {
        for (name, output) in &step.told {
            let is_of_all = matches!(
                output,
                FleetOutput::Replace { .. }
                    | FleetOutput::MassSilence { .. }
                    | FleetOutput::MassSilenceOver
            );
            assert!(is_of_all || name.is_some(), "{output:?} of nobody");
        }
        let fleet = replay.fleet();
        let agent = step.agent.as_deref().and_then(|id| fleet.find(id));
        told.push(format!("{step:?} {:?}", agent.map(|it| fleet.due_of(it))));
        let counted: usize = health_heartbeat::FleetVerdict::ALL
            .iter()
            .map(|verdict| fleet.count(*verdict))
            .sum();
        assert_eq!(counted, fleet.views().count());
    }
    assert_eq!(told.len(), flight.inputs());
    told
}
