//! An agent's report.

use super::super::answer::Component;
use super::super::answer::Heartbeats;
use super::super::answer::Report;
use super::super::answer::Transport;
use super::super::table::Cell;
use super::super::table::Column;
use super::super::table::NONE;
use super::super::table::Row;
use super::super::table::Table;
use super::super::table::Tone;
use super::super::table::age::age;
use super::super::table::age::brief;
use super::status_tone;

const HEADLINE: [Column; 5] = [
    Column::state("STATUS"),
    Column::state("REASON"),
    Column::state("DECIDING"),
    Column::state("VERSION"),
    Column::moving("UPTIME"),
];

/// Of a report that a hub has: an agent sends one when a status changes, and may be silent since.
const CARRIED: [Column; 6] = [
    HEADLINE[0],
    HEADLINE[1],
    HEADLINE[2],
    HEADLINE[3],
    HEADLINE[4],
    Column::moving("REPORTED"),
];

const COMPONENTS: [Column; 6] = [
    Column::name("NAME"),
    Column::state("STATUS"),
    Column::state("REASON"),
    Column::moving("AGE"),
    Column::moving("FAILURES"),
    Column::moving("MESSAGE"),
];

const TRANSPORTS: [Column; 6] = [
    Column::name("TRANSPORT"),
    Column::state("STATE"),
    Column::moving("LAST-SUCCESS"),
    Column::moving("RTT"),
    Column::moving("MISSED"),
    Column::moving("ERROR"),
];

/// What stands for the time of what has not been.
const NEVER: &str = "never";

/// The whole report: a headline, the components, the transports.
pub(super) fn report(report: &Report) -> Vec<Table> {
    vec![
        headline(report),
        components(report),
        transports(report.heartbeat.as_ref()),
    ]
}

/// A report as a tunnel carries it, which says nothing of heartbeats, and how long ago it came.
pub(super) fn carried(report: &Report, age_seconds: Option<f64>) -> Vec<Table> {
    let mut headline = headline(report);
    headline.columns = &CARRIED;
    let reported = age_seconds.map(|seconds| format!("{} ago", age(seconds)));
    let reported = Cell::known(reported.as_deref(), Tone::Plain);
    for row in &mut headline.rows {
        row.cells.push(reported.clone());
    }
    vec![headline, components(report)]
}

/// What a report lacks.
pub(super) fn note(report: &Report) -> Option<String> {
    let cut = report.cut.join(", ");
    (!cut.is_empty()).then(|| format!("the report was cut to fit, without: {cut}"))
}

fn headline(report: &Report) -> Table {
    let deciding = report.deciding.iter();
    let names: Vec<_> = deciding.map(|one| one.component.as_str()).collect();
    let status = report.status.as_deref();
    let uptime = report.uptime_seconds.map(age);
    let cells = vec![
        Cell::known(status, status_tone(status)),
        Cell::known(report.reason.as_deref(), Tone::Plain),
        Cell::known(Some(&names.join(",")), Tone::Plain),
        Cell::known(report.version.as_deref(), Tone::Plain),
        Cell::known(uptime.as_deref(), Tone::Plain),
    ];
    Table {
        columns: &HEADLINE,
        rows: vec![Row { name: None, cells }],
        empty: "",
        is_log: false,
    }
}

/// The sickest first, and of one status by name.
fn components(report: &Report) -> Table {
    let mut components: Vec<_> = report.components.iter().collect();
    components.sort_by_key(|(_, component)| rank(component.status.as_deref()));
    let rows = components.into_iter();
    Table {
        columns: &COMPONENTS,
        rows: rows.map(|(name, one)| component(name, one)).collect(),
        empty: "No components.",
        is_log: false,
    }
}

fn component(name: &str, component: &Component) -> Row {
    let status = component.status.as_deref();
    let age = component.age_seconds.map(age);
    let message = message(
        component.message.as_deref().unwrap_or_default(),
        component.error.as_deref().unwrap_or_default(),
    );
    Row {
        name: Some(format!("component/{name}")),
        cells: vec![
            Cell::plain(name),
            Cell::known(status, status_tone(status)),
            Cell::known(component.reason.as_deref(), Tone::Plain),
            Cell::plain(age.as_deref().unwrap_or(NEVER)),
            Cell::plain(&component.consecutive_failures.to_string()),
            Cell::plain(&message),
        ],
    }
}

/// What is said for people and what went wrong: both, unless one says it all.
fn message(message: &str, error: &str) -> String {
    if error.is_empty() || message.contains(error) {
        message.to_owned()
    } else if message.is_empty() {
        error.to_owned()
    } else if error.contains(message) {
        // An error repeats the reason in front, which has a column of its own.
        message.to_owned()
    } else {
        format!("{message}: {error}")
    }
}

fn transports(heartbeat: Option<&Heartbeats>) -> Table {
    let transports = heartbeat.into_iter().flat_map(|all| &all.transports);
    Table {
        columns: &TRANSPORTS,
        rows: transports.map(|(name, one)| transport(name, one)).collect(),
        empty: "No transports: no heartbeats are sent.",
        is_log: false,
    }
}

fn transport(name: &str, transport: &Transport) -> Row {
    let state = transport.state.as_deref();
    let last = transport.age_seconds.map(age);
    let rtt = transport.rtt_seconds.map(brief);
    Row {
        name: None,
        cells: vec![
            Cell::plain(name),
            Cell::known(state, state_tone(state)),
            Cell::plain(last.as_deref().unwrap_or(NEVER)),
            Cell::plain(rtt.as_deref().unwrap_or(NONE)),
            Cell::plain(&transport.missed.to_string()),
            Cell::plain(transport.error.as_deref().unwrap_or_default()),
        ],
    }
}

fn rank(status: Option<&str>) -> u8 {
    match status {
        Some("Unhealthy") => 0,
        Some("Degraded") => 1,
        Some("Healthy") => 3,
        _ => 2,
    }
}

/// What a transport's state means; `Missed` and `StandingBy` say more behind a bracket.
fn state_tone(state: Option<&str>) -> Tone {
    match state.unwrap_or_default() {
        "Alive" => Tone::Good,
        "Failed" => Tone::Bad,
        "Pending" => Tone::Unsure,
        other if other.starts_with("Missed") => Tone::Warning,
        _ => Tone::Plain,
    }
}
