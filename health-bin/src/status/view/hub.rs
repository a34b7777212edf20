//! A hub's fleet, and one agent of it.

use jiff::Timestamp;

use super::super::answer::Agent;
use super::super::answer::Detail;
use super::super::answer::Fleet;
use super::super::answer::Report;
use super::super::table::Cell;
use super::super::table::Column;
use super::super::table::NONE;
use super::super::table::Row;
use super::super::table::Table;
use super::super::table::Tone;
use super::super::table::age::age;
use super::super::table::age::since;
use super::agent;
use super::status_tone;

const COUNTS: [Column; 6] = [
    Column::moving("PENDING"),
    Column::moving("ALIVE"),
    Column::moving("SUSPECT"),
    Column::moving("LOST"),
    Column::moving("LEFT"),
    Column::state("DOUBT"),
];

const AGENTS: [Column; 7] = [
    Column::name("WORKSPACE"),
    Column::name("NAME"),
    Column::state("VERDICT"),
    Column::moving("SINCE"),
    Column::state("STATUS"),
    Column::state("REASON"),
    Column::moving("LAST-EVIDENCE"),
];

/// Each transition has its time for a name, so a new one is a new row.
const TRANSITIONS: [Column; 4] = [
    Column::name("AT"),
    Column::moving("AGE"),
    Column::state("VERDICT"),
    Column::state("REASON"),
];

/// The fleet: how many of which verdict, and the agents in the hub's order.
pub(super) fn fleet(fleet: &Fleet, now: Timestamp) -> Vec<Table> {
    vec![counts(fleet), agents(&fleet.agents, now)]
}

/// One agent: itself, what became of it lately, and the report that it sent.
pub(super) fn detail(detail: &Detail, now: Timestamp) -> Vec<Table> {
    let mut tables = vec![
        agents(std::slice::from_ref(&detail.agent), now),
        transitions(detail, now),
    ];
    if let Some(report) = report(detail) {
        let age = detail.report_age_seconds;
        tables.extend(agent::carried(&report.aged(age.unwrap_or(0.0)), age));
    }
    tables
}

/// How many agents are not shown.
pub(super) fn note(fleet: &Fleet) -> Option<String> {
    let shown = u64::try_from(fleet.agents.len()).unwrap_or(u64::MAX);
    let hidden = fleet
        .matching
        .checked_sub(shown)
        .filter(|hidden| *hidden > 0)?;
    Some(format!(
        "{hidden} more agents are not shown; choose with --verdict, --workspace, --search, or raise \
         --limit"
    ))
}

/// What is said of the report of an agent.
pub(super) fn detail_note(detail: &Detail) -> Option<String> {
    match (&detail.report, report(detail)) {
        (None, _) => Some("it has sent no report".to_owned()),
        (Some(_), None) => Some("its report has a shape of its own: see -o json".to_owned()),
        (Some(_), Some(report)) => agent::note(&report),
    }
}

fn report(detail: &Detail) -> Option<Report> {
    detail.report.as_ref().and_then(Report::of)
}

fn counts(fleet: &Fleet) -> Table {
    let count = |verdict: &str| {
        let count = fleet.counts.get(verdict).copied().unwrap_or(0);
        let tone = match count {
            0 => Tone::Plain,
            _ => verdict_tone(Some(verdict)),
        };
        Cell::new(&count.to_string(), tone)
    };
    let doubt = match fleet.doubt {
        true => Cell::new(
            "yes: so many fell silent at once that verdicts wait",
            Tone::Warning,
        ),
        false => Cell::plain("no"),
    };
    let cells = vec![
        count("Pending"),
        count("Alive"),
        count("Suspect"),
        count("Lost"),
        count("Left"),
        doubt,
    ];
    Table {
        columns: &COUNTS,
        rows: vec![Row { name: None, cells }],
        empty: "",
        is_log: false,
    }
}

fn agents(agents: &[Agent], now: Timestamp) -> Table {
    Table {
        columns: &AGENTS,
        rows: agents.iter().map(|one| row(one, now)).collect(),
        empty: "No agents.",
        is_log: false,
    }
}

fn row(agent: &Agent, now: Timestamp) -> Row {
    let (verdict, status) = (agent.verdict.as_deref(), agent.status.as_deref());
    let since = since(agent.since.as_deref(), now);
    let Agent {
        workspace, name, ..
    } = agent;
    Row {
        name: Some(format!("agent/{workspace}/{name}")),
        cells: vec![
            Cell::plain(workspace),
            Cell::plain(name),
            Cell::known(verdict, verdict_tone(verdict)),
            Cell::known(since.as_deref(), Tone::Plain),
            Cell::known(status, status_tone(status)),
            Cell::known(reason(agent), Tone::Plain),
            Cell::plain(&last_evidence(agent)),
        ],
    }
}

/// Why the verdict is what it is; of who is Alive and not well, what ails it.
fn reason(agent: &Agent) -> Option<&str> {
    let ails = agent.deciding.iter().flatten().next();
    let ails = ails.filter(|_| agent.verdict.as_deref() == Some("Alive"));
    match ails {
        Some(ails) if ails.reason.is_some() => ails.reason.as_deref(),
        Some(_) | None => agent.reason.as_deref(),
    }
}

/// How old the newest evidence is, and by which channel it came.
fn last_evidence(agent: &Agent) -> String {
    let channels = agent.last_evidence.iter();
    let aged = channels.filter_map(|(channel, one)| Some((channel, one.age_seconds?)));
    let newest = aged.min_by(|(_, one), (_, other)| one.total_cmp(other));
    match newest {
        Some((channel, seconds)) => format!("{} ({channel})", age(seconds)),
        None => "never".to_owned(),
    }
}

/// The newest first.
fn transitions(detail: &Detail, now: Timestamp) -> Table {
    let rows = detail.transitions.iter().rev().map(|one| {
        let verdict = one.verdict.as_deref();
        let age = since(one.at.as_deref(), now);
        Row {
            name: None,
            cells: vec![
                Cell::plain(one.at.as_deref().unwrap_or(NONE)),
                Cell::known(age.as_deref(), Tone::Plain),
                Cell::known(verdict, verdict_tone(verdict)),
                Cell::known(one.reason.as_deref(), Tone::Plain),
            ],
        }
    });
    Table {
        columns: &TRANSITIONS,
        rows: rows.collect(),
        empty: "No transitions.",
        is_log: true,
    }
}

/// What a verdict means; one that is not known is shown plainly.
fn verdict_tone(verdict: Option<&str>) -> Tone {
    match verdict {
        Some("Alive") => Tone::Good,
        Some("Suspect") => Tone::Warning,
        Some("Lost") => Tone::Bad,
        Some("Pending") => Tone::Unsure,
        Some("Left") => Tone::Quiet,
        _ => Tone::Plain,
    }
}
