mod pilot;

use std::time::Duration;

use fastrand::Rng;
use health_core::HealthStatus;
use proptest::prelude::*;

use self::pilot::Pilot;
use self::pilot::id;
use self::pilot::payload;
use super::*;
use crate::Evidence;
use crate::Fleet;
use crate::FleetOutput;
use crate::FleetVerdict;
use crate::FlightLimits;
use crate::TunnelId;
use crate::epoch::epoch;

/// Halves so small that the window moves often.
const SMALL: FlightLimits = FlightLimits {
    inputs_max: 40,
    text_bytes_max: 1 << 20,
    agents_max: 100,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_replay_tells_what_was_told_and_ends_where_the_fleet_is(
        seed: u64, steps in 1usize..600, inputs_max in 1usize..80
    ) {
        let limits = FlightLimits { inputs_max, ..SMALL };
        let mut pilot = Pilot::new(seed, limits);
        for _ in 0..steps {
            pilot.step();
        }
        let flight = pilot.fleet.flight().unwrap();
        prop_assert!(flight.inputs() <= 2 * inputs_max);
        prop_assert!(flight.inputs() >= inputs_max.min(pilot.recorded));
        pilot.compare(&flight);
        // And saved, and read again.
        let text = text(&flight);
        let read = Flight::parse(&text).unwrap();
        prop_assert_eq!(&self::text(&read), &text);
        pilot.compare(&read);
    }

    /// What a fleet did without a recorder it does with one.
    #[test]
    fn a_recorder_changes_nothing(seed: u64) {
        let mut recorded = Pilot::new(seed, SMALL);
        let mut plain = Pilot::new(seed, SMALL);
        plain.fleet.recorder = None;
        for _ in 0..300 {
            recorded.step();
            plain.step();
        }
        let told = |pilot: &Pilot| {
            let told = pilot.told.iter();
            told.map(|(at, output)| (*at - pilot.start, format!("{:?}", kind(output))))
                .collect::<Vec<_>>()
        };
        prop_assert_eq!(told(&recorded), told(&plain));
        prop_assert!(plain.fleet.flight().is_none());
    }

    #[test]
    fn rubbish_is_refused_and_never_panics(noise: Vec<u8>, seed: u64) {
        let noise = String::from_utf8_lossy(&noise);
        prop_assert!(Flight::parse(&noise).is_err());
        let mut pilot = Pilot::new(seed, SMALL);
        for _ in 0..100 {
            pilot.step();
        }
        let mut text = text(&pilot.fleet.flight().unwrap()).into_bytes();
        let mut chance = Rng::with_seed(seed);
        let at = chance.usize(..text.len());
        text[at] = chance.u8(b' '..b'~');
        // A digit for another is a flight still, which is flown to its end.
        if let Ok(flight) = Flight::parse(&String::from_utf8(text).unwrap()) {
            flight.replay(epoch()).for_each(drop);
        }
    }
}

/// What is drawn at random says little of what never comes up.
#[test]
fn replays_meet_every_verdict_and_every_other_output() {
    let mut met = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let mut pilot = Pilot::new(seed, SMALL);
        for _ in 0..400 {
            pilot.step();
        }
        let flight = pilot.fleet.flight().unwrap();
        let told = flight.replay(pilot.start).flat_map(|it| it.told);
        met.extend(told.map(|(_, output)| match output {
            FleetOutput::Verdict { verdict, .. } => verdict.as_str(),
            FleetOutput::Confirm { .. } => "confirm",
            FleetOutput::Replace { .. } => "replace",
            FleetOutput::MassSilence { .. } => "doubt",
            FleetOutput::MassSilenceOver => "doubt over",
            FleetOutput::Forgotten { .. } => "forgotten",
        }));
    }
    assert_eq!(met.len(), FleetVerdict::ALL.len() + 5, "{met:?}");
}

#[test]
fn a_conviction_is_explained_by_what_came_in_and_what_was_due() {
    let start = epoch();
    let mut fleet = Fleet::new(FleetTerms::default(), start).with_recorder(SMALL);
    let agent = fleet.admit(id(0), start).unwrap();
    for second in [0, 10] {
        let at = start + Duration::from_secs(second);
        let payload = &payload("pod-1", "a", 10.0, 30.0);
        let (tunnel, skew_ms) = (TunnelId(1), None);
        let beat = Evidence::Heartbeat {
            tunnel,
            payload,
            skew_ms,
        };
        fleet.evidence(agent, beat, at);
        while let Some(at) = fleet.poll_timeout().filter(|_| second == 10) {
            fleet.handle_timeout(at);
            if fleet.count(FleetVerdict::Lost) == 1 {
                break;
            }
        }
    }
    let flight = fleet.flight().unwrap();
    let mut replay = flight.replay(fleet.beginning());
    let mut seen = Vec::new();
    let mut due = Vec::new();
    while let Some(step) = replay.next() {
        let verdicts = step.told.iter().filter_map(|(_, output)| match output {
            FleetOutput::Verdict { verdict, .. } => Some(*verdict),
            FleetOutput::Confirm { .. }
            | FleetOutput::Replace { .. }
            | FleetOutput::MassSilence { .. }
            | FleetOutput::MassSilenceOver
            | FleetOutput::Forgotten { .. } => None,
        });
        seen.push((step.input, verdicts.collect::<Vec<_>>()));
        due.push(replay.fleet().due_of(agent).unwrap());
    }
    let beat = "heartbeat 1 over tunnel 1: Healthy, next in 10s, timeout 30s, of pod-1_a";
    let expected = [
        ("admitted", vec![]),
        (beat, vec![FleetVerdict::Alive]),
        (beat, vec![]),
        ("a deadline came", vec![FleetVerdict::Suspect]),
        ("a deadline came", vec![FleetVerdict::Lost]),
    ];
    let expected = expected.map(|(input, verdicts)| (input.to_owned(), verdicts));
    assert_eq!(seen, expected);
    // The fleet's time begins a second before its first input.
    let at = |seconds: f64| Some(Duration::from_secs_f64(seconds));
    assert_eq!((due[2].suspect, due[2].lost), (at(26.4), at(41.0)));
    assert_eq!((due[3].suspect, due[3].lost), (None, at(41.0)));
    assert_eq!((due[4].lost, due[4].forgotten), (None, at(3641.0)));
}

#[test]
fn a_fleet_that_is_too_large_is_not_recorded_any_more() {
    let start = epoch();
    let limits = FlightLimits {
        agents_max: 2,
        ..SMALL
    };
    let mut fleet = Fleet::new(FleetTerms::default(), start).with_recorder(limits);
    assert!(fleet.flight().is_none(), "nothing came in yet");
    for number in 0..3 {
        assert!(fleet.admit(id(number), start).is_some());
        assert!(fleet.flight().is_some());
    }
    let agent = fleet.find(&id(0)).unwrap();
    fleet.expect(agent);
    assert!(fleet.flight().is_none());
}

/// Who sends a new name with each beat could fill the memory.
#[test]
fn names_are_bounded_too() {
    let start = epoch();
    let limits = FlightLimits {
        inputs_max: 1_000_000,
        text_bytes_max: 100_000,
        agents_max: 10,
    };
    let mut fleet = Fleet::new(FleetTerms::default(), start).with_recorder(limits);
    let agent = fleet.admit(id(0), start).unwrap();
    for number in 0..1_000 {
        let payload = &payload("pod", &format!("{number:01000}"), 10.0, 30.0);
        let tunnel = TunnelId(1);
        let skew_ms = None;
        let beat = Evidence::Heartbeat {
            tunnel,
            payload,
            skew_ms,
        };
        fleet.evidence(agent, beat, start);
    }
    let recorder = fleet.recorder.as_ref().unwrap();
    let halves = [recorder.older.as_deref(), recorder.newer.as_ref()].map(Option::unwrap);
    for half in halves {
        assert!(half.voices.bytes() < 102_000, "{}", half.voices.bytes());
    }
}

/// A seed of the fuzzing with the greatest numbers hung: at the end of all time every deadline has
/// come, again and again.
#[test]
fn a_time_that_no_hub_lives_to_see_is_refused() {
    let mut pilot = Pilot::new(1, SMALL);
    for _ in 0..100 {
        pilot.step();
    }
    let good = text(&pilot.fleet.flight().unwrap());
    let lines: Vec<_> = good.lines().collect();
    let (last, others) = lines.split_last().unwrap();
    let (before, behind) = last.split_once("\"atNanos\":").unwrap();
    let (_, behind) = behind.split_once(',').unwrap();
    let late = format!("{before}\"atNanos\":{},{behind}", u64::MAX);
    let flight = Flight::parse(&[&others.join("\n"), &*late].join("\n"));
    let error = flight.map(|_| ()).unwrap_err().to_string();
    assert!(
        error.ends_with("its time is more than a hundred years after the beginning"),
        "{error}"
    );
}

#[test]
fn rubbish_gets_one_clear_line() {
    let mut pilot = Pilot::new(1, SMALL);
    for _ in 0..100 {
        pilot.step();
    }
    let good = text(&pilot.fleet.flight().unwrap());
    let lines: Vec<_> = good.lines().collect();
    let agents = pilot.fleet.roll.len();
    let without_last = lines[..lines.len() - 1].join("\n");
    let (all, short) = (lines.len(), lines.len() - 1);
    let cut =
        format!("it has {short} lines and its header says {all}: it was cut off or put together");
    let garbled = good.replacen(lines[agents + 1], "{\"at\":3}", 1);
    let garbled_says = format!("line {} is not an input of a flight: ", agents + 2);
    // The parser says an unknown name as it is, with its line break.
    let line = "{\"atNanos\":3,\"input\":\"Sil\\nt\"}";
    let two_lines = good.replacen(lines[agents + 1], line, 1);
    for (text, says) in [
        (
            "",
            "it is no flight: line 1 is not its header, {\"flight\":1,…}",
        ),
        (
            "[1]\n",
            "it is no flight: line 1 is not its header, {\"flight\":1,…}",
        ),
        (
            "{\"flight\":7,\"new\":true}\n",
            "it is a flight of version 7; this program reads version 1",
        ),
        (&*without_last, &*cut),
        (&*garbled, &*garbled_says),
        (&*two_lines, &*garbled_says),
    ] {
        let error = Flight::parse(text).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

#[test]
fn a_flight_has_no_secret_and_nothing_of_what_agents_say_of_their_components() {
    let start = epoch();
    let mut fleet = Fleet::new(FleetTerms::default(), start).with_recorder(SMALL);
    let agent = fleet.admit(id(0), start).unwrap();
    let mut payload = payload("pod-1", "a", 10.0, 30.0);
    payload.deciding = vec![crate::wire::DecidingPayload {
        component: "database".to_owned(),
        status: HealthStatus::Unhealthy,
        reason: "Refused".to_owned(),
        message: "password s3cr3t was refused".to_owned(),
    }];
    for _ in 0..100 {
        let (tunnel, payload, skew_ms) = (TunnelId(1), &payload, None);
        let beat = Evidence::Heartbeat {
            tunnel,
            payload,
            skew_ms,
        };
        fleet.evidence(agent, beat, start);
    }
    let text = text(&fleet.flight().unwrap());
    assert!(text.contains("edge-0") && text.contains("pod-1"), "{text}");
    for said in ["database", "Refused", "s3cr3t"] {
        assert!(!text.contains(said), "{text}");
    }
}

/// Saved flights are read by later versions.
#[test]
fn the_saved_form_stays_as_it_is() {
    let saved = include_str!("tests/flight.jsonl");
    let flight = Flight::parse(saved).unwrap();
    assert_eq!(text(&flight), saved);
    assert_eq!(flight.began(), Some("2026-03-01T12:00:00Z"));
    let told: Vec<_> = flight.replay(epoch()).flat_map(|it| it.told).collect();
    assert!(!told.is_empty());
}

fn kind(output: &FleetOutput) -> String {
    match output {
        // An instant is another one in another run.
        FleetOutput::Confirm { agent, .. } => format!("{agent:?}"),
        FleetOutput::Verdict { .. }
        | FleetOutput::Replace { .. }
        | FleetOutput::MassSilence { .. }
        | FleetOutput::MassSilenceOver
        | FleetOutput::Forgotten { .. } => format!("{output:?}"),
    }
}

fn text(flight: &Flight) -> String {
    flight.lines().map(|line| line + "\n").collect()
}
