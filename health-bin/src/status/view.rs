//! What of an answer stands in which table. Values and `now` in, tables out.

mod agent;

mod hub;

use jiff::Timestamp;

use super::answer::Known;
use super::table::Table;
use super::table::Tone;

/// The tables of an answer, in the order in which they are shown. The hub's own time goes before
/// `now`, since ages are differences of what one clock told.
pub(super) fn tables(known: &Known, now: Timestamp) -> Vec<Table> {
    match known {
        Known::Report(report) => agent::report(report),
        Known::Fleet(fleet) => hub::fleet(fleet, time(fleet.now.as_deref(), now)),
        Known::Detail(detail) => hub::detail(detail, time(detail.now.as_deref(), now)),
    }
}

/// What is said beside the tables, on stderr.
pub(super) fn note(known: &Known) -> Option<String> {
    match known {
        Known::Report(report) => agent::note(report),
        Known::Fleet(fleet) => hub::note(fleet),
        Known::Detail(detail) => hub::detail_note(detail),
    }
}

fn time(said: Option<&str>, now: Timestamp) -> Timestamp {
    said.and_then(|said| said.parse().ok()).unwrap_or(now)
}

/// What a status means; one that is not known is shown plainly.
fn status_tone(status: Option<&str>) -> Tone {
    match status {
        Some("Healthy") => Tone::Good,
        Some("Degraded") => Tone::Warning,
        Some("Unhealthy") => Tone::Bad,
        Some("Unknown") => Tone::Unsure,
        _ => Tone::Plain,
    }
}

#[cfg(test)]
mod tests;
