//! A flight of a hub's fleet, shown as a timeline: why somebody was convicted.

use std::time::Duration;
use std::time::Instant;

use health_heartbeat::AgentId;
use health_heartbeat::Fleet;
use health_heartbeat::FleetOutput;
use health_heartbeat::Flight;
use health_heartbeat::FlightDue;
use health_heartbeat::FlightStep;
use jiff::Timestamp;
use jiff::Unit;

use crate::hub::Hub;

/// How many agents are named where one is not found.
const NAMES_SHOWN: usize = 20;

/// Prints the flight in a file: all verdicts, or what led to those of one agent. Ends the process
/// with one line where there is no flight.
pub(crate) fn show(file: &str, agent: Option<String>) {
    match read(file).and_then(|flight| timeline(&flight, agent.as_deref())) {
        Ok(lines) => lines.iter().for_each(|line| println!("{}", plain(line))),
        Err(text) => {
            println!("{file}: {}", plain(&text));
            std::process::exit(1);
        }
    }
}

/// The text without what a terminal would obey, but for the ends of lines: names in it are those that
/// agents gave themselves.
fn plain(text: &str) -> String {
    let is_obeyed = |c: char| {
        let turns = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
        turns || (c.is_control() && c != '\n')
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match is_obeyed(c) {
            true => plain.extend(c.escape_default()),
            false => plain.push(c),
        }
    }
    plain
}

/// Saves the flight of a hub, if it runs.
pub(crate) fn save(hub: &Hub, file: &str) {
    let Some(flight) = hub.recorded().and_then(|(fleet, _)| fleet.flight()) else {
        return println!("the hub does not run in the end: there is no flight to save");
    };
    let text: String = flight.lines().map(|line| line + "\n").collect();
    match std::fs::write(file, text) {
        Ok(()) => println!("saved {file}, {} inputs", flight.inputs()),
        Err(error) => println!("{file}: {error}"),
    }
}

fn read(file: &str) -> Result<Flight, String> {
    let bytes = std::fs::read(file).map_err(|error| error.to_string())?;
    let text =
        String::from_utf8(bytes).map_err(|_| "it is no flight: it is not text".to_owned())?;
    Flight::parse(&text).map_err(|error| error.to_string())
}

/// The lines that show a flight.
pub(crate) fn timeline(flight: &Flight, agent: Option<&str>) -> Result<Vec<String>, String> {
    let clock = WallClock(flight.began().and_then(|began| began.parse().ok()));
    let wanted = agent.map(agent_id).transpose()?;
    let mut replay = flight.replay(Instant::now());
    let mut lines = vec![format!("{} inputs", flight.inputs())];
    if let Some(id) = &wanted {
        lines.push(before(replay.fleet(), id, clock));
    }
    let mut is_known = wanted
        .as_ref()
        .is_none_or(|id| replay.fleet().find(id).is_some());
    while let Some(step) = replay.next() {
        let Some(id) = &wanted else {
            lines.extend(verdicts(&step, None, clock));
            continue;
        };
        let told: Vec<_> = verdicts(&step, Some(id), clock).collect();
        let is_mine = step.agent.as_deref() == Some(id);
        is_known |= is_mine;
        if is_mine || step.moves_all || !told.is_empty() {
            lines.push(format!("{} {}", clock.show(step.at), step.input));
            lines.extend(told);
            let agent = replay.fleet().find(id);
            let due = agent.and_then(|agent| replay.fleet().due_of(agent));
            lines.extend(due.map(|due| format!("      next: {}", ahead(&due, clock))));
        }
    }
    if !is_known {
        let names = replay.fleet().views().take(NAMES_SHOWN);
        let names: Vec<_> = names.map(|view| view.id().to_string()).collect();
        let agent = agent.unwrap_or_default();
        return Err(format!(
            "no agent {agent:?} in it; there are: {}",
            names.join(", ")
        ));
    }
    Ok(lines)
}

/// What is known of an agent before the first input.
fn before(fleet: &Fleet, id: &AgentId, clock: WallClock) -> String {
    let Some(view) = fleet.find(id).and_then(|agent| fleet.view(agent)) else {
        return "before: not known".to_owned();
    };
    let since = clock.show(view.since().duration_since(fleet.beginning()));
    let due = fleet.due_of(view.key());
    let due = due.map_or_else(String::new, |due| ahead(&due, clock));
    format!(
        "before: {} ({}) since {since}; next: {due}",
        view.verdict(),
        view.reason()
    )
}

/// What the fleet told at one step, of everybody or of one agent.
fn verdicts(
    step: &FlightStep,
    only: Option<&AgentId>,
    clock: WallClock,
) -> impl Iterator<Item = String> {
    let told = step.told.iter().filter_map(move |(whose, output)| {
        if whose.is_some() && only.is_some_and(|id| whose.as_deref() != Some(id)) {
            return None;
        }
        let name = whose.as_ref().map(ToString::to_string);
        let name = name.unwrap_or_default();
        let text = match output {
            FleetOutput::Verdict {
                from,
                verdict,
                reason,
                ..
            } => format!("{from} -> {verdict} ({reason})"),
            FleetOutput::Confirm { .. } if only.is_some() => "asks for a look at it".to_owned(),
            FleetOutput::Confirm { .. } | FleetOutput::Replace { .. } => return None,
            FleetOutput::MassSilence { silent, of } => {
                format!("MassSilence: {silent} of {of} are silent, their verdicts wait")
            }
            FleetOutput::MassSilenceOver => "the mass silence is over".to_owned(),
            FleetOutput::Forgotten { .. } => "forgotten".to_owned(),
        };
        Some(format!("{} => {name} {text}", clock.show(step.at)))
    });
    told.collect::<Vec<_>>().into_iter()
}

/// What is to come if nothing comes in.
fn ahead(due: &FlightDue, clock: WallClock) -> String {
    let all = [
        ("Suspect", due.suspect),
        ("a live look", due.look),
        ("no wait for its answer", due.answer),
        ("Left", due.left),
        ("Lost", due.lost),
        ("forgotten", due.forgotten),
    ];
    let mut all: Vec<_> = all
        .iter()
        .filter_map(|(what, at)| Some(((*at)?, what)))
        .collect();
    all.sort();
    let all = all
        .iter()
        .map(|(at, what)| format!("{what} at {}", clock.show(*at)));
    let held = if due.is_held {
        " (held: many are silent)"
    } else {
        ""
    };
    let all = all.collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        return "nothing".to_owned();
    }
    format!("{all}{held}")
}

/// `WORKSPACE/NAME`, as the hub writes it; `-` is no workspace.
fn agent_id(text: &str) -> Result<AgentId, String> {
    let Some((workspace, name)) = text.rsplit_once('/') else {
        return Err(format!(
            "--agent {text:?} is not WORKSPACE/NAME, as root:org:edge/edge-1"
        ));
    };
    let workspace = if workspace == "-" { "" } else { workspace };
    Ok(AgentId {
        workspace: workspace.to_owned(),
        name: name.to_owned(),
    })
}

/// What the wall clock showed at the fleet's beginning, where it is known.
#[derive(Debug, Clone, Copy)]
struct WallClock(Option<Timestamp>);

// === impl WallClock ===

impl WallClock {
    /// A time since the beginning, to the millisecond.
    fn show(self, at: Duration) -> String {
        let wall = self.0.and_then(|began| began.checked_add(at).ok());
        let wall = wall.and_then(|wall| wall.round(Unit::Millisecond).ok());
        match wall {
            Some(wall) => wall.to_string(),
            None => format!("+{:.3}s", at.as_secs_f64()),
        }
    }
}

#[cfg(test)]
mod tests {
    use health_heartbeat::Evidence;
    use health_heartbeat::FleetTerms;
    use health_heartbeat::FleetVerdict;
    use health_heartbeat::FlightLimits;
    use health_heartbeat::TunnelId;

    use super::*;
    use crate::mutations::Tamper;
    use crate::scenario::Scenario;
    use crate::world::World;

    /// So many seeds' flights are flown again.
    const SEEDS: u64 = 40;

    #[test]
    fn a_recorded_flight_gives_the_same_verdicts_at_the_same_times() {
        let mut verdicts_seen = 0;
        for seed in 0..SEEDS {
            let mut world = World::new(Scenario::draw(seed), Tamper::default(), false);
            let _ = world.run();
            let Some((fleet, given)) = world.hub.recorded() else {
                continue;
            };
            let flight = fleet.flight().expect("it was told something");
            let text: String = flight.lines().map(|line| line + "\n").collect();
            let read = Flight::parse(&text).expect("what was saved can be read");
            let mut replay = read.replay(fleet.beginning());
            let mut replayed = Vec::new();
            for step in replay.by_ref() {
                replayed.extend(step.told.iter().filter_map(|(_, output)| match output {
                    FleetOutput::Verdict { agent, verdict, .. } => Some((*agent, *verdict)),
                    FleetOutput::Confirm { .. }
                    | FleetOutput::Replace { .. }
                    | FleetOutput::MassSilence { .. }
                    | FleetOutput::MassSilenceOver
                    | FleetOutput::Forgotten { .. } => None,
                }));
            }
            assert_eq!(replayed, given, "seed {seed}");
            for (one, other) in fleet.views().zip(replay.fleet().views()) {
                let same = one.transitions().eq(other.transitions());
                assert!(same, "seed {seed}: {}", one.id());
            }
            verdicts_seen += given.len();
        }
        assert!(verdicts_seen > 200, "{verdicts_seen}");
    }

    #[test]
    fn a_conviction_is_shown_with_what_led_to_it() {
        let flight = convicted();
        let lines = timeline(&flight, Some("-/edge-1")).expect("it is there");
        let text = lines.join("\n");
        for expected in [
            "before: not known",
            "+1.000s admitted",
            "+2.000s a frame over tunnel 7\n+2.000s => -/edge-1 Pending -> Alive (HeartbeatReceived)\n      \
             next: Suspect at +71.300s, Lost at +92.000s",
            "+92.000s => -/edge-1 Suspect -> Lost (HeartbeatTimeout)",
        ] {
            assert!(text.contains(expected), "{expected} in:\n{text}");
        }
        assert!(!text.contains("edge-2"), "{text}");
        let all = timeline(&flight, None).expect("it is shown").join("\n");
        assert!(all.contains("-/edge-2 Pending -> Lost"), "{all}");
        let dated = flight.with_began("2026-03-01T12:00:00Z".to_owned());
        let all = timeline(&dated, None).expect("it is shown").join("\n");
        assert!(all.contains("2026-03-01T12:01:32Z => -/edge-1"), "{all}");
    }

    #[test]
    fn an_agent_that_is_not_there_is_told_beside_those_that_are() {
        let error = timeline(&convicted(), Some("root:org/edge-1")).expect_err("nobody's name");
        assert_eq!(
            error,
            "no agent \"root:org/edge-1\" in it; there are: -/edge-1, -/edge-2"
        );
        assert!(timeline(&convicted(), Some("edge-1")).is_err());
    }

    /// `cargo xtask sim --replay FILE --agent A` hands both over by the environment.
    #[test]
    fn a_flight_that_was_saved_is_shown_and_reaches_no_terminal() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("flight.jsonl");
        let evil = "-/edge-\u{1b}[2J\u{202e}";
        let lines = convicted_as(["-/edge-1", evil]).lines().collect::<Vec<_>>();
        std::fs::write(&file, lines.join("\n")).expect("it can be written");
        let (is_shown, text) = replayed(&file, Some("-/edge-1"));
        let lost = "\n+92.000s => -/edge-1 Suspect -> Lost (HeartbeatTimeout)\n";
        assert!(is_shown && text.contains(lost), "{text}");
        let (is_shown, all) = replayed(&file, None);
        let shown = "-/edge-\\u{1b}[2J\\u{202e} Pending -> Lost";
        assert!(is_shown && all.contains(shown), "{all}");
        let (is_shown, text) = replayed(&file, Some("-/edge-9"));
        let told = format!(
            "{}: no agent \"-/edge-9\" in it; there are: ",
            file.display()
        );
        assert!(!is_shown && text.contains(&told), "{text}");
        for text in [all, text] {
            assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
        }
    }

    /// Whether the process that shows it says so, and what it shows.
    fn replayed(file: &std::path::Path, agent: Option<&str>) -> (bool, String) {
        let here = std::env::current_exe().expect("this program");
        let mut sim = std::process::Command::new(here);
        sim.args(["--ignored", "--nocapture", "--quiet", "--exact", "sim"])
            .env("SYNCER_HEALTH_SIM_REPLAY", file);
        if let Some(agent) = agent {
            sim.env("SYNCER_HEALTH_SIM_AGENT", agent);
        }
        let done = sim.output().expect("it runs");
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        (done.status.success(), text)
    }

    /// One agent was heard once, another one never.
    fn convicted() -> Flight {
        convicted_as(["-/edge-1", "-/edge-2"])
    }

    fn convicted_as(names: [&str; 2]) -> Flight {
        let start = Instant::now();
        let fleet = Fleet::new(FleetTerms::default(), start);
        let mut fleet = fleet.with_recorder(FlightLimits::default());
        let [agent, _] = names.map(|name| {
            let id = agent_id(name).expect("a name");
            fleet.admit(id, start).expect("there is room")
        });
        let frame = Evidence::Frame {
            tunnel: TunnelId(7),
        };
        fleet.evidence(agent, frame, start + Duration::from_secs(1));
        while fleet.count(FleetVerdict::Lost) < 2 {
            let at = fleet.poll_timeout().expect("somebody is not convicted yet");
            fleet.handle_timeout(at);
        }
        fleet.flight().expect("it is recorded")
    }
}
