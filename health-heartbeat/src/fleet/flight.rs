//! A flight: a stretch of a fleet's past, to be saved, read again and replayed.

mod line;

mod replay;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::line::AgentLine;
use self::line::Header;
use self::line::InputLine;
use self::line::Version;
pub use self::replay::{FlightDue, FlightStep, Replay};
use super::FleetTerms;
use super::record::Record;
use super::record::SavedRecord;
use super::recorder::Checkpoint;
use super::recorder::Half;
use super::roll::Roll;

/// A stretch of a fleet's past: the fleet as it was, and every input since.
///
/// Saved, it is lines of JSON: a header, a line for each agent's number, a line for each input. It
/// has the agents' names and those of their instances, and neither credentials nor what agents say
/// of their components. Times are nanoseconds since the fleet's beginning.
///
/// A replay shows the verdicts of the fleet's machine: each one at its time, and what led to it. It
/// cannot show what never reached the machine: a beat that was refused or lost on its way, why a
/// tunnel broke, what another hub thought. Times are those at which the hub heard, by its own clock.
#[derive(Debug, Clone)]
pub struct Flight {
    terms: FleetTerms,
    began: Option<String>,
    /// One or two, which follow each other.
    halves: Vec<Arc<Half>>,
}

/// Indicates that a text is no flight that can be replayed. Permanent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFlight {
    /// There is no header.
    #[error("it is no flight: line 1 is not its header, {{\"flight\":{VERSION},…}}")]
    Header(#[source] serde_json::Error),
    /// Another version wrote it.
    #[error("it is a flight of version {found}; this program reads version {VERSION}")]
    Version {
        /// Which one.
        found: u32,
    },
    /// A line is wrong.
    #[error("line {line} is not {expected}: {what}")]
    Line {
        /// Which, from one on.
        line: usize,
        /// What it ought to be.
        expected: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// Lines are missing, or there are too many.
    #[error("it has {found} lines and its header says {expected}: it was cut off or put together")]
    Length {
        /// How many there are.
        found: usize,
        /// How many the header says.
        expected: usize,
    },
    /// The agents are not what the header says.
    #[error("line {line} {what}")]
    Agents {
        /// Which, from one on.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The version of what [`Flight::lines`] writes. It grows when a reader would misunderstand.
const VERSION: u32 = 1;

// === impl Flight ===

impl Flight {
    pub(super) const fn new(terms: FleetTerms, halves: Vec<Arc<Half>>) -> Self {
        Self {
            terms,
            began: None,
            halves,
        }
    }

    /// The same with what the wall clock showed at the fleet's beginning, for people.
    #[must_use]
    pub fn with_began(mut self, began: String) -> Self {
        self.began = Some(began);
        self
    }

    /// What the wall clock showed at the fleet's beginning, if somebody said so.
    #[must_use]
    pub fn began(&self) -> Option<&str> {
        self.began.as_deref()
    }

    /// How many inputs there are.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.halves.iter().map(|half| half.entries.len()).sum()
    }

    /// Its lines, without their ends; each is made when it is asked for.
    pub fn lines(&self) -> impl Iterator<Item = String> + Send + use<> {
        let header = line(&self.header());
        let before = self.halves.first().map(|half| Arc::clone(&half.before));
        let agents = before.into_iter().flat_map(|before| {
            (0..).map_while(move |number| {
                let (generation, record) = before.roll.place(number)?;
                let agent = record.map(SavedRecord::from);
                Some(line(&AgentLine {
                    number,
                    generation,
                    agent,
                }))
            })
        });
        let inputs = self.halves.clone().into_iter().flat_map(|half| {
            (0..half.entries.len())
                .map(move |index| line(&InputLine::of(&half.entries[index], &half.voices)))
        });
        std::iter::once(header).chain(agents).chain(inputs)
    }

    /// Reads what [`lines`](Self::lines) wrote.
    ///
    /// # Errors
    ///
    /// The first line that is no line of a flight, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidFlight> {
        let first = text.lines().next().unwrap_or_default();
        let Version { flight: found } =
            serde_json::from_str(first).map_err(InvalidFlight::Header)?;
        if found != VERSION {
            return Err(InvalidFlight::Version { found });
        }
        let header: Header = serde_json::from_str(first).map_err(InvalidFlight::Header)?;
        let found = text.lines().count();
        let expected = header.lines();
        if found != expected {
            return Err(InvalidFlight::Length { found, expected });
        }
        let terms = FleetTerms::from(&header.terms);
        let mut lines = (1..).zip(text.lines()).skip(1);
        let roll = header.roll(terms, lines.by_ref().take(header.agents))?;
        let mut half = Half::after(Checkpoint {
            roll,
            leaving: header.leaving.into_iter().collect(),
            doubts: header.doubts,
        });
        for (number, text) in lines {
            let expected = "an input of a flight";
            let line: InputLine = parsed(text, number, expected)?;
            if line.is_too_late() {
                let what = "its time is more than a hundred years after the beginning".to_owned();
                let line = number;
                return Err(InvalidFlight::Line {
                    line,
                    expected,
                    what,
                });
            }
            line.push_to(&mut half);
        }
        Ok(Self {
            terms,
            began: header.began,
            halves: vec![Arc::new(half)],
        })
    }

    fn header(&self) -> Header {
        let before = self.halves.first().map(|half| &*half.before);
        let leaving = before.into_iter().flat_map(|it| it.leaving.iter().copied());
        Header {
            flight: VERSION,
            began: self.began.clone(),
            terms: self.terms.into(),
            agents: before.map_or(0, |it| it.roll.len()),
            inputs: self.inputs(),
            doubts: before.is_some_and(|it| it.doubts),
            leaving: leaving.collect(),
            free: before.map_or_else(Vec::new, |it| it.roll.free().to_vec()),
        }
    }
}

// === impl Header ===

impl Header {
    const fn lines(&self) -> usize {
        1_usize
            .saturating_add(self.agents)
            .saturating_add(self.inputs)
    }

    /// Reads the agents, and checks that they are a roll.
    fn roll<'a>(
        &self,
        terms: FleetTerms,
        lines: impl Iterator<Item = (usize, &'a str)>,
    ) -> Result<Roll, InvalidFlight> {
        let mut places: Vec<(u32, Option<Record>)> = Vec::new();
        for (line, text) in lines {
            let agent: AgentLine = parsed(text, line, "an agent of a flight")?;
            if agent.number as usize != places.len() {
                let what = "has another number than the agent before it and one";
                return Err(InvalidFlight::Agents { line, what });
            }
            places.push((agent.generation, agent.agent.map(Record::from)));
        }
        let mut free = vec![false; places.len()];
        for number in &self.free {
            match (free.get_mut(*number as usize), places.get(*number as usize)) {
                (Some(is_free), Some((_, None))) if !*is_free => *is_free = true,
                (Some(_) | None, _) => {
                    let what = "says that a number is free which is not";
                    return Err(InvalidFlight::Agents { line: 1, what });
                }
            }
        }
        let agents = places.iter().filter(|(_, it)| it.is_some()).count();
        let roll = Roll::of_places(terms, places, self.free.clone());
        if roll.restored().by_name().count() != agents {
            let what = "begins a list of agents that has a name twice";
            return Err(InvalidFlight::Agents { line: 2, what });
        }
        Ok(roll)
    }
}

fn line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("numbers, texts and lists of them can always be written")
}

fn parsed<T: serde::de::DeserializeOwned>(
    text: &str,
    line: usize,
    expected: &'static str,
) -> Result<T, InvalidFlight> {
    serde_json::from_str(text).map_err(|error| {
        // The parser counts its lines in one line of ours, and says an unknown name as it is.
        let what = error
            .to_string()
            .replace(" at line 1 column ", " at column ")
            .replace(char::is_control, " ");
        InvalidFlight::Line {
            line,
            expected,
            what,
        }
    })
}
